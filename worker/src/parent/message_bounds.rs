//! Bounds on the messages of a worker, by which the server detects a compromised one.

use crate::message::WorkerSetup;

/// The bounds on the messages of a worker with one setup.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageBounds {
    /// Maximum size of a play's output, of its value, and of an answer, in bytes.
    pub(super) output: usize,
    /// Maximum size of the arguments of a host call, in bytes.
    pub(super) args: usize,
    /// Number of host functions.
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
