//! The same worker on threads of this process, for scripts that are trusted: the same sockets, the same code, no process.
//!
//! Runs in the program that holds the worker. It is the one file that knows both sides, [`parent`](crate::parent) and
//! [`child`].

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
    child::{self, STACK, ServerConnection, SharedState, WorkSocket},
    engine::{ModuleSources, PlayMonitor},
    message::{FromWorker, ProcessCommand, WorkerSetup},
    parent::{Loss, MessageBounds, Process, ProcessOwner, Sockets, Worker, socket_pairs},
};

impl Worker {
    /// Starts one on two threads of this process, for scripts that are trusted: nothing bounds its memory or keeps it from
    /// the system, and a script that exhausts its stack ends the program. [`kill`](Self::kill) gives it up at once; its
    /// threads end as soon as the script looks at anything, which it does with every operation, but not while it is parsed
    /// or inside of a native function. A panic in it is [`Loss::Crashed`], and costs the program nothing.
    ///
    /// It needs a tokio runtime with I/O enabled. The error is [`Unsupported`](io::ErrorKind::Unsupported) where the setup
    /// asks for a seal.
    pub fn start_on_threads(setup: WorkerSetup) -> io::Result<Self> {
        let bounds = MessageBounds::new(&setup);
        let (server_sockets, process) = start(setup)?;
        Self::new(server_sockets, process, bounds)
    }
}

/// The owner of one worker's threads. They end once their sockets are closed and the script checks its stop flag.
#[derive(Debug)]
struct ThreadOwner(Arc<PlayMonitor>);

impl ProcessOwner for ThreadOwner {
    fn execute(&self, order: ProcessCommand) {
        match order {
            ProcessCommand::Kill => self.0.stop_for_good(),
            // Their priority is the program's own.
            ProcessCommand::LowerPriority => {}
        }
    }

    fn has_process(&self) -> bool {
        false
    }
}

/// Starts both threads of a worker; returns the server's ends of its sockets.
fn start(setup: WorkerSetup) -> io::Result<(Sockets, Process)> {
    if setup.must_be_sealed {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "threads of this process cannot be sealed"));
    }
    let (server_sockets, its) = socket_pairs()?;
    let shared = SharedState::default();
    let watch = shared.watch.clone();
    let (loss, ended) = oneshot::channel();
    let (control_state, control) = (shared.clone(), its.control);
    thread::Builder::new().name("control".into()).spawn(move || {
        // Whatever ends this, also a panic, there is nobody left who would take what a script comes to.
        let serve = || child::serve_control(&control, &control_state.watch, &control_state.inventory);
        let _ended = catch_unwind(AssertUnwindSafe(serve));
        control_state.watch.stop_for_good();
    })?;
    thread::Builder::new().name("evaluate".into()).stack_size(STACK).spawn(move || {
        // A panic ends this worker alone. Its sockets are closed by then, so that its end is asked for.
        let _ended = catch_unwind(AssertUnwindSafe(|| evaluate(its.work, setup, &shared)));
        // Nobody asks after a worker whose handle was dropped.
        let _unasked = loss.send(Loss::Crashed);
    })?;
    Ok((server_sockets, Process::new(None, ThreadOwner(watch), ended)))
}

fn evaluate(work: UnixStream, setup: WorkerSetup, shared: &SharedState) -> io::Result<()> {
    // Nothing keeps it where it is.
    let socket = Rc::new(WorkSocket::new(work));
    socket.send(&FromWorker::Sealed(Vec::new()), &mut Vec::new())?;
    let sources = ModuleSources::read(setup.modules.as_deref());
    let server = ServerConnection::default();
    let mut environment = shared.environment(setup, sources, &server);
    server.open(socket.clone());
    child::serve_work(&socket, &mut environment)
}
