//! Tasks for the keystore.

use std::sync::Arc;

use frontend::key_transfer;
use keys::keystore::{KeyName, Keystore, WorkFactor};
use zeroize::Zeroizing;

use super::Tasks;
use crate::{event::AppEvent, keys::KeyChange};

impl Tasks {
    pub(crate) fn list_keys(&self, store: Keystore) {
        self.spawn_blocking(move || store.list().map_err(Into::into), AppEvent::KeysListed);
    }

    pub(crate) fn set_default_key(&self, store: Keystore, name: KeyName) {
        let listed = move || {
            store.set_default(&name)?;
            Ok(store.list()?)
        };
        self.spawn_blocking(listed, AppEvent::KeysListed);
    }

    pub(crate) fn make_key(&self, store: Keystore, name: KeyName, passphrase: Zeroizing<String>, work: WorkFactor) {
        let made = move || {
            let keypair = key_transfer::generate()?;
            let entry = store.create(&name, &keypair, &passphrase, work)?;
            Ok((entry, Arc::new(keypair)))
        };
        self.spawn_blocking(made, AppEvent::KeyMade);
    }

    /// Carries out a change of the keystore.
    pub(crate) fn change_key(&self, store: Keystore, change: KeyChange, work: WorkFactor) {
        #[cfg(test)]
        self.record(format!("keystore {change:?}"));
        self.spawn_blocking(move || change.apply(&store, work), AppEvent::KeyChanged);
    }

    pub(crate) fn unlock(&self, store: Keystore, name: KeyName, passphrase: Zeroizing<String>) {
        let named = name.clone();
        let unlocked = move || Ok(Arc::new(store.unlock(&name, &passphrase)?));
        self.spawn_blocking(unlocked, move |unlocked| AppEvent::KeyUnlocked(named, unlocked));
    }
}
