//! The same worker on threads of this process, for scripts that are trusted: the same sockets, the same code, no process.

use std::{
    io,
    os::unix::net::UnixStream,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    thread,
};

use tokio::sync::oneshot;

use crate::{
    child::{self, Line, STACK, Server, Shared},
    handle::{Loss, Orders, Process, Sockets, pairs},
    message::{FromWorker, Setup},
    modules::Sources,
};

/// Starts both threads of a worker; returns the server's ends of its sockets.
pub(crate) fn start(setup: Setup) -> io::Result<(Sockets, Process)> {
    if setup.must_be_sealed {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "threads of this process cannot be sealed"));
    }
    let (ours, its) = pairs()?;
    let shared = Shared::default();
    let watch = shared.watch.clone();
    let (told, ended) = oneshot::channel();
    let (obeying, control) = (shared.clone(), its.control);
    thread::Builder::new().name("obey".into()).spawn(move || {
        // Whatever ends this, also a panic, there is nobody left who would take what a script comes to.
        let _obeyed = catch_unwind(AssertUnwindSafe(|| child::obey(&control, &obeying.watch, &obeying.inventory)));
        obeying.watch.stop_for_good();
    })?;
    thread::Builder::new().name("evaluate".into()).stack_size(STACK).spawn(move || {
        // A panic ends this worker alone. Its sockets are closed by then, so that its end is asked for.
        let _lived = catch_unwind(AssertUnwindSafe(|| live(its.work, setup, &shared)));
        // Nobody asks after a worker whose handle was dropped.
        let _unasked = told.send(Loss::Crashed);
    })?;
    Ok((ours, Process::new(None, Orders::Threads(watch), ended)))
}

fn live(work: UnixStream, setup: Setup, shared: &Shared) -> io::Result<()> {
    // Nothing keeps it where it is.
    let line = Rc::new(Line::new(work));
    line.say(&FromWorker::Sealed(Vec::new()), &mut Vec::new())?;
    let sources = Sources::read(setup.modules.as_deref());
    let server = Server::default();
    let mut environment = shared.environment(setup, sources, &server);
    server.open(line.clone());
    child::evaluate(&line, &mut environment)
}
