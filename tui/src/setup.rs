//! Settings of the app.

use std::path::PathBuf;

use console::history::{HistoryStore, SharedHistory};
use frontend::{
    connect::EncryptionOptions, known_circles::KnownCircles, settings::Settings, supervisor::SupervisorSetup,
};
use keys::{
    Authority,
    keystore::{Keystore, WorkFactor},
};
use zeroize::Zeroizing;

use super::{repl::EditorSetup, theme::Background};

/// Settings of the app, and where its files are.
#[derive(Debug)]
pub struct Setup {
    /// The circles.json that was named; `None` searches the default locations.
    pub config: Option<PathBuf>,
    /// The keystore; `None` if there is no home directory.
    pub keystore: Option<Keystore>,
    /// Directory of the history; `None` keeps no history.
    pub history: Option<PathBuf>,
    /// Cost of one attempt at the passphrase of a new key.
    pub work_factor: WorkFactor,
    /// How to find and start the supervisor of circles.json.
    pub supervisors: SupervisorSetup,
    /// The circles' own authority, for connections through a tunnel.
    pub authority: Option<Authority>,
    /// The known circles, if there is a place to store them.
    pub known_circles: Option<KnownCircles>,
    /// Whether a circle off loopback may have an ephemeral identity.
    pub accepts_ephemeral: bool,
    /// The protection of connections to other machines.
    pub encryption: EncryptionOptions,
    /// The given passphrase; with one, the app never asks.
    pub passphrase: Option<Zeroizing<String>>,
    /// Whether the terminal shows colours.
    pub has_colours: bool,
    /// Background of the terminal, as far as it is known.
    pub background: Background,
    /// The user's settings.
    pub settings: Settings,
}

impl Setup {
    /// Returns what the editors of all sessions share.
    pub(crate) fn editor(&self) -> EditorSetup {
        let Settings { close_brackets, edit_mode, history_size, .. } = &self.settings;
        let history = SharedHistory::new(history_size.value);
        EditorSetup { mode: edit_mode.value, history, closes_brackets: close_brackets.value }
    }

    /// Returns the stored history.
    pub(crate) fn history_store(&self) -> HistoryStore {
        HistoryStore::new(self.history.clone(), self.settings.history_size.value)
    }

    /// Returns how the scratch circle runs its workers.
    pub(crate) fn workers(&self) -> server_ws::Workers {
        server_ws::Workers::Process { program: self.supervisors.program.clone() }
    }
}
