//! The events and the state snapshot of a session.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use client_ws::{CircleUrl, Description, FunctionInfo, PlayResult};
use frontend::{
    circle_target::{CircleTarget, TargetKind},
    error::CliError,
    scratch,
    text::{Style, StyledLine},
};
use keys::keystore::KeyName;
use protocol::methods::{Access, Output, Progress};

use crate::history::InputOrigin;

/// An event of a session.
#[derive(Debug)]
pub enum SessionEvent {
    /// The session connected.
    Connected {
        /// Whether this is the first connection of the session.
        is_first: bool,
    },
    /// The session can play inputs from now on.
    Ready,
    /// A requested connection failed.
    ConnectFailed(CliError),
    /// The circle did not admit a key. `None` stands for the key of a scratch circle.
    NotAdmitted(Option<KeyName>, CliError),
    /// The session lost its connection.
    ConnectionLost,
    /// The session started an input.
    InputStarted(String),
    /// The last started input is a call whose function did not run: its arguments do not fit, or the caller may not
    /// call the function. The text is the message of the error, which is displayed, too.
    CallRefused(String),
    /// The session finished the last started input.
    InputFinished,
    /// A play printed something, with the label of the circle in a fan-out.
    Output(Output, Option<Arc<str>>),
    /// Lines to display.
    Display(DisplayLines),
    /// Inputs that the session did not carry out, in order.
    InputsReturned(Vec<String>),
    /// A request to the renderer.
    Request(SessionRequest),
}

/// Lines to display.
#[derive(Debug, Clone)]
pub struct DisplayLines {
    /// The lines.
    pub lines: Vec<StyledLine>,
    /// The kind of the lines.
    pub kind: DisplayKind,
    /// The result whose value the lines show.
    pub result: Option<Arc<PlayResult>>,
}

/// The kind of lines, which decides where they are displayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisplayKind {
    /// The value of a play.
    Value,
    /// The answer to a command, of any length.
    Listing,
    /// An error about an input.
    Error,
    /// A remark of the session about an input.
    Remark,
    /// A remark of the session about no input in particular.
    Note,
    /// A warning about no input in particular.
    Warning,
}

/// A request of a session to its renderer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionRequest {
    /// Unlock this key, then call [`key_unlocked`](super::SessionHandle::key_unlocked) or
    /// [`keep_locked`](super::SessionHandle::keep_locked).
    Unlock(KeyName),
    /// The circle needs a key, and there is none to use.
    NoKey(Access),
    /// Show help on a topic, or all of it.
    Help(String),
    /// Switch to another circle.
    Use(String),
    /// Switch to another key than the one of this session.
    UseKey(KeyName),
    /// Open an editor for the next input, with this text.
    Edit(String),
    /// List the inputs that contain this text.
    History(String),
    /// Find these circles, then call [`fan_out`](super::SessionHandle::fan_out) with them.
    FanOut(Vec<String>),
    /// Copy a text to the clipboard. The message is for the user.
    Copy {
        /// The text, of at most [`MAX_COPY_BYTES`](crate::MAX_COPY_BYTES).
        text: String,
        /// What was copied.
        message: String,
    },
    /// Hand the terminal to a command in the user's shell.
    Shell(ShellCommand),
    /// Quit the console.
    Quit,
}

/// A command for the user's shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellCommand {
    /// The command; a shell for the user if it is empty.
    pub command: String,
    /// The directory to run it in.
    pub directory: PathBuf,
}

/// The connection status of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConnectionStatus {
    /// There is no connection.
    #[default]
    Disconnected,
    /// The session is connecting.
    Connecting,
    /// The session is connected.
    Connected,
}

/// The identity of the session at the circle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CallerIdentity {
    /// The anonymous caller.
    #[default]
    Anonymous,
    /// The session is authenticating.
    Authenticating,
    /// A key of the keystore.
    Key(KeyName),
    /// The key of a scratch circle.
    Owner,
}

/// What a caller may do on the circle, as far as the circle has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerRights {
    /// Play scripts, and perhaps call functions.
    Play,
    /// Call functions, but not play scripts.
    CallsOnly,
    /// Neither play scripts nor call functions.
    None,
}

impl CallerRights {
    /// What a prompt or a title says about the rights, with a blank before it; empty for a caller who may play.
    pub fn label(self) -> &'static str {
        match self {
            Self::Play => "",
            Self::CallsOnly => " (calls only)",
            Self::None => " (no rights)",
        }
    }
}

/// A snapshot of a running play.
#[derive(Debug, Clone)]
pub struct PlaySnapshot {
    /// The start of the play.
    pub started: Instant,
    /// The newest progress that the play reported.
    pub progress: Option<Progress>,
    /// The time of the last cancellation.
    pub cancelled: Option<Instant>,
}

