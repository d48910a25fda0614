//! What a supervisor is told to do.

use protocol::RpcError;
use tokio::sync::oneshot;

use super::CircleCommand;
use crate::{CircleChange, ConfigError, definition::CircleDefinition};

/// What a supervisor is told to do.
#[derive(Debug)]
pub(crate) enum SupervisorCommand {
    /// A wish, with those that it is about; all, without names.
    Circles {
        wish: CircleCommand,
        names: Option<Vec<String>>,
        /// Those of circles.json, read again.
        circles: Option<Vec<CircleDefinition>>,
        /// Told, once it is known to all who look, which circles it is about.
        answer: oneshot::Sender<Result<Vec<String>, RpcError>>,
    },
    /// Take over what is different in circles.json.
    Reload {
        circles: Result<Vec<CircleDefinition>, ConfigError>,
        trigger: ReloadTrigger,
        /// Told, once it has begun and is known to all who look, what it does.
        answer: Option<oneshot::Sender<Result<Vec<CircleChange>, RpcError>>>,
    },
    /// Say what a reload would do.
    Diff { circles: Vec<CircleDefinition>, answer: oneshot::Sender<Vec<CircleChange>> },
}

/// Why circles.json is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReloadTrigger {
    /// Somebody wants it.
    Requested,
    /// It may have changed.
    FileChanged,
}
