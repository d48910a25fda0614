//! The sources of a session's keys, and the keyring of unlocked keys.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use frontend::error::CliError;
use keys::{
    KeyPair,
    keystore::{KeyName, Keystore},
};

/// The source of a session's keys.
pub trait KeySource: Send + Sync + 'static {
    /// Returns the key to use if the user named none.
    ///
    /// # Errors
    ///
    /// Fails if the keystore cannot be read.
    fn preferred(&self) -> Result<Option<KeyName>, CliError>;

    /// Returns the key if it is unlocked.
    fn unlocked(&self, name: &KeyName) -> Option<Arc<KeyPair>>;
}

/// The unlocked keys, so that users type each passphrase only once. Prefers the keystore's default key.
#[derive(Default)]
pub struct Keyring {
    unlocked: Mutex<BTreeMap<KeyName, Arc<KeyPair>>>,
}

impl Keyring {
    /// Returns the key if it is unlocked.
    pub fn get(&self, name: &KeyName) -> Option<Arc<KeyPair>> {
        self.keys().get(name).cloned()
    }

    /// Adds an unlocked key.
    pub fn insert(&self, name: KeyName, keypair: Arc<KeyPair>) {
        self.keys().insert(name, keypair);
    }

    /// Removes a key, so that its next use needs the passphrase again. Returns the key if it was unlocked.
    pub fn remove(&self, name: &KeyName) -> Option<Arc<KeyPair>> {
        self.keys().remove(name)
    }

    fn keys(&self) -> MutexGuard<'_, BTreeMap<KeyName, Arc<KeyPair>>> {
        // No code panics while it holds the lock.
        self.unlocked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeySource for Keyring {
    /// Returns the keystore's default key; `None` without a home directory, and hence without a keystore.
    fn preferred(&self) -> Result<Option<KeyName>, CliError> {
        match Keystore::open_default() {
            Ok(store) => Ok(store.default_key()?),
            Err(_) => Ok(None),
        }
    }

    fn unlocked(&self, name: &KeyName) -> Option<Arc<KeyPair>> {
        self.get(name)
    }
}
