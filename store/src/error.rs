use std::{io, sync::Arc};

use thiserror::Error;

use crate::{Key, KeyError, Prefix, Revision};

/// The reason why a store does not open. The file is as before, except that an interrupted write was recovered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The name of the owner has no bytes or more than 255.
    #[error("the name of the owner has {0} bytes: use 1 to 255")]
    OwnerName(usize),
    /// The store belongs to another owner.
    #[error("the store belongs to '{found}', not to '{expected}': use the file of '{expected}'")]
    OtherOwner {
        /// Owner in the file.
        found: String,
        /// Owner in the options.
        expected: String,
    },
    /// The file has a format of another version.
    #[error(
        "the store has format {found}, this program reads format {supported}: use the program that wrote the file, or export the store there and import it here"
    )]
    OtherVersion {
        /// Format of the file.
        found: u32,
        /// Format that this program reads.
        supported: u32,
    },
    /// The file is something else than a store.
    #[error("the file is not a store: name another file, or remove this one")]
    NotAStore,
    /// The file is empty.
    #[error("the file is empty: remove it, and opening the store creates it")]
    EmptyFile,
    /// The file is torn or was changed by something else than the store.
    #[error("the store is corrupt ({0}): restore the file from a backup")]
    Corrupt(String),
    /// The program may not write to the file.
    #[error("the store cannot be written ({0}): make the file and its directory writable for this user")]
    ReadOnly(#[source] io::Error),
    /// The disk has no space for the recovery or the creation of the file.
    #[error("the disk is full ({0}): free disk space and open the store again")]
    DiskFull(#[source] io::Error),
    /// Another process, or another part of this process, has the store open.
    #[error("{} has the store open: stop it, or use its connection", holder.as_deref().unwrap_or("another process"))]
    Locked {
        /// The process and its machine, and what it does ([`Store::describe_holder`](crate::Store::describe_holder)), if it
        /// could write that beside the file.
        holder: Option<String>,
    },
    /// Any other error of the operating system.
    #[error("cannot open the store: {0}: check the path and the disk")]
    Io(#[source] io::Error),
}

/// The reason why an operation of a transaction failed. The operation had no effect; the transaction goes on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no key or no prefix.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key exists already.
    #[error("the key '{0}' exists: use another key, or put to replace its value")]
    Exists(Key),
    /// An integer is added to a value that is no integer.
    #[error("the value of '{0}' is not an integer: put an integer before adding")]
    NotAnInteger(Key),
    /// The sum is beyond an integer of 64 bits.
    #[error("the sum of '{0}' is beyond an integer of 64 bits: add less, or put a smaller integer")]
    Overflow(Key),
    /// The topic has no bytes or more than 512.
    #[error("the topic has {0} bytes: use 1 to 512")]
    Topic(usize),
    /// A limit of the transaction is reached.
    #[error(
        "the transaction has reached the limit of {maximum} {limit}: do less in one transaction, or raise the limit"
    )]
    Limit {
        /// What is limited.
        limit: Limit,
        /// Value of the limit.
        maximum: usize,
    },
    /// The savepoint was rolled back or released before, or belongs to another transaction.
    #[error("the savepoint is no longer valid: roll back or release each savepoint once, the inner ones first")]
    Savepoint,
    /// More was committed since the snapshot than the store remembers. The commit will fail, too.
    #[error("the snapshot is too old: run the transaction again")]
    TooOld,
    /// The storage failed earlier. Nothing works until the store is opened again.
    #[error("the store has failed ({0}): check the disk, then open the store again")]
    Failed(Arc<str>),
    /// The store is closed.
    #[error("the store is closed: open the store again")]
    Closed,
}

/// A limit of [`TransactionLimits`](crate::TransactionLimits), or of a single operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`TransactionLimits::reads`](crate::TransactionLimits::reads).
    Reads,
    /// [`TransactionLimits::read_bytes`](crate::TransactionLimits::read_bytes).
    ReadBytes,
    /// [`TransactionLimits::writes`](crate::TransactionLimits::writes).
    Writes,
    /// [`TransactionLimits::write_bytes`](crate::TransactionLimits::write_bytes).
    WriteBytes,
    /// [`TransactionLimits::value_bytes`](crate::TransactionLimits::value_bytes).
    ValueBytes,
    /// [`TransactionLimits::events`](crate::TransactionLimits::events).
    Events,
    /// [`TransactionLimits::savepoints`](crate::TransactionLimits::savepoints).
    Savepoints,
    /// Entries of one list.
    ListEntries,
    /// Size of one list, in bytes.
    ListBytes,
}

