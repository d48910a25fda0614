//! The layers of a worker's sandbox.

use serde::{Deserialize, Serialize};

/// Something that keeps a worker where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Layer {
    /// Its live bytes are counted, and it ends at a bound.
    Memory,
    /// The kernel carries out no system call for it but those on what it has: no opening, no sockets, no exec, no process,
    /// no signals to others.
    Syscalls,
    /// It has a network namespace of its own that holds nothing.
    Network,
}
