//! A worker on threads of this process, for trusted scripts: the same channels and code without a separate process.
//!
//! It runs in the program that owns the worker, and is the only file that depends on both [`parent`](crate::parent) and
//! [`child`].

use std::{
    io::{self, PipeReader, PipeWriter},
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
    thread,
};

use tokio::sync::oneshot;

use crate::{
    child::{self, STACK, ServerConnection, SharedState, WorkPipes},
    engine::PlayMonitor,
    message::{FromWorker, ProcessCommand, WorkerSetup},
    parent::{Loss, MessageBounds, Process, ProcessOwner, Worker},
    system::channels::{ServerChannels, channels},
};

impl Worker {
    /// Starts a worker on two threads of this process, for trusted scripts.
    ///
    /// There is no sandbox and no memory limit, and a script that exhausts its stack ends the program.
    /// [`kill`](Self::kill) takes effect immediately, but the threads end only at the script's next operation, not
    /// while it is parsed or inside a native function. A panic in the worker is reported as [`Loss::Crashed`] and does
    /// not affect the program.
    ///
    /// # Errors
    ///
    /// Returns an error of kind [`Unsupported`](io::ErrorKind::Unsupported) if the setup requires a seal, and other
    /// errors if the operating system cannot create the channels or threads.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime with I/O enabled.
    pub fn start_on_threads(setup: WorkerSetup) -> io::Result<Self> {
        let bounds = MessageBounds::new(&setup);
        let (server_channels, process) = start(setup)?;
        Self::new(server_channels, process, bounds)
    }
}

/// The owner of a worker's threads. They end once their channels are closed and the script checks its stop flag.
#[derive(Debug)]
struct ThreadOwner(Arc<PlayMonitor>);

impl ProcessOwner for ThreadOwner {
    fn execute(&self, command: ProcessCommand) {
        match command {
            ProcessCommand::Kill => self.0.stop_for_good(),
            // The threads keep the program's priority.
            ProcessCommand::LowerPriority => {}
        }
    }

    fn has_process(&self) -> bool {
        false
    }
}

/// Starts both threads of a worker, and returns the server's ends of its channels.
fn start(setup: WorkerSetup) -> io::Result<(ServerChannels, Process)> {
    if setup.must_be_sealed {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "threads of this process cannot be sealed"));
    }
    let (server_channels, worker_channels) = channels()?;
    let shared = SharedState::default();
    let monitor = shared.monitor.clone();
    let (loss, ended) = oneshot::channel();
    let (control_state, control) = (shared.clone(), worker_channels.control);
    thread::Builder::new().name("control".into()).spawn(move || {
        // When this ends, even by a panic, no one can receive the results of a script any more.
        let serve = || child::serve_control(&control, &control_state.monitor, &control_state.inventory);
        let _ended = catch_unwind(AssertUnwindSafe(serve));
        control_state.monitor.stop_for_good();
    })?;
    thread::Builder::new().name("evaluate".into()).stack_size(STACK).spawn(move || {
        // A panic ends only this worker. Its channels are closed by then, so the server waits for the reported loss.
        let _ended = catch_unwind(AssertUnwindSafe(|| evaluate(worker_channels.work, setup, &shared)));
        // The handle may have been dropped.
        let _receiver_dropped = loss.send(Loss::Crashed);
    })?;
    Ok((server_channels, Process::new(None, ThreadOwner(monitor), ended)))
}

fn evaluate(work: (PipeReader, PipeWriter), setup: WorkerSetup, shared: &SharedState) -> io::Result<()> {
    // No layer is active.
    let pipes = Rc::new(WorkPipes::new(work));
    pipes.write(&FromWorker::Sealed(Vec::new()))?;
    pipes.flush()?;
    let server = ServerConnection::default();
    let mut environment = shared.environment(setup);
    server.open(pipes.clone());
    child::serve_work(&pipes, &mut environment)
}
