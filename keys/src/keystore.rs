//! The keystore: a directory of secret keys, each encrypted with its own passphrase.
//!
//! Each key has a file `NAME.json`, mode 0600, in a directory of mode 0700:
//! `{"version":1,"public_key":"02…","secret":"-----BEGIN AGE ENCRYPTED FILE-----…"}`. The secret is 64 hex digits,
//! encrypted with [age](https://age-encryption.org/v1) (scrypt, armored), so that `age -d` can decrypt it too. The file
//! `default` contains the name of the default key.
//!
//! Only [`Keystore::unlock`] verifies a file: until then, its `public_key` is an unverified claim. Unix only.
//!
//! A process that changes the keystore locks `.lock` meanwhile, so that concurrent changes do not overwrite each other.
//! Readers need no lock, because each file is replaced atomically.
//!
//! # Examples
//!
//! ```no_run
//! use keys::{KeyPair, keystore::{Keystore, WorkFactor}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keystore = Keystore::open_default()?;
//! let name = "alice".parse()?;
//! keystore.create(&name, &KeyPair::generate()?, "open sesame", WorkFactor::Calibrated)?;
//! let pair = keystore.unlock(&name, "open sesame")?;
//! assert_eq!(pair.public_key(), keystore.show(&name)?.public_key);
//! # Ok(())
//! # }
//! ```

mod error;
mod key_name;
mod operations;

use std::fs::File;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

pub use self::error::KeystoreError;
pub use self::key_name::{KeyName, KeyNameError};
use crate::key_file::KeyFile;
pub use crate::key_file::{MAX_WORK_LOG2, WorkFactor};
use crate::private_files::{self, RequiredPermissions, WriteOutcome};
use crate::{KeyPair, PublicKey};

const SUFFIX: &str = ".json";
const DEFAULT_FILE: &str = "default";

/// Maximum size of a key file, far more than a key needs.
const MAX_BYTES: u64 = 64 * 1024;

/// A directory of encrypted keys. Constructing one does not touch the disk; every method reads the disk again.
#[derive(Clone, Debug)]
pub struct Keystore {
    dir: PathBuf,
}

/// The public information about a key, available without its passphrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// The key's name in the keystore.
    pub name: KeyName,
    /// The public key in the file, unverified.
    pub public_key: PublicKey,
    /// Whether the key is the default key, which clients use if none is named.
    pub default: bool,
}

/// The contents of a keystore. Unreadable files are listed separately and hide no other key.
#[derive(Debug, Default)]
pub struct KeyListing {
    /// The keys, sorted by name.
    pub entries: Vec<KeyEntry>,
    /// The files that could not be read, sorted by path, each with its error.
    pub damaged: Vec<(PathBuf, KeystoreError)>,
}

/// The names of the key files in a keystore.
#[derive(Default)]
struct KeyFileNames {
    keys: Vec<KeyName>,
    /// Files with the suffix of a key file whose name is not a key name.
    misnamed: Vec<(PathBuf, KeyNameError)>,
}

impl Keystore {
    /// Opens the keystore in `dir`, which need not exist.
    ///
    /// The first write creates the directory with mode 0700. If others can access an existing directory, the next write
    /// removes their permissions.
    pub fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Opens the user's keystore: `keys` in the data directory of `circles` (on Linux `$XDG_DATA_HOME/circles/keys`, by
    /// default `~/.local/share/circles/keys`).
    ///
    /// # Errors
    ///
    /// Returns [`KeystoreError::NoHome`] if the user has no home directory.
    pub fn open_default() -> Result<Self, KeystoreError> {
        let dirs = directories::ProjectDirs::from("", "", "circles").ok_or(KeystoreError::NoHome)?;
        Ok(Self::at(dirs.data_dir().join("keys")))
    }

