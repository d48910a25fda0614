//! Changes of the keystore that a dialog asks for. They block, so they run in a task.

use std::{path::Path, sync::Arc};

use console::{commands::expand_home, history::holds_secret};
use frontend::{
    error::CliError,
    files,
    key_transfer::{self, ImportedKey},
};
use keys::{
    KeyPair,
    keystore::{KeyEntry, KeyListing, KeyName, Keystore, WorkFactor},
};

use zeroize::Zeroizing;

use crate::action::Secret;

/// Size of a secret key in hex digits, with the end of its line.
const SECRET_LINE_BYTES: usize = 65;

/// A change, with everything that it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyChange {
    Rename {
        old: KeyName,
        new: KeyName,
    },
    /// Import from a file; a bare secret needs a passphrase.
    Import {
        name: KeyName,
        file: String,
        passphrase: Option<Secret>,
    },
    /// Export to a new file, encrypted.
    Export {
        name: KeyName,
        file: String,
    },
    /// Write the bare secret to a new file.
    ExportSecret {
        name: KeyName,
        file: String,
        passphrase: Secret,
    },
    ChangePassphrase {
        name: KeyName,
        old: Secret,
        new: Secret,
    },
    Remove(KeyName),
}

/// Outcome of a change.
#[derive(Debug)]
pub(crate) enum KeyOutcome {
    Renamed {
        old: KeyName,
        entry: KeyEntry,
    },
    Imported(KeyEntry),
    /// The file has a bare secret, and there was no passphrase for it. Nothing has changed.
    PassphraseNeeded,
    /// The file that was written, and whether it has the bare secret.
    Exported {
        name: KeyName,
        file: String,
        is_secret: bool,
    },
    PassphraseChanged(KeyName, Arc<KeyPair>),
    Removed(KeyName),
}

impl KeyChange {
    /// Carries the change out, and lists the keys that there are then. On an error nothing has changed.
    pub(crate) fn apply(self, store: &Keystore, work: WorkFactor) -> Result<(KeyOutcome, KeyListing), CliError> {
        let outcome = match self {
            Self::Rename { old, new } => KeyOutcome::Renamed { entry: store.rename(&old, &new)?, old },
            Self::Import { name, file, passphrase } => import(store, &name, &file, passphrase, work)?,
            Self::Export { name, file } => {
                key_transfer::write_new(&expand_home(&file), &store.export(&name)?)?;
                KeyOutcome::Exported { name, file, is_secret: false }
            }
            Self::ExportSecret { name, file, passphrase } => {
                let keypair = store.unlock(&name, &passphrase.0)?;
                // Full capacity from the start: a text that grows leaves an unwiped copy behind.
                let mut text = Zeroizing::new(String::with_capacity(SECRET_LINE_BYTES));
                text.push_str(&keypair.secret_hex());
                text.push('\n');
                key_transfer::write_new(&expand_home(&file), &text)?;
                KeyOutcome::Exported { name, file, is_secret: true }
            }
            Self::ChangePassphrase { name, old, new } => {
                let keypair = store.unlock(&name, &old.0)?;
                store.change_passphrase(&name, &keypair, &new.0, work)?;
                KeyOutcome::PassphraseChanged(name, Arc::new(keypair))
            }
            Self::Remove(name) => {
                store.remove(&name)?;
                KeyOutcome::Removed(name)
            }
        };
        Ok((outcome, store.list()?))
    }
}

fn import(
    store: &Keystore,
    name: &KeyName,
    file: &str,
    passphrase: Option<Secret>,
    work: WorkFactor,
) -> Result<KeyOutcome, CliError> {
    key_transfer::check_free(store, name)?;
    let path = expand_home(file);
    let text = files::open_regular(&path).and_then(key_transfer::read).map_err(|error| read_error(&path, &error))?;
    Ok(match (key_transfer::parse(&text, file)?, passphrase) {
        (ImportedKey::Encrypted(text), _) => {
            KeyOutcome::Imported(key_transfer::store_encrypted(store, name, &text, file)?)
        }
        (ImportedKey::Secret(_), None) => KeyOutcome::PassphraseNeeded,
        (ImportedKey::Secret(keypair), Some(passphrase)) => {
            KeyOutcome::Imported(store.create(name, &keypair, &passphrase.0, work)?)
        }
    })
}

