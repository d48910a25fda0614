//! The main function of a fresh worker: one that is started as a new process, not forked.

use std::{io, os::fd::AsFd, rc::Rc, thread};

use super::{
    serve::{SealOptions, SharedState, enter_sandbox, serve_work},
    startup::{STACK, detach_stdio, limit_resources, read_hello, take_socket},
    work_socket::{ServerConnection, WorkSocket},
};
use crate::{
    engine::ModuleSources,
    system::{allocator, os},
};

/// Runs the worker until the server closes its socket.
pub(crate) fn run() -> io::Result<()> {
    let is_memory_counted = allocator::start_counting();
    os::close_inherited();
    let work = take_socket(io::stdin().as_fd())?;
    let control = take_socket(io::stdout().as_fd())?;
    detach_stdio()?;
    // Not on this thread, whose stack size depends on the user's limits.
    let evaluates = thread::Builder::new().name("evaluate".into()).stack_size(STACK);
    let evaluates = evaluates.spawn(move || {
        let socket = Rc::new(WorkSocket::new(work));
        let mut frame = Vec::new();
        if !socket.read(&mut frame)? {
            return Ok(());
        }
        let setup = read_hello(&frame)?;
        let sources = ModuleSources::read(setup.modules.as_deref());
        limit_resources(setup.limits.memory_bytes)?;
        let shared = SharedState::default();
        enter_sandbox(
            &socket,
            control,
            &shared,
            SealOptions { must_hold: setup.must_be_sealed, is_memory_counted, has_left_network: false },
        )?;
        let server = ServerConnection::default();
        let mut environment = shared.environment(setup, sources, &server);
        server.open(socket.clone());
        serve_work(&socket, &mut environment)
    })?;
    evaluates.join().unwrap_or_else(|_| Err(io::Error::other("the evaluating thread panicked")))
}
