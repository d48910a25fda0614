//! What a session reports: events in their order, and a snapshot of its state.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::history::HistoryFile;
use client_ws::{CircleUrl, Description, PlayResult};
use frontend::{
    circle_target::{CircleTarget, TargetKind},
    error::CliError,
    text::{Style, StyledLine},
};
use keys::keystore::KeyName;
use protocol::methods::{Access, Output, Progress};

/// Something that a session reports.
#[derive(Debug)]
pub enum SessionEvent {
    /// A connection was made, and whether it is the session's first.
    Connected {
        /// Whether there was none before.
        is_first: bool,
    },
    /// An input can be played from now on.
    Ready,
    /// A connection that was asked for could not be made.
    ConnectFailed(CliError),
    /// The circle did not admit a key; `None` is the key that a scratch circle was made for.
    NotAdmitted(Option<KeyName>, CliError),
    /// The connection was lost.
    ConnectionLost,
    /// An input is carried out from now on.
    InputStarted(String),
    /// The input that began last was carried out.
    InputFinished,
    /// A play printed something; the circle's label if several play.
    Output(Output, Option<Arc<str>>),
    /// Lines in answer to an input, or a remark.
    Display(DisplayLines),
    /// Inputs that were not carried out, first things first.
    InputsReturned(Vec<String>),
    /// Something that the session leaves to whoever renders it.
    Request(SessionRequest),
}

/// Lines for the user.
#[derive(Debug, Clone)]
pub struct DisplayLines {
    /// The lines.
    pub lines: Vec<StyledLine>,
    /// What they are.
    pub kind: DisplayKind,
    /// The result whose value they show.
    pub result: Option<Arc<PlayResult>>,
}

/// What lines are, which decides where they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisplayKind {
    /// The value of a play.
    Value,
    /// What a command shows, however long it is.
    Listing,
    /// What went wrong with an input.
    Error,
    /// A remark of the session's own about an input.
    Remark,
    /// A remark that belongs to no input.
    Note,
    /// Something that went wrong and belongs to no input.
    Warning,
}

/// What a session leaves to whoever renders it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionRequest {
    /// Unlock this key, then [`unlocked`](super::Session::unlocked) or [`stays_locked`](super::Session::stays_locked).
    Unlock(KeyName),
    /// The circle admits only keys, and there is none to use.
    NoKey(Access),
    /// Show help on a topic, or all of it.
    Help(String),
    /// Connect to another circle.
    Use(String),
    /// Use another key than the one that this session is authenticated with.
    UseKey(KeyName),
    /// Open an editor for the next input, with this text.
    Edit(String),
    /// Show the inputs that hold this text.
    History(String),
    /// Find these circles, then [`fan_out`](super::Session::fan_out) over them.
    FanOut(Vec<String>),
    /// Leave.
    Quit,
}

/// How a session is connected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConnectionStatus {
    /// There is no connection.
    #[default]
    Disconnected,
    /// A connection is being made.
    Connecting,
    /// There is a connection.
    Connected,
}

/// The caller that the circle takes the session for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CallerIdentity {
    /// An anonymous caller.
    #[default]
    Anonymous,
    /// The session is authenticating.
    Authenticating,
    /// This key of the keystore.
    Key(KeyName),
    /// The key that a scratch circle was made for.
    Owner,
}

/// A play that has not ended.
#[derive(Debug, Clone)]
pub struct PlaySnapshot {
    /// When it was started.
    pub started: Instant,
    /// How far it says that it is.
    pub progress: Option<Progress>,
    /// When it was last cancelled.
    pub cancelled: Option<Instant>,
}

