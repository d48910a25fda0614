//! The series of a circle's store and of its subscriptions.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

use super::{
    labels::{CommitOutcome, EventKind, StoreData, StoreFault},
    series::{Counters, Gauges, set},
    snapshot::StoreSnapshot,
};

/// The series of a store. A circle without a store does not have them.
pub(super) struct StoreSeries {
    revision: Gauge,
    bytes: Gauges<StoreData>,
    max_bytes: Gauge,
    file_bytes: Gauge,
    max_file_bytes: Gauge,
    faults: Gauges<StoreFault>,
    commits: Counters<CommitOutcome>,
    groups: Counter,
    reruns: Counter,
    queued_commits: Gauge,
    snapshots: Gauge,
    oldest_snapshot: Gauge,
    window_bytes: Gauge,
    subscriptions: Gauge,
    stalled_subscribers: Gauge,
    events: Counters<EventKind>,
}

impl StoreSeries {
    /// Registers the series in the current recorder.
    pub(super) fn register() -> Self {
        let gauge = |name: &'static str, help: &'static str| {
            describe_gauge!(name, help);
            gauge!(name)
        };
        let counter = |name: &'static str, help: &'static str| {
            describe_counter!(name, help);
            counter!(name)
        };
        Self {
            revision: gauge("circles_store_revision", "Revision of the newest durable commit of the store."),
            bytes: Gauges::register(
                "circles_store_bytes",
                "of",
                "Size of what the store contains in bytes, as store_mib counts it.",
            ),
            max_bytes: gauge("circles_store_max_bytes", "Bound of the contents of the store in bytes (store_mib)."),
            file_bytes: gauge("circles_store_file_bytes", "Length of the file of the store in bytes."),
            max_file_bytes: gauge("circles_store_file_max_bytes", "Bound of the length of this file in bytes."),
            faults: Gauges::register(
                "circles_store_fault",
                "fault",
                "Faults of the store: 1 if the store has the fault, 0 if not.",
            ),
            commits: Counters::register(
                "circles_store_commits_total",
                "outcome",
                "Commits of transactions that write, by outcome.",
            ),
            groups: counter("circles_store_groups_total", "Groups of commits that were written together."),
            reruns: counter("circles_store_reruns_total", "Calls that began again after a conflict."),
            queued_commits: gauge("circles_store_queued_commits", "Commits that wait for the group before."),
            snapshots: gauge("circles_store_snapshots", "Snapshots that transactions and subscriptions read."),
            oldest_snapshot: gauge(
                "circles_store_oldest_snapshot_seconds",
                "Time since the oldest of these snapshots was replaced by a newer one.",
            ),
            window_bytes: gauge(
                "circles_store_window_bytes",
                "Memory of the changes against which the store validates transactions.",
            ),
            subscriptions: gauge("circles_subscriptions", "Open subscriptions."),
            stalled_subscribers: gauge(
                "circles_stalled_subscribers",
                "Sessions with subscriptions whose client does not read, so that the subscriptions fall behind.",
            ),
            events: Counters::register("circles_events_total", "kind", "Notifications of subscriptions by kind."),
        }
    }

    /// Sets the series to a snapshot.
    pub(super) fn set(&self, snapshot: &StoreSnapshot) {
        set(&self.revision, snapshot.revision);
        self.bytes.set(StoreData::Entries, snapshot.data_bytes);
        self.bytes.set(StoreData::Log, snapshot.log_bytes);
        self.bytes.set(StoreData::Once, snapshot.once_bytes);
        set(&self.max_bytes, snapshot.max_bytes);
        set(&self.file_bytes, snapshot.file_bytes);
        set(&self.max_file_bytes, snapshot.max_file_bytes);
        self.faults.set(StoreFault::Failed, snapshot.has_failed.into());
        self.faults.set(StoreFault::Full, snapshot.is_full.into());
        let commits = &snapshot.commits;
        for (outcome, count) in [
            (CommitOutcome::Ok, commits.committed),
            (CommitOutcome::Conflict, commits.conflicts),
            (CommitOutcome::TooOld, commits.too_old),
            (CommitOutcome::Full, commits.full),
            (CommitOutcome::Busy, commits.busy),
            (CommitOutcome::Failed, commits.failed),
            (CommitOutcome::Invalid, commits.invalid),
        ] {
            self.commits.set(outcome, count);
        }
        self.groups.absolute(snapshot.groups);
        self.reruns.absolute(snapshot.reruns);
        set(&self.queued_commits, snapshot.queued_commits);
        set(&self.snapshots, snapshot.snapshots);
        self.oldest_snapshot.set(snapshot.oldest_snapshot_age.as_secs_f64());
        set(&self.window_bytes, snapshot.window_bytes);
        set(&self.subscriptions, snapshot.subscriptions);
        set(&self.stalled_subscribers, snapshot.stalled_subscribers);
        self.events.set(EventKind::Changes, snapshot.events);
        self.events.set(EventKind::Gap, snapshot.gaps);
    }
}
