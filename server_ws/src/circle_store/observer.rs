//! An observer of a circle's store, for metrics.

use std::sync::Arc;

use store::Store;

use crate::{
    metrics::{CommitSnapshot, StoreSnapshot},
    subscriptions::{EventHub, SubscriptionCounters},
};

/// An observer of a store and its subscriptions. It does not keep the store open.
#[derive(Debug)]
pub(crate) struct StoreObserver {
    store: store::StoreObserver,
    subscriptions: Arc<SubscriptionCounters>,
}

impl StoreObserver {
    pub(super) fn new(store: &Store, events: &EventHub) -> Self {
        Self { store: store.observer(), subscriptions: events.counters().clone() }
    }

    /// Returns a snapshot, unless the store is closed. Neither touches the disk nor waits for a commit.
    pub(crate) fn snapshot(&self) -> Option<StoreSnapshot> {
        let (stats, subscriptions) = (self.store.stats()?, &self.subscriptions);
        Some(StoreSnapshot {
            revision: stats.revision.get(),
            data_bytes: stats.data_bytes,
            log_bytes: stats.log_bytes,
            once_bytes: stats.once_bytes,
            max_bytes: stats.max_bytes,
            file_bytes: stats.file_bytes,
            max_file_bytes: stats.max_file_bytes,
            is_full: stats.is_full,
            has_failed: stats.has_failed,
            commits: CommitSnapshot {
                committed: stats.commits.committed,
                conflicts: stats.commits.conflicts,
                too_old: stats.commits.too_old,
                full: stats.commits.full,
                busy: stats.commits.busy,
                failed: stats.commits.failed,
                invalid: stats.commits.invalid,
            },
            groups: stats.groups,
            reruns: stats.reruns,
            queued_commits: stats.queued_commits as u64,
            snapshots: stats.snapshots as u64,
            oldest_snapshot_age: stats.oldest_snapshot_age,
            window_bytes: stats.window_bytes,
            subscriptions: subscriptions.open(),
            stalled_subscribers: subscriptions.stalled(),
            events: subscriptions.events(),
            gaps: subscriptions.gaps(),
        })
    }
}
