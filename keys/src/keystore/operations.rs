//! What becomes of keys that are there, and keys that come from elsewhere.

use std::path::Path;

use super::{DEFAULT_FILE, KeyEntry, KeyFile, KeyName, Keystore, KeystoreError, WorkFactor};
use crate::KeyPair;
use crate::private_files::{self, WriteOutcome};

impl Keystore {
    /// A key as it is in its file, encrypted: what [`Keystore::import`] takes. One that nobody could open any more is
    /// [`KeystoreError::Damaged`], so that no such copy is relied on.
    pub fn export(&self, name: &KeyName) -> Result<String, KeystoreError> {
        let file = self.read(name)?;
        file.check_sealed(&self.path(name))?;
        Ok(file.to_text())
    }

    /// Stores what [`Keystore::export`] gave, on this machine or another, under a name that is free in the sense of
    /// [`Keystore::exists`]. It keeps its passphrase, so nothing proves yet that the secret belongs to the public key:
    /// [`Keystore::unlock`] does. The first key of a keystore becomes its default.
    ///
    /// `source` is where the text comes from, for the errors about it.
    pub fn import(&self, name: &KeyName, text: &str, source: &Path) -> Result<KeyEntry, KeystoreError> {
        let file = KeyFile::from_text(text, source)?;
        file.check_sealed(source)?;
        self.check_name_free(name)?;
        self.add(name, &file)
    }

    /// Encrypts a key that [`Keystore::unlock`] gave with another passphrase. Its file has the one or the other, whatever
    /// happens meanwhile. [`KeystoreError::Altered`] if what has the name by now is another key.
    ///
    /// A copy of the file from before, as in a backup, still opens with the passphrase from before.
    ///
    /// Takes the time that `work` says: call it where blocking is allowed.
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
        let file = KeyFile::seal(keypair, passphrase, work)?;
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

    /// Gives a key another name, which must be free; in other letters its own is. The default goes with it.
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
            // As it was; if not even that can be done, the key is there under its new name.
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

    /// Removes a key, for good, also one whose file is damaged, with all that interrupted writes have left behind. Was it the
    /// default, there is none until another is [named](Keystore::set_default): who somebody is is not for the keystore to
    /// guess.
    pub fn remove(&self, name: &KeyName) -> Result<(), KeystoreError> {
        self.must_exist(name)?;
        let _held = self.begin_change()?;
        self.must_exist(name)?;
        // A damaged one names no key.
        let default = self.read_default().unwrap_or_default().as_ref() == Some(name);
        if default {
            private_files::remove(&self.dir, &self.dir.join(DEFAULT_FILE))?;
        }
        Ok(private_files::remove(&self.dir, &self.path(name)).inspect_err(|_| {
            if default {
                // As it was; if not even that can be done, the key is there and can be named again.
                let _none = self.write_default(name);
            }
        })?)
    }
}
