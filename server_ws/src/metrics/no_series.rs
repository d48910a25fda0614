//! The series of a circle without the feature `metrics`: nothing is counted. A snapshot needs no series.

use std::{marker::PhantomData, time::Duration};

use super::events::EventSeries;

/// Counters that count nothing.
pub(super) struct Counters<L>(PhantomData<L>);

impl<L> Counters<L> {
    pub(super) fn register(_name: &'static str, _key: &'static str, _help: &'static str) -> Self {
        Self(PhantomData)
    }

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
    pub(super) events: EventSeries,
    pub(super) play_seconds: Histogram,
}

impl MetricSeries {
    pub(super) fn register(_circle: &str, _has_store: bool, _has_pool: bool) -> Self {
        Self { events: EventSeries::register(), play_seconds: Histogram }
    }

    #[expect(clippy::unused_self, reason = "the interface of the series with the feature")]
    pub(super) fn run_upkeep(&self) {}
}
