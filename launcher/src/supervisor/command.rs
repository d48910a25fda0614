//! Commands of a supervisor.

use protocol::RpcError;
use tokio::sync::oneshot;

use super::CircleCommand;
use crate::{CircleChange, ConfigError, circle_runner::ExportRequest, definition::CircleDefinition};

/// A command for the supervisor.
#[derive(Debug)]
pub(crate) enum SupervisorCommand {
    /// A command for some circles; for all, without names.
    Circles {
        command: CircleCommand,
        names: Option<Vec<String>>,
        /// Definitions from circles.json, read again.
        circles: Option<Vec<CircleDefinition>>,
        /// Receives the names of the circles, once the snapshot shows the effect.
        answer: oneshot::Sender<Result<Vec<String>, RpcError>>,
    },
    /// Apply the changes in circles.json.
    Reload {
        circles: Result<Vec<CircleDefinition>, ConfigError>,
        trigger: ReloadTrigger,
        /// Receives the changes, once the snapshot shows that they have begun.
        answer: Option<oneshot::Sender<Result<Vec<CircleChange>, RpcError>>>,
    },
    /// Return what a reload would do.
    Diff { circles: Vec<CircleDefinition>, answer: oneshot::Sender<Vec<CircleChange>> },
    /// Write the entries of a circle's store into a file.
    Export { name: String, request: ExportRequest },
}

/// Why circles.json is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReloadTrigger {
    /// A user requested it.
    Requested,
    /// The file may have changed.
    FileChanged,
    /// The file may have changed, and the operator applies changes.
    UnwatchedFileChanged,
}
