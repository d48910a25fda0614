//! Error messages about a supervisor that is unreachable or fails a request.

use launcher::{control::ControlError, supervisor_files::SupervisorFilesError};
use protocol::RpcError;

use crate::error::{CliError, os_error_text};

impl From<SupervisorFilesError> for CliError {
    fn from(error: SupervisorFilesError) -> Self {
        let (path, source) = match &error {
            SupervisorFilesError::Io { path, source } => (path, source),
            SupervisorFilesError::NotPrivate { path, reason: why } => {
                let path = path.display();
                let fix = format!(
                    "if XDG_RUNTIME_DIR and XDG_STATE_HOME belong to another user, unset them (su and sudo -E keep them, and \
                     HOME); if {path} is yours, restrict it: chmod 700 {path}"
                );
                return Self::usage(format!("will not use {path}"), why, fix);
            }
            SupervisorFilesError::Unreachable { pid, path } => {
                let process = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
                return Self::supervisor(
                    "cannot reach the supervisor",
                    format!("its process{process} is running, but does not listen at {}", path.display()),
                    "stop it and its circles: circles down; then start again: circles up",
                );
            }
            _ => return Self::usage("cannot use the supervisor's files", error.to_string(), ""),
        };
        let fix = "make it writable, or set XDG_RUNTIME_DIR and XDG_STATE_HOME to writable directories";
        Self::usage(format!("cannot use {}", path.display()), os_error_text(source), fix)
    }
}

/// Converts the error of a request to a supervisor.
pub fn control_error(error: ControlError) -> CliError {
    let what = "the supervisor could not complete the request";
    match error {
        ControlError::Place(error) => error.into(),
        ControlError::Disconnected => {
            CliError::supervisor(what, "it ended before it answered", "check the circles: circles status")
        }
        ControlError::TimedOut { timeout } => CliError::supervisor(
            what,
            format!("it has not answered within {} s", timeout.as_secs()),
            "its process (`circles supervise` or `circles launch`) may be stopped: end it, then start again: circles up",
        ),
        ControlError::Refused(RpcError::ShuttingDown) => {
            CliError::supervisor(what, "it is shutting down", "start again once it has ended: circles up")
        }
        ControlError::Refused(RpcError::InvalidParams { reason, .. }) => {
            CliError::usage(crate::visible::visible(&reason).into_owned(), "", "list the circles: circles status")
        }
        ControlError::Refused(RpcError::Other(error)) if error.code == launcher::control::CONFIG_INVALID => {
            CliError::usage("circles.json has an error", error.message, "fix it; nothing changes until then")
        }
        ControlError::Refused(RpcError::MethodNotFound { .. }) | ControlError::InvalidResponse { .. } => {
            let fix = "it may be another version: stop it and start again: circles down, circles up";
            CliError::supervisor(what, error.to_string(), fix)
        }
        other => CliError::supervisor(what, other.to_string(), ""),
    }
}
