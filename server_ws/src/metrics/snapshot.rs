//! A snapshot of a circle, for the program that serves it.

/// How a circle is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircleSnapshot {
    /// WebSocket connections, those that are being closed included.
    pub connections: u64,
    /// Sessions that hold a worker, or wait for one that starts.
    pub workers: u64,
    /// Plays that have ended since the circle was made, however they did.
    pub plays: u64,
    /// Plays that run.
    pub running_plays: u64,
    /// Plays that wait, for the one before or for their turn.
    pub queued_plays: u64,
    /// Bytes that the workers have, as `total_mib` counts them: as each was last looked at. 0 where that cannot be seen.
    pub worker_bytes: u64,
    /// Bytes that the process of the server has of its own, in memory or swapped out; 0 where that cannot be seen.
    pub server_bytes: u64,
    /// What keeps scripts where they are, as `describe` has it; nothing before [`run`](crate::run) has tried a worker.
    pub sandbox: Vec<&'static str>,
}

impl CircleSnapshot {
    /// Bytes that the server and the workers have.
    pub fn memory_bytes(&self) -> u64 {
        self.server_bytes.saturating_add(self.worker_bytes)
    }
}
