//! The same worker on threads of this process, for scripts that are trusted: the same sockets, the same code, no process.

use std::{
    io,
    os::unix::net::UnixStream,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
    thread,
};

use tokio::sync::oneshot;

use crate::{
    child::{self, Line, STACK, Server, Shared},
    engine::{Sources, Watch},
    message::{FromWorker, Order, Setup},
    parent::{Bounds, Loss, Process, ProcessOwner, Sockets, Worker, pairs},
};

impl Worker {
    /// Starts one on two threads of this process, for scripts that are trusted: nothing bounds its memory or keeps it from
    /// the system, and a script that exhausts its stack ends the program. [`kill`](Self::kill) gives it up at once; its
    /// threads end as soon as the script looks at anything, which it does with every operation, but not while it is parsed
    /// or inside of a native function. A panic in it is [`Loss::Crashed`], and costs the program nothing.
    ///
    /// It needs a tokio runtime with I/O enabled. The error is [`Unsupported`](io::ErrorKind::Unsupported) where the setup
    /// asks for a seal.
    pub fn start_on_threads(setup: Setup) -> io::Result<Self> {
        let bounds = Bounds::of(&setup);
        let (ours, process) = start(setup)?;
        Self::new(ours, process, bounds)
    }
}

/// The threads of one worker. They end when their sockets are closed and the script lets them.
#[derive(Debug)]
struct Threads(Arc<Watch>);

impl ProcessOwner for Threads {
    fn order(&self, order: Order) {
        match order {
            Order::Kill => self.0.stop_for_good(),
            // Their priority is the program's own.
            Order::LowerPriority => {}
        }
    }

    fn has_process(&self) -> bool {
        false
    }
}

/// Starts both threads of a worker; returns the server's ends of its sockets.
fn start(setup: Setup) -> io::Result<(Sockets, Process)> {
    if setup.must_be_sealed {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "threads of this process cannot be sealed"));
    }
    let (ours, its) = pairs()?;
    let shared = Shared::default();
    let watch = shared.watch.clone();
    let (loss, ended) = oneshot::channel();
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
        let _unasked = loss.send(Loss::Crashed);
    })?;
    Ok((ours, Process::new(None, Threads(watch), ended)))
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
