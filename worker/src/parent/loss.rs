//! How a process ended, for whoever holds a worker.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use rustix::process::Signal;

use crate::system::allocator;

/// What ended a worker's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// [`Worker::kill`](crate::Worker::kill), or a SIGKILL from elsewhere.
    Killed,
    /// It would have had more memory than it may have.
    Memory,
    /// It failed by itself, or it said something that a worker does not say and was killed for it.
    Crashed,
}

impl Loss {
    /// What an exit status says.
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
