//! The layers of a worker's sandbox.

use serde::{Deserialize, Serialize};

/// A layer of a worker's sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Layer {
    /// The worker counts its live bytes and exits at a bound.
    Memory,
    /// A seccomp filter denies all system calls except those on the worker's own sockets and memory: no files, no new
    /// sockets, no exec, no processes, no signals.
    Syscalls,
    /// The worker is in an empty network namespace.
    Network,
}