impl std::fmt::Display for Limit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Reads => "entries read",
            Self::ReadBytes => "bytes read",
            Self::Writes => "keys written",
            Self::WriteBytes => "bytes written",
            Self::ValueBytes => "bytes in one value",
            Self::Events => "events",
            Self::Savepoints => "nested savepoints",
            Self::ListEntries => "entries in one list",
            Self::ListBytes => "bytes in one list",
        })
    }
}

/// Whether the effects of a failed commit exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitEffect {
    /// The commit had no effect, and never will.
    No,
    /// The storage failed during the commit: all of its effects exist after the store is opened again, or none.
    Unknown,
}

/// The reason why a transaction did not commit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Another transaction has changed what this one read.
    #[error("another transaction changed '{key}', which this transaction read: run the transaction again")]
    Conflict {
        /// A changed key that the transaction read, or that a scan of the transaction covers.
        key: Key,
        /// The prefix of that scan, or nothing if the transaction read the key itself.
        scan: Option<Prefix>,
        /// Revision of the change. A snapshot of this revision or a later one contains the change.
        revision: Revision,
    },
    /// More was committed since the snapshot than the store remembers.
    #[error("the snapshot is too old: run the transaction again")]
    TooOld,
    /// An integer is added to a value that is no integer.
    #[error("the value of '{0}' is not an integer: put an integer before adding")]
    NotAnInteger(Key),
    /// The sum is beyond an integer of 64 bits.
    #[error("the sum of '{0}' is beyond an integer of 64 bits: add less, or put a smaller integer")]
    Overflow(Key),
    /// The store has reached [`StoreLimits::bytes`](crate::StoreLimits::bytes), or its file the bound of
    /// [`StoreLimits::file_factor`](crate::StoreLimits::file_factor).
    #[error("the store is full ({maximum} bytes): delete entries, or raise the limit")]
    Full {
        /// The bound in bytes.
        maximum: u64,
    },
    /// The disk has less free space than [`StoreLimits::free_disk_bytes`](crate::StoreLimits::free_disk_bytes).
    #[error("the disk has less than {minimum} bytes of free space: free disk space")]
    DiskFull {
        /// The limit in bytes.
        minimum: u64,
    },
    /// Too many commits wait for the committer.
    #[error("too many commits wait: try again later")]
    Busy,
    /// Another transaction with the same `once` claim has committed.
    #[error("the once id has committed already: ask the store for its result")]
    OnceCommitted,
    /// The `once` records of all callers have reached [`StoreLimits::once_bytes`](crate::StoreLimits::once_bytes).
    #[error("the store has no space for once records, which expire with time: send the request later or without once")]
    OnceFull,
    /// The commit was canceled before the committer took it.
    #[error("the commit was canceled: nothing happened")]
    Canceled,
    /// The storage has failed.
    #[error("the store has failed ({reason}): check the disk, then open the store again")]
    Failed {
        /// Whether the effects of the transaction exist.
        happened: CommitEffect,
        /// The error of the storage.
        reason: Arc<str>,
    },
    /// The store is open for reading only.
    #[error("the store is open for reading only: open it for writing")]
    ReadOnly,
    /// The store is closed.
    #[error("the store is closed: open the store again")]
    Closed,
}

impl CommitError {
    /// Whether the effects of the transaction exist.
    pub fn happened(&self) -> CommitEffect {
        match self {
            Self::Failed { happened, .. } => *happened,
            _ => CommitEffect::No,
        }
    }

    /// Whether the same transaction may commit if it runs again on a new snapshot.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::TooOld)
    }

    /// Whether another attempt of the same run may commit: after a conflict, and after [`CommitError::Busy`].
    pub fn is_temporary(&self) -> bool {
        self.is_conflict() || *self == Self::Busy
    }
}
