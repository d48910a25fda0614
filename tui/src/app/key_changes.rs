//! Changes of the keystore: their dialogs and their outcome.

use frontend::{error::CliError, key_transfer};
use keys::keystore::{KeyListing, KeyName};

use super::App;
use crate::{
    action::Action,
    keys::{KeyChange, KeyOutcome},
    popup::{Choice, KeyForm, KeyJob, PassphraseForm, Popup},
};

impl App {
    /// Opens the dialog for a change of a key.
    pub(super) fn ask_key_change(&mut self, job: KeyJob) {
        if self.setup.keystore.is_none() {
            return self.report_error("no home directory to store a key in: set HOME");
        }
        self.window.popup = Some(Popup::Key(KeyForm::new(job)));
    }

    /// Asks whether to write a bare secret.
    pub(super) fn ask_export_secret(&mut self, name: KeyName) {
        let lines = vec![
            format!("Anyone who reads the file can sign in as {name} on every circle."),
            "e exports the key encrypted.".into(),
        ];
        let title = format!("Export the secret of {name} unencrypted?");
        let yes = Action::AskKeyChange(KeyJob::ExportSecret(name));
        self.window.popup = Some(Popup::Choice(Choice::confirm(title, lines, "Export the secret", yes)));
    }

    pub(super) fn change_key(&self, change: KeyChange) {
        if let Some(store) = &self.setup.keystore {
            self.tasks.change_key(store.clone(), change, self.setup.work_factor);
        }
    }

    /// Locks an unlocked key, or asks for the passphrase of a locked one.
    pub(super) fn toggle_lock(&mut self, name: KeyName) {
        if self.keys.lock(&name) {
            return self.show_done(format!("locked {name}; sessions that are signed in stay signed in"));
        }
        if self.setup.keystore.is_some() {
            self.window.popup = Some(Popup::Passphrase(PassphraseForm::new(name, None)));
        }
    }

    /// Handles the outcome of a change. If its dialog was closed meanwhile, a toast says what has happened.
    pub(super) fn on_key_changed(&mut self, changed: Result<(KeyOutcome, KeyListing), CliError>) {
        let form = match &mut self.window.popup {
            Some(Popup::Key(form)) if form.is_busy => Some(form),
            _ => None,
        };
        let (outcome, listing) = match (changed, form) {
            (Ok((KeyOutcome::PassphraseNeeded, _)), form) => {
                if let Some(form) = form {
                    form.ask_passphrase();
                }
                return;
            }
            (Ok(changed), form) => {
                if form.is_some() {
                    self.window.popup = None;
                }
                changed
            }
            (Err(error), Some(form)) => return form.set_error(error.advice()),
            (Err(error), None) => return self.report_error(error.advice()),
        };
        self.on_keys_listed(Ok(listing));
        let text = match outcome {
            KeyOutcome::Renamed { old, entry } => {
                self.keys.renamed(&old, &entry.name);
                format!("renamed {old} to {}", entry.name)
            }
            KeyOutcome::Imported(entry) => {
                self.keys.select(&entry.name);
                match key_transfer::find_same_key(&entry, self.keys.iter()) {
                    Some(same) => format!("imported {}; it is the same key as {}", entry.name, same.name),
                    None => format!("imported {}; y copies its public key", entry.name),
                }
            }
            KeyOutcome::PassphraseNeeded => return,
            KeyOutcome::Exported { name, file, is_secret: false } => format!("exported {name} to {file}, encrypted"),
            KeyOutcome::Exported { name, file, is_secret: true } => {
                format!("wrote the secret of {name} to {file}; anyone who reads it can sign in as {name}")
            }
            KeyOutcome::PassphraseChanged(name, keypair) => {
                self.keys.unlock(name.clone(), keypair);
                format!("changed the passphrase of {name}")
            }
            KeyOutcome::Removed(name) => {
                let default = self.keys.removed(&name);
                let default = if default { "; choose a default key with D" } else { "" };
                format!("deleted {name}{default}")
            }
        };
        self.show_done(text);
    }
}
