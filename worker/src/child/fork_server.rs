//! The template, seen from inside its process; and a worker from its fork on.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::Command,
    rc::Rc,
};

use rustix::process::{Pid, Resource, Rlimit, Signal};

use super::{FLAG, message::FromTemplate, nursery::Nursery};
use crate::{
    allocator,
    child::{self, Line, STACK, Seal, Server, Shared},
    environment::Environment,
    message,
    modules::Sources,
    os,
};

/// What a worker is made with, all of it in the template before.
pub(super) struct Warm {
    environment: Environment,
    server: Server,
    shared: Shared,
    seal: Seal,
}

/// Is the template, until the server goes away.
pub(crate) fn run() -> io::Result<()> {
    take_stack()?;
    let is_memory_counted = allocator::begin();
    os::close_inherited();
    let server = child::take(io::stdin().as_fd())?;
    child::leave_standard()?;
    // One session for all of its workers: each in one of its own would compete as a group of its own, and one that gives
    // way would do so to nobody. And a Ctrl-C in the server's terminal is not for them.
    rustix::process::setsid()?;
    rustix::thread::set_name(c"circles-template")?;
    os::be_batch();
    let mut frame = Vec::new();
    if !message::read_frame(&server, &mut frame)? {
        return Ok(());
    }
    let setup = child::hello(&frame)?;
    let sources = Sources::read(setup.modules.as_deref());
    // Also of the setup's own script; workers inherit it.
    child::bound(setup.limits.memory_bytes)?;
    let (shared, circle) = (Shared::default(), Server::default());
    let seal = Seal { must_hold: setup.must_be_sealed, is_memory_counted };
    // The setup's own script may be endless and reads no socket; it ends with its server all the same.
    let ends_with_server = os::EndsWith::the_other_end_of(&server)?;
    let environment = shared.environment(setup, sources, &circle);
    drop(ends_with_server);
    if !os::is_single_threaded()? {
        return Err(io::Error::other("the program's natives have started a thread"));
    }
    message::write_frame(&server, &FromTemplate::Ready, &mut Vec::new())?;
    Nursery::new(server)?.run(Warm { environment, server: circle, shared, seal })
}

/// A worker evaluates on the thread that it was forked from, the first one of the process: its stack is as large as the
/// limit says that the process was started with.
fn take_stack() -> io::Result<()> {
    let limit = rustix::process::getrlimit(Resource::Stack);
    let wanted = limit.maximum.unwrap_or(u64::MAX).min(STACK as u64);
    if limit.current == Some(wanted) {
        return Ok(());
    }
    rustix::process::setrlimit(Resource::Stack, Rlimit { current: Some(wanted), maximum: limit.maximum })?;
    Err(Command::new("/proc/self/exe").arg0("circles-template").arg(FLAG).exec())
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
    child::settle(&line, control, &warm.shared, warm.seal)?;
    warm.server.open(line.clone());
    warm.environment.count_memory_from_here();
    child::evaluate(&line, &mut warm.environment)
}
