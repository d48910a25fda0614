//! What can go wrong, in three parts: what failed, why, what to do. Each with its exit code.

mod files;
mod rpc_fixes;

use std::io;

use client_ws::{ClientError, RpcError};
use keys::keystore::KeystoreError;
use launcher::ConfigError;
use protocol::error::ScriptError;

use crate::{
    circle_target::CircleTarget,
    known_circles::check::IdentityError,
    report, suggest,
    text::{Style, StyledLine},
};
pub(crate) use files::file_error_parts;
use files::shell_quote;
use rpc_fixes::rpc_fix;

/// The exit code of a bug.
pub const BUG_EXIT_CODE: u8 = 70;

/// Why a command ends without having done what it was asked for.
#[derive(Debug)]
pub enum CliError {
    /// The arguments or the configuration are wrong.
    Usage(ErrorParts),
    /// A supervisor does not do what it was asked for, or a circle is not up in time.
    Supervisor(ErrorParts),
    /// Dealing with a circle failed.
    Client {
        /// The circle, as the user knows it.
        target: CircleTarget,
        /// What failed.
        error: ClientError,
    },
    /// The circle's answer was no result, with the script that it was an answer to.
    Play {
        /// For the line and the caret.
        script: String,
        /// What it answered.
        error: RpcError,
    },
    /// The init script of a circle fails.
    Init {
        /// What failed, why, and what to do.
        parts: ErrorParts,
        /// For the line and the caret.
        script: String,
        /// The script error, with its position in `script`.
        error: Box<ScriptError>,
    },
    /// The circle needs a key and there is none.
    NoKey {
        /// The circle, as the user knows it.
        target: String,
    },
    /// No key was named and none is the default.
    NoDefaultKey,
    /// Something with the keystore.
    Keystore(KeystoreError),
    /// Something with the circles that are known.
    KnownCircles(ErrorParts),
    /// Something in circles.json.
    Config(ConfigError),
    /// No passphrase is to be had.
    Passphrase(ErrorParts),
    /// Ctrl-C.
    Interrupted,
    /// All of it is said already.
    AlreadyReported {
        /// What is left of it.
        exit_code: u8,
    },
    /// Whoever reads the output has gone: nothing to say, and nobody to say it to.
    OutputClosed,
}

/// What failed, why, and what to do.
#[derive(Debug)]
pub struct ErrorParts {
    /// What failed, as a clause without a full stop.
    pub what: String,
    /// Why it failed; empty where `what` says it all.
    pub why: String,
    /// What the user can do about it; empty where nothing helps.
    pub fix: String,
}

/// The output could not be written.
#[derive(Debug)]
pub struct OutputError(pub io::Error);

impl From<OutputError> for CliError {
    fn from(OutputError(error): OutputError) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::io("cannot write the output", &error, "make room for it, or send it elsewhere"),
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
    /// A command line or a file that the user has to change; exit code 2.
    pub fn usage(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Usage(ErrorParts { what: what.into(), why: why.into(), fix: fix.into() })
    }

    /// A request that the supervisor could not complete; exit code 3.
    pub fn supervisor(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Supervisor(ErrorParts { what: what.into(), why: why.into(), fix: fix.into() })
    }

    /// An error of the operating system, as a usage error: exit code 2.
    pub fn io(what: impl Into<String>, error: &io::Error, fix: impl Into<String>) -> Self {
        Self::usage(what, os_error_text(error), fix)
    }

    /// What a circle answered to a script, or why it did not.
    pub fn from_play(script: &str, place: &CircleTarget, error: ClientError) -> Self {
        match error {
            ClientError::Rpc(error) => Self::Play { script: script.to_owned(), error },
            error => Self::Client { target: place.clone(), error },
        }
    }

    /// Whether another try changes nothing: the circle does not admit the session, or the client does not use the circle.
    pub fn is_final(&self) -> bool {
        matches!(self.exit_code(), 4 | 6)
    }

