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
    /// Size of all keys, values, topics and data that a transaction may write, in bytes; 1 GiB at most.
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
    /// [`ENTRY_OVERHEAD`](crate::ENTRY_OVERHEAD). Beyond it only transactions commit that make the data smaller. The
    /// file is larger, because its pages are not full.
    pub bytes: u64,
    /// The file may have this many times [`StoreLimits::bytes`], and twice [`StoreLimits::snapshot_bytes`]. Beyond it
    /// only transactions commit that make the data smaller. The engine doubles the file while it has less than 4 GiB.
    pub file_factor: u64,
    /// Free disk space below which the store refuses all writes, in bytes.
    pub free_disk_bytes: u64,
    /// Size of the change log, in bytes; a quarter of [`StoreLimits::bytes`] at most.
    pub log_bytes: u64,
    /// Age after which the store drops a record of the change log.
    pub log_age: Duration,
    /// Size of the changes that the store remembers to validate old snapshots, in bytes. Older snapshots are too old.
    pub window_bytes: usize,
    /// Size of the pages that one snapshot may pin, in bytes: the store counts what it has written to the file since.
    /// Older snapshots are too old.
    pub snapshot_bytes: u64,
    /// Time from which a snapshot is too old, since a newer one has replaced it.
    pub snapshot_age: Duration,
    /// Memory of the values that the store keeps to read them again without the disk, in bytes. The cache of the engine is
    /// apart.
    pub cached_bytes: usize,
    /// Number of commits that may wait for the committer.
    pub queued_commits: usize,
    /// Size of what they read and write, in bytes. A single one may be larger.
    pub queued_bytes: usize,
    /// Number of `once` records that one caller may have, running ones included.
    pub once_per_caller: usize,
    /// Size of all `once` records, in bytes; a quarter of [`StoreLimits::bytes`] at most.
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
            file_factor: 4,
            free_disk_bytes: 64 * MIB,
            log_bytes: 64 * MIB,
            log_age: Duration::from_hours(24),
            window_bytes: 64 * KIB * KIB,
            snapshot_bytes: 256 * MIB,
            snapshot_age: Duration::from_secs(30),
            cached_bytes: 16 * KIB * KIB,
            queued_commits: 1024,
            queued_bytes: 64 * KIB * KIB,
            once_per_caller: 1_000,
            once_bytes: 64 * MIB,
            once_result_bytes: 4 * KIB,
            once_age: Duration::from_hours(24),
        }
    }
}

/// What the encodings can take, and more than any transaction should write.
const MAX_WRITE_BYTES: usize = 1 << 30;

impl TransactionLimits {
    pub(crate) fn normalize(self) -> Self {
        Self { write_bytes: self.write_bytes.min(MAX_WRITE_BYTES), ..self }
    }
}

impl StoreLimits {
    /// Leaves half of the store to the data, whatever the limits of the log and the `once` records are.
    pub(crate) fn normalize(self) -> Self {
        let quarter = self.bytes / 4;
        Self { log_bytes: self.log_bytes.min(quarter), once_bytes: self.once_bytes.min(quarter), ..self }
    }

    /// The bound of the length of the file, in bytes.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.bytes.saturating_mul(self.file_factor).saturating_add(self.snapshot_bytes.saturating_mul(2))
    }
}
