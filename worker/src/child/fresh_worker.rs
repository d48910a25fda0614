//! A worker that was started anew, for one owner.

use std::{io, os::fd::AsFd, rc::Rc, thread};

use super::{
    serve::{Seal, Shared, evaluate, settle},
    socket::{Line, Server},
    startup::{STACK, bound, hello, leave_standard, take},
};
use crate::{
    engine::Sources,
    system::{allocator, os},
};

/// A worker that was started anew.
pub(crate) fn run() -> io::Result<()> {
    let is_memory_counted = allocator::begin();
    os::close_inherited();
    let work = take(io::stdin().as_fd())?;
    let control = take(io::stdout().as_fd())?;
    leave_standard()?;
    // Not this thread, whose stack is as large as the user's limits say.
    let evaluates = thread::Builder::new().name("evaluate".into()).stack_size(STACK);
    let evaluates = evaluates.spawn(move || {
        let line = Rc::new(Line::new(work));
        let mut frame = Vec::new();
        if !line.read(&mut frame)? {
            return Ok(());
        }
        let setup = hello(&frame)?;
        let sources = Sources::read(setup.modules.as_deref());
        bound(setup.limits.memory_bytes)?;
        let shared = Shared::default();
        settle(&line, control, &shared, Seal { must_hold: setup.must_be_sealed, is_memory_counted })?;
        let server = Server::default();
        let mut environment = shared.environment(setup, sources, &server);
        server.open(line.clone());
        evaluate(&line, &mut environment)
    })?;
    evaluates.join().unwrap_or_else(|_| Err(io::Error::other("it panicked")))
}
