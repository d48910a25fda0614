//! The files of the settings.

use std::{fmt, path::Path};

use keys::private_files::{self, RequiredPermissions};
use nkeys::{KeyPair, KeyPairType};
use zeroize::Zeroizing;

use super::{FileKind, NatsConfigError};

/// Maximum size of a file with a secret, in bytes. A JWT with many permissions has a few KiB.
const MAX_SECRET_FILE: u64 = 64 << 10;

/// Maximum size of a PEM file, in bytes. That of Debian's CAs has 220 KiB.
const MAX_PEM_FILE: u64 = 4 << 20;

/// A secret as it was read. The key pairs erase their seeds.
pub(crate) enum Secret {
    None,
    Credentials { jwt: Zeroizing<String>, pair: KeyPair },
    Nkey { pair: KeyPair, public_key: String },
    Password { user: String, password: Zeroizing<String> },
}

/// Without the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Credentials { .. } => "Credentials",
            Self::Nkey { .. } => "Nkey",
            Self::Password { .. } => "Password",
        })
    }
}

pub(super) fn read_credentials(path: &Path) -> Result<Secret, NatsConfigError> {
    let text = read_secret(FileKind::Credentials, path)?;
    // The error of the parser is left out: it may quote the seed.
    let secret = credentials_blocks(&text).and_then(|[jwt, seed]| {
        Some(Secret::Credentials { jwt: jwt.to_owned().into(), pair: KeyPair::from_seed(seed).ok()? })
    });
    secret.ok_or_else(|| NatsConfigError::BadFile {
        kind: FileKind::Credentials,
        path: path.to_owned(),
        reason: "is not a credentials file with a JWT and the seed of a user".into(),
        fix: "download it again, or export it with nsc".into(),
    })
}

/// Returns the JWT and the seed of a credentials file: the lines between two lines that begin and end with `---`.
fn credentials_blocks(text: &str) -> Option<[&str; 2]> {
    let is_border = |line: &str| line.starts_with("---") && line.ends_with("---");
    let mut lines = text.lines().map(str::trim);
    let mut next_block = || {
        lines.find(|line| is_border(line))?;
        let block = lines.next().filter(|line| !line.is_empty() && !is_border(line))?;
        lines.next().filter(|line| is_border(line)).map(|_| block)
    };
    Some([next_block()?, next_block()?])
}

pub(super) fn read_nkey(path: &Path) -> Result<Secret, NatsConfigError> {
    let text = read_secret(FileKind::Nkey, path)?;
    let seed = Zeroizing::new(text.trim().to_owned());
    // The error of the parser is left out: it may quote the seed.
    let pair = KeyPair::from_seed(&seed).ok().filter(|pair| matches!(pair.key_pair_type(), KeyPairType::User));
    let Some(pair) = pair else {
        return Err(NatsConfigError::BadFile {
            kind: FileKind::Nkey,
            path: path.to_owned(),
            reason: "does not have the seed of a user's nkey".into(),
            fix: "write the one line that begins with SU into it".into(),
        });
    };
    Ok(Secret::Nkey { public_key: pair.public_key(), pair })
}

pub(super) fn read_password(user: &str, path: &Path) -> Result<Secret, NatsConfigError> {
    let text = read_secret(FileKind::Password, path)?;
    let password = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
    if password.is_empty() || password.contains(['\r', '\n']) {
        return Err(NatsConfigError::BadFile {
            kind: FileKind::Password,
            path: path.to_owned(),
            reason: "does not have one line".into(),
            fix: "write the password, and nothing else, into it".into(),
        });
    }
    Ok(Secret::Password { user: user.to_owned(), password })
}

/// Validates a PEM file. The key has the permissions of a secret.
pub(super) fn check_pem(kind: FileKind, path: &Path) -> Result<(), NatsConfigError> {
    let (required, begin, what) = match kind {
        FileKind::Key => (RequiredPermissions::PrivateAnywhere, " PRIVATE KEY-----", "private key"),
        _ => (RequiredPermissions::Any, "-----BEGIN CERTIFICATE-----", "certificate"),
    };
    let text = read(kind, path, MAX_PEM_FILE, required)?;
    if text.contains(begin) {
        return Ok(());
    }
    Err(NatsConfigError::BadFile {
        kind,
        path: path.to_owned(),
        reason: format!("contains no {what} in PEM"),
        fix: format!("name a file with -----BEGIN {}-----", what.to_uppercase()),
    })
}

fn read_secret(kind: FileKind, path: &Path) -> Result<Zeroizing<String>, NatsConfigError> {
    read(kind, path, MAX_SECRET_FILE, RequiredPermissions::PrivateAnywhere)
}

fn read(
    kind: FileKind,
    path: &Path,
    max_bytes: u64,
    required: RequiredPermissions,
) -> Result<Zeroizing<String>, NatsConfigError> {
    // The directory counts for other kinds of permissions only.
    let text = private_files::read_text(Path::new("."), path, max_bytes, required);
    let text = text.map_err(|error| NatsConfigError::file(kind, path, &error))?;
    text.ok_or_else(|| NatsConfigError::BadFile {
        kind,
        path: path.to_owned(),
        reason: "does not exist".into(),
        fix: "check the path, or create the file".into(),
    })
}
