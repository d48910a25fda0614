//! Bounds of what a worker says, by which the server knows one that was taken over.

use crate::message::WorkerSetup;

/// How much a worker of one setup can say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageBounds {
    /// Bytes of what a play prints, of its value, of an answer.
    pub(super) output: usize,
    /// Bytes of the arguments of a host call.
    pub(super) args: usize,
    /// How many host functions there are.
    pub(super) functions: usize,
}

impl MessageBounds {
    pub(crate) fn new(setup: &WorkerSetup) -> Self {
        let bytes = |limit| usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            output: bytes(setup.limits.output_bytes),
            args: bytes(setup.limits.host_bytes),
            functions: setup.host.iter().map(|module| module.functions.len()).sum(),
        }
    }
}
