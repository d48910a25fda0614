//! What a user can do about a supervisor that cannot be asked, or that does not answer as it should.

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
                    "unset XDG_RUNTIME_DIR and XDG_STATE_HOME where they are those of another user (su and sudo -E keep them, \
                     and HOME); if {path} is yours, close it: chmod 700 {path}"
                );
                return Self::usage(format!("will not use {path}"), why, fix);
            }
            SupervisorFilesError::Unreachable { pid, path } => {
                let process = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
                return Self::supervisor(
                    "cannot reach the supervisor",
                    format!("its process{process} runs, and does not listen at {}", path.display()),
                    "end it and its circles: circles down; then start anew: circles up",
                );
            }
            _ => return Self::usage("the supervisor has no place", error.to_string(), ""),
        };
        let fix = "see that it can be written, or set XDG_RUNTIME_DIR and XDG_STATE_HOME to directories that can";
        Self::usage(format!("cannot use {}", path.display()), os_error_text(source), fix)
    }
}

/// What a user can do about a supervisor that does not answer as it should.
pub fn control_error(error: ControlError) -> CliError {
    let what = "the supervisor does not do it";
    match error {
        ControlError::Place(error) => error.into(),
        ControlError::Disconnected => {
            CliError::supervisor(what, "it ended before it answered", "see what is: circles status")
        }
        ControlError::TimedOut { timeout: patience } => CliError::supervisor(
            what,
            format!("it has not answered within {} s", patience.as_secs()),
            "is its process stopped? It is the one of `circles supervise` or `circles launch`; end it, and start anew: circles up",
        ),
        ControlError::Refused(RpcError::ShuttingDown) => {
            CliError::supervisor(what, "it is ending", "start anew once it has: circles up")
        }
        ControlError::Refused(RpcError::InvalidParams { reason, .. }) => {
            CliError::usage(crate::visible::visible(&reason).into_owned(), "", "see which there are: circles status")
        }
        ControlError::Refused(RpcError::Other(error)) if error.code == launcher::control::CONFIG_INVALID => {
            CliError::usage(what, error.message, "mend it; nothing is changed until then")
        }
        ControlError::Refused(RpcError::MethodNotFound { .. }) | ControlError::InvalidResponse { .. } => {
            let fix = "is it another version? End it and start anew: circles down, circles up";
            CliError::supervisor(what, error.to_string(), fix)
        }
        other => CliError::supervisor(what, other.to_string(), ""),
    }
}
