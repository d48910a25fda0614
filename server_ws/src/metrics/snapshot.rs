//! A snapshot of a circle, for the program that serves it.

/// The state of a circle at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircleSnapshot {
    /// The number of WebSocket connections, including those being closed.
    pub connections: u64,
    /// The number of sessions that hold a worker or wait for one to start.
    pub workers: u64,
    /// The number of plays that have finished since the circle was made, with any outcome.
    pub plays: u64,
    /// The number of running plays.
    pub running_plays: u64,
    /// The number of plays that wait for an earlier play of their session or for a grant to run.
    pub queued_plays: u64,
    /// The memory of the workers in bytes at their last samples, as `total_mib` counts it; 0 if unknown.
    pub worker_bytes: u64,
    /// The private memory of the server process in bytes, resident or swapped out; 0 if unknown.
    pub server_bytes: u64,
    /// The layers of the sandbox in effect, as `describe` names them; empty before the startup check of
    /// [`run`](crate::run).
    pub sandbox: Vec<&'static str>,
}

impl CircleSnapshot {
    /// Returns the memory of the server and the workers in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.server_bytes.saturating_add(self.worker_bytes)
    }
}
