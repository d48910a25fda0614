//! Errors for users in three parts (what failed, why, what to do), each with an exit code.

mod files;
mod rpc_fixes;
mod transport_fixes;

use std::io;

use client_ws::{ClientError, RpcError};
use keys::keystore::{KeyName, KeystoreError};
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
use rpc_fixes::{rpc_fix, stop_reason};
use transport_fixes::{not_upgraded_parts, tls_fix};

/// The exit code for a bug in circles.
pub const BUG_EXIT_CODE: u8 = 70;

/// The error that ends a command.
#[derive(Debug)]
pub enum CliError {
    /// The arguments or the configuration are invalid.
    Usage(ErrorParts),
    /// A supervisor could not complete a request, or a circle was not up in time.
    Supervisor(ErrorParts),
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

    /// Returns an error of the operating system as a usage error: exit code 2.
    pub fn io(what: impl Into<String>, error: &io::Error, fix: impl Into<String>) -> Self {
        Self::usage(what, os_error_text(error), fix)
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
            Self::Client { error, .. } => client_exit_code(error),
            Self::Play { error, .. } => rpc_exit_code(error),
            Self::NoKey { .. } | Self::KeyRefused { .. } => 4,
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
            | Self::Init { parts: ErrorParts { what, why, fix }, .. }
            | Self::KnownCircles(ErrorParts { what, why, fix })
            | Self::Passphrase(ErrorParts { what, why, fix }) => parts(what.clone(), why.clone(), fix.clone()),
            Self::Client { target, error } => client_error_parts(target, error),
            Self::KeyRefused { target, key, reason } => refused_key_parts(target, Some(key), reason),
            Self::Play { error, .. } => {
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

fn client_exit_code(error: &ClientError) -> u8 {
    match error {
        ClientError::BadUrl { .. } => 2,
        ClientError::NoKey | ClientError::NonceRejected(_) | ClientError::BadNonce(_) => 4,
        ClientError::Refused { status: 403, .. } => 4,
        ClientError::IdentityRefused(error) => error.downcast_ref().map_or(4, IdentityError::exit_code),
        ClientError::OtherIdentity { .. } | ClientError::EphemeralIdentity { .. } => 4,
        // Nobody knows who answers there.
        ClientError::Tls { .. } | ClientError::NotEncrypted { .. } => 4,
        ClientError::BadCaFile { .. } | ClientError::NoCaCertificates { .. } => 2,
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

/// Returns the parts of the error for a key that a circle does not admit.
fn refused_key_parts(target: &CircleTarget, key: Option<&KeyName>, reason: &str) -> ErrorParts {
    let key = key.map(|name| format!(" {name}")).unwrap_or_default();
    ErrorParts {
        what: format!("{target} does not admit this key"),
        why: to_visible(reason),
        fix: format!("give its operator your public key (circles keys show{key}), or use another key: --key NAME"),
    }
}

fn client_error_parts(target: &CircleTarget, error: &ClientError) -> ErrorParts {
    let parts = |what: String, why: String, fix: &str| ErrorParts { what, why: to_visible(&why), fix: fix.into() };
    let url = to_visible(target.url.trim_end_matches('/'));
    match error {
        ClientError::BadUrl { reason, .. } => parts(
            format!("'{}' is not a circle", to_visible(target.label())),
            reason.clone(),
            "give a port (9001), host:port, or a ws:// or wss:// URL",
        ),
        ClientError::Unreachable { reason, .. } => {
            parts(format!("cannot reach {target}"), reason.clone(), &target.start_hint())
        }
        ClientError::Tls { fault, .. } => {
            parts(format!("cannot trust the server at {url}"), fault.to_string(), tls_fix(fault))
        }
        ClientError::BadCaFile { path, reason } => parts(
            format!("cannot use the CA file {}", to_visible(&path.to_string_lossy())),
            reason.clone(),
            "name a PEM file with the certificate of the CA: --ca FILE",
        ),
        ClientError::NoCaCertificates { reason } => parts(
            "cannot verify any server".into(),
            format!("the CA certificates of this system cannot be loaded: {reason}"),
            "install them (Debian's package is ca-certificates), or name a PEM file with CAs: --ca FILE",
        ),
        ClientError::NotUpgraded { status, location, .. } => {
            let (why, fix) = not_upgraded_parts(*status, location.as_deref());
            parts(format!("no circle answers at {url}"), why, &fix)
        }
        ClientError::NotEncrypted { .. } => parts(
            format!("will not authenticate to {target}"),
            "the connection is not encrypted, so anyone on the way could read and change everything".into(),
            "use wss:// or a tunnel; if you trust the network, add --insecure",
        ),
        ClientError::NotACircle { reason, .. } => parts(
            format!("no circle answers at {url}"),
            reason.clone(),
            "check the port: another program may be using it",
        ),
        ClientError::Refused { status, reason, .. } => parts(
            format!("{target} refused the connection"),
            reason.clone(),
            match status {
                421 => "connect to the address that the circle expects, or name that address: --authority HOST:PORT",
                503 => "try again later",
                _ => "ask its operator",
            },
        ),
        ClientError::ConnectionLost { code: Some(1009), .. } => parts(
            format!("{target} rejected the script"),
            "it is larger than the circle's message limit".into(),
            "split it, or ask its operator to raise message_kib",
        ),
        ClientError::ConnectionLost { reason, .. } => parts(
            format!("lost the connection to {target}"),
            reason.clone(),
            "plays without an answer may still have run; check before you retry them",
        ),
        ClientError::TimedOut { .. } => parts(
            format!("{target} does not answer"),
            error.to_string(),
            "check that it is a circle, and that its machine is not overloaded",
        ),
        ClientError::IdentityRefused(error) => match error.downcast_ref::<IdentityError>() {
            Some(error) => error.parts(),
            None => parts(format!("will not use {target}"), error.to_string(), "ask its operator"),
        },
        ClientError::NonceRejected(keys::NonceRejection::Authority { .. }) => parts(
            format!("will not authenticate to {target}"),
            error.to_string(),
            "someone could misuse the signature at the other address; if you connect through a tunnel, add --authority HOST:PORT",
        ),
        ClientError::NonceRejected(keys::NonceRejection::Circle { .. }) => parts(
            format!("will not authenticate to {target}"),
            error.to_string(),
            "another circle may answer there; ask its operator",
        ),
        ClientError::NonceRejected(_) | ClientError::BadNonce(_) => {
            parts(format!("will not authenticate to {target}"), error.to_string(), "check the clocks of both machines")
        }
        ClientError::Rpc(RpcError::Forbidden { reason, .. }) => refused_key_parts(target, None, reason),
        ClientError::Rpc(error) => {
            let fix = rpc_fix(error);
            parts(format!("{target} returned an error"), error.to_string(), &fix)
        }
        other => parts(format!("cannot use {target}"), other.to_string(), ""),
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
