//! The keystore: a directory of secret keys, each encrypted with a passphrase of its own.
//!
//! One file a key, `NAME.json`, mode 0600 in a directory of mode 0700:
//! `{"version":1,"public_key":"02…","secret":"-----BEGIN AGE ENCRYPTED FILE-----…"}`. The secret is 64 hex digits inside
//! [age](https://age-encryption.org/v1) (scrypt, armored), so that `age -d` reads it too. The file `default` holds the
//! name of the key that is used where none is named.
//!
//! Only `unlock` proves that a file is whole: until then its `public_key` is what the file says. Unix only.
//!
//! Whoever changes something holds the lock of `.lock` meanwhile, so that none of two changes at the same time is lost. Readers
//! need none: each file is replaced in one step.

mod error;
mod key_file;
mod key_name;
mod operations;

use std::fs::File;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

pub use self::error::KeystoreError;
use self::key_file::KeyFile;
pub use self::key_file::{MAX_WORK_LOG2, WorkFactor};
pub use self::key_name::{KeyName, KeyNameError};
use crate::private_files::{self, RequiredPermissions, WriteOutcome};
use crate::{KeyPair, PublicKey};

const SUFFIX: &str = ".json";
const DEFAULT_FILE: &str = "default";

/// Far more than a key takes; a larger file is none of ours.
const MAX_BYTES: u64 = 64 * 1024;

/// A directory of keys. Making one touches nothing; each call reads the disk anew.
#[derive(Clone, Debug)]
pub struct Keystore {
    dir: PathBuf,
}

/// What a keystore says about a key without its passphrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its name in the keystore.
    pub name: KeyName,
    /// Its public key, as its file says.
    pub public_key: PublicKey,
    /// Whether it is the one that is used where none is named.
    pub default: bool,
}

/// All that is in a keystore: a file that cannot be read hides none of the others.
#[derive(Debug, Default)]
pub struct KeyListing {
    /// The keys, by name.
    pub entries: Vec<KeyEntry>,
    /// The files that could not be read, by path, and why.
    pub damaged: Vec<(PathBuf, KeystoreError)>,
}

/// The file names of a keystore.
#[derive(Default)]
struct KeyFileNames {
    keys: Vec<KeyName>,
    /// Files that end like a key's and whose name is none.
    misnamed: Vec<(PathBuf, KeyNameError)>,
}

