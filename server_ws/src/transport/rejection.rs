//! The checks before an upgrade, for connections of the circle's own server and of others.

use std::{net::IpAddr, sync::Arc};

use keys::Authority;

use super::refusal;
use crate::{
    admission_hook::ConnectionRequest,
    circle::Circle,
    metrics::ConnectionRejectReason,
    quota::{ConnectionRefusal, Slot},
};

/// The reason why a circle refuses a connection, before its upgrade.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Rejection {
    pub(super) status: u16,
    pub(super) reason: String,
}

impl Rejection {
    pub(super) fn new(status: u16, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    /// A fault of the server, which its log explains.
    #[cfg(any(feature = "actix", feature = "axum"))]
    pub(crate) fn internal() -> Self {
        Self::new(500, "the server cannot connect clients to this circle: its log says why")
    }

    /// Returns the HTTP status of the response.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the reason, a line of text for people.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// Checks the version of the WebSocket protocol.
pub(super) fn check_version(circle: &Circle, version: Option<&[u8]>) -> Result<(), Rejection> {
    if version == Some(b"13") {
        return Ok(());
    }
    circle.metrics.count_rejection(ConnectionRejectReason::Version);
    Err(Rejection::new(426, "unsupported WebSocket version: this circle speaks version 13 (RFC 6455)"))
}

/// Checks the origins of a page that connects. Without TLS of its own, the circle may be behind a server with TLS.
pub(super) fn check_origins<'a>(
    circle: &Circle,
    authority: &Authority,
    origins: impl Iterator<Item = &'a [u8]>,
) -> Result<(), Rejection> {
    let settings = circle.settings.borrow();
    let schemes = if settings.tls.is_some() { &["https://"][..] } else { &["http://", "https://"] };
    for origin in origins {
        let origin = std::str::from_utf8(origin).unwrap_or_default().to_ascii_lowercase();
        let is_own = schemes.iter().any(|scheme| origin.strip_prefix(scheme) == Some(authority.as_str()));
        if !is_own && !settings.origins.contains(&origin) {
            circle.metrics.count_rejection(ConnectionRejectReason::Origin);
            let reason = format!(
                "the origin {} may not connect to this circle: to allow it, the operator adds it to `origins` \
                 (circles serve --origins)",
                shorten(&origin)
            );
            return Err(Rejection::new(403, reason));
        }
    }
    Ok(())
}

/// Checks that the circle is not shutting down.
pub(super) fn check_open(circle: &Circle) -> Result<(), Rejection> {
    if circle.is_draining() {
        circle.metrics.count_rejection(ConnectionRejectReason::Draining);
        return Err(Rejection::new(503, "the circle is shutting down"));
    }
    Ok(())
}

/// Asks the program, if it decides on connections.
pub(super) async fn ask_program(circle: &Circle, request: impl FnOnce() -> ConnectionRequest) -> Result<(), Rejection> {
    let Some(hook) = &circle.admission_hook else { return Ok(()) };
    hook.decide(request()).await.map_err(|reason| {
        circle.metrics.count_rejection(ConnectionRejectReason::Program);
        Rejection::new(403, reason)
    })
}

/// Makes the socket of this slot a WebSocket of a client at `address`.
pub(super) fn upgrade_slot(circle: &Circle, slot: &Arc<Slot>, address: IpAddr) -> Result<(), Rejection> {
    slot.upgrade(address).map_err(|refusal| no_room(circle, address, refusal))
}

/// Counts and logs that there is no room, and returns the rejection.
pub(super) fn no_room(circle: &Circle, address: IpAddr, refusal: ConnectionRefusal) -> Rejection {
    refusal::note(circle, address, refusal);
    match refusal {
        ConnectionRefusal::Full => {
            let connections = circle.settings.borrow().limits.values.connections;
            let reason = format!(
                "the circle already has {connections} connections, its limit: try again later, or ask the operator to \
                 raise `limits.connections` and, if the circle has lowered that limit itself, `limits.connection_mib`"
            );
            Rejection::new(503, reason)
        }
        ConnectionRefusal::Address { max } => {
            let reason = format!(
                "your address has {max} unauthenticated connections, its limit: authenticate or close some of them, \
                 or ask the operator to raise `limits.unauthenticated_per_address`"
            );
            Rejection::new(429, reason)
        }
    }
}

/// Counts that the headers of the upgrade are invalid, and returns the rejection.
pub(super) fn invalid_handshake(circle: &Circle, reason: &str) -> Rejection {
    circle.metrics.count_rejection(ConnectionRejectReason::Handshake);
    Rejection::new(400, format!("invalid WebSocket request (RFC 6455): {reason}"))
}

/// Counts that the circle does not answer to this host, and returns the rejection.
pub(super) fn unknown_host(circle: &Circle, host: &str) -> Rejection {
    circle.metrics.count_rejection(ConnectionRejectReason::Host);
    let reason = format!(
        "this circle does not answer to the host '{}': to allow it, the operator adds it to `hosts` \
         (circles serve --hosts)",
        shorten(host)
    );
    Rejection::new(421, reason)
}

fn shorten(text: &str) -> String {
    text.chars().take(100).collect()
}
