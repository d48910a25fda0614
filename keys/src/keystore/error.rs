//! The errors of the keystore, one variant for each remedy.

use std::io;
use std::path::{Path, PathBuf};

use super::key_name::{KeyName, KeyNameError};
use crate::key_file::{KeyFileError, MAX_WORK_LOG2};
use crate::private_files::PrivateFileError;

/// The reason why a keystore operation failed. No error contains a passphrase or a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// No key has this name. To fix it, use another name or create the key.
    #[error("there is no key `{name}`{}", list_known(known))]
    NoSuchKey {
        /// The requested name.
        name: KeyName,
        /// The existing names, sorted.
        known: Vec<String>,
    },
    /// The name is taken. To fix it, use another name.
    #[error("a key `{name}` already exists; names that differ only in case count as the same name")]
    Exists {
        /// The existing name.
        name: KeyName,
    },
    /// The passphrase is wrong. To fix it, try again. (Some kinds of damage to the encrypted part look the same.)
    #[error("wrong passphrase for the key `{name}`")]
    WrongPassphrase {
        /// The name of the key.
        name: KeyName,
    },
    /// The passphrase is empty. To fix it, choose another one.
    #[error("the passphrase of a key cannot be empty")]
    EmptyPassphrase,
    /// The text is not a valid name for a key.
    #[error(transparent)]
    BadName(#[from] KeyNameError),
    /// The work factor is out of range.
    #[error("a scrypt work factor is a number from 1 to {MAX_WORK_LOG2}, not {log2}")]
    BadWorkFactor {
        /// The requested base-2 logarithm.
        log2: u8,
    },
    /// The file is damaged. To fix it, restore the file from a backup, or move it away.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with the file.
        reason: String,
    },
    /// A newer version of `circles` wrote the file. To fix it, update `circles`.
    #[error("{} was written by a newer version of circles (format {version})", path.display())]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// The version of the file's format.
        version: u64,
    },
    /// Someone replaced the public key or the secret in the file, so it must not be used.
    #[error("{} was altered: its secret key does not match its public key", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
    },
    /// Others can access the file. To fix it: `chmod 600`.
    #[error("{} is open to others (mode {mode:04o}), so circles does not use it", path.display())]
    LoosePermissions {
        /// The file.
        path: PathBuf,
        /// The permission bits.
        mode: u32,
    },
    /// Others can write to the directory. To fix it: `chmod 700`.
    #[error("others can write to {} (mode {mode:04o}), so circles uses no key in it", path.display())]
    WritableDirectory {
        /// The directory.
        path: PathBuf,
        /// The permission bits.
        mode: u32,
    },
    /// Another process holds the lock. To fix it, try again when that process has finished, or end it if it is stuck.
    #[error("another process is changing the keystore and did not finish in time (it holds the lock {})", path.display())]
    Busy {
        /// The locked file.
        path: PathBuf,
    },
    /// The operating system reported an error: it is the source of this error and not part of the message.
    #[error("could not {action} {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The failed action, as a verb phrase that the path follows.
        action: &'static str,
        /// The operating system's error.
        source: io::Error,
    },
    /// The user has no home directory. To fix it, set `HOME` or name the keystore's directory.
    #[error("there is no home directory for the keystore")]
    NoHome,
}

impl KeystoreError {
    pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }

    /// Adds the key's name and the path to an error of a key file.
    pub(super) fn of_file(error: KeyFileError, name: &KeyName, path: &Path) -> Self {
        let path = path.to_owned();
        match error {
            KeyFileError::EmptyPassphrase => Self::EmptyPassphrase,
            KeyFileError::WrongPassphrase => Self::WrongPassphrase { name: name.clone() },
            KeyFileError::BadWorkFactor { log2 } => Self::BadWorkFactor { log2 },
            KeyFileError::Damaged { reason } => Self::Damaged { path, reason },
            KeyFileError::NewerVersion { version } => Self::NewerVersion { path, version },
            KeyFileError::Altered => Self::Altered { path },
        }
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
