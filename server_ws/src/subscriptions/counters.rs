//! The counters of a circle's subscriptions, for metrics.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// What subscriptions have done since the circle was made.
#[derive(Debug, Default)]
pub(crate) struct SubscriptionCounters {
    /// Open subscriptions.
    open: AtomicU64,
    /// Sessions with subscriptions whose client does not read.
    stalled: AtomicU64,
    /// Notifications `event` with entries or data.
    events: AtomicU64,
    /// Notifications `event` with a gap.
    gaps: AtomicU64,
}

impl SubscriptionCounters {
    pub(crate) fn open(&self) -> u64 {
        self.open.load(Relaxed)
    }

    pub(crate) fn stalled(&self) -> u64 {
        self.stalled.load(Relaxed)
    }

    pub(crate) fn events(&self) -> u64 {
        self.events.load(Relaxed)
    }

    pub(crate) fn gaps(&self) -> u64 {
        self.gaps.load(Relaxed)
    }

    pub(super) fn add_subscription(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    pub(super) fn remove_subscription(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    pub(crate) fn count_events(&self, events: u64) {
        self.events.fetch_add(events, Relaxed);
    }

    pub(crate) fn count_gap(&self) {
        self.gaps.fetch_add(1, Relaxed);
    }

    /// Counts a session whose client does not read, until the result is dropped.
    pub(crate) fn count_stalled(self: &Arc<Self>) -> StalledSession {
        self.stalled.fetch_add(1, Relaxed);
        StalledSession(self.clone())
    }
}

/// A session with subscriptions whose client does not read.
#[derive(Debug)]
pub(crate) struct StalledSession(Arc<SubscriptionCounters>);

impl Drop for StalledSession {
    fn drop(&mut self) {
        self.0.stalled.fetch_sub(1, Relaxed);
    }
}
