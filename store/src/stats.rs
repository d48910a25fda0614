//! Counters of a store, for metrics.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{CommitError, Revision, Store, outcome::CommitResult, store::Shared};

/// The state of a store at one moment, and what it has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// Revision of the newest durable commit.
    pub revision: Revision,
    /// Size of all entries in bytes, each with [`ENTRY_OVERHEAD`](crate::ENTRY_OVERHEAD).
    pub data_bytes: u64,
    /// Size of the change log in bytes, with the overhead of its records.
    pub log_bytes: u64,
    /// Size of the `once` records in bytes, with their overhead.
    pub once_bytes: u64,
    /// Bound of the sum of these sizes in bytes: [`StoreLimits::bytes`](crate::StoreLimits::bytes).
    pub max_bytes: u64,
    /// Length of the file in bytes.
    pub file_bytes: u64,
    /// Bound of the length of the file in bytes.
    pub max_file_bytes: u64,
    /// Number of snapshots that transactions and readers have, the newest included.
    pub snapshots: usize,
    /// Time since the oldest of them was replaced by a newer one; zero if there is only the newest.
    pub oldest_snapshot_age: Duration,
    /// Size of the changes that the store remembers to validate transactions, in bytes.
    pub window_bytes: u64,
    /// Number of commits that wait for the committer.
    pub queued_commits: usize,
    /// The outcomes of commits.
    pub commits: CommitCounts,
    /// Number of groups of commits that were written.
    pub groups: u64,
    /// Number of attempts of runs ([`Attempts`](crate::Attempts)) after a conflict.
    pub reruns: u64,
    /// Whether the store has refused a commit because it, its file or the disk is full, and has not shown room since: by a
    /// commit that does not make the data smaller, with a sixteenth of the bound still free.
    pub is_full: bool,
    /// Whether the storage has failed, so that everything fails until the store is opened again.
    pub has_failed: bool,
}

/// Number of commits by outcome since the store was opened. Transactions without writes, and commits that were canceled,
/// do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitCounts {
    /// Durable commits.
    pub committed: u64,
    /// [`CommitError::Conflict`].
    pub conflicts: u64,
    /// [`CommitError::TooOld`].
    pub too_old: u64,
    /// [`CommitError::Full`], [`CommitError::DiskFull`] and [`CommitError::OnceFull`].
    pub full: u64,
    /// [`CommitError::Busy`].
    pub busy: u64,
    /// [`CommitError::Failed`].
    pub failed: u64,
    /// Other errors, which are about the transaction.
    pub invalid: u64,
}

/// What the committer and the runs count.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    committed: AtomicU64,
    conflicts: AtomicU64,
    too_old: AtomicU64,
    full: AtomicU64,
    busy: AtomicU64,
    failed: AtomicU64,
    invalid: AtomicU64,
    groups: AtomicU64,
    reruns: AtomicU64,
    window_bytes: AtomicU64,
    is_full: AtomicBool,
}

impl Counters {
    /// Counts the outcome of a commit.
    pub(crate) fn count(&self, result: &CommitResult) {
        let counter = match result {
            Ok(_) => &self.committed,
            Err(CommitError::Conflict { .. }) => &self.conflicts,
            Err(CommitError::TooOld) => &self.too_old,
            Err(CommitError::Full { .. } | CommitError::DiskFull { .. }) => {
                self.is_full.store(true, Relaxed);
                &self.full
            }
            Err(CommitError::OnceFull) => &self.full,
            Err(CommitError::Busy) => &self.busy,
            Err(CommitError::Failed { .. }) => &self.failed,
            Err(_) => &self.invalid,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Counts a durable group. `shows_room` says that the store takes what makes it larger.
    pub(crate) fn count_group(&self, shows_room: bool) {
        self.groups.fetch_add(1, Relaxed);
        if shows_room {
            self.is_full.store(false, Relaxed);
        }
    }

    pub(crate) fn count_rerun(&self) {
        self.reruns.fetch_add(1, Relaxed);
    }

    pub(crate) fn set_window_bytes(&self, bytes: usize) {
        self.window_bytes.store(bytes as u64, Relaxed);
    }

    fn commits(&self) -> CommitCounts {
        CommitCounts {
            committed: self.committed.load(Relaxed),
            conflicts: self.conflicts.load(Relaxed),
            too_old: self.too_old.load(Relaxed),
            full: self.full.load(Relaxed),
            busy: self.busy.load(Relaxed),
            failed: self.failed.load(Relaxed),
            invalid: self.invalid.load(Relaxed),
        }
    }
}

impl Store {
    /// Length of the file in bytes. Touches neither the disk nor a lock.
    pub fn file_bytes(&self) -> u64 {
        self.shared().file.length()
    }

    /// Size of the `once` records in bytes, as of the newest durable commit.
    pub fn once_bytes(&self) -> u64 {
        self.shared().snapshot().state().once_bytes
    }

    /// The counters of the store, as of the newest durable commit. Neither touches the disk nor waits for a commit.
    pub fn stats(&self) -> StoreStats {
        stats(self.shared())
    }

    /// An observer of the store, which does not keep the store open.
    pub fn observer(&self) -> StoreObserver {
        StoreObserver(Arc::downgrade(self.shared()))
    }
}

/// An observer of a store, which does not keep the store open.
#[derive(Debug, Clone)]
pub struct StoreObserver(Weak<Shared>);

impl StoreObserver {
    /// The counters of the store, like [`Store::stats`]; nothing once the store is closed.
    pub fn stats(&self) -> Option<StoreStats> {
        let shared = self.0.upgrade().filter(|shared| !shared.is_closed())?;
        Some(stats(&shared))
    }
}

fn stats(shared: &Shared) -> StoreStats {
    let snapshot = shared.snapshot();
    let state = snapshot.state();
    let live = shared.live.list();
    StoreStats {
        revision: state.revision,
        data_bytes: state.data_bytes,
        log_bytes: state.log_bytes,
        once_bytes: state.once_bytes,
        max_bytes: shared.limits.bytes,
        file_bytes: shared.file.length(),
        max_file_bytes: shared.limits.file_bytes(),
        snapshots: live.len(),
        oldest_snapshot_age: live.first().and_then(|oldest| oldest.age()).unwrap_or_default(),
        window_bytes: shared.counters.window_bytes.load(Relaxed),
        queued_commits: shared.queue.len(),
        commits: shared.counters.commits(),
        groups: shared.counters.groups.load(Relaxed),
        reruns: shared.counters.reruns.load(Relaxed),
        is_full: shared.counters.is_full.load(Relaxed),
        has_failed: shared.has_failed(),
    }
}