    /// As `docs/` lists them.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config(_) | Self::Init { .. } => 2,
            Self::Supervisor(_) => 3,
            Self::Client { error, .. } => client_exit_code(error),
            Self::Play { error, .. } => rpc_exit_code(error),
            Self::NoKey { .. } => 4,
            Self::Keystore(KeystoreError::BadName(_)) => 2,
            Self::Keystore(_) | Self::NoDefaultKey | Self::KnownCircles(_) | Self::Passphrase(_) => 6,
            Self::Interrupted => 130,
            Self::AlreadyReported { exit_code } => *exit_code,
            Self::OutputClosed => 0,
        }
    }

    /// It in lines: where, within that many columns, what and why, what to do.
    pub fn lines(&self, width: usize) -> Vec<StyledLine> {
        let mut lines = Vec::new();
        match self {
            Self::Interrupted => return vec![StyledLine::of(Style::Plain, "interrupted")],
            Self::OutputClosed | Self::AlreadyReported { .. } => return lines,
            Self::Play { script, error: RpcError::Script(error) } => return report::script(script, error, width),
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

    /// All of it in a line.
    pub fn advice(&self) -> String {
        let fix = self.parts().fix;
        if fix.is_empty() { self.message() } else { format!("{}; {fix}", self.message()) }
    }

    /// What failed and why, in a line.
    pub fn message(&self) -> String {
        let ErrorParts { what, why, .. } = self.parts();
        if why.is_empty() { what } else { format!("{what}: {why}") }
    }

    /// What failed, why, and what to do, as the user reads it. All three parts are empty for an error about which nothing is left to say.
    pub fn parts(&self) -> ErrorParts {
        let parts = |what: String, why: String, fix: String| ErrorParts { what, why, fix };
        match self {
            Self::Usage(ErrorParts { what, why, fix })
            | Self::Supervisor(ErrorParts { what, why, fix })
            | Self::Init { parts: ErrorParts { what, why, fix }, .. }
            | Self::KnownCircles(ErrorParts { what, why, fix })
            | Self::Passphrase(ErrorParts { what, why, fix }) => parts(what.clone(), why.clone(), fix.clone()),
            Self::Client { target: place, error } => client_error_parts(place, error),
            Self::Play { error, .. } => {
                let what = match error {
                    RpcError::LimitExceeded { .. } | RpcError::EnvironmentLost { .. } | RpcError::Cancelled => {
                        "the play was ended"
                    }
                    // Whether it had begun is not told.
                    RpcError::ShuttingDown => "the play has no result",
                    _ => "the circle did not play it",
                };
                let why = match error {
                    RpcError::ShuttingDown => "the circle shuts down".into(),
                    other => to_visible(&other.to_string()),
                };
                let fix = match error {
                    RpcError::ShuttingDown => {
                        "what it had done, if it ran, stays done; look before you play it again".into()
                    }
                    other => rpc_fix(other),
                };
                parts(what.into(), why, fix)
            }
            Self::NoKey { target: place } => parts(
                format!("cannot play on {place}"),
                "it admits only keys that prove themselves, and there is none".into(),
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
                        "name one that is there: --config FILE; docs/operating.md shows how to write it"
                    }
                    _ => "mend that, or name another: --config FILE",
                };
                parts(format!("cannot read {}", to_visible(&path.to_string_lossy())), os_error_text(source), fix.into())
            }
            // Shown with its line, and what is wrong there is to be mended there.
            Self::Config(error) => parts(to_visible(&error.to_string()), String::new(), String::new()),
            Self::Interrupted | Self::OutputClosed | Self::AlreadyReported { .. } => {
                parts("interrupted".into(), String::new(), String::new())
            }
        }
    }
}

fn client_exit_code(error: &ClientError) -> u8 {
    match error {
        ClientError::BadUrl { .. } => 2,
        ClientError::NoKey | ClientError::NonceRejected(_) | ClientError::BadNonce(_) => 4,
        ClientError::Refused { status: 403, .. } => 4,
        ClientError::IdentityRefused(error) => error.downcast_ref().map_or(4, IdentityError::exit_code),
        ClientError::OtherIdentity { .. } | ClientError::EphemeralIdentity { .. } => 4,
        ClientError::ConnectionLost { code: Some(1008), .. } => 4,
        ClientError::ConnectionLost { code: Some(1009), .. } => 5,
        ClientError::Rpc(error) => rpc_exit_code(error),
        _ => 3,
    }
}

fn rpc_exit_code(error: &RpcError) -> u8 {
    match error {
        RpcError::Script(_) => 1,
        RpcError::ShuttingDown => 3,
        RpcError::Unauthenticated | RpcError::InvalidCredentials | RpcError::Forbidden { .. } => 4,
        RpcError::LimitExceeded { .. }
        | RpcError::EnvironmentLost { .. }
        | RpcError::Cancelled
        | RpcError::Busy { .. }
        | RpcError::RateLimited { .. } => 5,
        RpcError::Internal => BUG_EXIT_CODE,
        _ => 3,
    }
}

