//! A spare worker: started and sealed, but not yet used by anyone.

use std::{io, time::Instant};

#[cfg(target_os = "linux")]
use tokio::net::unix::pipe;

use super::{
    message_bounds::MessageBounds, process::Process, relayed_worker::RelayedWorker, usage::Usage, worker_handle::Worker,
};
use crate::system::channels::ServerChannels;
#[cfg(target_os = "linux")]
use crate::system::channels::has_input;

/// A worker that waits for its first play. It belongs to no tokio runtime, so any runtime can use it. Dropping it kills
/// the process.
///
/// # Examples
///
/// ```no_run
/// use worker::{ForkServer, Program, WorkerSetup};
///
/// # async fn example() -> std::io::Result<()> {
/// let fork_server = ForkServer::start(Program::SameExecutable, WorkerSetup::default()).await?;
/// let mut spare = fork_server.start_spare_worker().await?;
/// // Much later:
/// let worker = if spare.is_alive() { spare.into_worker()? } else { fork_server.start_worker().await? };
/// # drop(worker);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct SpareWorker {
    channels: ServerChannels,
    process: Process,
    bounds: MessageBounds,
}

impl SpareWorker {
    #[cfg(target_os = "linux")]
    pub(super) fn new(channels: ServerChannels, process: Process, bounds: MessageBounds) -> Self {
        Self { channels, process, bounds }
    }

    /// Waits until the worker has reported its sandbox, or has ended.
    #[cfg(target_os = "linux")]
    pub(super) async fn wait_until_sealed(&self) -> io::Result<()> {
        // A copy, so that the worker's own descriptor stays free for another runtime.
        let results = self.channels.work.1.try_clone()?;
        pipe::Receiver::from_owned_fd(results.into())?.readable().await
    }

    /// Whether the process still waits. A process may end at any time, for example because the system is out of memory.
    pub fn is_alive(&mut self) -> bool {
        !self.process.has_ended() && !self.is_closed()
    }

    /// Whether the process has closed its control socket. The kernel closes it before anyone can see the end of the
    /// process.
    #[cfg(target_os = "linux")]
    fn is_closed(&self) -> bool {
        // A worker sends nothing on this socket unasked, so whatever arrives is its end.
        has_input(&self.channels.control)
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, reason = "on Linux there are spare workers")]
    fn is_closed(&self) -> bool {
        true
    }

    /// The private memory of the process in bytes, as [`Worker::memory_usage`].
    pub fn memory_usage(&self) -> Usage<u64> {
        self.process.memory_usage(Instant::now())
    }

    /// The process id, for log lines.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid
    }

    /// Connects the worker to the current tokio runtime, for use.
    ///
    /// # Errors
    ///
    /// Returns an error if the runtime cannot watch the channels.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime with I/O enabled.
    pub fn into_worker(self) -> io::Result<Worker> {
        Worker::new(self.channels, self.process, self.bounds)
    }

    /// Connects the worker to the current tokio runtime, for a handle on another machine.
    ///
    /// # Errors
    ///
    /// Returns an error if the runtime cannot watch the channels, or if the system has no fork servers.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime with I/O enabled.
    #[cfg_attr(not(target_os = "linux"), expect(clippy::unused_self, reason = "on Linux there are spare workers"))]
    pub fn into_relayed(self) -> io::Result<RelayedWorker> {
        #[cfg(target_os = "linux")]
        return RelayedWorker::new(self.channels, self.process);
        #[cfg(not(target_os = "linux"))]
        Err(io::ErrorKind::Unsupported.into())
    }
}
