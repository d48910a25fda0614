//! Keys that were listed, made and unlocked.

use std::sync::Arc;

use console::session::{CallerIdentity, QueueFull, SessionHandle};
use frontend::error::CliError;
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
                    let text = format!("the key in {} cannot be read: {error}", path.display());
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
                let circle = form.map(|form| form.circle);
                self.keys.unlock(entry.name.clone(), keypair);
                self.keys.add(entry.clone());
                self.show_toast(format!("made {}; in Keys (2), y copies its public key", entry.name));
                if let Some(circle) = circle {
                    self.window.popup = None;
                    if let Some(id) = circle {
                        self.send_to_session(id, SessionHandle::authenticate);
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
                // It was the one that was given; another try is asked for.
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

    /// Nobody gives the passphrase of a key.
    pub(super) fn keep_locked(&mut self, name: &KeyName) {
        for id in self.keys.take_waiters(name) {
            self.send_to_session(id, |session| session.keep_locked(name.clone()));
        }
    }
}

/// Has a session use a key that it waited for, also where the connection that it was requested for was lost meanwhile.
fn use_unlocked(session: &SessionHandle, name: &KeyName) -> Result<(), QueueFull> {
    let state = session.state();
    let is_used = state.identity == CallerIdentity::Authenticating || state.authenticated() == Some(name);
    if state.is_key_requested || is_used { session.key_unlocked(name.clone()) } else { session.use_key(name.clone()) }
}
