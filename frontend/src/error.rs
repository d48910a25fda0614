//! Errors for users in three parts (what failed, why, what to do), each with an exit code.

mod call;
mod client;
mod files;
mod rpc_fixes;
mod store_errors;
mod transport_fixes;

use std::io;

use client_ws::{ClientError, MissingRight, RpcError};
use keys::keystore::{KeyName, KeystoreError};
use launcher::ConfigError;
use protocol::error::ScriptError;

use crate::{
    circle_target::{CircleTarget, TargetKind},
    files::config_flag,
    report, suggest,
    text::{Style, StyledLine},
};
pub use call::{AdviceCommands, Caller};
pub(crate) use files::file_error_parts;
use files::shell_quote;
use rpc_fixes::{limit_fix, rpc_fix, stop_reason};
pub(crate) use store_errors::limit_hint;
pub use store_errors::restart_after_store_failure;

/// The exit code for a bug in circles.
pub const BUG_EXIT_CODE: u8 = 70;

/// The error that ends a command.
#[derive(Debug)]
pub enum CliError {
    /// The arguments or the configuration are invalid.
    Usage(ErrorParts),
    /// A supervisor could not complete a request, a circle was not up in time, or no NATS server is reachable.
    Supervisor(ErrorParts),
    /// A server refuses the program, or the program does not trust the server.
    Refused(ErrorParts),
    /// A connection or a request to a circle failed.
    Client {
        /// The circle, as the user named it.
        target: CircleTarget,
        /// What failed.
        error: ClientError,
    },
    /// The circle does not admit a key.
    KeyRefused {
        /// The circle, as the user named it.
        target: CircleTarget,
        /// The key in the keystore.
        key: KeyName,
        /// The reason that the circle gives.
        reason: String,
    },
    /// The circle answered a play with an error.
    Play {
        /// The script, for the excerpt with a caret.
        script: String,
        /// The error that the circle returned.
        error: RpcError,
    },
    /// The circle has ended a subscription, because its store has failed or is closed.
    SubscriptionEnded(ErrorParts),
    /// The circle answered a call of a function with an error.
    Call {
        /// The name of the function.
        function: String,
        /// The circle, as the user named it.
        target: CircleTarget,
        /// The error that the circle returned.
        error: Box<RpcError>,
    },
    /// The init script of a circle failed.
    Init {
        /// The three parts of an error message: what failed, why, and what to do.
        parts: ErrorParts,
        /// The script, for the excerpt with a caret.
        script: String,
        /// The script error, with its position in `script`.
        error: Box<ScriptError>,
    },
    /// The circle needs a key, and the user has none.
    NoKey {
        /// The circle, as the user named it.
        target: String,
    },
    /// The user named no key, and there is no default key.
    NoDefaultKey,
    /// An operation on the keystore failed.
    Keystore(KeystoreError),
    /// An operation on the known circles failed.
    KnownCircles(ErrorParts),
    /// circles.json cannot be read or is invalid.
    Config(ConfigError),
    /// There is no passphrase.
    Passphrase(ErrorParts),
    /// The user pressed Ctrl-C.
    Interrupted,
    /// The command reported the error itself.
    AlreadyReported {
        /// The exit code of the command.
        exit_code: u8,
    },
    /// The reader of the output closed it. There is nothing to report.
    OutputClosed,
}

/// The three parts of an error message: what failed, why, and what to do.
#[derive(Debug)]
pub struct ErrorParts {
    /// What failed, as a clause without a full stop.
    pub what: String,
    /// Why it failed; empty if `what` needs no reason.
    pub why: String,
    /// What the user can do about it; empty if nothing helps.
    pub fix: String,
}

/// An error from writing the output.
#[derive(Debug)]
pub struct OutputError(pub io::Error);

impl From<OutputError> for CliError {
    fn from(OutputError(error): OutputError) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::io("cannot write the output", &error, "free some disk space, or redirect the output"),
        }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<KeystoreError> for CliError {
    fn from(error: KeystoreError) -> Self {
        Self::Keystore(error)
    }
}

impl CliError {
    /// Returns an error about a command line or a file that the user has to change; exit code 2.
    pub fn usage(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Usage(ErrorParts { what: what.into(), why: why.into(), fix: fix.into() })
    }

    /// Returns an error about a request that the supervisor could not complete; exit code 3.
    pub fn supervisor(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Supervisor(ErrorParts { what: what.into(), why: why.into(), fix: fix.into() })
    }

    /// Returns an error about a server that refuses the program, or that the program does not trust; exit code 4.
    pub fn refused(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Refused(ErrorParts { what: what.into(), why: why.into(), fix: fix.into() })
    }

    /// Returns an error of the operating system as a usage error: exit code 2.
    pub fn io(what: impl Into<String>, error: &io::Error, fix: impl Into<String>) -> Self {
        Self::usage(what, os_error_text(error), fix)
    }

