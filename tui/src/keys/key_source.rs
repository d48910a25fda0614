//! The unlocked keys and the key to use, shared by the keys pane and the sessions.

use std::sync::{Arc, Mutex, PoisonError};

use console::session::{KeySource, Keyring};
use frontend::error::CliError;
use keys::{KeyPair, keystore::KeyName};

/// Key source of all sessions.
#[derive(Default)]
pub(crate) struct AppKeySource {
    /// Keys stay unlocked as long as the app runs.
    unlocked: Keyring,
    preferred: Mutex<Option<KeyName>>,
}

impl std::fmt::Debug for AppKeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppKeySource").finish_non_exhaustive()
    }
}

impl AppKeySource {
    /// Adds an unlocked key.
    pub(crate) fn unlock(&self, name: KeyName, keypair: Arc<KeyPair>) {
        self.unlocked.insert(name, keypair);
    }

    /// Removes an unlocked key. Returns it if it was unlocked.
    pub(crate) fn lock(&self, name: &KeyName) -> Option<Arc<KeyPair>> {
        self.unlocked.remove(name)
    }

    /// Sets the key to use where no key was named.
    pub(crate) fn prefer(&self, name: Option<KeyName>) {
        // No code that can panic runs under the lock.
        *self.preferred.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }
}

impl KeySource for AppKeySource {
    fn preferred(&self) -> Result<Option<KeyName>, CliError> {
        Ok(self.preferred.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn unlocked(&self, name: &KeyName) -> Option<Arc<KeyPair>> {
        self.unlocked.get(name)
    }
}