/// A snapshot of a session.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact of its own")]
pub struct SessionState {
    /// The connection status.
    pub connection: ConnectionStatus,
    /// The last description of the circle.
    pub circle: Option<Arc<Description>>,
    /// The identity of the session at the circle.
    pub identity: CallerIdentity,
    /// The key that the user named, or that the session last used on this circle.
    pub key: Option<KeyName>,
    /// Whether the session reconnects automatically.
    pub is_reconnect_enabled: bool,
    /// Whether another circle answers at the address, and the session has not connected to it.
    pub is_replaced: bool,
    /// Whether the session waits for the renderer to unlock a key.
    pub is_key_requested: bool,
    /// The running play.
    pub running: Option<PlaySnapshot>,
    /// Whether another activity delays the next input.
    pub is_pending: bool,
    /// The number of queued inputs.
    pub waiting: usize,
    /// The number of inputs in the current environment.
    pub inputs: usize,
    /// The names of the functions that these inputs define, sorted.
    pub functions: Arc<[String]>,
    /// The functions of the circle that the caller may call; `None` while they are not known.
    pub circle_functions: Option<Arc<[FunctionInfo]>>,
    /// The time that the last play took in the circle.
    pub last_elapsed: Option<Duration>,
}

/// An event of one circle in a fan-out.
#[derive(Debug)]
pub enum FanOutEvent {
    /// The play printed something.
    Output(Output),
    /// The play has ended. This is the last event of the circle.
    Ended(FanOutOutcome),
    /// The circle does not take part. This is the last event of the circle.
    Refused(FanOutRefusal),
}

/// Why a circle does not take part in a fan-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FanOutRefusal {
    /// The circle needs a key.
    NeedsKey,
    /// There is no connection.
    Unreachable,
    /// The session is busy with another play.
    Busy,
}

/// The outcome of a play in a fan-out.
#[derive(Debug)]
pub enum FanOutOutcome {
    /// A value.
    Value(Arc<PlayResult>),
    /// An error.
    Failed(CliError),
    /// The user cancelled the play.
    Cancelled,
}

impl SessionState {
    /// Whether the session can carry out inputs when it is not busy: plays, or at least calls of functions.
    pub fn is_ready(&self) -> bool {
        self.connection == ConnectionStatus::Connected
            && match self.identity {
                CallerIdentity::Anonymous => self
                    .circle
                    .as_ref()
                    .is_some_and(|circle| circle.access == Access::Open || circle.you.may.is_some() && self.may_call()),
                CallerIdentity::Authenticating => false,
                CallerIdentity::Key(_) | CallerIdentity::Owner => true,
            }
    }

    /// Whether the caller may play scripts, as far as the circle has said. Without this right the caller may only call
    /// functions.
    pub fn may_play(&self) -> bool {
        self.circle.as_ref().and_then(|circle| circle.you.may.as_ref()).is_none_or(|may| may.play)
    }

    /// Whether the circle has functions that the caller may call.
    pub fn may_call(&self) -> bool {
        self.circle.as_ref().and_then(|circle| circle.functions.as_ref()).is_some_and(|functions| functions.count > 0)
    }

    /// Returns the function of the circle with this name, if the session knows it and the caller may call it.
    pub fn function(&self, name: &str) -> Option<&FunctionInfo> {
        self.circle_functions.as_ref()?.iter().find(|function| function.name == name)
    }

    /// What the caller may do, as far as the circle has said.
    pub fn rights(&self) -> CallerRights {
        match (self.may_play(), self.may_call()) {
            (true, _) => CallerRights::Play,
            (false, true) => CallerRights::CallsOnly,
            (false, false) => CallerRights::None,
        }
    }

    /// Whether a play or another activity delays the next input.
    pub fn is_busy(&self) -> bool {
        self.running.is_some() || self.is_pending
    }

    /// Whether the session is connecting or authenticating.
    pub fn is_settling(&self) -> bool {
        self.connection == ConnectionStatus::Connecting || self.identity == CallerIdentity::Authenticating
    }

    /// Returns the circle and the key that inputs of the session are for.
    pub fn input_origin(&self, target: &CircleTarget) -> InputOrigin {
        let name = self.circle.as_ref().map_or(String::new(), |circle| circle.name.clone());
        let circle = match &target.kind {
            // The port differs each time.
            TargetKind::Scratch => scratch::NAME.to_owned(),
            _ => CircleUrl::parse(&target.url).map_or_else(|_| name.clone(), |url| url.authority().to_string()),
        };
        InputOrigin { circle, name, key: self.authenticated().map(|key| key.as_str().to_owned()) }
    }

    /// Returns the key of the keystore that the session is authenticated with.
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
