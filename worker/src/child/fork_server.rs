//! The main function of the fork server: it prepares a worker before the first fork.

use std::{
    io,
    os::{fd::AsFd, unix::process::CommandExt},
    process::Command,
};

use rustix::process::{Resource, Rlimit};

use super::{
    fork_loop::ForkLoop,
    forked_worker::PreparedWorker,
    serve::{SealOptions, SharedState},
    startup::{STACK, detach_stdio, limit_resources, read_hello, take_socket},
    work_socket::ServerConnection,
};
use crate::{
    engine::ModuleSources,
    message::{FromForkServer, Role, frame},
    system::{allocator, isolation, os},
};

/// Runs the fork server until the server goes away.
pub(crate) fn run() -> io::Result<()> {
    extend_stack()?;
    let is_memory_counted = allocator::start_counting();
    os::close_inherited();
    let server = take_socket(io::stdin().as_fd())?;
    detach_stdio()?;
    // One session for all workers: the scheduler would treat each in a session of its own as a group of its own, and a
    // lower priority would then have no effect. And a Ctrl-C in the server's terminal is not for them.
    rustix::process::setsid()?;
    rustix::thread::set_name(c"circles-template")?;
    os::use_batch_scheduling();
    let mut frame = Vec::new();
    if !frame::read_frame(&server, &mut frame)? {
        return Ok(());
    }
    let setup = read_hello(&frame)?;
    let sources = ModuleSources::read(setup.modules.as_deref());
    // All files have been read. The setup's own script runs in what its workers have.
    let has_left_network = isolation::leave_network();
    isolation::drop_privileges()?;
    // Also of the setup's own script; workers inherit it.
    limit_resources(setup.limits.memory_bytes)?;
    let (shared, connection) = (SharedState::default(), ServerConnection::default());
    let seal = SealOptions { must_hold: setup.must_be_sealed, is_memory_counted, has_left_network };
    // The setup's own script may be endless and reads no socket; the process still exits with its server.
    let exits_with_server = os::ExitWithPeer::of(&server)?;
    let environment = shared.environment(setup, sources, &connection);
    drop(exits_with_server);
    if !os::is_single_threaded()? {
        return Err(io::Error::other("the program's natives have started a thread"));
    }
    frame::write_frame(&server, &FromForkServer::Ready, &mut Vec::new())?;
    ForkLoop::new(server)?.run(PreparedWorker { environment, server: connection, shared, seal })
}

/// Executes the process again where its stack is too small. A worker evaluates on the thread that it was forked from, the
/// first one of the process, whose stack is as large as the limit that the process was started with.
fn extend_stack() -> io::Result<()> {
    let limit = rustix::process::getrlimit(Resource::Stack);
    let stack_limit = limit.maximum.unwrap_or(u64::MAX).min(STACK as u64);
    if limit.current == Some(stack_limit) {
        return Ok(());
    }
    rustix::process::setrlimit(Resource::Stack, Rlimit { current: Some(stack_limit), maximum: limit.maximum })?;
    let mut command = Command::new("/proc/self/exe");
    Err(command.arg0(Role::ForkServer.process_name()).arg(Role::ForkServer.flag()).exec())
}
