//! The native transport, based on tokio-tungstenite.

mod endpoints;
#[cfg(not(feature = "tls"))]
mod no_tls;
#[cfg(feature = "tls")]
mod tls;
mod upgrade;

use std::{
    io::ErrorKind,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use endpoints::{Endpoint, endpoints};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use keys::Authority;
#[cfg(not(feature = "tls"))]
use no_tls::{EncryptedStream, TlsClient};
#[cfg(feature = "tls")]
use tls::{EncryptedStream, TlsClient};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Bytes, Error, Message, Utf8Bytes,
        error::{CapacityError, ProtocolError},
        protocol::CloseFrame,
    },
};
use tokio_util::either::Either;

pub use std::marker::{Send as MaybeSend, Sync as MaybeSync};

use super::{TransportReceiver, TransportSender, binary_message, closed_by_circle};
use crate::{CircleUrl, ClientError, message_limit::limit_message};

/// A TCP connection, with TLS for `wss://`.
type NetworkStream = Either<TcpStream, Box<EncryptedStream>>;

type NativeSocket = WebSocketStream<NetworkStream>;

pub(crate) struct NativeSender(SplitSink<NativeSocket, Message>);

pub(crate) struct NativeReceiver {
    socket: SplitStream<NativeSocket>,
    url: String,
}

/// The options of the transport.
#[derive(Debug, Default)]
pub(crate) struct TransportOptions {
    /// The only CAs to trust; `None` for those of the system.
    #[cfg(feature = "tls")]
    pub(crate) ca_file: Option<std::path::PathBuf>,
}

/// The transport of one client.
#[derive(Debug)]
pub(crate) struct Transport {
    /// `None` for a `ws://` URL.
    tls: Option<TlsClient>,
}

impl Transport {
    pub(crate) fn new(url: &CircleUrl, options: &TransportOptions) -> Result<Self, ClientError> {
        let tls = if url.is_tls() { Some(TlsClient::new(url, options)?) } else { None };
        Ok(Self { tls })
    }

    /// Connects to a circle. Returns both halves of the connection and the authority that the client connected to:
    /// `authority` if given, otherwise that of the endpoint. `connect_timeout` applies to each endpoint, to the TLS
    /// handshake and to the upgrade.
    pub(crate) async fn connect(
        &self,
        url: &CircleUrl,
        authority: Option<&Authority>,
        connect_timeout: Duration,
    ) -> Result<(NativeSender, NativeReceiver, Authority), ClientError> {
        let late = |what: &str| ClientError::NotACircle {
            url: url.to_string(),
            reason: format!("it accepted the connection but did not {what} within {connect_timeout:?}"),
        };
        let (stream, endpoint_authority) = connect_any(url, connect_timeout)
            .await
            .map_err(|reason| ClientError::Unreachable { url: url.to_string(), reason })?;
        let authority = authority.cloned().unwrap_or(endpoint_authority);
        let stream = match &self.tls {
            None => Either::Left(stream),
            Some(tls) => {
                let encrypted = Box::pin(timeout(connect_timeout, tls.connect(url, stream))).await;
                Either::Right(Box::new(encrypted.ok_or_else(|| late("answer the TLS handshake"))??))
            }
        };
        let upgraded = Box::pin(timeout(connect_timeout, upgrade::upgrade(url, &authority, stream)));
        let socket = upgraded.await.ok_or_else(|| late("answer"))??;
        let (sender, receiver) = socket.split();
        Ok((NativeSender(sender), NativeReceiver { socket: receiver, url: url.to_string() }, authority))
    }
}

/// Connects to the first endpoint that accepts a connection, and returns its authority.
///
/// The error is that of the first endpoint: for the second one of `localhost`, a machine without IPv6 would report a
/// missing address, which says nothing about the circle.
async fn connect_any(url: &CircleUrl, connect_timeout: Duration) -> Result<(TcpStream, Authority), String> {
    let mut first_reason = None;
    for Endpoint { host, port, authority } in endpoints(url) {
        match connect_tcp(&host, port, connect_timeout).await {
            Ok(stream) => return Ok((stream, authority)),
            Err(reason) => first_reason = first_reason.or(Some(reason)),
        }
    }
    Err(first_reason.unwrap_or_default())
}

async fn connect_tcp(host: &str, port: u16, connect_timeout: Duration) -> Result<TcpStream, String> {
    let stream = timeout(connect_timeout, TcpStream::connect((host, port)))
        .await
        .ok_or_else(|| format!("no answer within {connect_timeout:?}"))?
        .map_err(|error| error_text(&error))?;
    stream.set_nodelay(true).map_err(|error| error_text(&error))?;
    Ok(stream)
}

/// The text of the operating system's error without its number.
fn error_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

impl TransportSender for NativeSender {
    async fn send(&mut self, text: String) -> Result<(), ClientError> {
        self.0.send(Message::text(text)).await.map_err(|error| lost(&error))
    }

    async fn ping(&mut self) -> Result<(), ClientError> {
        self.0.send(Message::Ping(Bytes::new())).await.map_err(|error| lost(&error))
    }

    async fn close(&mut self) {
        // Closing fails if the connection has already ended.
        let _already_closed = self.0.close().await;
    }
}

impl TransportReceiver for NativeReceiver {
    type Text = Utf8Bytes;

    async fn receive(&mut self) -> Result<Option<Utf8Bytes>, ClientError> {
        match self.socket.next().await {
            Some(Ok(Message::Text(text))) => Ok(Some(text)),
            Some(Ok(Message::Close(frame))) => Err(closed(frame.as_ref())),
            Some(Ok(Message::Binary(_))) => Err(binary_message(&self.url)),
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => Err(lost(&error)),
            None => Err(ClientError::ConnectionLost { code: None, reason: "the circle ended the connection".into() }),
        }
    }
}

fn closed(frame: Option<&CloseFrame>) -> ClientError {
    match frame {
        Some(frame) => closed_by_circle(Some(frame.code.into()), &frame.reason),
        None => closed_by_circle(None, ""),
    }
}

fn lost(error: &Error) -> ClientError {
    let reason = match error {
        // With TLS, a connection that ends without the circle's word for it.
        Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => "no reason given".into(),
        Error::Io(error) => error_text(error),
        // A killed process or a machine that is down.
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => "no reason given".into(),
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => limit_message(*size, *max_size),
        other => other.to_string(),
    };
    ClientError::ConnectionLost { code: None, reason }
}

/// Runs a future as a background task.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(future);
}

/// Waits for a future, and returns `None` if it takes longer than `after`.
pub(crate) async fn timeout<F: Future>(after: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(after, future).await.ok()
}

/// Seconds since 1970.
pub(crate) fn now_unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
