//! Validation of host calls: a worker may be compromised by its script.

use crate::{message::HostCall, parent::message_bounds::MessageBounds};

/// The state that determines which host call of a worker is valid next.
#[derive(Debug)]
pub(super) struct HostCallValidator {
    /// The number of the pending call.
    pub(super) open: Option<u64>,
    last_number: u64,
    bounds: MessageBounds,
}

impl HostCallValidator {
    pub(super) fn new(bounds: MessageBounds) -> Self {
        Self { open: None, last_number: 0, bounds }
    }

    /// Records a call. Returns whether an uncompromised worker could have sent it.
    pub(super) fn admit(&mut self, call: &HostCall) -> bool {
        let is_valid = self.open.is_none()
            && call.number == self.last_number + 1
            && (call.function as usize) < self.bounds.functions
            && call.args.len() <= self.bounds.args;
        self.last_number = call.number;
        self.open = Some(call.number);
        is_valid
    }
}
