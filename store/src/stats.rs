use crate::{Revision, Store};

/// Counters of a store, for metrics.
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
    /// Length of the file in bytes.
    pub file_bytes: u64,
    /// Number of snapshots that transactions and readers have, the newest included.
    pub snapshots: usize,
    /// Number of commits that wait for the committer.
    pub queued_commits: usize,
}

impl Store {
    /// Length of the file in bytes. Touches neither the disk nor a lock.
    pub fn file_bytes(&self) -> u64 {
        self.shared().counters.length()
    }

    /// The counters of the store, as of the newest durable commit. Does not touch the disk.
    pub fn stats(&self) -> StoreStats {
        let shared = self.shared();
        let snapshot = shared.snapshot();
        let state = snapshot.state();
        StoreStats {
            revision: state.revision,
            data_bytes: state.data_bytes,
            log_bytes: state.log_bytes,
            once_bytes: state.once_bytes,
            file_bytes: shared.counters.length(),
            snapshots: shared.live.count(),
            queued_commits: shared.queue.len(),
        }
    }
}
