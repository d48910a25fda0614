//! The reason why a worker's process ended.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use rustix::process::Signal;

use crate::system::allocator;

/// The reason why a worker's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// [`Worker::kill`](crate::Worker::kill), or a SIGKILL from elsewhere.
    Killed,
    /// The process reached its memory limit.
    Memory,
    /// The process failed, or the server killed it because it violated the protocol.
    Crashed,
    /// The worker's [machine](crate::Worker::remote) is out of reach. The process may still run there for a while.
    Unreachable,
    /// The worker's [machine](crate::Worker::remote) drains, and its grace period has ended.
    Drained,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Killed => "it was killed",
            Self::Memory => "it reached its memory limit",
            Self::Crashed => "it crashed",
            Self::Unreachable => "its machine is out of reach",
            Self::Drained => "its machine drains",
        })
    }
}

impl Loss {
    /// Derives the reason from an exit status.
    pub(crate) fn of(status: ExitStatus) -> Self {
        if status.code() == Some(allocator::OUT_OF_MEMORY) {
            Self::Memory
        } else if status.signal() == Some(Signal::KILL.as_raw()) {
            Self::Killed
        } else {
            Self::Crashed
        }
    }
}
