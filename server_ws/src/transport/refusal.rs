//! The refusal of connections for which the circle has no room.

use std::{net::IpAddr, time::Instant};

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
    if let Some(suppressed) = circle.logged_refusals.admit(Caller::anonymous(address), Instant::now()) {
        let suppressed = (suppressed > 0).then_some(suppressed);
        tracing::info!(%address, reason = label, suppressed, "connection refused");
    }
}
