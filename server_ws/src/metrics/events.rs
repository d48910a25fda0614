//! The counters of events, with the feature `metrics` and without.

use super::labels::{
    AuthenticationOutcome, ConnectionCloseReason, ConnectionRejectReason, EnvironmentLoss, HostCallOutcome,
    NotificationRejectReason, PlayOutcome, SessionIdentity,
};
#[cfg(not(feature = "metrics"))]
use super::no_series::Counters;
#[cfg(feature = "metrics")]
use super::series::Counters;

/// The counters of events, registered once, so that counting needs no lookup and no allocation.
pub(super) struct EventSeries {
    pub(super) plays: Counters<PlayOutcome>,
    pub(super) authentications: Counters<AuthenticationOutcome>,
    pub(super) rejected_notifications: Counters<NotificationRejectReason>,
    pub(super) rejected_connections: Counters<ConnectionRejectReason>,
    pub(super) rate_limited: Counters<SessionIdentity>,
    pub(super) closed_connections: Counters<ConnectionCloseReason>,
    pub(super) environments_lost: Counters<EnvironmentLoss>,
    pub(super) calls: Counters<PlayOutcome>,
    pub(super) host_calls: Counters<HostCallOutcome>,
}

impl EventSeries {
    /// Registers the counters in the current recorder.
    pub(super) fn register() -> Self {
        Self {
            plays: Counters::register("circles_plays_total", "outcome", "Finished plays by outcome."),
            authentications: Counters::register(
                "circles_authentications_total",
                "outcome",
                "Authentication attempts by outcome.",
            ),
            rejected_notifications: Counters::register(
                "circles_notifications_refused_total",
                "reason",
                "Notifications that were rejected; their senders get no response.",
            ),
            rejected_connections: Counters::register(
                "circles_connections_refused_total",
                "reason",
                "Refused HTTP requests and WebSocket upgrades by reason.",
            ),
            rate_limited: Counters::register(
                "circles_requests_rate_limited_total",
                "identity",
                "Requests rejected by the rate limit of their caller (per_minute).",
            ),
            closed_connections: Counters::register(
                "circles_connections_closed_total",
                "reason",
                "Connections closed by the circle, to make room or because they did not authenticate in time.",
            ),
            environments_lost: Counters::register(
                "circles_environments_lost_total",
                "reason",
                "Lost session environments by reason.",
            ),
            calls: Counters::register("circles_calls_total", "outcome", "Finished calls of functions by outcome."),
            host_calls: Counters::register("circles_host_calls_total", "outcome", "Host calls by outcome."),
        }
    }
}
