//! A forked worker, from the fork on.

use std::{io, os::fd::AsFd, rc::Rc};

use rustix::process::{Pid, Signal};

use super::{
    environment::Environment,
    serve::{SealOptions, SharedState, enter_sandbox, serve_work},
    work_pipes::{ServerConnection, WorkPipes},
};
use crate::system::{channels::WorkerChannels, os};

/// The state that the fork server prepares before the first fork, and that each forked worker inherits.
pub(super) struct PreparedWorker {
    pub(super) environment: Environment,
    pub(super) server: ServerConnection,
    pub(super) shared: SharedState,
    pub(super) seal: SealOptions,
}

impl PreparedWorker {
    /// Runs the worker in a process that was just forked, until the server closes its channels. `fork_server` is the
    /// parent process.
    pub(super) fn run(&mut self, channels: WorkerChannels, fork_server: Pid) -> io::Result<()> {
        // A compromised worker would not end by itself after its fork server has ended.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        if rustix::process::getppid() != Some(fork_server) {
            return Err(io::Error::other("the fork server has ended"));
        }
        let WorkerChannels { work: (plays, results), control } = channels;
        os::close_all_but([plays.as_fd(), results.as_fd(), control.as_fd()]);
        rustix::thread::set_name(c"circles-worker")?;
        let pipes = Rc::new(WorkPipes::new((plays, results)));
        enter_sandbox(&pipes, control, &self.shared, &self.seal)?;
        self.server.open(pipes.clone());
        self.environment.reset_memory_baseline();
        serve_work(&pipes, &mut self.environment)
    }
}
