//! The main function of a fresh worker: one that is started as a new process, not forked.

use std::{io, os::fd::AsFd, rc::Rc, thread};

use super::{
    sandbox::SyscallFilter,
    serve::{SealOptions, SharedState, enter_sandbox, serve_work},
    startup::{STACK, detach_stdio, limit_resources, read_hello, take_standard},
    work_pipes::{ServerConnection, WorkPipes},
};
use crate::system::{allocator, os};

/// Runs the worker until the server closes its channels.
pub(crate) fn run() -> io::Result<()> {
    let is_memory_counted = allocator::start_counting();
    os::close_inherited();
    let plays = take_standard(io::stdin().as_fd())?;
    let results = take_standard(io::stdout().as_fd())?;
    let control = take_standard(io::stderr().as_fd())?.into();
    detach_stdio()?;
    // Not on this thread, whose stack size depends on the user's limits.
    let evaluates = thread::Builder::new().name("evaluate".into()).stack_size(STACK);
    let evaluates = evaluates.spawn(move || {
        let pipes = Rc::new(WorkPipes::new((plays.into(), results.into())));
        let mut frame = Vec::new();
        if !pipes.read(&mut frame)? {
            return Ok(());
        }
        let setup = read_hello(&frame)?;
        // It can have the size of all modules.
        drop(frame);
        limit_resources(setup.limits.memory_bytes)?;
        let shared = SharedState::default();
        enter_sandbox(
            &pipes,
            control,
            &shared,
            &SealOptions {
                must_hold: setup.must_be_sealed,
                is_memory_counted,
                has_left_network: false,
                filter: SyscallFilter::compile(),
            },
        )?;
        let server = ServerConnection::default();
        let mut environment = shared.environment(setup);
        server.open(pipes.clone());
        serve_work(&pipes, &mut environment)
    })?;
    evaluates.join().unwrap_or_else(|_| Err(io::Error::other("the evaluating thread panicked")))
}
