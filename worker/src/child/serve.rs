//! What a worker does with its two sockets: one thread evaluates what comes on the one, a second obeys the other.

use std::{
    io::{self, BufReader},
    os::unix::net::UnixStream,
    sync::{Arc, Barrier},
    thread,
};

use super::{
    environment::Environment,
    sandbox,
    socket::{Line, Server},
};
use crate::{
    engine::{Meter, Sources, Watch},
    inspection::{self, SharedInventory},
    message::{Control, FromControl, FromWorker, Inquiry, Layer, Setup, ToWorker, frame},
    system::os,
};

/// What both threads of a worker see.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared {
    pub(crate) watch: Arc<Watch>,
    pub(crate) inventory: SharedInventory,
}

impl Shared {
    pub(crate) fn environment(&self, setup: Setup, sources: Sources, server: &Server) -> Environment {
        let meter = Meter::new(self.watch.clone(), &setup.limits);
        Environment::new(setup, sources, meter, self.inventory.clone(), server.printer(), server.caller())
    }
}

/// What is asked of the seal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seal {
    /// Whether a process that cannot be kept from the system ends instead.
    pub(crate) must_hold: bool,
    /// Whether the memory is bounded.
    pub(crate) is_memory_counted: bool,
}

/// Makes the process one that has nothing but its sockets and its memory, and says so.
pub(crate) fn settle(line: &Line, control: UnixStream, shared: &Shared, seal: Seal) -> io::Result<()> {
    sandbox::withdraw();
    let gate = Arc::new(Barrier::new(2));
    let (passed, shared) = (gate.clone(), shared.clone());
    thread::Builder::new().name("obey".into()).spawn(move || {
        passed.wait();
        // Before the seal nothing of a client's is looked at, not even a question.
        passed.wait();
        // Ends the process from whatever happens here, a panic included: the server sees its sockets close.
        let obeyed = std::panic::catch_unwind(|| obey(&control, &shared.watch, &shared.inventory));
        os::end(i32::from(!matches!(obeyed, Ok(Ok(())))));
    })?;
    // A thread that does not run yet could be one that the seal misses.
    gate.wait();
    let layers = sandbox::seal(seal.is_memory_counted);
    if seal.must_hold && !layers.contains(&Layer::Syscalls) {
        return Err(io::Error::other("it cannot be sealed, and must be"));
    }
    gate.wait();
    line.say(&FromWorker::Sealed(layers), &mut Vec::new())
}

/// Reads plays and queries from the work socket and answers them there, until it closes.
pub(crate) fn evaluate(line: &Line, environment: &mut Environment) -> io::Result<()> {
    let (mut frame, mut answer) = (Vec::new(), Vec::new());
    while line.read(&mut frame)? {
        let said = match frame::decode_borrowed(&frame)? {
            ToWorker::Play(play) => FromWorker::Done { play: play.number, outcome: environment.play(&play) },
            ToWorker::Inspect(Inquiry { number, query }) => {
                FromWorker::Answer { number, answer: environment.answer_query(&query) }
            }
            // Of a play that did not wait for it; there is none.
            ToWorker::Return { .. } => continue,
        };
        line.say(&said, &mut answer)?;
    }
    Ok(())
}

/// Does what the control socket says, until it closes: then the server is gone, and so must the worker be.
pub(crate) fn obey(control: &UnixStream, watch: &Watch, inventory: &SharedInventory) -> io::Result<()> {
    let mut from = BufReader::with_capacity(256, control);
    let (mut frame, mut answer) = (Vec::new(), Vec::new());
    while frame::read_frame(&mut from, &mut frame)? {
        match frame::decode_borrowed(&frame)? {
            Control::Stop { play } => watch.stop(play),
            Control::Progress => {
                frame::write_frame(control, &FromControl::Progress(watch.report()), &mut answer)?;
            }
            Control::Inspect(Inquiry { number, query }) => {
                let found = inspection::answer(&query, inventory, None);
                frame::write_frame(control, &FromControl::Answer { number, answer: found }, &mut answer)?;
            }
        }
    }
    Ok(())
}