/// A snapshot of a session.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact of its own")]
pub struct SessionState {
    /// How it is connected.
    pub connection: ConnectionStatus,
    /// The circle, as it last described itself.
    pub circle: Option<Arc<Description>>,
    /// The caller that the circle takes it for.
    pub identity: CallerIdentity,
    /// The key to authenticate with here: one that was named, or authenticated with, on this circle.
    pub key: Option<KeyName>,
    /// Whether it is to be connected again when the connection is lost.
    pub is_reconnect_enabled: bool,
    /// Whether another circle was found in the place of this one, and not connected to.
    pub is_replaced: bool,
    /// Whether a key was requested, and nobody has said yet whether it is unlocked.
    pub is_key_requested: bool,
    /// The play that runs.
    pub running: Option<PlaySnapshot>,
    /// Whether something else is awaited before the next input can be carried out.
    pub is_pending: bool,
    /// Inputs that wait.
    pub waiting: usize,
    /// Inputs that made what the environment holds.
    pub inputs: usize,
    /// The time that the last play took in the circle.
    pub last_elapsed: Option<Duration>,
}

/// What has happened on one circle.
#[derive(Debug)]
pub enum FanOutEvent {
    /// Its play printed something.
    Output(Output),
    /// Its play has ended: the last event of this circle.
    Ended(FanOutOutcome),
    /// Nothing is played there, and why: its last event, too.
    Refused(FanOutRefusal),
}

/// Why a circle does not take part in a fan-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FanOutRefusal {
    /// A key is to be authenticated with first.
    NeedsKey,
    /// There is no connection.
    Unreachable,
    /// Something else runs there.
    Busy,
}

/// How a play ended.
#[derive(Debug)]
pub enum FanOutOutcome {
    /// With a value.
    Value(Arc<PlayResult>),
    /// With an error.
    Failed(CliError),
    /// It was cancelled as its user wanted.
    Cancelled,
}

impl SessionState {
    /// Whether inputs can be played, once nothing else is busy.
    pub fn is_ready(&self) -> bool {
        let is_open = self.circle.as_ref().is_some_and(|circle| circle.access == Access::Open);
        self.connection == ConnectionStatus::Connected
            && match self.identity {
                CallerIdentity::Anonymous => is_open,
                CallerIdentity::Authenticating => false,
                CallerIdentity::Key(_) | CallerIdentity::Owner => true,
            }
    }

    /// Whether a play runs, or something else that the next input waits for.
    pub fn is_busy(&self) -> bool {
        self.running.is_some() || self.is_pending
    }

    /// Whether a connection is being made, or a key authenticated.
    pub fn is_settling(&self) -> bool {
        self.connection == ConnectionStatus::Connecting || self.identity == CallerIdentity::Authenticating
    }

    /// Where what is typed is kept: by the circle, and by the key that the session is authenticated with.
    pub fn history_file(&self, directory: Option<&Path>, target: &CircleTarget) -> HistoryFile {
        let name = || self.circle.as_ref().map_or(String::new(), |circle| circle.name.clone());
        let place = match &target.kind {
            // Its port is another one each time.
            TargetKind::Scratch => name(),
            _ => CircleUrl::parse(&target.url).map_or_else(|_| name(), |url| url.authority().to_string()),
        };
        HistoryFile::of(directory, &place, self.authenticated().map(KeyName::as_str))
    }

    /// The key of the keystore that the session is authenticated with.
    pub fn authenticated(&self) -> Option<&KeyName> {
        match &self.identity {
            CallerIdentity::Key(name) => Some(name),
            _ => None,
        }
    }
}

impl DisplayLines {
    pub(crate) fn new(kind: DisplayKind, lines: Vec<StyledLine>) -> Self {
        Self { lines, kind, result: None }
    }

    pub(crate) fn note(text: &str) -> Self {
        Self::new(DisplayKind::Note, vec![StyledLine::of(Style::Dim, text)])
    }

    pub(crate) fn remark(text: &str) -> Self {
        Self::new(DisplayKind::Remark, vec![StyledLine::of(Style::Dim, text)])
    }

    pub(crate) fn warning(text: &str) -> Self {
        Self::new(DisplayKind::Warning, vec![StyledLine::of(Style::Plain, text)])
    }

    pub(crate) fn error(error: &CliError, width: usize) -> Self {
        Self::new(DisplayKind::Error, error.lines(width))
    }
}
