//! The two loops of a worker: one thread evaluates what arrives on the work pipe, a second one serves the control
//! socket.

use std::{
    io::{self, BufReader},
    os::unix::net::UnixStream,
    sync::{Arc, Barrier},
    thread,
};

use super::{
    environment::Environment,
    sandbox::{self, SyscallFilter},
    work_pipes::{self, WorkPipes},
};
use crate::{
    engine::{Meter, PlayMonitor},
    inspection::{self, SharedInventory},
    message::{EvalOutcome, FromControl, FromWorker, Layer, NumberedQuery, ToControl, ToWorker, WorkerSetup, frame},
    system::os,
};

/// The state shared by both threads of a worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedState {
    pub(crate) monitor: Arc<PlayMonitor>,
    pub(crate) inventory: SharedInventory,
}

impl SharedState {
    /// Creates the environment of the evaluating thread, which calls this.
    pub(crate) fn environment(&self, setup: WorkerSetup) -> Environment {
        let meter = Meter::new(self.monitor.clone(), &setup.limits, work_pipes::flush);
        let inventory = self.inventory.clone();
        Environment::new(setup, meter, inventory, work_pipes::print, work_pipes::call_host)
    }
}

/// The options of a worker's sandbox.
#[derive(Debug)]
pub(crate) struct SealOptions {
    /// Whether a process that cannot be sealed exits instead.
    pub(crate) must_hold: bool,
    /// Whether the process counts, and so bounds, its memory.
    pub(crate) is_memory_counted: bool,
    /// Whether the process has an empty network namespace.
    pub(crate) has_left_network: bool,
    pub(crate) filter: SyscallFilter,
}

/// Starts the thread of the control socket, seals the process, and reports the active layers to the server.
pub(crate) fn enter_sandbox(
    pipes: &WorkPipes,
    control: UnixStream,
    shared: &SharedState,
    seal: &SealOptions,
) -> io::Result<()> {
    sandbox::make_private();
    let gate = Arc::new(Barrier::new(2));
    let (passed, shared) = (gate.clone(), shared.clone());
    thread::Builder::new().name("control".into()).spawn(move || {
        passed.wait();
        // Before the seal, the worker processes no data of clients, not even a query.
        passed.wait();
        // Exit the process in any case, including a panic: the server then sees the channels close.
        let ended = std::panic::catch_unwind(|| serve_control(&control, &shared.monitor, &shared.inventory));
        os::exit_now(i32::from(!matches!(ended, Ok(Ok(())))));
    })?;
    // Wait for the thread to run, so that the seal includes it.
    gate.wait();
    let layers = sandbox::seal(seal);
    if seal.must_hold && !layers.contains(&Layer::Syscalls) {
        return Err(io::Error::other("the process cannot be sealed, but its setup requires it"));
    }
    gate.wait();
    pipes.write(&FromWorker::Sealed(layers))?;
    pipes.flush()
}

/// Reads plays and queries from the work pipe and answers them, until it closes.
pub(crate) fn serve_work(pipes: &WorkPipes, environment: &mut Environment) -> io::Result<()> {
    let mut frame = Vec::new();
    while pipes.read(&mut frame)? {
        let message = match frame::decode_borrowed(&frame)? {
            ToWorker::Play(play) => {
                if !environment.was_short(play.script) {
                    // The outcomes of earlier plays do not wait for a play that could take a while.
                    pipes.flush()?;
                }
                done(play.number, environment.play(&play), environment)
            }
            ToWorker::Call(call) => {
                // The outcomes of earlier calls do not wait for a call that could take a while.
                pipes.flush()?;
                let number = call.number;
                done(number, environment.call(call), environment)
            }
            ToWorker::Query(NumberedQuery { number, query }) => {
                FromWorker::Answer { number, answer: environment.answer_query(&query) }
            }
            // No play waits for this result.
            ToWorker::Return { .. } => continue,
            ToWorker::Constants(constants) => {
                environment.set_constants(&constants)?;
                continue;
            }
            ToWorker::HiddenFunctions(hidden) => {
                environment.hide_functions(hidden);
                continue;
            }
            ToWorker::Inputs(inputs) => {
                environment.set_inputs(&inputs)?;
                continue;
            }
        };
        pipes.write(&message)?;
    }
    Ok(())
}

/// The message about the outcome of a play or a call.
fn done(play: u64, outcome: EvalOutcome, environment: &Environment) -> FromWorker {
    let own_bytes = match &outcome {
        EvalOutcome::Value(value) => value.output.len() + value.json.len(),
        _ => 0,
    };
    let live_bytes = environment.live_bytes().saturating_sub(own_bytes as u64);
    FromWorker::Done { play, outcome, live_bytes }
}

/// Handles messages on the control socket until it closes. The server has then ended, and the worker must end too.
pub(crate) fn serve_control(
    control: &UnixStream,
    monitor: &PlayMonitor,
    inventory: &SharedInventory,
) -> io::Result<()> {
    let mut from = BufReader::with_capacity(256, control);
    let (mut frame, mut answer) = (Vec::new(), Vec::new());
    while frame::read_frame(&mut from, &mut frame)? {
        match frame::decode_borrowed(&frame)? {
            ToControl::Stop { play } => {
                let play = monitor.stop(play);
                frame::write_frame(control, &FromControl::Begun { play }, &mut answer)?;
            }
            ToControl::Hold { until } => {
                let play = monitor.hold(until);
                frame::write_frame(control, &FromControl::Begun { play }, &mut answer)?;
            }
            ToControl::Resume => monitor.resume(),
            ToControl::Progress => {
                frame::write_frame(control, &FromControl::Progress(monitor.report()), &mut answer)?;
            }
            ToControl::Query(NumberedQuery { number, query }) => {
                let found = inspection::answer(&query, inventory, None);
                frame::write_frame(control, &FromControl::Answer { number, answer: found }, &mut answer)?;
            }
        }
    }
    Ok(())
}
