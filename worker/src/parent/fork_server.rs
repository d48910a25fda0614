//! The server's end of a fork server: many workers of one setup, forked from one process in which all is ready (the engine,
//! the modules, what the setup's own script defined). What runs in that process is in [`child`](crate::child).
//!
//! ```text
//! the program ── fork server: started anew, no thread, reads no word of a client
//!                  ├─ worker: forked, sealed; its sockets lead straight to the program
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
use super::{program::Program, worker_handle::Worker};
use crate::message::WorkerSetup;

/// A process from which workers are forked. A clone is the same one; it ends when the last of its clones and of its
/// workers is dropped.
///
/// Where it ends by itself, or is killed, all of its workers end: [`Loss::Killed`](crate::Loss::Killed). Whoever wants
/// more then starts another.
///
/// Only on Linux is there such a process; elsewhere each worker is started anew, as by [`Worker::start`].
#[derive(Debug, Clone)]
pub struct ForkServer {
    system: system::ForkServerHandle,
}

impl ForkServer {
    /// Starts the process, without waiting until it is ready. It needs a tokio runtime with I/O and time enabled, which then
    /// reaps the process, too, and ends it where it ends itself.
    pub async fn start(program: Program, setup: WorkerSetup) -> io::Result<Self> {
        Ok(Self { system: system::ForkServerHandle::start(program, setup).await? })
    }

    /// A worker, once the process is ready: modules are read and the setup's own script has been run there. How long that
    /// may take is for the caller to say: dropping the future gives up the worker.
    ///
    /// The error is one of the system, which has no more processes or descriptors to give, or that the template is over, and
    /// how it ended.
    pub async fn start_worker(&self) -> io::Result<Worker> {
        self.start_worker_for_group(0).await
    }

    /// The same for one of many who share the process: where many workers are requested at a time, the groups come in turn.
    /// So whoever requests many holds up no other group. A group is any number.
    pub async fn start_worker_for_group(&self, group: u64) -> io::Result<Worker> {
        self.system.worker(group).await
    }

    /// Whether its process has ended, or is about to.
    pub fn has_ended(&self) -> bool {
        self.system.is_over()
    }

    /// The process id, for log lines.
    pub fn pid(&self) -> Option<u32> {
        self.system.pid()
    }
}
