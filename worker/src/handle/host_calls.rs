//! Which calls of host functions a worker can make: it may have been taken over by its script.

use crate::{host::HostCall, message::Setup};

/// The host calls of one worker, as far as they are known to be possible.
#[derive(Debug)]
pub(super) struct HostCalls {
    /// The number of that which waits for its answer.
    pub(super) open: Option<u64>,
    so_far: u64,
    functions: usize,
    pub(super) max_args: usize,
}

impl HostCalls {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            open: None,
            so_far: 0,
            functions: setup.host.iter().map(|module| module.functions.len()).sum(),
            max_args: usize::try_from(setup.limits.host_bytes).unwrap_or(usize::MAX),
        }
    }

    /// Whether a worker that nobody has taken over can say that.
    pub(super) fn admit(&mut self, call: &HostCall) -> bool {
        let is_possible = self.open.is_none()
            && call.number == self.so_far + 1
            && (call.function as usize) < self.functions
            && call.args.len() <= self.max_args;
        self.so_far = call.number;
        self.open = Some(call.number);
        is_possible
    }
}
