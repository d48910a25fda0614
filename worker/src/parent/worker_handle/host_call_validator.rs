//! Which calls of host functions a worker can make: it may have been taken over by its script.

use crate::{message::HostCall, parent::message_bounds::MessageBounds};

/// The host calls of one worker, as far as they are known to be possible.
#[derive(Debug)]
pub(super) struct HostCallValidator {
    /// The number of that which waits for its answer.
    pub(super) open: Option<u64>,
    last_number: u64,
    bounds: MessageBounds,
}

impl HostCallValidator {
    pub(super) fn new(bounds: MessageBounds) -> Self {
        Self { open: None, last_number: 0, bounds }
    }

    /// Whether a worker that nobody has taken over can say that.
    pub(super) fn admit(&mut self, call: &HostCall) -> bool {
        let is_possible = self.open.is_none()
            && call.number == self.last_number + 1
            && (call.function as usize) < self.bounds.functions
            && call.args.len() <= self.bounds.args;
        self.last_number = call.number;
        self.open = Some(call.number);
        is_possible
    }
}
