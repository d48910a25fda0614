//! The series of a circle without the feature `metrics`: nothing is counted. A snapshot needs no series.

use std::{marker::PhantomData, time::Duration};

use super::labels::{
    AuthenticationOutcome, ConnectionCloseReason, ConnectionRejectReason, EnvironmentLoss, HostCallOutcome,
    NotificationRejectReason, PlayOutcome, SessionIdentity,
};

/// Counters that count nothing.
pub(super) struct Counters<L>(PhantomData<L>);

impl<L> Counters<L> {
    #[expect(clippy::unused_self, reason = "the interface of the series with the feature")]
    pub(super) fn count(&self, _: L) {}

    #[expect(clippy::unused_self, reason = "the interface of the series with the feature")]
    pub(super) fn add(&self, _: L, _: u64) {}
}

/// A histogram that records nothing.
pub(super) struct Histogram;

impl Histogram {
    #[expect(clippy::unused_self, reason = "the interface of the series with the feature")]
    pub(super) fn record(&self, _: Duration) {}
}

/// The series that `Metrics` counts.
pub(super) struct MetricSeries {
    pub(super) plays: Counters<PlayOutcome>,
    pub(super) play_seconds: Histogram,
    pub(super) authentications: Counters<AuthenticationOutcome>,
    pub(super) rejected_notifications: Counters<NotificationRejectReason>,
    pub(super) rejected_connections: Counters<ConnectionRejectReason>,
    pub(super) rate_limited: Counters<SessionIdentity>,
    pub(super) closed_connections: Counters<ConnectionCloseReason>,
    pub(super) environments_lost: Counters<EnvironmentLoss>,
    pub(super) calls: Counters<PlayOutcome>,
    pub(super) host_calls: Counters<HostCallOutcome>,
}

impl MetricSeries {
    pub(super) fn register(_circle: &str) -> Self {
        Self {
            plays: Counters(PhantomData),
            play_seconds: Histogram,
            authentications: Counters(PhantomData),
            rejected_notifications: Counters(PhantomData),
            rejected_connections: Counters(PhantomData),
            rate_limited: Counters(PhantomData),
            closed_connections: Counters(PhantomData),
            environments_lost: Counters(PhantomData),
            calls: Counters(PhantomData),
            host_calls: Counters(PhantomData),
        }
    }

    #[expect(clippy::unused_self, reason = "the interface of the series with the feature")]
    pub(super) fn run_upkeep(&self) {}
}
