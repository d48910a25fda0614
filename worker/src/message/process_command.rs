//! Orders to a worker's process, from whoever owns the worker.

use serde::{Deserialize, Serialize};

/// An order to a worker's process. The parent process carries it out, with the kernel's help and not the worker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ProcessCommand {
    /// Leave the processor to others, for good.
    LowerPriority,
    /// End at once.
    Kill,
}
