//! What comes to the app: one enum, whoever posts it.

use std::{path::PathBuf, sync::Arc};

use console::{completion::CompletionList, history::HistoryFile, session};
use frontend::error::CliError;
use keys::{
    KeyPair,
    keystore::{KeyEntry, KeyListing, KeyName},
};
use launcher::{CircleConfig, Statuses, supervisor_files::SupervisorFiles};
use ratatui::crossterm::event::Event as TerminalEvent;

use super::circle_id::CircleId;

/// A message to the app. Everything that happens elsewhere comes as one of these.
#[derive(Debug)]
pub(crate) struct Message(pub(crate) AppEvent);

impl Message {
    /// Something that the terminal reports.
    pub(crate) fn terminal(event: TerminalEvent) -> Self {
        Self(AppEvent::Terminal(event))
    }

    /// Ends the app with an exit code.
    pub(crate) fn end(code: u8) -> Self {
        Self(AppEvent::Quit(code))
    }
}

/// What has happened.
#[derive(Debug)]
pub(crate) enum AppEvent {
    /// A key press, a paste, a new size.
    Terminal(TerminalEvent),
    /// A moment has passed: what is shown of time is no longer true.
    Tick,
    /// Something small went wrong elsewhere.
    Error(String),
    /// A signal ends the process, with this exit code.
    Quit(u8),
    /// circles.json was read; `None` if there is no such file.
    ConfigRead(Result<Option<(PathBuf, Vec<CircleConfig>)>, CliError>),
    /// The keystore was read.
    KeysListed(Result<KeyListing, CliError>),
    /// A key was made, and is unlocked.
    KeyMade(Result<(KeyEntry, Arc<KeyPair>), CliError>),
    /// A key was unlocked, or was not.
    KeyUnlocked(KeyName, Result<Arc<KeyPair>, CliError>),
    /// A circle that was named was found; the circle that was shown when a command named it.
    Resolved(Option<CircleId>, Result<String, CliError>),
    /// Something has begun or stopped to listen where a circle would.
    Probed(CircleId, ProbeResult),
    /// A circle has logged these lines.
    Logged(CircleId, Vec<String>),
    /// Where the supervisor of circles.json, its sockets and its logs are.
    SupervisorFound(SupervisorFiles),
    /// How that supervisor is.
    Supervisor(SupervisorReport),
    /// The supervisor has started these circles, or has failed to.
    Started(Vec<CircleId>, Result<Statuses, CliError>),
    /// The supervisor has stopped circles, or has failed to.
    Stopped(Result<(), CliError>),
    /// The supervisor has stopped what was started here, and has ended if nothing else is up.
    Released(Result<(), CliError>),
    /// Something about this user's session on a circle.
    Session(CircleId, SessionUpdate),
}

/// What listens at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProbeResult {
    Nothing,
    /// It answers as a circle does.
    Circle,
    /// It answers as a circle does that is ending.
    Draining,
    Other,
}

/// How the supervisor of circles.json is.
#[derive(Debug)]
pub(crate) enum SupervisorReport {
    /// There is none.
    Absent,
    /// It says that its circles are so.
    Present(Statuses),
    /// It cannot be asked, or does not answer.
    Silent(CliError),
}

/// What has happened in a session.
#[derive(Debug)]
pub(crate) enum SessionUpdate {
    /// The session has reported something.
    Reported(session::SessionEvent),
    /// The session's state has changed.
    Changed,
    /// Inputs of earlier days, and the file that they are from.
    History(HistoryFile, Vec<String>),
    /// What may stand at the cursor.
    Completed(CompletionList),
}
