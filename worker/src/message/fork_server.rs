//! The messages between the server and a fork server, after [`Hello`](super::Hello).

use serde::{Deserialize, Serialize};

use super::process_command::ProcessCommand;

/// A message to the fork server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToForkServer {
    /// Fork a worker with the three descriptors of this message: the work pipe to the worker, the one from the worker, and the
    /// control socket.
    Fork {
        /// Identifies the worker within its fork server: increasing, from 1.
        number: u64,
        /// Whether the worker is a spare: it waits for a session, and says so in its process name.
        is_spare: bool,
    },
    /// Execute a command on a worker, unless it has ended.
    Command { number: u64, command: ProcessCommand },
}

/// A message from the fork server.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum FromForkServer {
    /// The first message: the fork server is ready to fork workers.
    Ready,
    Forked {
        number: u64,
        pid: u32,
    },
    NotForked {
        number: u64,
        /// The error number of the operating system.
        error: i32,
    },
    /// A worker has ended.
    Ended {
        number: u64,
        /// The wait status, as `waitpid` returns it.
        status: i32,
    },
}
