//! The begin of a socket: its slot, and the TLS handshake if the circle serves TLS.

use std::{io, net::SocketAddr, sync::Arc};

use actix_http::{Protocol, error::DispatchError};
use actix_web::rt::net::TcpStream;

#[cfg(not(feature = "tls"))]
use super::no_tls_handshake as tls_handshake;
#[cfg(feature = "tls")]
use super::tls_handshake;
use super::{network_stream::NetworkStream, refusal, request_socket::RequestSocket};
use crate::{circle::Circle, tls::TlsCertificate};

/// Gives a socket its slot, or closes the socket if there is no room for it. Then makes the TLS handshake, if the
/// circle has a certificate.
pub(super) async fn accept(
    circle: Arc<Circle>,
    stream: TcpStream,
) -> Result<(RequestSocket, Protocol, Option<SocketAddr>), DispatchError> {
    let address = stream.peer_addr()?;
    let tls = circle.settings.borrow().tls.as_ref().map(TlsCertificate::acceptor);
    let slot = circle.accept_socket(address.ip()).map_err(|refusal| {
        refusal::note(&circle, address.ip(), refusal);
        io::Error::from(io::ErrorKind::ConnectionRefused)
    })?;
    tracing::debug!(socket = slot.number(), %address, "connection accepted");
    stream.set_nodelay(true)?;
    let stream = match tls {
        None => NetworkStream::Tcp(stream),
        Some(acceptor) => tls_handshake::accept(&circle, &acceptor, stream, &slot, address.ip()).await?,
    };
    Ok((RequestSocket::new(stream, slot), Protocol::Http1, Some(address)))
}
