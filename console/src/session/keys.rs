//! Which key a session authenticates with, and where unlocked keys are.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use frontend::error::CliError;
use keys::{
    KeyPair,
    keystore::{KeyName, Keystore},
};

/// Where a session's keys come from.
pub trait KeySource: Send + Sync + 'static {
    /// The key to use where none was named.
    ///
    /// # Errors
    ///
    /// The keystore cannot be read.
    fn preferred(&self) -> Result<Option<KeyName>, CliError>;

    /// The key, if it was unlocked.
    fn unlocked(&self, name: &KeyName) -> Option<Arc<KeyPair>>;
}

/// Keys that were unlocked, so that nobody is asked for a passphrase twice, and the keystore's default key.
#[derive(Default)]
pub struct Keyring {
    unlocked: Mutex<BTreeMap<KeyName, Arc<KeyPair>>>,
}

impl Keyring {
    /// The key, if it was unlocked.
    pub fn get(&self, name: &KeyName) -> Option<Arc<KeyPair>> {
        self.keys().get(name).cloned()
    }

    /// Keeps an unlocked key.
    pub fn insert(&self, name: KeyName, keypair: Arc<KeyPair>) {
        self.keys().insert(name, keypair);
    }

    fn keys(&self) -> MutexGuard<'_, BTreeMap<KeyName, Arc<KeyPair>>> {
        // Nothing panics while it is held.
        self.unlocked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeySource for Keyring {
    /// The keystore's default key. Without a home directory there is no keystore, and no key.
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
