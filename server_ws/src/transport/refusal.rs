//! The refusal of connections for which the circle has no room.

use std::{io, net::IpAddr, time::Instant};

use crate::{
    circle::Circle,
    metrics::ConnectionRejectReason,
    quota::{Caller, ConnectionRefusal},
};

/// Counts and logs the refused connection of a client at `address`.
pub(super) fn note(circle: &Circle, address: IpAddr, refusal: ConnectionRefusal) {
    let (reason, label) = match refusal {
        ConnectionRefusal::Full => (ConnectionRejectReason::Full, "full"),
        ConnectionRefusal::Address { .. } => (ConnectionRejectReason::Address, "address"),
    };
    circle.metrics.count_rejection(reason);
    log(circle, address, label, None);
}

/// Counts and logs the failed TLS handshake of a client at `address`.
#[cfg(feature = "tls")]
pub(super) fn note_tls(circle: &Circle, address: IpAddr, error: &io::Error) {
    circle.metrics.count_rejection(ConnectionRejectReason::Tls);
    log(circle, address, "tls", Some(error));
}

fn log(circle: &Circle, address: IpAddr, reason: &str, error: Option<&io::Error>) {
    if let Some(suppressed) = circle.logged_refusals.admit(Caller::anonymous(address), Instant::now()) {
        let suppressed = (suppressed > 0).then_some(suppressed);
        tracing::info!(%address, reason, error = error.map(tracing::field::display), suppressed, "connection refused");
    }
}
