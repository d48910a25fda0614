//! A forked worker, from the fork on.

use std::{
    ffi::CStr,
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    rc::Rc,
};

use rustix::process::{Pid, Signal};

use super::{
    environment::Environment,
    serve::{SealOptions, SharedState, enter_sandbox, serve_work},
    work_pipes::{ServerConnection, WorkPipes},
};
use crate::system::{channels::WorkerChannels, os};

/// The name of a worker in process lists.
const WORKER_NAME: &CStr = c"circles-worker";

/// The name of a spare worker in process lists, until a session uses it.
const SPARE_NAME: &CStr = c"circles-spare";

/// The name of a spare worker. A sealed process cannot change its name, except through a file that it opened before.
struct SpareName(File);

impl SpareName {
    /// Names this process a spare worker; `None` if the name could not be replaced later.
    fn set() -> Option<Self> {
        let name = File::options().write(true).open("/proc/self/comm").ok()?;
        rustix::thread::set_name(SPARE_NAME).ok()?;
        Some(Self(name))
    }

    /// Names this process a worker, and closes the file.
    fn replace(mut self) {
        // Nothing but process lists depends on the name.
        let _unnamed = self.0.write_all(WORKER_NAME.to_bytes());
    }
}

/// The state that the fork server prepares before the first fork, and that each forked worker inherits.
pub(super) struct PreparedWorker {
    pub(super) environment: Environment,
    pub(super) server: ServerConnection,
    pub(super) shared: SharedState,
    pub(super) seal: SealOptions,
}

impl PreparedWorker {
    /// Runs the worker in a process that was just forked, until the server closes its channels. `fork_server` is the
    /// parent process. A spare worker has another name until its first message arrives.
    pub(super) fn run(&mut self, channels: WorkerChannels, fork_server: Pid, is_spare: bool) -> io::Result<()> {
        // A compromised worker would not end by itself after its fork server has ended.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        if rustix::process::getppid() != Some(fork_server) {
            return Err(io::Error::other("the fork server has ended"));
        }
        let WorkerChannels { work: (plays, results), control } = channels;
        os::close_all_but([plays.as_fd(), results.as_fd(), control.as_fd()]);
        let name = if is_spare { SpareName::set() } else { None };
        if name.is_none() {
            rustix::thread::set_name(WORKER_NAME)?;
        }
        let pipes = Rc::new(WorkPipes::new((plays, results)));
        enter_sandbox(&pipes, control, &self.shared, &self.seal)?;
        self.server.open(pipes.clone());
        self.environment.reset_memory_baseline();
        if let Some(name) = name {
            pipes.wait_for_input()?;
            name.replace();
        }
        serve_work(&pipes, &mut self.environment)
    }
}
