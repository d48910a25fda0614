//! A worker from its fork on.

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
    serve::{Seal, Shared, evaluate, settle},
    socket::{Line, Server},
};
use crate::system::os;

/// What a worker is made with, all of it in the template before.
pub(super) struct Warm {
    pub(super) environment: Environment,
    pub(super) server: Server,
    pub(super) shared: Shared,
    pub(super) seal: Seal,
}

/// Lives a worker's life in a process that was just forked.
pub(super) fn live(warm: &mut Warm, work: OwnedFd, control: OwnedFd, template: Pid) -> io::Result<()> {
    // Nothing of its own could end a worker that has been taken over, if its template is gone.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != Some(template) {
        return Err(io::Error::other("the template has ended"));
    }
    os::close_all_but([work.as_fd(), control.as_fd()]);
    rustix::thread::set_name(c"circles-worker")?;
    let (line, control) = (Rc::new(Line::new(work.into())), UnixStream::from(control));
    settle(&line, control, &warm.shared, warm.seal)?;
    warm.server.open(line.clone());
    warm.environment.count_memory_from_here();
    evaluate(&line, &mut warm.environment)
}
