//! Events of the app: one enum for all senders.

use std::{path::PathBuf, sync::Arc};

use console::{completion::CompletionList, session};
use frontend::{error::CliError, init::NewConfig};
use keys::{
    KeyPair,
    keystore::{KeyEntry, KeyListing, KeyName},
};
use launcher::{CircleConfig, Statuses, supervisor_files::SupervisorFiles};
use ratatui::crossterm::event::Event as TerminalEvent;

use super::{circle_id::CircleId, data::WatchNews, keys::KeyOutcome, theme::Background};

/// Message to the app: an event from elsewhere.
#[derive(Debug)]
pub(crate) struct Message(pub(crate) AppEvent);

impl Message {
    /// An event of the terminal.
    pub(crate) fn terminal(event: TerminalEvent) -> Self {
        Self(AppEvent::Terminal(event))
    }

    /// The background of the terminal.
    pub(crate) fn background(background: Background) -> Self {
        Self(AppEvent::Background(background))
    }

    /// A request to end the app with an exit code.
    pub(crate) fn end(code: u8) -> Self {
        Self(AppEvent::Quit(code))
    }
}

/// An event.
#[derive(Debug)]
pub(crate) enum AppEvent {
    /// A key press, a paste or a new size.
    Terminal(TerminalEvent),
    /// Some time has passed, so that times on the screen may be outdated.
    Tick,
    /// The terminal has a background of this kind.
    Background(Background),
    /// A minor error.
    Error(String),
    /// Inputs of the history's file have arrived, so that the hint and the search may show others.
    HistoryRead,
    /// A signal ends the process with this exit code.
    Quit(u8),
    /// circles.json was read; `None` if there is no such file.
    ConfigRead(Result<Option<(PathBuf, Vec<CircleConfig>)>, CliError>),
    /// circles.json has changed, and was read.
    ConfigChanged(Result<Option<(PathBuf, Vec<CircleConfig>)>, CliError>),
    /// A first circles.json was written.
    ConfigMade(Result<NewConfig, CliError>),
    /// A key was added to the members of a circle in circles.json.
    Admitted(CircleId, Result<Admission, CliError>),
    /// The keystore was read.
    KeysListed(Result<KeyListing, CliError>),
    /// A key was created, and is unlocked.
    KeyMade(Result<(KeyEntry, Arc<KeyPair>), CliError>),
    /// An attempt to unlock a key has finished.
    KeyUnlocked(KeyName, Result<Arc<KeyPair>, CliError>),
    /// A change of the keystore has finished; with the keys that there are now.
    KeyChanged(Result<(KeyOutcome, KeyListing), CliError>),
    /// A circle was looked up by name; with the circle that was shown when a command named it.
    Resolved(Option<CircleId>, Result<String, CliError>),
    /// What listens at a circle's address has changed.
    Probed(CircleId, ProbeResult),
    /// A circle has logged these lines.
    Logged(CircleId, Vec<String>),
    /// The files of the supervisor of circles.json are known.
    SupervisorFound(SupervisorFiles),
    /// The supervisor has reported, or its state has changed.
    Supervisor(SupervisorReport),
    /// A request to start these circles has finished.
    Started(Vec<CircleId>, Result<Statuses, CliError>),
    /// A request to stop circles has finished.
    Stopped(Result<(), CliError>),
    /// A request to stop the circles that were started here has finished, and the supervisor has ended if nothing else
    /// is up.
    Released(Result<(), CliError>),
    /// A subscription to the store of a circle has news.
    Store(CircleId, u64, WatchNews),
    /// A session on a circle has an update.
    Session(CircleId, SessionUpdate),
}

/// Outcome of adding a key to the members of a circle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admission {
    /// Name of the key.
    pub key: String,
    /// Whether the key was no member before.
    pub is_new: bool,
    /// Whether the running circle has the change.
    pub is_in_effect: bool,
}

/// Result of a probe: what listens at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProbeResult {
    Nothing,
    /// It answers like a circle.
    Circle,
    /// It answers like a circle that is draining.
    Draining,
    Other,
}

/// State of the supervisor of circles.json.
#[derive(Debug)]
pub(crate) enum SupervisorReport {
    /// None is running.
    Absent,
    /// It runs, with this status of its circles.
    Present(Statuses),
    /// It cannot be reached, or does not answer.
    Silent(CliError),
}

/// Update of a session.
#[derive(Debug)]
pub(crate) enum SessionUpdate {
    /// The session has reported an event.
    Reported(session::SessionEvent),
    /// The session's state has changed.
    Changed,
    /// First line of the documentation of a completion.
    Documented(String, String),
    /// Completions for the word at the cursor.
    Completed(CompletionList),
}
