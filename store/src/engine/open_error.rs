use std::io;

use redb::{DatabaseError, StorageError};

use super::Failure;
use crate::OpenError;

/// What an error of the engine on opening means.
pub(super) fn open_error(error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => OpenError::Locked { holder: None },
        DatabaseError::UpgradeRequired(version) => {
            OpenError::OtherVersion { found: u32::from(version), supported: crate::FORMAT }
        }
        DatabaseError::Storage(StorageError::Io(error)) => io_error(error),
        // A lock of a range that the file system does not have.
        DatabaseError::Storage(StorageError::Corrupted(reason)) => OpenError::Corrupt(reason),
        error => OpenError::Io(io::Error::other(error.to_string())),
    }
}

/// What a failure means that latched the engine before the store was open. A file is not corrupt because the operating
/// system cannot read the file now.
pub(crate) fn open_failure(failure: &Failure) -> OpenError {
    // The engine's text of all errors of the operating system.
    match failure.reason.strip_prefix("I/O error: ") {
        Some(reason) => OpenError::Io(io::Error::other(reason)),
        None => OpenError::Corrupt(failure.reason.to_string()),
    }
}

/// What an error of the operating system on opening means.
pub(super) fn io_error(error: io::Error) -> OpenError {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => OpenError::ReadOnly(error),
        Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => OpenError::DiskFull(error),
        // The engine reports a file without its magic number so.
        Kind::InvalidData => OpenError::NotAStore,
        Kind::UnexpectedEof => OpenError::Corrupt("the file ends too early".to_owned()),
        _ => OpenError::Io(error),
    }
}
