//! The keystore: read, written, unlocked.

use std::sync::Arc;

use frontend::error::CliError;
use keys::{
    KeyPair,
    keystore::{KeyName, Keystore, WorkFactor},
};
use zeroize::Zeroizing;

use super::Tasks;
use crate::event::Event;

impl Tasks {
    pub(crate) fn list_keys(&self, store: Keystore) {
        self.block(move || store.list().map_err(Into::into), Event::KeysListed);
    }

    pub(crate) fn set_default_key(&self, store: Keystore, name: KeyName) {
        let listed = move || {
            store.set_default(&name)?;
            Ok(store.list()?)
        };
        self.block(listed, Event::KeysListed);
    }

    pub(crate) fn make_key(&self, store: Keystore, name: KeyName, passphrase: Zeroizing<String>, work: WorkFactor) {
        let made = move || {
            let keypair = KeyPair::generate().map_err(|error| {
                CliError::usage("cannot make a key", error.to_string(), "the operating system gives no random bytes")
            })?;
            let entry = store.create(&name, &keypair, &passphrase, work)?;
            Ok((entry, Arc::new(keypair)))
        };
        self.block(made, Event::KeyMade);
    }

    pub(crate) fn unlock(&self, store: Keystore, name: KeyName, passphrase: Zeroizing<String>) {
        let named = name.clone();
        let unlocked = move || Ok(Arc::new(store.unlock(&name, &passphrase)?));
        self.block(unlocked, move |unlocked| Event::KeyUnlocked(named, unlocked));
    }
}