fn client_error_parts(place: &CircleTarget, error: &ClientError) -> ErrorParts {
    let parts = |what: String, why: String, fix: &str| ErrorParts { what, why: to_visible(&why), fix: fix.into() };
    match error {
        ClientError::BadUrl { reason, .. } => parts(
            format!("'{}' says no circle", to_visible(place.label())),
            reason.clone(),
            "give a port (9001), host:port, or a ws:// URL",
        ),
        ClientError::Unreachable { reason, .. } => {
            parts(format!("cannot reach {place}"), reason.clone(), &place.start_hint())
        }
        ClientError::NotACircle { reason, .. } => parts(
            format!("what answers at {} is no circle", to_visible(place.url.trim_end_matches('/'))),
            reason.clone(),
            "check the port: is it another program's?",
        ),
        ClientError::Refused { status, reason, .. } => parts(
            format!("{place} refuses the connection"),
            reason.clone(),
            match status {
                421 => "dial it as it knows itself, or say how: --authority HOST:PORT",
                503 => "try again later",
                _ => "ask its operator",
            },
        ),
        ClientError::ConnectionLost { code: Some(1009), .. } => parts(
            format!("{place} does not take the script"),
            "it is larger than a message to this circle may be".into(),
            "split it, or ask its operator to raise the limit message_kib",
        ),
        ClientError::ConnectionLost { reason, .. } => parts(
            format!("the connection to {place} is lost"),
            reason.clone(),
            "what was not answered may have happened; look before you play it again",
        ),
        ClientError::TimedOut { .. } => parts(
            format!("{place} does not answer"),
            error.to_string(),
            "check that it is a circle, and that its machine is not overloaded",
        ),
        ClientError::IdentityRefused(error) => match error.downcast_ref::<IdentityError>() {
            Some(error) => error.parts(),
            None => parts(format!("will not use {place}"), error.to_string(), "ask its operator"),
        },
        ClientError::NonceRejected(keys::NonceRejection::Authority { .. }) => parts(
            format!("will not authenticate to {place}"),
            error.to_string(),
            "a signature for it could be used against the other; through a tunnel, say: --authority HOST:PORT",
        ),
        ClientError::NonceRejected(keys::NonceRejection::Circle { .. }) => parts(
            format!("will not authenticate to {place}"),
            error.to_string(),
            "another circle may answer there; ask its operator",
        ),
        ClientError::NonceRejected(_) | ClientError::BadNonce(_) => {
            parts(format!("will not authenticate to {place}"), error.to_string(), "check the clocks of both machines")
        }
        ClientError::Rpc(RpcError::Forbidden { reason }) => parts(
            format!("{place} does not admit this key"),
            reason.clone(),
            "give its operator your public key (circles keys show), or use another: --key NAME",
        ),
        ClientError::Rpc(error) => {
            let fix = rpc_fix(error);
            parts(format!("{place} answers with an error"), error.to_string(), &fix)
        }
        other => parts(format!("cannot use {place}"), other.to_string(), ""),
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
                None => "choose one of these, or make it: circles keygen NAME".into(),
            };
            (error.to_string(), fix)
        }
        KeystoreError::Exists { .. } => (error.to_string(), "choose another name; circles keys list shows them".into()),
        KeystoreError::WrongPassphrase { .. } => (error.to_string(), "try again".into()),
        KeystoreError::Damaged { .. } => (error.to_string(), "restore it from a backup, or move it away".into()),
        KeystoreError::Altered { .. } => {
            (error.to_string(), "do not use it; see who wrote to it, and restore it from a backup".into())
        }
        KeystoreError::LoosePermissions { path, .. } => {
            (error.to_string(), format!("make it yours alone: chmod 600 {}", shell_quote(path)))
        }
        KeystoreError::WritableDirectory { path, .. } => {
            (error.to_string(), format!("make it yours alone: chmod 700 {}", shell_quote(path)))
        }
        KeystoreError::NewerVersion { .. } => (error.to_string(), "update circles".into()),
        KeystoreError::Busy { .. } => (error.to_string(), "try again; if that process stands still, end it".into()),
        KeystoreError::NoHome => (error.to_string(), "set HOME or XDG_DATA_HOME".into()),
        KeystoreError::Io { source, .. } => (
            format!("{error}: {}", os_error_text(source)),
            "see that it belongs to you and can be written: circles doctor says more".into(),
        ),
        other => (other.to_string(), String::new()),
    };
    ErrorParts { what: "keystore".into(), why, fix }
}

/// The operating system's words without its number.
pub fn os_error_text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// What a circle says, with its control characters made visible.
fn to_visible(text: &str) -> String {
    crate::visible::visible(text).into_owned()
}
