//! Operations on existing keys: export, import, change of passphrase, rename, remove.

use std::path::Path;

use super::{DEFAULT_FILE, KeyEntry, KeyName, Keystore, KeystoreError, WorkFactor};
use crate::KeyPair;
use crate::key_file::KeyFile;
use crate::private_files::{self, WriteOutcome};

impl Keystore {
    /// Exports a key as the text of its file, still encrypted, for [`Keystore::import`].
    ///
    /// # Errors
    ///
    /// Returns [`KeystoreError::NoSuchKey`], and [`KeystoreError::Damaged`] for a file that no passphrase could
    /// decrypt, so that nobody relies on such a copy.
    pub fn export(&self, name: &KeyName) -> Result<String, KeystoreError> {
        let file = self.read(name)?;
        file.check_sealed().map_err(|error| KeystoreError::of_file(error, name, &self.path(name)))?;
        Ok(file.to_text())
    }

    /// Stores an [exported](Keystore::export) key under a name that is free in the sense of [`Keystore::exists`].
    ///
    /// The key keeps its passphrase, so the import cannot verify that the secret matches the public key:
    /// [`Keystore::unlock`] does. The first key of a keystore becomes its default. `source` is the origin of the text,
    /// for error messages.
    ///
    /// # Errors
    ///
    /// Returns [`KeystoreError::Damaged`] or [`KeystoreError::NewerVersion`] if the text is not a usable key,
    /// [`KeystoreError::Exists`] if the name is taken, and other errors if the keystore cannot be read or written.
    pub fn import(&self, name: &KeyName, text: &str, source: &Path) -> Result<KeyEntry, KeystoreError> {
        let of_file = |error| KeystoreError::of_file(error, name, source);
        let file = KeyFile::from_text(text).map_err(of_file)?;
        file.check_sealed().map_err(of_file)?;
        self.check_name_free(name)?;
        self.add(name, &file)
    }

    /// Encrypts an [unlocked](Keystore::unlock) key with another passphrase. The change is atomic.
    ///
    /// A copy of the previous file, such as a backup, still opens with the previous passphrase.
    ///
    /// Blocks for the time that `work` takes: call it where blocking is allowed.
    ///
    /// # Errors
    ///
    /// Returns [`KeystoreError::EmptyPassphrase`], [`KeystoreError::BadWorkFactor`], [`KeystoreError::NoSuchKey`],
    /// [`KeystoreError::Altered`] if another key has the name now, and other errors if the keystore cannot be read or
    /// written.
    pub fn change_passphrase(
        &self,
        name: &KeyName,
        keypair: &KeyPair,
        passphrase: &str,
        work: WorkFactor,
    ) -> Result<KeyEntry, KeystoreError> {
        if passphrase.is_empty() {
            return Err(KeystoreError::EmptyPassphrase);
        }
        self.verify_keypair(name, keypair)?;
        let file = KeyFile::seal(keypair, passphrase, work)
            .map_err(|error| KeystoreError::of_file(error, name, &self.path(name)))?;
        let _held = self.begin_change()?;
        self.verify_keypair(name, keypair)?;
        private_files::replace(&self.dir, &self.path(name), &file.to_text())?;
        self.show(name)
    }

    fn verify_keypair(&self, name: &KeyName, keypair: &KeyPair) -> Result<(), KeystoreError> {
        if self.read(name)?.public_key() == keypair.public_key() {
            Ok(())
        } else {
            Err(KeystoreError::Altered { path: self.path(name) })
        }
    }

    /// Renames a key. The new name must be free, or differ from the old one only in case. A default key stays the
    /// default.
    ///
    /// # Errors
    ///
    /// Returns [`KeystoreError::NoSuchKey`], [`KeystoreError::Exists`] if the new name is taken, and other errors if
    /// the keystore cannot be read or written.
    pub fn rename(&self, old: &KeyName, new: &KeyName) -> Result<KeyEntry, KeystoreError> {
        self.must_exist(old)?;
        let _held = self.begin_change()?;
        let public_key = self.read(old)?.public_key();
        let keys = self.names()?.keys;
        let is_like_new = |key: &&KeyName| key.as_str().eq_ignore_ascii_case(new.as_str());
        if let Some(taken) = keys.iter().filter(|key| *key != old || old == new).find(is_like_new) {
            return Err(KeystoreError::Exists { name: taken.clone() });
        }
        self.clear_dangling_default(&keys)?;
        let default = self.read_default().unwrap_or_default().as_ref() == Some(old);
        let entry = KeyEntry { name: new.clone(), public_key, default };
        self.move_key(old, new)?;
        if default && let Err(error) = self.write_default(new) {
            // Restore the previous state. If that fails too, the key exists under its new name.
            let _renamed = self.move_key(new, old);
            return Err(error);
        }
        Ok(entry)
    }

    fn move_key(&self, from: &KeyName, to: &KeyName) -> Result<(), KeystoreError> {
        let (path, free) = (self.path(from), self.path(to));
        if from.as_str().eq_ignore_ascii_case(to.as_str()) {
            return Ok(private_files::rename_case(&self.dir, &path, &free)?);
        }
        match private_files::rename(&self.dir, &path, &free)? {
            WriteOutcome::Written => Ok(()),
            WriteOutcome::AlreadyExists => Err(KeystoreError::Exists { name: to.clone() }),
        }
    }

    /// Removes a key permanently, even if its file is damaged, and all files of interrupted writes.
    ///
    /// If the key was the default, there is no default until one is [set](Keystore::set_default): the keystore does not
    /// guess which key the user wants.
    ///
    /// # Errors
    ///
    /// Returns [`KeystoreError::NoSuchKey`], and other errors if the keystore cannot be read or written.
    pub fn remove(&self, name: &KeyName) -> Result<(), KeystoreError> {
        self.must_exist(name)?;
        let _held = self.begin_change()?;
        self.must_exist(name)?;
        // A damaged default names no key.
        let default = self.read_default().unwrap_or_default().as_ref() == Some(name);
        if default {
            private_files::remove(&self.dir, &self.dir.join(DEFAULT_FILE))?;
        }
        Ok(private_files::remove(&self.dir, &self.path(name)).inspect_err(|_| {
            if default {
                // Restore the previous state. If that fails too, the key exists and can be set as the default again.
                let _none = self.write_default(name);
            }
        })?)
    }
}
