//! Outcome of listing, creating and unlocking keys.

use std::sync::Arc;

use console::session::{CallerIdentity, QueueFull, SessionHandle};
use frontend::{
    error::CliError,
    key_bindings::{KeyPane, UserAction},
};
use keys::{
    KeyPair,
    keystore::{KeyEntry, KeyListing, KeyName},
};

use super::App;
use crate::popup::{PassphraseForm, Popup};

impl App {
    pub(super) fn on_keys_listed(&mut self, listed: Result<KeyListing, CliError>) {
        match listed {
            Ok(listing) => {
                for (path, error) in &listing.damaged {
                    let text = format!("cannot read the key in {}: {error}", path.display());
                    self.report_error(text);
                }
                self.keys.set(listing);
            }
            Err(error) => self.report_error(error.advice()),
        }
    }

    pub(super) fn on_key_made(&mut self, made: Result<(KeyEntry, Arc<KeyPair>), CliError>) {
        let form = match &mut self.window.popup {
            Some(Popup::NewKey(form)) if form.is_busy => Some(form),
            _ => None,
        };
        match made {
            Ok((entry, keypair)) => {
                let then = form.map(|form| form.then.take());
                self.keys.unlock(entry.name.clone(), keypair);
                self.keys.add(entry.clone());
                let copy = self.key_of(KeyPane::Keys, UserAction::CopyPublicKey);
                self.show_done(format!("created key {}; {copy} in Keys (2) copies its public key", entry.name));
                if let Some(then) = then {
                    self.window.popup = None;
                    if let Some(action) = then {
                        self.run_action(action);
                    }
                }
            }
            Err(error) => match form {
                Some(form) => (form.error, form.is_busy) = (Some(error.advice()), false),
                None => self.report_error(error.advice()),
            },
        }
    }

    pub(super) fn on_key_unlocked(&mut self, name: &KeyName, unlocked: Result<Arc<KeyPair>, CliError>) {
        let form = match &mut self.window.popup {
            Some(Popup::Passphrase(form)) if form.key == *name => Some(form),
            _ => None,
        };
        match (unlocked, form) {
            (Ok(keypair), form) => {
                if form.is_some() {
                    self.window.popup = None;
                }
                self.keys.unlock(name.clone(), keypair);
                for id in self.keys.take_waiters(name) {
                    self.send_to_session(id, |session| use_unlocked(session, name));
                }
            }
            (Err(error), Some(form)) => form.set_error(error.advice()),
            (Err(error), None) => {
                // The given passphrase was wrong; ask for another one.
                self.setup.passphrase = None;
                if self.keys.has_waiters(name) && !self.window.has_form() {
                    let form = PassphraseForm::new(name.clone(), Some(error.advice()));
                    self.window.popup = Some(Popup::Passphrase(form));
                } else {
                    self.keep_locked(name);
                    self.report_error(error.advice());
                }
            }
        }
    }

    /// Tells the waiting sessions that a key stays locked.
    pub(super) fn keep_locked(&mut self, name: &KeyName) {
        for id in self.keys.take_waiters(name) {
            self.send_to_session(id, |session| session.keep_locked(name.clone()));
        }
    }
}

/// Has a session use a key that it waited for, even if the connection that needed it was lost meanwhile.
fn use_unlocked(session: &SessionHandle, name: &KeyName) -> Result<(), QueueFull> {
    let state = session.state();
    let is_used = state.identity == CallerIdentity::Authenticating || state.authenticated() == Some(name);
    if state.is_key_requested || is_used { session.key_unlocked(name.clone()) } else { session.use_key(name.clone()) }
}
