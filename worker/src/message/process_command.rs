//! Commands of the server for a worker's process.

use serde::{Deserialize, Serialize};

/// A command for a worker's process. The parent process executes it, without the worker's cooperation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ProcessCommand {
    /// Lower the priority of the process permanently.
    LowerPriority,
    /// Kill the process.
    Kill,
}
