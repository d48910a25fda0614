//! The server side of a fork server: many workers with one setup, forked from one process in which the engine, the
//! modules and the definitions of the init script are ready. The code of that process is in [`child`](crate::child).
//!
//! ```text
//! the program ── fork server: a new process, single-threaded, receives no data of clients
//!                  ├─ worker: forked, sealed; its channels connect directly to the program
//!                  └─ worker …
//! ```

#[cfg(target_os = "linux")]
mod driver;
#[cfg(not(target_os = "linux"))]
mod fallback;
#[cfg(target_os = "linux")]
mod fork_queue;
#[cfg(target_os = "linux")]
mod registry;

use std::io;

#[cfg(target_os = "linux")]
use self::driver as system;
#[cfg(not(target_os = "linux"))]
use self::fallback as system;
use super::{program::Program, relayed_worker::RelayedWorker, spare_worker::SpareWorker, worker_handle::Worker};
use crate::message::WorkerSetup;

/// A handle to a process that forks workers with the same setup.
///
/// Clones share the process, which ends when the last clone and the last of its workers are dropped. If the process
/// ends or is killed, all of its workers end with [`Loss::Killed`](crate::Loss::Killed), and the program has to start
/// another fork server.
///
/// Fork servers exist only on Linux. On other systems, each worker is a new process, as with [`Worker::start`].
///
/// # Examples
///
/// ```no_run
/// use worker::{ForkServer, Program, WorkerSetup};
///
/// # async fn example() -> std::io::Result<()> {
/// let setup = WorkerSetup { init: Some("fn double(x) { x * 2 }".into()), ..WorkerSetup::default() };
/// let fork_server = ForkServer::start(Program::SameExecutable, setup).await?;
/// let first = fork_server.start_worker().await?;
/// let second = fork_server.start_worker().await?;
/// # drop((first, second));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct ForkServer {
    system: system::ForkServerHandle,
}

impl ForkServer {
    /// Starts the process, without waiting until it is ready. The process ends with the tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system cannot start the process.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime with I/O and time enabled.
    pub async fn start(program: Program, setup: WorkerSetup) -> io::Result<Self> {
        Ok(Self { system: system::ForkServerHandle::start(program, setup).await? })
    }

    /// Starts a worker, once the process is ready: it has read the modules and run the init script.
    ///
    /// There is no timeout; dropping the future cancels the request.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system has no more processes or descriptors, and one of kind
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) if the fork server has ended.
    pub async fn start_worker(&self) -> io::Result<Worker> {
        self.start_worker_for_group(0).await
    }

    /// Starts a worker for a group, an arbitrary number. Pending requests of different groups are served in turn, so
    /// that many requests of one group do not delay those of another.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`start_worker`](Self::start_worker).
    pub async fn start_worker_for_group(&self, group: u64) -> io::Result<Worker> {
        self.system.worker(group).await
    }

    /// Starts a worker for a [handle](Worker::remote) on another machine, for a group as
    /// [`start_worker_for_group`](Self::start_worker_for_group).
    ///
    /// # Errors
    ///
    /// Returns the errors of [`start_worker`](Self::start_worker), and one of kind
    /// [`Unsupported`](io::ErrorKind::Unsupported) on systems without fork servers.
    pub async fn start_relayed(&self, group: u64) -> io::Result<RelayedWorker> {
        self.system.relayed(group).await
    }

    /// Starts a spare worker, and waits until it is sealed.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`start_worker`](Self::start_worker), and one of kind
    /// [`Unsupported`](io::ErrorKind::Unsupported) on systems without fork servers.
    pub async fn start_spare_worker(&self) -> io::Result<SpareWorker> {
        self.system.spare().await
    }

    /// Whether the process has ended or is about to end.
    pub fn has_ended(&self) -> bool {
        self.system.has_ended()
    }

    /// The process id, for log lines.
    pub fn pid(&self) -> Option<u32> {
        self.system.pid()
    }
}