    /// Returns an error about a subscription that ended because the store of its circle has failed or is closed; exit
    /// code 5.
    pub fn from_closed_subscription(target: &CircleTarget) -> Self {
        let fix = match &target.kind {
            TargetKind::Configured { name, config } => {
                restart_after_store_failure(name, &config_flag(config.as_deref()))
            }
            TargetKind::Address(_) => "see the log of the circle, or ask its operator".to_owned(),
            TargetKind::Scratch => String::new(),
        };
        Self::SubscriptionEnded(ErrorParts {
            what: format!("{target} has ended the subscription"),
            why: "its store has failed or is closed".to_owned(),
            fix,
        })
    }

    /// Converts a client's error about an authentication with a key of the keystore.
    pub fn from_authentication(key: Option<&KeyName>, target: &CircleTarget, error: ClientError) -> Self {
        match (key, error) {
            (Some(key), ClientError::Rpc(RpcError::Forbidden { reason, .. })) => {
                Self::KeyRefused { target: target.clone(), key: key.clone(), reason }
            }
            (_, error) => Self::Client { target: target.clone(), error },
        }
    }

    /// Converts a client's error about a play, and keeps the script for the excerpt.
    pub fn from_play(script: &str, target: &CircleTarget, error: ClientError) -> Self {
        match error {
            ClientError::Rpc(error) => Self::Play { script: script.to_owned(), error },
            error => Self::Client { target: target.clone(), error },
        }
    }

    /// Whether a retry is pointless, because the circle does not admit the session or the client rejects the circle.
    pub fn is_final(&self) -> bool {
        matches!(self.exit_code(), 4 | 6)
    }

    /// The exit code of the error, as `docs/operating.md` lists it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config(_) | Self::Init { .. } => 2,
            Self::Supervisor(_) => 3,
            Self::SubscriptionEnded(_) => 5,
            Self::Client { error, .. } => client::exit_code(error),
            Self::Play { error, .. } => rpc_exit_code(error),
            Self::Call { error, .. } => call::exit_code(error),
            Self::Refused(_) | Self::NoKey { .. } | Self::KeyRefused { .. } => 4,
            Self::Keystore(KeystoreError::BadName(_)) => 2,
            Self::Keystore(_) | Self::NoDefaultKey | Self::KnownCircles(_) | Self::Passphrase(_) => 6,
            Self::Interrupted => 130,
            Self::AlreadyReported { exit_code } => *exit_code,
            Self::OutputClosed => 0,
        }
    }

    /// Formats the error as lines of at most `width` columns: the source excerpt, what failed and why, what to do.
    pub fn lines(&self, width: usize) -> Vec<StyledLine> {
        let mut lines = Vec::new();
        match self {
            Self::Interrupted => return vec![StyledLine::of(Style::Plain, "interrupted")],
            Self::OutputClosed | Self::AlreadyReported { .. } => return lines,
            Self::Play { script, error: RpcError::Script(error) } => return report::script(script, error, width),
            Self::Call { error, .. } if call::script_error(error).is_some() => {
                return call::script_error(error).map_or(lines, |error| report::script("", error, width));
            }
            Self::Config(ConfigError::Invalid { line, column, line_text: text, .. }) if !text.is_empty() => {
                lines.extend(report::caret_excerpt(*line, *column, text, width));
            }
            Self::Init { script, error, .. } => lines.extend(report::excerpt(script, error, width)),
            _ => {}
        }
        lines.extend(report::error(&self.message(), width));
        let fix = self.parts().fix;
        if !fix.is_empty() {
            lines.extend(StyledLine::of(Style::Plain, &format!("  {fix}")).wrapped(width));
        }
        lines
    }

    /// The whole message in one line: what failed, why, and what to do.
    pub fn advice(&self) -> String {
        let fix = self.parts().fix;
        if fix.is_empty() { self.message() } else { format!("{}; {fix}", self.message()) }
    }

    /// What failed and why, in one line.
    pub fn message(&self) -> String {
        let ErrorParts { what, why, .. } = self.parts();
        if why.is_empty() { what } else { format!("{what}: {why}") }
    }

    /// The parts of the message.
    pub fn parts(&self) -> ErrorParts {
        let parts = |what: String, why: String, fix: String| ErrorParts { what, why, fix };
        match self {
            Self::Usage(ErrorParts { what, why, fix })
            | Self::Supervisor(ErrorParts { what, why, fix })
            | Self::SubscriptionEnded(ErrorParts { what, why, fix })
            | Self::Refused(ErrorParts { what, why, fix })
            | Self::Init { parts: ErrorParts { what, why, fix }, .. }
            | Self::KnownCircles(ErrorParts { what, why, fix })
            | Self::Passphrase(ErrorParts { what, why, fix }) => parts(what.clone(), why.clone(), fix.clone()),
            Self::Client { target, error } => client::parts(target, error),
            Self::KeyRefused { target, key, reason } => client::refused_key_parts(target, Some(key), reason),
            Self::Call { function, target, error } => call::parts(function, target, error),
            Self::Play { error: RpcError::Forbidden { reason, missing: Some(MissingRight::Play) }, .. } => {
                client::missing_play_parts("the circle", reason)
            }
            Self::Play { error, .. } => {
                if let Some((what, why)) = store_errors::reason(error) {
                    return parts(what.into(), why, rpc_fix(error));
                }
                let what = match error {
                    RpcError::LimitExceeded { .. } | RpcError::EnvironmentLost { .. } | RpcError::Cancelled => {
                        "stopped"
                    }
                    // The circle does not say whether the play had begun.
                    RpcError::ShuttingDown => "no result",
                    _ => "the circle could not complete the request",
                };
                let why = stop_reason(error).unwrap_or_else(|| to_visible(&error.to_string()));
                let fix = match error {
                    RpcError::ShuttingDown => "the play may have run; check before you retry it".into(),
                    other => rpc_fix(other),
                };
                parts(what.into(), why, fix)
            }
            Self::NoKey { target } => parts(
                format!("cannot play on {target}"),
                "it needs a key, and you have none".into(),
                "make one: circles keygen NAME".into(),
            ),
            Self::NoDefaultKey => parts(
                "there is no default key".into(),
                String::new(),
                "make a key: circles keygen NAME; or choose one: circles keys default NAME".into(),
            ),
            Self::Keystore(error) => keystore_error_parts(error),
            Self::Config(ConfigError::Io { path, source }) => {
                let fix = match source.kind() {
                    io::ErrorKind::NotFound => {
                        "name an existing file with --config FILE; docs/operating.md shows how to write one"
                    }
                    _ => "fix that, or name another file with --config FILE",
                };
                parts(format!("cannot read {}", to_visible(&path.to_string_lossy())), os_error_text(source), fix.into())
            }
            // The message is shown with the line of the file, which is also the place of the fix.
            Self::Config(error) => parts(to_visible(&error.to_string()), String::new(), String::new()),
            Self::Interrupted | Self::OutputClosed | Self::AlreadyReported { .. } => {
                parts("interrupted".into(), String::new(), String::new())
            }
        }
    }
}