    /// The directory of the keystore.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Encrypts a key with `passphrase` and stores it under a name that is free in the sense of [`Keystore::exists`].
    ///
    /// The file is written atomically and never replaces another key. The first key of a keystore becomes its default.
    ///
    /// Blocks for the time that `work` takes: call it where blocking is allowed.
    ///
    /// # Errors
    ///
    /// Returns [`KeystoreError::EmptyPassphrase`], [`KeystoreError::BadWorkFactor`], [`KeystoreError::Exists`] if the
    /// name is taken, and other errors if the keystore cannot be read or written.
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
        // Fail early, before the expensive encryption; `add` checks again with the lock held.
        self.check_name_free(name)?;
        let file = KeyFile::seal(keypair, passphrase, work)
            .map_err(|error| KeystoreError::of_file(error, name, &self.path(name)))?;
        self.add(name, &file)
    }

    /// Whether the name, or one that differs only in case, is taken, so that [`Keystore::create`] would refuse it. A
    /// client checks this before it asks for a passphrase.
    ///
    /// # Errors
    ///
    /// Returns [`KeystoreError::Io`] if the keystore cannot be listed.
    pub fn exists(&self, name: &KeyName) -> Result<bool, KeystoreError> {
        Ok(find_ignoring_case(&self.names()?.keys, name).is_some())
    }

    /// Lists all keys and all files that could not be read. A missing directory is an empty keystore.
    ///
    /// # Errors
    ///
    /// Returns [`KeystoreError::Io`] if the keystore cannot be listed.
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

    /// Returns the public information about a key.
    ///
    /// # Errors
    ///
    /// Returns [`KeystoreError::NoSuchKey`], and other errors if the file of the key or of the default cannot be read.
    pub fn show(&self, name: &KeyName) -> Result<KeyEntry, KeystoreError> {
        let public_key = self.read(name)?.public_key();
        let default = self.read_default()?.as_ref() == Some(name);
        Ok(KeyEntry { name: name.clone(), public_key, default })
    }

    /// Returns the name of the default key, or `None` if there is no default or its key was removed.
    ///
    /// # Errors
    ///
    /// Returns a [`KeystoreError`] if the default or the list of keys cannot be read.
    pub fn default_key(&self) -> Result<Option<KeyName>, KeystoreError> {
        let Some(name) = self.read_default()? else { return Ok(None) };
        Ok(self.names()?.keys.contains(&name).then_some(name))
    }

    /// Sets the default key.
    ///
    /// # Errors
    ///
    /// Returns [`KeystoreError::NoSuchKey`], and other errors if the keystore cannot be read or written.
    pub fn set_default(&self, name: &KeyName) -> Result<(), KeystoreError> {
        self.must_exist(name)?;
        let _lock = self.begin_change()?;
        self.must_exist(name)?;
        self.write_default(name)
    }

    /// Decrypts a key, and verifies that it matches the public key in its file.
    ///
    /// Blocks for as long as [`Keystore::create`] did: call it where blocking is allowed.
    ///
    /// # Errors
    ///
    /// Returns [`KeystoreError::WrongPassphrase`], [`KeystoreError::NoSuchKey`], [`KeystoreError::Damaged`], and
    /// [`KeystoreError::Altered`] if the public key does not match. Like ssh, it refuses a file that others can read or
    /// write ([`KeystoreError::LoosePermissions`]) and a directory that others can write to
    /// ([`KeystoreError::WritableDirectory`]) before it decrypts anything.
    pub fn unlock(&self, name: &KeyName, passphrase: &str) -> Result<KeyPair, KeystoreError> {
        let opened = self.read_private(name)?.open(passphrase);
        opened.map_err(|error| KeystoreError::of_file(error, name, &self.path(name)))
    }

    /// Checks that [`Keystore::unlock`] would not refuse the key whatever the passphrase, because of its permissions or
    /// because its file is damaged. A client checks this before it asks for the passphrase.
    ///
    /// # Errors
    ///
    /// Returns the error that [`Keystore::unlock`] would return.
    pub fn check_unlockable(&self, name: &KeyName) -> Result<(), KeystoreError> {
        self.read_private(name).map(drop)
    }

    /// Lists the temporary files of interrupted and of ongoing writes. They can contain complete keys, encrypted. The
    /// next change of the keystore removes the files of interrupted writes.
    ///
    /// # Errors
    ///
    /// Returns [`KeystoreError::Io`] if the keystore cannot be listed.
    pub fn leftovers(&self) -> Result<Vec<PathBuf>, KeystoreError> {
        Ok(private_files::staged_files(&self.dir)?)
    }

    /// Creates the directory if necessary, locks it until the returned lock is dropped, and removes the files of
    /// interrupted writes.
    fn begin_change(&self) -> Result<Option<File>, KeystoreError> {
        Ok(private_files::begin_change(&self.dir)?)
    }

    fn path(&self, name: &KeyName) -> PathBuf {
        self.dir.join(format!("{name}{SUFFIX}"))
    }

    fn read(&self, name: &KeyName) -> Result<KeyFile, KeystoreError> {
        self.must_exist(name)?;
        let path = self.path(name);
        Self::parse(name, private_files::read_text(&self.dir, &path, MAX_BYTES, RequiredPermissions::Any)?, &path)
    }

    fn read_private(&self, name: &KeyName) -> Result<KeyFile, KeystoreError> {
        self.must_exist(name)?;
        let path = self.path(name);
        Self::parse(name, private_files::read_text(&self.dir, &path, MAX_BYTES, RequiredPermissions::Private)?, &path)
    }

    fn parse(name: &KeyName, text: Option<Zeroizing<String>>, path: &Path) -> Result<KeyFile, KeystoreError> {
        let text =
            text.ok_or_else(|| KeystoreError::damaged(path, "it was removed, or is a dangling symbolic link"))?;
        KeyFile::from_text(&text).map_err(|error| KeystoreError::of_file(error, name, path))
    }

    /// Looks the name up in the directory listing, because a file system that ignores case would open another key's
    /// file.
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

    /// Adds a key under a free name. The first key becomes the default.
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
            // The caller gets an error, so the key must not remain. If it cannot be removed, it is at least complete.
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
            Err(error) => {
                Err(KeystoreError::Damaged { path, reason: format!("it does not contain a key name: {error}") })
            }
        }
    }

    /// Removes a default that names none of the keys, which a crash during a change can leave behind.
    ///
    /// Otherwise the next key of that name would become the default although nobody chose it. Call this with the lock
    /// held, before adding a key.
    fn clear_dangling_default(&self, keys: &[KeyName]) -> Result<(), KeystoreError> {
        // A damaged default names no key.
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
            // A leading dot marks the temporary file of a write.
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

/// Finds the key whose name a file system that ignores case would treat as equal to `name`.
fn find_ignoring_case<'keys>(keys: &'keys [KeyName], name: &KeyName) -> Option<&'keys KeyName> {
    keys.iter().find(|key| key.as_str().eq_ignore_ascii_case(name.as_str()))
}

fn no_such_key(name: &KeyName, keys: &[KeyName]) -> KeystoreError {
    KeystoreError::NoSuchKey { name: name.clone(), known: keys.iter().map(ToString::to_string).collect() }
}
