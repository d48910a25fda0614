//! The main function of the fork server: it prepares a worker before the first fork.

use std::{
    io,
    os::{
        fd::AsFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    process::Command,
};

use rustix::process::{Resource, Rlimit};

use super::{
    fork_loop::ForkLoop,
    forked_worker::PreparedWorker,
    sandbox::SyscallFilter,
    serve::{SealOptions, SharedState},
    startup::{STACK, detach_stdio, limit_resources, read_hello, take_standard},
    work_pipes::ServerConnection,
};
use crate::{
    message::{FromForkServer, Role, frame},
    system::{allocator, isolation, os},
};

/// Runs the fork server until the server closes its socket.
pub(crate) fn run() -> io::Result<()> {
    extend_stack()?;
    let is_memory_counted = allocator::start_counting();
    allocator::use_one_arena();
    os::close_inherited();
    let server = UnixStream::from(take_standard(io::stdin().as_fd())?);
    detach_stdio()?;
    // One session for all workers: the scheduler groups processes by session, so a lower priority would have no effect
    // on a worker with its own session. A new session also keeps a Ctrl-C in the server's terminal from the workers.
    rustix::process::setsid()?;
    rustix::thread::set_name(c"circles-template")?;
    let mut frame = Vec::new();
    if !frame::read_frame(&server, &mut frame)? {
        return Ok(());
    }
    let setup = read_hello(&frame)?;
    // It can have the size of all modules, and each fork would inherit it.
    drop(frame);
    // A call is short and its caller waits, so it preempts plays; a play preempts nobody.
    if setup.functions.is_none() {
        os::use_batch_scheduling();
    }
    // The init script runs with the same restrictions as the workers.
    let has_left_network = isolation::leave_network();
    isolation::drop_privileges()?;
    // Limits the init script too; workers inherit the limits.
    limit_resources(setup.limits.memory_bytes)?;
    let (shared, connection) = (SharedState::default(), ServerConnection::default());
    let filter = SyscallFilter::compile();
    let seal = SealOptions { must_hold: setup.must_be_sealed, is_memory_counted, has_left_network, filter };
    // The init script may run for ever without reading a socket; the process must still exit with its server.
    let exits_with_server = os::ExitWithPeer::of(&server)?;
    let environment = shared.environment(setup);
    drop(exits_with_server);
    if !os::is_single_threaded()? {
        return Err(io::Error::other("the program's native functions started a thread"));
    }
    frame::write_frame(&server, &FromForkServer::Ready, &mut Vec::new())?;
    ForkLoop::new(server)?.run(PreparedWorker { environment, server: connection, shared, seal })
}

/// Executes the program again if its stack is too small.
///
/// A forked worker evaluates on the process's first thread, whose stack size is the limit at the start of the process.
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
