//! The key that a circle identifies itself with, in a file: 64 hex digits of a secp256k1 secret and a newline, mode 0600.
//!
//! A circle uses it without anyone there to type a passphrase, so it is not encrypted: whoever reads the file can be the
//! circle. A file that the group or others can read or write is therefore refused. Unix only.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::private_files::{self, PrivateFileError, RequiredPermissions, WriteOutcome};
use crate::{KeyPair, PublicKey, RandomError};

/// Far more than an identity takes.
const MAX_BYTES: u64 = 1024;

/// Why an identity was not read or written. Nothing of the secret is in any of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityFileError {
    /// Name another file, or make this one.
    #[error("there is no identity in {}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Restore it from a backup; or move it away, and another is made.
    #[error("{} holds no identity: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be read or written, or is open to others.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The system has no random bytes for a new identity.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// An identity that is in its file.
#[derive(Debug)]
pub struct LoadedIdentity {
    /// The circle's key.
    pub keypair: KeyPair,
    /// Whether the file was made just now.
    pub is_new: bool,
}

/// What a rotation has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityRotation {
    /// The public key from before, which clients may know.
    pub old: PublicKey,
    /// The public key from now on.
    pub new: PublicKey,
}

/// Reads an identity. A link is followed: it is the file behind it that nobody else may read or write.
pub fn load(path: &Path) -> Result<KeyPair, IdentityFileError> {
    read_keypair(path)?.ok_or_else(|| IdentityFileError::Missing { path: path.to_owned() })
}

/// Reads an identity, and makes one where there is none. The directory must be there. Processes that make one at the same time
/// all return the same.
pub fn load_or_create(path: &Path) -> Result<LoadedIdentity, IdentityFileError> {
    if let Some(keypair) = read_keypair(path)? {
        return Ok(LoadedIdentity { keypair, is_new: false });
    }
    let keypair = KeyPair::generate()?;
    match private_files::write_new(directory(path), path, &text(&keypair))? {
        WriteOutcome::Written => Ok(LoadedIdentity { keypair, is_new: true }),
        WriteOutcome::AlreadyExists => {
            let invalid = || invalid(path, "it is gone, or a link that leads nowhere");
            Ok(LoadedIdentity { keypair: read_keypair(path)?.ok_or_else(invalid)?, is_new: false })
        }
    }
}

/// Puts a new identity in place of one that is there, in one step. A circle that runs has the old one until it is restarted.
pub fn rotate(path: &Path) -> Result<IdentityRotation, IdentityFileError> {
    let old = load(path)?.public_key();
    // The file behind a link is replaced, not the link.
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

/// Where the file is, as a path that can be opened.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn text(keypair: &KeyPair) -> Zeroizing<String> {
    let digits = keypair.secret_hex();
    // Room from the start: a text that grows leaves unwiped pieces behind.
    let mut text = Zeroizing::new(String::with_capacity(digits.len() + 1));
    text.push_str(&digits);
    text.push('\n');
    text
}
