//! The two loops of a worker: one thread evaluates what arrives on the work socket, a second serves the control socket.

use std::{
    io::{self, BufReader},
    os::unix::net::UnixStream,
    sync::{Arc, Barrier},
    thread,
};

use super::{
    environment::Environment,
    sandbox,
    work_socket::{ServerConnection, WorkSocket},
};
use crate::{
    engine::{Meter, ModuleSources, PlayMonitor},
    inspection::{self, SharedInventory},
    message::{FromControl, FromWorker, Layer, NumberedQuery, ToControl, ToWorker, WorkerSetup, frame},
    system::os,
};

/// What both threads of a worker share.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedState {
    pub(crate) watch: Arc<PlayMonitor>,
    pub(crate) inventory: SharedInventory,
}

impl SharedState {
    pub(crate) fn environment(
        &self,
        setup: WorkerSetup,
        sources: ModuleSources,
        server: &ServerConnection,
    ) -> Environment {
        let meter = Meter::new(self.watch.clone(), &setup.limits);
        Environment::new(setup, sources, meter, self.inventory.clone(), server.printer(), server.caller())
    }
}

/// What the sandbox of a process must be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SealOptions {
    /// Whether a process that cannot be kept from the system ends instead.
    pub(crate) must_hold: bool,
    /// Whether the memory is bounded.
    pub(crate) is_memory_counted: bool,
    /// Whether the process has left the network.
    pub(crate) has_left_network: bool,
}

/// Starts the thread of the control socket, leaves the process nothing but its sockets and its memory, and tells the server
/// which layers hold.
pub(crate) fn enter_sandbox(
    socket: &WorkSocket,
    control: UnixStream,
    shared: &SharedState,
    seal: SealOptions,
) -> io::Result<()> {
    sandbox::make_private();
    let gate = Arc::new(Barrier::new(2));
    let (passed, shared) = (gate.clone(), shared.clone());
    thread::Builder::new().name("control".into()).spawn(move || {
        passed.wait();
        // Before the seal nothing of a client's is looked at, not even a question.
        passed.wait();
        // Ends the process from whatever happens here, a panic included: the server sees its sockets close.
        let ended = std::panic::catch_unwind(|| serve_control(&control, &shared.watch, &shared.inventory));
        os::exit_now(i32::from(!matches!(ended, Ok(Ok(())))));
    })?;
    // A thread that does not run yet could be one that the seal misses.
    gate.wait();
    let layers = sandbox::seal(seal);
    if seal.must_hold && !layers.contains(&Layer::Syscalls) {
        return Err(io::Error::other("it cannot be sealed, and must be"));
    }
    gate.wait();
    socket.send(&FromWorker::Sealed(layers), &mut Vec::new())
}

/// Reads plays and queries from the work socket and answers them there, until it closes.
pub(crate) fn serve_work(socket: &WorkSocket, environment: &mut Environment) -> io::Result<()> {
    let (mut frame, mut answer) = (Vec::new(), Vec::new());
    while socket.read(&mut frame)? {
        let message = match frame::decode_borrowed(&frame)? {
            ToWorker::Play(play) => FromWorker::Done { play: play.number, outcome: environment.play(&play) },
            ToWorker::Query(NumberedQuery { number, query }) => {
                FromWorker::Answer { number, answer: environment.answer_query(&query) }
            }
            // Of a play that did not wait for it; there is none.
            ToWorker::Return { .. } => continue,
        };
        socket.send(&message, &mut answer)?;
    }
    Ok(())
}

/// Carries out what arrives on the control socket, until it closes: then the server is gone, and so must the worker be.
pub(crate) fn serve_control(control: &UnixStream, watch: &PlayMonitor, inventory: &SharedInventory) -> io::Result<()> {
    let mut from = BufReader::with_capacity(256, control);
    let (mut frame, mut answer) = (Vec::new(), Vec::new());
    while frame::read_frame(&mut from, &mut frame)? {
        match frame::decode_borrowed(&frame)? {
            ToControl::Stop { play } => watch.stop(play),
            ToControl::Progress => {
                frame::write_frame(control, &FromControl::Progress(watch.report()), &mut answer)?;
            }
            ToControl::Query(NumberedQuery { number, query }) => {
                let found = inspection::answer(&query, inventory, None);
                frame::write_frame(control, &FromControl::Answer { number, answer: found }, &mut answer)?;
            }
        }
    }
    Ok(())
}
