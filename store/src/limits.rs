use std::time::Duration;

const KIB: usize = 1024;
const MIB: u64 = 1024 * 1024;

/// The limits of one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionLimits {
    /// Number of entries that a transaction may read: keys, and entries that a scan passes.
    pub reads: usize,
    /// Size of all keys and values that a transaction may read, in bytes.
    pub read_bytes: usize,
    /// Number of keys that a transaction may write.
    pub writes: usize,
    /// Size of all keys, values, topics and data that a transaction may write, in bytes.
    pub write_bytes: usize,
    /// Size of one value ([`Value::size`](crate::Value::size)) and of the data of one event, in bytes.
    pub value_bytes: usize,
    /// Number of events that a transaction may publish.
    pub events: usize,
    /// Depth of savepoints in savepoints.
    pub savepoints: usize,
}

impl Default for TransactionLimits {
    fn default() -> Self {
        Self {
            reads: 10_000,
            read_bytes: 16 * KIB * KIB,
            writes: 1_000,
            write_bytes: KIB * KIB,
            value_bytes: 64 * KIB,
            events: 100,
            savepoints: 32,
        }
    }
}

/// The bounds of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreLimits {
    /// Size of all entries, log records and `once` records, in bytes, each with an overhead of
    /// [`ENTRY_OVERHEAD`](crate::ENTRY_OVERHEAD). The file is larger, because its pages are not full.
    pub bytes: u64,
    /// Size above [`StoreLimits::bytes`] up to which transactions that only delete still commit, in bytes.
    pub delete_reserve_bytes: u64,
    /// Free disk space below which the store refuses all writes, in bytes.
    pub free_disk_bytes: u64,
    /// Size of the change log, in bytes.
    pub log_bytes: u64,
    /// Age after which the store drops a record of the change log.
    pub log_age: Duration,
    /// Size of the changes that the store remembers to validate old snapshots, in bytes. Older snapshots are too old.
    pub window_bytes: usize,
    /// Number of commits that may wait for the committer.
    pub queued_commits: usize,
    /// Number of `once` records that one caller may have, running ones included.
    pub once_per_caller: usize,
    /// Size of all `once` records, in bytes.
    pub once_bytes: u64,
    /// Size of one recorded result, in bytes. A larger one is recorded as committed, without the result.
    pub once_result_bytes: usize,
    /// Age after which the store drops a `once` record.
    pub once_age: Duration,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            bytes: 1024 * MIB,
            delete_reserve_bytes: 16 * MIB,
            free_disk_bytes: 64 * MIB,
            log_bytes: 64 * MIB,
            log_age: Duration::from_hours(24),
            window_bytes: 64 * KIB * KIB,
            queued_commits: 1024,
            once_per_caller: 1_000,
            once_bytes: 64 * MIB,
            once_result_bytes: 4 * KIB,
            once_age: Duration::from_hours(24),
        }
    }
}
