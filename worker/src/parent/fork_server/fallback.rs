//! Where there is no fork server: each worker is started anew.

use std::io;

use crate::{
    message::Setup,
    parent::{handle::Worker, program::Program},
};

#[derive(Debug, Clone)]
pub(super) struct ForkServer {
    program: Program,
    setup: Setup,
}

impl ForkServer {
    #[expect(clippy::unused_async, reason = "elsewhere it starts a process")]
    pub(super) async fn start(program: Program, setup: Setup) -> io::Result<Self> {
        Ok(Self { program, setup })
    }

    pub(super) async fn worker(&self, _group: u64) -> io::Result<Worker> {
        Worker::start(self.program.clone(), self.setup.clone()).await
    }

    #[expect(clippy::unused_self, reason = "elsewhere there is a process that can end")]
    pub(super) fn is_over(&self) -> bool {
        false
    }

    #[expect(clippy::unused_self, reason = "elsewhere there is a process")]
    pub(super) fn pid(&self) -> Option<u32> {
        None
    }
}
