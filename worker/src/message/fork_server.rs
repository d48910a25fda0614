//! What passes between a server and a template, after [`Hello`](crate::message::Hello): framed as all else.

use serde::{Deserialize, Serialize};

use super::order::Order;

/// Towards the template.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToForkServer {
    /// Make a worker with the two descriptors that come with this: of work and of control.
    Fork {
        /// Tells the workers of one template apart; greater with each, from 1.
        number: u64,
    },
    /// Carry out an order on a worker, unless it has ended.
    Order { number: u64, order: Order },
}

/// From the template.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum FromForkServer {
    /// First of all: workers can be had.
    Ready,
    Forked {
        number: u64,
        pid: u32,
    },
    NotForked {
        number: u64,
        /// As the system numbers its errors.
        error: i32,
    },
    /// A worker has ended.
    Ended {
        number: u64,
        /// As `wait` tells it.
        status: i32,
    },
}