fn read_error(file: &Path, error: &std::io::Error) -> CliError {
    if holds_secret(&file.to_string_lossy()) {
        // The text is not repeated.
        return CliError::usage(
            "the name of the file has as many digits as a secret key",
            "there is no such file",
            "save the secret key to a file, and give its name",
        );
    }
    key_transfer::read_error(file, error)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const WORK: WorkFactor = WorkFactor::Log2(1);

    fn secret(text: &str) -> Secret {
        Secret(Zeroizing::new(text.to_owned()))
    }

    fn name(text: &str) -> KeyName {
        text.parse().expect("a name")
    }

    /// A keystore with the key `alice`, whose passphrase is `pw`, in a directory for files.
    fn keystore() -> (tempfile::TempDir, Keystore, KeyEntry) {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Keystore::at(directory.path().join("keys"));
        let keypair = KeyPair::generate().expect("random bytes");
        let entry = store.create(&name("alice"), &keypair, "pw", WORK).expect("it is new");
        (directory, store, entry)
    }

    fn names(listing: &KeyListing) -> Vec<&str> {
        listing.entries.iter().map(|entry| entry.name.as_str()).collect()
    }

    #[test]
    fn key_is_renamed_and_removed() {
        let (_directory, store, alice) = keystore();
        let rename = KeyChange::Rename { old: name("alice"), new: name("bob") };
        let (outcome, listing) = rename.clone().apply(&store, WORK).expect("renamed");
        assert!(matches!(outcome, KeyOutcome::Renamed { entry, .. } if entry.public_key == alice.public_key));
        assert_eq!(names(&listing), ["bob"]);
        let error = rename.apply(&store, WORK).expect_err("it is gone").advice();
        assert!(error.contains("alice"), "{error}");
        let (_, listing) = KeyChange::Remove(name("bob")).apply(&store, WORK).expect("removed");
        assert_eq!(names(&listing), [""; 0]);
    }

    #[test]
    fn exported_key_is_imported_with_its_passphrase() {
        let (directory, store, alice) = keystore();
        let file = directory.path().join("alice.json").display().to_string();
        let export = KeyChange::Export { name: name("alice"), file: file.clone() };
        export.clone().apply(&store, WORK).expect("exported");
        assert!(export.apply(&store, WORK).expect_err("the file exists").message().contains("exists already"));
        let import = |to| KeyChange::Import { name: name(to), file: file.clone(), passphrase: None };
        assert!(import("alice").apply(&store, WORK).is_err());
        let (_, listing) = import("copy").apply(&store, WORK).expect("imported");
        assert_eq!(names(&listing), ["alice", "copy"]);
        assert_eq!(store.unlock(&name("copy"), "pw").expect("its passphrase").public_key(), alice.public_key);
    }

    #[test]
    fn bare_secret_needs_a_passphrase_both_ways() {
        let (directory, store, alice) = keystore();
        let file = directory.path().join("alice.hex").display().to_string();
        let export =
            |pass| KeyChange::ExportSecret { name: name("alice"), file: file.clone(), passphrase: secret(pass) };
        assert!(export("wrong").apply(&store, WORK).is_err());
        assert!(!Path::new(&file).exists());
        export("pw").apply(&store, WORK).expect("exported");
        assert_eq!(fs::read_to_string(&file).expect("text").trim().len(), 64);
        let import = |passphrase| KeyChange::Import { name: name("copy"), file: file.clone(), passphrase };
        let (outcome, listing) = import(None).apply(&store, WORK).expect("read");
        assert!(matches!(outcome, KeyOutcome::PassphraseNeeded));
        assert_eq!(names(&listing), ["alice"]);
        import(Some(secret("new"))).apply(&store, WORK).expect("imported");
        assert_eq!(store.unlock(&name("copy"), "new").expect("its passphrase").public_key(), alice.public_key);
    }

    #[test]
    fn passphrase_changes_only_with_the_old_one() {
        let (_directory, store, _) = keystore();
        let change = |old| KeyChange::ChangePassphrase { name: name("alice"), old: secret(old), new: secret("new") };
        assert!(change("wrong").apply(&store, WORK).is_err());
        store.unlock(&name("alice"), "pw").expect("it is unchanged");
        change("pw").apply(&store, WORK).expect("changed");
        store.unlock(&name("alice"), "new").expect("the new one");
        assert!(store.unlock(&name("alice"), "pw").is_err());
    }

    #[test]
    fn import_error_does_not_repeat_a_secret() {
        let (_directory, store, _) = keystore();
        let typed = "0f".repeat(32);
        let import = KeyChange::Import { name: name("copy"), file: typed.clone(), passphrase: None };
        let error = import.apply(&store, WORK).expect_err("no such file").advice();
        assert!(!error.contains(&typed), "{error}");
        let import = KeyChange::Import { name: name("copy"), file: "/dev/zero".into(), passphrase: None };
        let error = import.apply(&store, WORK).expect_err("it has no end").advice();
        assert!(error.contains("not a regular file"), "{error}");
    }
}
