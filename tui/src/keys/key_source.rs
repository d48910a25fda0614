//! The keys that were unlocked, and the one to use: what the keys pane and the sessions share.

use std::sync::{Arc, Mutex, PoisonError};

use console::session::{KeySource, Keyring};
use frontend::error::CliError;
use keys::{KeyPair, keystore::KeyName};

/// The key source of all sessions.
#[derive(Default)]
pub(crate) struct AppKeySource {
    /// For as long as the app lives.
    unlocked: Keyring,
    preferred: Mutex<Option<KeyName>>,
}

impl std::fmt::Debug for AppKeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyChoice").finish_non_exhaustive()
    }
}

impl AppKeySource {
    /// Keeps an unlocked key.
    pub(crate) fn unlock(&self, name: KeyName, keypair: Arc<KeyPair>) {
        self.unlocked.insert(name, keypair);
    }

    /// Chooses the key to use where none was named.
    pub(crate) fn prefer(&self, name: Option<KeyName>) {
        // Nothing panics while it is held.
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