impl Keystore {
    /// The keystore in `dir`, which need not exist: the first write creates it, mode 0700. A write to one that others may
    /// enter takes their permissions away.
    pub fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The user's keystore: `keys` in the data directory of `circles` (on Linux `$XDG_DATA_HOME/circles/keys`, by default
    /// `~/.local/share/circles/keys`). [`KeystoreError::NoHome`] if there is no home directory.
    pub fn open_default() -> Result<Self, KeystoreError> {
        let dirs = directories::ProjectDirs::from("", "", "circles").ok_or(KeystoreError::NoHome)?;
        Ok(Self::at(dirs.data_dir().join("keys")))
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Encrypts a key with `passphrase` and stores it under a name that is free in the sense of [`Keystore::exists`]. It is
    /// there whole or not at all, and never in place of another. The first key of a keystore becomes its default.
    ///
    /// Takes the time that `work` says: call it where blocking is allowed.
    pub fn create(
        &self,
        name: &KeyName,
        keypair: &KeyPair,
        passphrase: &str,
        work: WorkFactor,
    ) -> Result<KeyEntry, KeystoreError> {
        if passphrase.is_empty() {
            return Err(KeystoreError::EmptyPassphrase);
        }
        // Before the work, which takes its time; it counts once the lock is held.
        self.check_name_free(name)?;
        let file = KeyFile::seal(keypair, passphrase, work)?;
        self.add(name, &file)
    }

    /// Whether [`Keystore::create`] would refuse the name: it is taken, or one that differs only in case is. For asking
    /// before the passphrase is.
    pub fn exists(&self, name: &KeyName) -> Result<bool, KeystoreError> {
        Ok(find_ignoring_case(&self.names()?.keys, name).is_some())
    }

    /// All keys, by name, and the files that could not be read. No directory is an empty keystore.
    pub fn list(&self) -> Result<KeyListing, KeystoreError> {
        let names = self.names()?;
        let mut listing = KeyListing::default();
        for (path, error) in names.misnamed {
            let reason = error.to_string();
            listing.damaged.push((path.clone(), KeystoreError::Damaged { path, reason }));
        }
        let default = self.read_default().unwrap_or_else(|error| {
            listing.damaged.push((self.dir.join(DEFAULT_FILE), error));
            None
        });
        for name in names.keys {
            let path = self.path(&name);
            match self.read(&name) {
                Ok(file) => {
                    let default = default.as_ref() == Some(&name);
                    listing.entries.push(KeyEntry { name, public_key: file.public_key(), default });
                }
                Err(error) => listing.damaged.push((path, error)),
            }
        }
        listing.damaged.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(listing)
    }

    /// One key.
    pub fn show(&self, name: &KeyName) -> Result<KeyEntry, KeystoreError> {
        let public_key = self.read(name)?.public_key();
        let default = self.read_default()?.as_ref() == Some(name);
        Ok(KeyEntry { name: name.clone(), public_key, default })
    }

    /// The key that is used where none is named. `None` if there is none, also when the one that was named is gone.
    pub fn default_key(&self) -> Result<Option<KeyName>, KeystoreError> {
        let Some(name) = self.read_default()? else { return Ok(None) };
        Ok(self.names()?.keys.contains(&name).then_some(name))
    }

    /// Names the key that is used where none is named; it must be there.
    pub fn set_default(&self, name: &KeyName) -> Result<(), KeystoreError> {
        self.must_exist(name)?;
        let _lock = self.begin_change()?;
        self.must_exist(name)?;
        self.write_default(name)
    }

    /// Decrypts a key, and makes sure that it is the one whose public key the file shows.
    ///
    /// A file that others may read or write, and a directory that others may write to, are refused before any work, as ssh
    /// does: [`KeystoreError::LoosePermissions`], [`KeystoreError::WritableDirectory`].
    ///
    /// Takes as long as [`Keystore::create`] did: call it where blocking is allowed.
    pub fn unlock(&self, name: &KeyName, passphrase: &str) -> Result<KeyPair, KeystoreError> {
        self.read_private(name)?.open(name, passphrase, &self.path(name))
    }

    /// Whether [`Keystore::unlock`] would refuse the key whatever its passphrase is, because of its permissions or because its
    /// file is damaged. For asking before the passphrase is.
    pub fn check_unlockable(&self, name: &KeyName) -> Result<(), KeystoreError> {
        self.read_private(name).map(drop)
    }

    /// The files that interrupted writes have left behind, and those of writes that are going on. They can hold whole keys,
    /// encrypted. The next change of the keystore removes what interrupted writes have left.
    pub fn leftovers(&self) -> Result<Vec<PathBuf>, KeystoreError> {
        Ok(private_files::staged_files(&self.dir)?)
    }

    /// Makes the directory where there is none, and keeps other processes from changing it until the lock is dropped.
    /// Removes what interrupted writes have left behind, which nobody else does.
    fn begin_change(&self) -> Result<Option<File>, KeystoreError> {
        Ok(private_files::begin_change(&self.dir)?)
    }

    fn path(&self, name: &KeyName) -> PathBuf {
        self.dir.join(format!("{name}{SUFFIX}"))
    }

    fn read(&self, name: &KeyName) -> Result<KeyFile, KeystoreError> {
        self.must_exist(name)?;
        let path = self.path(name);
        Self::parse(private_files::read_text(&self.dir, &path, MAX_BYTES, RequiredPermissions::Any)?, &path)
    }

    fn read_private(&self, name: &KeyName) -> Result<KeyFile, KeystoreError> {
        self.must_exist(name)?;
        let path = self.path(name);
        Self::parse(private_files::read_text(&self.dir, &path, MAX_BYTES, RequiredPermissions::Private)?, &path)
    }

    fn parse(text: Option<Zeroizing<String>>, path: &Path) -> Result<KeyFile, KeystoreError> {
        let text = text.ok_or_else(|| KeystoreError::damaged(path, "it is gone, or a link that leads nowhere"))?;
        KeyFile::from_text(&text, path)
    }

    /// Looked up in the listing, because a file system that ignores case would open another key's file.
    fn must_exist(&self, name: &KeyName) -> Result<(), KeystoreError> {
        let keys = self.names()?.keys;
        if keys.contains(name) { Ok(()) } else { Err(no_such_key(name, &keys)) }
    }

    fn check_name_free(&self, name: &KeyName) -> Result<(), KeystoreError> {
        match find_ignoring_case(&self.names()?.keys, name) {
            Some(existing) => Err(KeystoreError::Exists { name: existing.clone() }),
            None => Ok(()),
        }
    }

    /// Puts a key under a name that is free. The first one becomes the default.
    fn add(&self, name: &KeyName, file: &KeyFile) -> Result<KeyEntry, KeystoreError> {
        let _lock = self.begin_change()?;
        self.check_name_free(name)?;
        let keys = self.names()?.keys;
        self.clear_dangling_default(&keys)?;
        let default = keys.is_empty();
        let path = self.path(name);
        match private_files::write_new(&self.dir, &path, &file.to_text())? {
            WriteOutcome::Written => {}
            WriteOutcome::AlreadyExists => return Err(KeystoreError::Exists { name: name.clone() }),
        }
        if default && let Err(error) = self.write_default(name) {
            // A key of which the caller is told that it was not made is not to be there; if it stays, it is at least whole.
            let _stays = private_files::remove(&self.dir, &path);
            return Err(error);
        }
        Ok(KeyEntry { name: name.clone(), public_key: file.public_key(), default })
    }

    fn read_default(&self) -> Result<Option<KeyName>, KeystoreError> {
        let path = self.dir.join(DEFAULT_FILE);
        let Some(text) = private_files::read_text(&self.dir, &path, MAX_BYTES, RequiredPermissions::Any)? else {
            return Ok(None);
        };
        match text.trim_end().parse() {
            Ok(name) => Ok(Some(name)),
            Err(error) => Err(KeystoreError::Damaged { path, reason: format!("it holds no key name: {error}") }),
        }
    }

    /// Removes a default that names none of the keys, as a crash amid a change can leave it: a key that comes to have the
    /// name is not the one that was chosen. To be called before there is one, with the lock held.
    fn clear_dangling_default(&self, keys: &[KeyName]) -> Result<(), KeystoreError> {
        // A damaged one names no key.
        match self.read_default().unwrap_or_default() {
            Some(named) if !keys.contains(&named) => {
                Ok(private_files::remove(&self.dir, &self.dir.join(DEFAULT_FILE))?)
            }
            _ => Ok(()),
        }
    }

    fn write_default(&self, name: &KeyName) -> Result<(), KeystoreError> {
        Ok(private_files::replace(&self.dir, &self.dir.join(DEFAULT_FILE), &format!("{name}\n"))?)
    }

    fn names(&self) -> Result<KeyFileNames, KeystoreError> {
        let mut names = KeyFileNames::default();
        for file in private_files::file_names(&self.dir)? {
            // A leading dot marks a file that is being written.
            let Some(stem) = file.strip_suffix(SUFFIX).filter(|stem| !stem.starts_with('.')) else { continue };
            match stem.parse() {
                Ok(name) => names.keys.push(name),
                Err(error) => names.misnamed.push((self.dir.join(&file), error)),
            }
        }
        names.keys.sort();
        Ok(names)
    }
}

/// The key whose name a file system that ignores case would take for `name`.
fn find_ignoring_case<'keys>(keys: &'keys [KeyName], name: &KeyName) -> Option<&'keys KeyName> {
    keys.iter().find(|key| key.as_str().eq_ignore_ascii_case(name.as_str()))
}

fn no_such_key(name: &KeyName, keys: &[KeyName]) -> KeystoreError {
    KeystoreError::NoSuchKey { name: name.clone(), known: keys.iter().map(ToString::to_string).collect() }
}
