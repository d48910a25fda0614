//! What a circle reports about its store.

use serde::{Deserialize, Serialize};

/// Whether a store works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StoreState {
    /// It works.
    #[default]
    Ok,
    /// It, its file or the disk is full: it has refused what makes it larger.
    Full,
    /// Its storage has failed: everything fails until the circle is restarted.
    Failed,
}

/// Status of the store of a circle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoreStatus {
    /// Whether it works.
    pub state: StoreState,
    /// Revision of the newest durable commit.
    pub revision: u64,
    /// Size of entries, change log and records of `once` in bytes, as `store_mib` counts it.
    pub bytes: u64,
    /// Bound of this size in bytes.
    pub max_bytes: u64,
    /// Length of the file in bytes.
    pub file_bytes: u64,
    /// Bound of this length in bytes.
    pub max_file_bytes: u64,
    /// Size of the change log in bytes.
    pub log_bytes: u64,
    /// Size of the records of `once` in bytes.
    pub once_bytes: u64,
    /// Number of durable commits since the process started.
    pub commits: u64,
    /// Number of groups in which they were written.
    pub groups: u64,
    /// Number of conflicts since the process started.
    pub conflicts: u64,
    /// Number of reruns of calls since the process started.
    pub reruns: u64,
    /// Age of the oldest snapshot in milliseconds.
    pub oldest_snapshot_ms: u64,
    /// Number of open subscriptions.
    pub subscriptions: u64,
    /// Number of sessions with subscriptions whose client does not read.
    pub stalled_subscribers: u64,
    /// Number of events sent since the process started.
    pub events: u64,
}
