//! Identity files: a circle's own secret key as 64 hex digits of secp256k1 and a newline, mode 0600.
//!
//! Nobody is there to type a passphrase when a circle starts, so the file is not encrypted: anyone who can read it can
//! impersonate the circle. A file that the group or others can read or write is therefore refused. Unix only.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::private_files::{self, PrivateFileError, RequiredPermissions, WriteOutcome};
use crate::{KeyPair, PublicKey, RandomError};

/// Maximum size of an identity file, far more than an identity needs.
const MAX_BYTES: u64 = 1024;

/// The reason why an identity file was not read or written. No error contains any part of the secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityFileError {
    /// The file does not exist. To fix it, use another path or create the file.
    #[error("the identity file {} does not exist", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is not an identity file. To fix it, restore the file from a backup, or move it away to have a new
    /// identity generated.
    #[error("{} is not a valid identity file: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with the file.
        reason: String,
    },
    /// The file cannot be read or written, or is accessible to others.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The operating system provided no random bytes for a new identity.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// An identity loaded from its file.
#[derive(Debug)]
pub struct LoadedIdentity {
    /// The circle's key.
    pub keypair: KeyPair,
    /// Whether this call created the file.
    pub is_new: bool,
}

/// The public keys before and after a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityRotation {
    /// The replaced public key, which clients may have stored.
    pub old: PublicKey,
    /// The new public key.
    pub new: PublicKey,
}

/// Reads an identity. Follows symbolic links: the permissions of the target count.
///
/// # Errors
///
/// Returns [`IdentityFileError::Missing`] if there is no such file, [`IdentityFileError::Invalid`] if it is not an
/// identity file, and [`IdentityFileError::File`] if it cannot be read or others can access it.
pub fn load(path: &Path) -> Result<KeyPair, IdentityFileError> {
    read_keypair(path)?.ok_or_else(|| IdentityFileError::Missing { path: path.to_owned() })
}

/// Reads an identity, or creates one if the file is missing. The directory must exist. Processes that do this at the
/// same time all return the same identity.
///
/// # Errors
///
/// Returns an [`IdentityFileError`] if an existing file is invalid or accessible to others, if a new one cannot be
/// written, or if there are no random bytes.
pub fn load_or_create(path: &Path) -> Result<LoadedIdentity, IdentityFileError> {
    if let Some(keypair) = read_keypair(path)? {
        return Ok(LoadedIdentity { keypair, is_new: false });
    }
    let keypair = KeyPair::generate()?;
    match private_files::write_new(directory(path), path, &text(&keypair))? {
        WriteOutcome::Written => Ok(LoadedIdentity { keypair, is_new: true }),
        WriteOutcome::AlreadyExists => {
            let invalid = || invalid(path, "it was removed, or is a dangling symbolic link");
            Ok(LoadedIdentity { keypair: read_keypair(path)?.ok_or_else(invalid)?, is_new: false })
        }
    }
}

/// Replaces an existing identity with a new one, atomically. A running circle keeps the old one until it is restarted.
///
/// # Errors
///
/// Returns an [`IdentityFileError`] if the present identity cannot be read, if the new one cannot be written, or if
/// there are no random bytes. In each case the file is unchanged.
pub fn rotate(path: &Path) -> Result<IdentityRotation, IdentityFileError> {
    let old = load(path)?.public_key();
    // Replace the target of a symbolic link, not the link.
    let file = fs::canonicalize(path).map_err(|source| metadata_error(path, source))?;
    let keypair = KeyPair::generate()?;
    private_files::replace(directory(&file), &file, &text(&keypair))?;
    Ok(IdentityRotation { old, new: keypair.public_key() })
}

fn metadata_error(path: &Path, source: io::Error) -> PrivateFileError {
    PrivateFileError::Io { path: path.to_owned(), action: "look at", source }
}

fn read_keypair(path: &Path) -> Result<Option<KeyPair>, IdentityFileError> {
    let read = private_files::read_text(directory(path), path, MAX_BYTES, RequiredPermissions::PrivateAnywhere);
    let text = match read {
        Err(PrivateFileError::NotText { path, reason }) => return Err(invalid(&path, &format!("it {reason}"))),
        read => read?,
    };
    let Some(text) = text else { return Ok(None) };
    let digits = text.strip_suffix('\n').unwrap_or(&text);
    let parsed = KeyPair::from_secret_hex(digits);
    parsed.map(Some).map_err(|error| invalid(path, &error.to_string()))
}

fn invalid(path: &Path, reason: &str) -> IdentityFileError {
    IdentityFileError::Invalid { path: path.to_owned(), reason: reason.to_owned() }
}

/// The file's directory, as a path that can be opened.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn text(keypair: &KeyPair) -> Zeroizing<String> {
    let digits = keypair.secret_hex();
    // Allocate the final size up front: a string that grows leaves copies that are not wiped.
    let mut text = Zeroizing::new(String::with_capacity(digits.len() + 1));
    text.push_str(&digits);
    text.push('\n');
    text
}
