//! What commands and dialogs do with keys: making one, reading one from a file for an import, writing an exported one.

use std::{
    io::{self, ErrorKind, Read},
    path::Path,
};

use keys::{
    KeyPair,
    keystore::{KeyEntry, KeyName, Keystore, KeystoreError},
};
use zeroize::Zeroizing;

use crate::{error::CliError, files, visible::visible};

/// The maximum size of a key file, in bytes; real ones are far smaller.
const MAX_BYTES: usize = 64 << 10;

/// A key that was read for an import.
pub enum ImportedKey {
    /// The text of an exported key, encrypted with its passphrase.
    Encrypted(Zeroizing<String>),
    /// A secret key that needs a passphrase.
    Secret(KeyPair),
}

/// Refuses a name that is taken, before the user is asked for anything else.
///
/// # Errors
///
/// The name is taken, or the keystore cannot be read.
pub fn check_free(store: &Keystore, name: &KeyName) -> Result<(), CliError> {
    if store.exists(name)? { Err(KeystoreError::Exists { name: name.clone() }.into()) } else { Ok(()) }
}

/// Makes a keypair.
///
/// # Errors
///
/// The operating system provides no random bytes.
pub fn generate() -> Result<KeyPair, CliError> {
    KeyPair::generate().map_err(|error| {
        CliError::usage("cannot make a key", error.to_string(), "check that the operating system provides random bytes")
    })
}

/// Returns the key of another name that is the same as this one.
pub fn find_same_key<'a>(entry: &KeyEntry, mut all: impl Iterator<Item = &'a KeyEntry>) -> Option<&'a KeyEntry> {
    all.find(|other| other.name != entry.name && other.public_key == entry.public_key)
}

/// Returns the error for a key file that cannot be read.
pub fn read_error(file: &Path, error: &io::Error) -> CliError {
    CliError::io(format!("cannot read {}", visible(&file.display().to_string())), error, "check the name of the file")
}

/// Reads the text of a key, of bounded size.
///
/// # Errors
///
/// It cannot be read, or is too large for a key.
pub fn read(from: impl Read) -> io::Result<Zeroizing<String>> {
    // Full capacity from the start: a buffer that grows leaves unwiped copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES + 1));
    if from.take(MAX_BYTES as u64 + 1).read_to_string(&mut text)? > MAX_BYTES {
        return Err(io::Error::other(format!("it is larger than {MAX_BYTES} bytes, too large for a key")));
    }
    Ok(text)
}

/// Detects which format of `circles keys export` a text has. `source` is its origin, for error messages.
///
/// # Errors
///
/// It has neither.
pub fn parse(text: &str, source: &str) -> Result<ImportedKey, CliError> {
    let text = text.trim();
    if text.starts_with('{') {
        return Ok(ImportedKey::Encrypted(Zeroizing::new(text.to_owned())));
    }
    KeyPair::from_secret_hex(text.strip_prefix("0x").unwrap_or(text)).map(ImportedKey::Secret).map_err(|_| {
        let why = "it contains neither an exported key nor a secret key of 64 hex digits";
        import_error(source, why, "export the key first: circles keys export NAME")
    })
}

/// Stores an exported key in the keystore.
///
/// # Errors
///
/// The text is damaged, the name is taken, or the keystore cannot be written.
pub fn store_encrypted(store: &Keystore, name: &KeyName, text: &str, source: &str) -> Result<KeyEntry, CliError> {
    store.import(name, text, Path::new(source)).map_err(|error| match error {
        KeystoreError::Damaged { path, reason } if path == Path::new(source) => {
            import_error(source, &reason, "check that it is the complete output of circles keys export")
        }
        other => other.into(),
    })
}

/// Writes an exported key to a new file that only its user can read.
///
/// # Errors
///
/// The file exists or cannot be written. No incomplete file stays.
pub fn write_new(file: &Path, text: &str) -> Result<(), CliError> {
    let shown = visible(&file.display().to_string()).into_owned();
    let failed = |error: &io::Error| match error.kind() {
        ErrorKind::AlreadyExists => {
            CliError::usage(format!("{shown} exists already"), "nothing was changed", "choose another file")
        }
        _ => CliError::io(format!("cannot write {shown}"), error, "choose another file"),
    };
    files::write_new(file, text, 0o600).map_err(|error| failed(&error))
}

fn import_error(source: &str, why: &str, fix: &str) -> CliError {
    CliError::usage(format!("cannot import {}", visible(source)), why, fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_key_has_another_name() {
        let entry = |name: &str, keypair: &KeyPair| KeyEntry {
            name: name.parse().expect("a name"),
            public_key: keypair.public_key(),
            default: false,
        };
        let (one, other) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
        let all = [entry("a", &one), entry("b", &other), entry("c", &one)];
        assert_eq!(find_same_key(&all[0], all.iter()).map(|same| same.name.as_str()), Some("c"));
        assert!(find_same_key(&all[1], all.iter()).is_none());
    }

    #[test]
    fn import_recognises_both_formats() {
        let secret = KeyPair::generate().expect("random bytes").secret_hex();
        for text in [secret.to_string(), format!("0x{}\n", *secret)] {
            assert!(matches!(parse(&text, "it"), Ok(ImportedKey::Secret(_))));
        }
        assert!(matches!(parse(" {}", "it"), Ok(ImportedKey::Encrypted(_))));
        let error = parse("nonsense", "it\u{1b}").map(drop).expect_err("it is no key").message();
        assert!(error.contains("neither an exported key") && !error.contains('\u{1b}'), "{error}");
    }

    #[test]
    fn import_reads_only_small_regular_files() {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(files::open_regular(directory.path()).is_err());
        assert!(read(io::repeat(b'a')).is_err());
        assert_eq!(read(&b"abc"[..]).expect("it is small").as_str(), "abc");
    }

    #[test]
    fn export_writes_a_private_file_and_replaces_none() {
        use std::{fs, os::unix::fs::PermissionsExt};
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("key.json");
        write_new(&file, "text").expect("it is new");
        assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
        let error = write_new(&file, "other").expect_err("it exists").advice();
        assert!(error.contains("exists already"), "{error}");
        assert_eq!(fs::read_to_string(&file).expect("text"), "text");
    }
}
