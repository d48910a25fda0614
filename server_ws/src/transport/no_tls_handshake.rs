//! The TLS handshake without the feature `tls`: no circle has a certificate.

use std::{io, net::IpAddr};

use actix_web::rt::net::TcpStream;

use super::network_stream::NetworkStream;
use crate::{circle::Circle, quota::Slot, tls::TlsCertificate};

/// Accepts no stream, because no certificate exists.
#[expect(clippy::unused_async, reason = "the interface of the handshake with the feature")]
pub(super) async fn accept(
    _: &Circle,
    acceptor: &TlsCertificate,
    _: TcpStream,
    _: &Slot,
    _: IpAddr,
) -> io::Result<NetworkStream> {
    match *acceptor {}
}
