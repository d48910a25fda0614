//! What passes between the server and a fork server, after [`Hello`](super::Hello).

use serde::{Deserialize, Serialize};

use super::process_command::ProcessCommand;

/// To the fork server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToForkServer {
    /// Fork a worker with the two descriptors that come with this message: of work and of control.
    Fork {
        /// Tells the workers of one fork server apart; greater with each, from 1.
        number: u64,
    },
    /// Carry out an order on a worker, unless it has ended.
    Command { number: u64, order: ProcessCommand },
}

/// From the fork server.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum FromForkServer {
    /// The first message: workers can be forked.
    Ready,
    Forked {
        number: u64,
        pid: u32,
    },
    NotForked {
        number: u64,
        /// The system's number of the error.
        error: i32,
    },
    /// A worker has ended.
    Ended {
        number: u64,
        /// The wait status, as `waitpid` returns it.
        status: i32,
    },
}
