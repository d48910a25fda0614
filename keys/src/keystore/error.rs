//! What can go wrong with a keystore, by what a person can do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::key_file::MAX_WORK_LOG2;
use super::key_name::{KeyName, KeyNameError};
use crate::private_files::PrivateFileError;

/// Why the keystore did not do it. No passphrase and no secret is in any of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// Name another, or make it.
    #[error("there is no key `{name}`{}", list_known(known))]
    NoSuchKey {
        /// The name that was asked for.
        name: KeyName,
        /// The names that there are, sorted.
        known: Vec<String>,
    },
    /// Take another name.
    #[error("a key `{name}` exists already; names that differ only in case count as one")]
    Exists {
        /// The name as it exists.
        name: KeyName,
    },
    /// Try again. (A file whose encrypted part is damaged in some places looks the same.)
    #[error("wrong passphrase for the key `{name}`")]
    WrongPassphrase {
        /// The key.
        name: KeyName,
    },
    /// Choose a passphrase.
    #[error("a key needs a passphrase that is not empty")]
    EmptyPassphrase,
    /// Choose a name that can be one.
    #[error(transparent)]
    BadName(#[from] KeyNameError),
    /// Choose a work factor that can be opened again.
    #[error("a scrypt work factor is from 1 to {MAX_WORK_LOG2}, not {log2}")]
    BadWorkFactor {
        /// The base-2 logarithm that was asked for.
        log2: u8,
    },
    /// Restore the file from a backup, or move it away.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Update.
    #[error("{} was written by a newer circles (format {version})", path.display())]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// The version that it says.
        version: u64,
    },
    /// Do not use it: somebody put another public key or another secret into it.
    #[error("{} was altered: its secret key does not belong to the public key that it shows", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
    },
    /// Take the others' permissions away: `chmod 600`.
    #[error("{} is open to others (mode {mode:04o}), so circles does not use it", path.display())]
    LoosePermissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Take the others' permissions away: `chmod 700`.
    #[error("others can write to {} (mode {mode:04o}), so circles uses no key in it", path.display())]
    WritableDirectory {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Try again once the other process is done; if it stands still, end it.
    #[error("another process is changing the keystore and has not come to an end (it holds {})", path.display())]
    Busy {
        /// The file that it has locked.
        path: PathBuf,
    },
    /// See what the operating system says, which is the source of this error and not in its message.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What it happened to.
        path: PathBuf,
        /// What was tried, to be followed by the path.
        action: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// Set `HOME`, or say where the keystore is.
    #[error("no home directory was found, so there is no place for the keystore")]
    NoHome,
}

impl KeystoreError {
    pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }
}

impl From<PrivateFileError> for KeystoreError {
    fn from(error: PrivateFileError) -> Self {
        match error {
            PrivateFileError::NotText { path, reason } => Self::Damaged { path, reason: format!("it {reason}") },
            PrivateFileError::LoosePermissions { path, mode } => Self::LoosePermissions { path, mode },
            PrivateFileError::WritableDirectory { path, mode } => Self::WritableDirectory { path, mode },
            PrivateFileError::Busy { path } => Self::Busy { path },
            PrivateFileError::Io { path, action, source } => Self::Io { path, action, source },
        }
    }
}

fn list_known(known: &[String]) -> String {
    if known.is_empty() { "; the keystore is empty".to_owned() } else { format!("; there is {}", known.join(", ")) }
}
