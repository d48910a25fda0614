//! The fork server, seen from inside its process: what is made before the first fork.

use std::{
    io,
    os::{fd::AsFd, unix::process::CommandExt},
    process::Command,
};

use rustix::process::{Resource, Rlimit};

use super::{
    fork_loop::Nursery,
    forked_worker::Warm,
    serve::{Seal, Shared},
    socket::Server,
    startup::{STACK, bound, hello, leave_standard, take},
};
use crate::{
    engine::Sources,
    message::{FromForkServer, Role, frame},
    system::{allocator, os},
};

/// Is the template, until the server goes away.
pub(crate) fn run() -> io::Result<()> {
    take_stack()?;
    let is_memory_counted = allocator::begin();
    os::close_inherited();
    let server = take(io::stdin().as_fd())?;
    leave_standard()?;
    // One session for all of its workers: each in one of its own would compete as a group of its own, and one that gives
    // way would do so to nobody. And a Ctrl-C in the server's terminal is not for them.
    rustix::process::setsid()?;
    rustix::thread::set_name(c"circles-template")?;
    os::be_batch();
    let mut frame = Vec::new();
    if !frame::read_frame(&server, &mut frame)? {
        return Ok(());
    }
    let setup = hello(&frame)?;
    let sources = Sources::read(setup.modules.as_deref());
    // Also of the setup's own script; workers inherit it.
    bound(setup.limits.memory_bytes)?;
    let (shared, circle) = (Shared::default(), Server::default());
    let seal = Seal { must_hold: setup.must_be_sealed, is_memory_counted };
    // The setup's own script may be endless and reads no socket; it ends with its server all the same.
    let ends_with_server = os::EndsWith::the_other_end_of(&server)?;
    let environment = shared.environment(setup, sources, &circle);
    drop(ends_with_server);
    if !os::is_single_threaded()? {
        return Err(io::Error::other("the program's natives have started a thread"));
    }
    frame::write_frame(&server, &FromForkServer::Ready, &mut Vec::new())?;
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
    let mut again = Command::new("/proc/self/exe");
    Err(again.arg0(Role::ForkServer.process_name()).arg(Role::ForkServer.flag()).exec())
}
