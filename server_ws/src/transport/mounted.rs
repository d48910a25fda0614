//! Connections that somebody else has accepted.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use actix_http::Protocol;
use actix_service::{Service, ServiceFactory};
use http::{HeaderMap, header};
use keys::Authority;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_util::task::LocalPoolHandle;

use super::{
    client_address::client_address,
    connection,
    counted_stream::CountedStream,
    network_stream::NetworkStream,
    refusal,
    rejection::{self, Rejection},
    request_socket::RequestSocket,
    server,
};
use crate::{admission_hook::ConnectionRequest, circle::Circle, quota::Slot, running::RunningCircle};

/// The close code of a refused connection (RFC 6455 §7.4.1).
const POLICY_VIOLATION: u16 = 1008;

/// The timeout of a request and its response on a stream of the program. A WebSocket has its own timeouts.
const HTTP_TIMEOUT: Duration = Duration::from_mins(1);

/// The maximum length of the reason in a close frame, in bytes (RFC 6455 §5.5).
const MAX_CLOSE_REASON: usize = 123;

/// A connection that the circle has accepted, and whose upgrade is still to be done.
#[derive(Debug)]
#[must_use = "the connection closes when this is dropped"]
pub struct AcceptedConnection {
    circle: Arc<Circle>,
    /// Not the running circle, which ends when the program drops it.
    threads: LocalPoolHandle,
    address: IpAddr,
    authority: Authority,
    slot: SlotGuard,
}

/// A slot that is closed once this is dropped, whatever the connection does.
#[derive(Debug)]
struct SlotGuard(Arc<Slot>);

impl Drop for SlotGuard {
    fn drop(&mut self) {
        self.0.close();
    }
}

pub(crate) async fn accept(
    running: &RunningCircle,
    peer: IpAddr,
    headers: &HeaderMap,
) -> Result<AcceptedConnection, Rejection> {
    let circle = running.circle();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let authority = Authority::from_host_header(host)
        .ok()
        .filter(|authority| circle.settings.borrow().hosts.contains(authority))
        .ok_or_else(|| rejection::unknown_host(circle, host))?;
    rejection::check_origins(circle, &authority, values(headers, "origin"))?;
    rejection::check_open(circle)?;
    let forwarded: Vec<_> = values(headers, "x-forwarded-for").collect();
    let address = client_address(peer, &forwarded, &circle.settings.borrow().trusted_proxies);
    // A proxy on this machine brings clients of others.
    check_peer(circle, peer)?;
    check_peer(circle, address)?;
    let slot = circle.accept_socket(peer).map_err(|refusal| rejection::no_room(circle, address, refusal))?;
    let slot = SlotGuard(slot);
    rejection::ask_program(circle, || ConnectionRequest {
        address,
        authority: authority.clone(),
        headers: headers.clone(),
    })
    .await?;
    rejection::upgrade_slot(circle, &slot.0, address)?;
    Ok(AcceptedConnection { circle: circle.clone(), threads: running.threads().clone(), address, authority, slot })
}

fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).iter().map(header::HeaderValue::as_bytes)
}

/// Checks that the circle may serve this peer. The defaults are safe on loopback only.
fn check_peer(circle: &Circle, peer: IpAddr) -> Result<(), Rejection> {
    circle.check_address(peer).map_err(|error| {
        tracing::error!(%error, "connection refused");
        Rejection::new(503, "this circle serves its own machine only: its log says how to change that")
    })
}

/// Checks an upgrade request. `is_get` says whether it is a GET request of HTTP/1.1. Returns the value of
/// `Sec-WebSocket-Accept` in its response.
#[cfg(any(feature = "actix", feature = "axum"))]
pub(crate) fn check_handshake(circle: &Circle, is_get: bool, headers: &HeaderMap) -> Result<String, Rejection> {
    use super::handshake::{check_upgrade, check_values};

    if !is_get {
        return Err(rejection::invalid_handshake(circle, "the request must be GET with HTTP/1.1"));
    }
    if !headers.contains_key(header::UPGRADE) {
        let reason = format!("this is the circle '{}': connect to it with a WebSocket", circle.name);
        return Err(Rejection::new(426, reason));
    }
    rejection::check_version(circle, values(headers, "sec-websocket-version").next())?;
    let all = |name: &str| values(headers, name).collect();
    let key = check_upgrade(all).and_then(|()| check_values(all));
    let key = key.map_err(|reason| rejection::invalid_handshake(circle, &reason))?;
    Ok(String::from_utf8_lossy(&actix_http::ws::hash_key(key)).into_owned())
}

impl AcceptedConnection {
    /// Serves the connection over a WebSocket whose upgrade is done, until it ends. If the future is dropped, the
    /// connection closes.
    pub async fn serve<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Self { circle, threads, address, authority, slot } = self;
        let held = slot.0.clone();
        let served = threads.spawn_pinned(move || async move {
            connection::start(&circle, address, authority, CountedStream::new(stream, held, None)).ended().await;
        });
        if let Err(error) = served.await {
            tracing::error!(%error, "a connection has failed");
        }
    }

    /// As [`serve`](Self::serve), on the thread of the caller, which runs a local set of tasks.
    #[cfg(feature = "actix")]
    pub(crate) async fn serve_here<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let Self { circle, address, authority, slot, .. } = self;
        let stream = CountedStream::new(stream, slot.0.clone(), None);
        connection::start(&circle, address, authority, stream).ended().await;
    }
}

/// Closes a WebSocket that the circle refuses, with the reason.
pub(crate) async fn close_refused(mut stream: impl AsyncWrite + Unpin, rejection: &Rejection) {
    let reason = &rejection.reason[..rejection.reason.floor_char_boundary(MAX_CLOSE_REASON)];
    let payload = [&POLICY_VIOLATION.to_be_bytes()[..], reason.as_bytes()].concat();
    let length = u8::try_from(payload.len()).expect("at most 125 bytes");
    // A close frame, final and without a mask (RFC 6455 §5.2).
    let frame = [&[0x88, length][..], &payload].concat();
    let sent = async {
        stream.write_all(&frame).await?;
        stream.shutdown().await
    };
    if let Err(error) = sent.await {
        tracing::debug!(%error, "cannot close a refused connection");
    }
}

/// Serves HTTP on a stream.
pub(crate) fn serve_http<S>(running: &RunningCircle, stream: S, peer: IpAddr)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let circle = running.circle().clone();
    if check_peer(&circle, peer).is_err() {
        return;
    }
    let slot = match circle.accept_socket(peer) {
        Ok(slot) => slot,
        Err(refusal) => return refusal::note(&circle, peer, refusal),
    };
    let socket = RequestSocket::new(NetworkStream::other(stream), slot);
    // The connection has its own end.
    let _detached = running.threads().spawn_pinned(move || async move {
        let served = async {
            let failed = |()| io::Error::other("the HTTP service cannot start");
            let service = server::http_service(circle).new_service(()).await.map_err(failed)?;
            service
                .call((socket, Protocol::Http1, Some(SocketAddr::new(peer, 0))))
                .await
                .map_err(|error| io::Error::other(error.to_string()))
        };
        match tokio::time::timeout(HTTP_TIMEOUT, served).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "HTTP connection ended"),
            Err(_) => tracing::debug!("HTTP connection closed: its response was not read in time"),
        }
    });
}
