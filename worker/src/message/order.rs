//! What a worker's process is ordered to do by whoever owns it.

use serde::{Deserialize, Serialize};

/// An order to a worker's process. Its parent carries it out on it: the kernel sees to that, and not the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Order {
    /// To leave the processor to others, for good.
    LowerPriority,
    /// To end.
    Kill,
}
