//! A snapshot of a circle, for the program that serves it.

use std::time::Duration;

/// The state of a circle at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircleSnapshot {
    /// The number of WebSocket connections, including those being closed.
    pub connections: u64,
    /// The number of sessions that hold a worker or wait for one to start.
    pub workers: u64,
    /// The number of plays that have finished since the circle was made, with any outcome.
    pub plays: u64,
    /// The number of running plays.
    pub running_plays: u64,
    /// The number of plays that wait for an earlier play of their session or for a grant to run.
    pub queued_plays: u64,
    /// The memory of the workers in bytes at their last samples, as `total_mib` counts it; 0 if unknown.
    pub worker_bytes: u64,
    /// The private memory of the server process in bytes, resident or swapped out; 0 if unknown.
    pub server_bytes: u64,
    /// The layers of the sandbox in effect, as `describe` names them; empty before the startup check of
    /// [`run`](crate::run).
    pub sandbox: Vec<&'static str>,
    /// The store; absent without one, and once it is closed.
    pub store: Option<StoreSnapshot>,
    /// The workers on other machines; absent without them.
    #[cfg(feature = "nats")]
    pub worker_pool: Option<worker_nats::server::HubStatus>,
}

impl CircleSnapshot {
    /// Returns the memory of the server and the workers in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.server_bytes.saturating_add(self.worker_bytes)
    }
}

/// The state of a circle's store at one moment, and what the store has done since the circle was made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreSnapshot {
    /// The revision of the newest durable commit.
    pub revision: u64,
    /// The size of all entries in bytes.
    pub data_bytes: u64,
    /// The size of the change log in bytes.
    pub log_bytes: u64,
    /// The size of all records of `once` in bytes.
    pub once_bytes: u64,
    /// The bound of the sum of these sizes in bytes (`store_mib`).
    pub max_bytes: u64,
    /// The length of the file in bytes.
    pub file_bytes: u64,
    /// The bound of the length of the file in bytes.
    pub max_file_bytes: u64,
    /// Whether the store has refused a commit because it, its file or the disk is full, and has taken none since that
    /// makes the data larger.
    pub is_full: bool,
    /// Whether the storage has failed, so that everything fails until the circle starts anew.
    pub has_failed: bool,
    /// The outcomes of commits.
    pub commits: CommitSnapshot,
    /// The number of groups of commits that were written together.
    pub groups: u64,
    /// The number of attempts of calls after a conflict.
    pub reruns: u64,
    /// The number of commits that wait for the group before.
    pub queued_commits: u64,
    /// The number of snapshots that transactions and subscriptions read.
    pub snapshots: u64,
    /// The time since the oldest of them was replaced by a newer one.
    pub oldest_snapshot_age: Duration,
    /// The memory of the changes against which the store validates transactions, in bytes.
    pub window_bytes: u64,
    /// The number of open subscriptions.
    pub subscriptions: u64,
    /// The number of sessions with subscriptions whose client does not read.
    pub stalled_subscribers: u64,
    /// The number of notifications with entries or data.
    pub events: u64,
    /// The number of notifications of a gap.
    pub gaps: u64,
}

impl StoreSnapshot {
    /// Returns the size of everything in the store in bytes, as `store_mib` bounds it.
    pub fn bytes(&self) -> u64 {
        self.data_bytes.saturating_add(self.log_bytes).saturating_add(self.once_bytes)
    }
}

/// The number of commits of transactions that write, by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitSnapshot {
    /// Durable commits.
    pub committed: u64,
    /// Commits of transactions whose reads had changed.
    pub conflicts: u64,
    /// Commits of transactions whose snapshot was too old.
    pub too_old: u64,
    /// Commits that found the store full.
    pub full: u64,
    /// Commits that found too many others waiting.
    pub busy: u64,
    /// Commits that found the storage failed.
    pub failed: u64,
    /// Commits of invalid transactions.
    pub invalid: u64,
}