fn rpc_exit_code(error: &RpcError) -> u8 {
    match error {
        RpcError::Script(_) => 1,
        RpcError::ShuttingDown => 3,
        RpcError::Unauthenticated | RpcError::InvalidCredentials | RpcError::Forbidden { .. } => 4,
        RpcError::LimitExceeded { .. }
        | RpcError::ResultLost { .. }
        | RpcError::EnvironmentLost { .. }
        | RpcError::Cancelled
        | RpcError::Busy { .. }
        | RpcError::RateLimited { .. }
        | RpcError::Conflict { .. }
        | RpcError::StoreUnavailable { .. } => 5,
        RpcError::Internal => BUG_EXIT_CODE,
        _ => 3,
    }
}

fn keystore_error_parts(error: &KeystoreError) -> ErrorParts {
    let (why, fix) = match error {
        KeystoreError::NoSuchKey { known, .. } if known.is_empty() => {
            (error.to_string(), "make one: circles keygen NAME".into())
        }
        KeystoreError::NoSuchKey { name, known } => {
            let fix = match suggest::nearest(name.as_str(), known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean '{near}'?"),
                None => "choose one of these, or make a new key: circles keygen NAME".into(),
            };
            (error.to_string(), fix)
        }
        KeystoreError::Exists { .. } => (error.to_string(), "choose another name; circles keys list shows them".into()),
        KeystoreError::WrongPassphrase { .. } => (error.to_string(), "try again".into()),
        KeystoreError::Damaged { .. } => (error.to_string(), "restore it from a backup, or move it away".into()),
        KeystoreError::Altered { .. } => {
            (error.to_string(), "do not use it; find out who changed it, and restore it from a backup".into())
        }
        KeystoreError::LoosePermissions { path, .. } => {
            (error.to_string(), format!("restrict it to yourself: chmod 600 {}", shell_quote(path)))
        }
        KeystoreError::WritableDirectory { path, .. } => {
            (error.to_string(), format!("restrict it to yourself: chmod 700 {}", shell_quote(path)))
        }
        KeystoreError::NewerVersion { .. } => (error.to_string(), "update circles".into()),
        KeystoreError::Busy { .. } => (error.to_string(), "try again; if that process hangs, end it".into()),
        KeystoreError::NoHome => (error.to_string(), "set HOME or XDG_DATA_HOME".into()),
        KeystoreError::Io { source, .. } => (
            format!("{error}: {}", os_error_text(source)),
            "check that you own it and can write to it: circles doctor says more".into(),
        ),
        other => (other.to_string(), String::new()),
    };
    ErrorParts { what: "keystore".into(), why, fix }
}

/// The operating system's error text in lower case, without the error number.
pub fn os_error_text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// Makes the control characters in a circle's text visible.
fn to_visible(text: &str) -> String {
    crate::visible::visible(text).into_owned()
}
