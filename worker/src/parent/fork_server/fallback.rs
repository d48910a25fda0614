//! The replacement on systems without fork servers: each worker is a new process.

use std::io;

use crate::{
    message::WorkerSetup,
    parent::{program::Program, relayed_worker::RelayedWorker, spare_worker::SpareWorker, worker_handle::Worker},
};

#[derive(Debug, Clone)]
pub(super) struct ForkServerHandle {
    program: Program,
    setup: WorkerSetup,
}

impl ForkServerHandle {
    #[expect(clippy::unused_async, reason = "on Linux it starts a process")]
    pub(super) async fn start(program: Program, setup: WorkerSetup) -> io::Result<Self> {
        Ok(Self { program, setup })
    }

    pub(super) async fn worker(&self, _group: u64) -> io::Result<Worker> {
        Worker::start(self.program.clone(), self.setup.clone()).await
    }

    #[expect(clippy::unused_async, clippy::unused_self, reason = "on Linux it forks a worker")]
    pub(super) async fn relayed(&self, _group: u64) -> io::Result<RelayedWorker> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[expect(clippy::unused_async, clippy::unused_self, reason = "on Linux it forks a worker")]
    pub(super) async fn spare(&self) -> io::Result<SpareWorker> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[expect(clippy::unused_self, reason = "on Linux there is a process that can end")]
    pub(super) fn has_ended(&self) -> bool {
        false
    }

    #[expect(clippy::unused_self, reason = "on Linux there is a process")]
    pub(super) fn pid(&self) -> Option<u32> {
        None
    }
}
