//! A worker that the fork server forks, from its fork on.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    rc::Rc,
};

use rustix::process::{Pid, Signal};

use super::{
    environment::Environment,
    serve::{SealOptions, SharedState, enter_sandbox, serve_work},
    work_socket::{ServerConnection, WorkSocket},
};
use crate::system::os;

/// Everything that a worker needs, prepared in the fork server: each forked worker has a copy.
pub(super) struct PreparedWorker {
    pub(super) environment: Environment,
    pub(super) server: ServerConnection,
    pub(super) shared: SharedState,
    pub(super) seal: SealOptions,
}

impl PreparedWorker {
    /// Runs the worker in a process that was just forked, until its server goes away. `fork_server` is the process that
    /// forked it.
    pub(super) fn run(&mut self, work: OwnedFd, control: OwnedFd, fork_server: Pid) -> io::Result<()> {
        // Nothing of its own could end a worker that has been taken over, if its fork server is gone.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        if rustix::process::getppid() != Some(fork_server) {
            return Err(io::Error::other("the fork server has ended"));
        }
        os::close_all_but([work.as_fd(), control.as_fd()]);
        rustix::thread::set_name(c"circles-worker")?;
        let (socket, control) = (Rc::new(WorkSocket::new(work.into())), UnixStream::from(control));
        enter_sandbox(&socket, control, &self.shared, self.seal)?;
        self.server.open(socket.clone());
        self.environment.reset_memory_baseline();
        serve_work(&socket, &mut self.environment)
    }
}
