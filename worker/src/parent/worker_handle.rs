//! The server's handle to a worker. It validates every message of the worker.

mod events;
mod expected_answer;
mod host_call_validator;
mod sent_plays;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, io, time::Duration};

use tokio::time::Instant;

use self::{expected_answer::ExpectedAnswer, host_call_validator::HostCallValidator, sent_plays::SentPlays};
use super::{
    frame_channel::{FrameChannel, Transport},
    loss::Loss,
    message_bounds::MessageBounds,
    process::Process,
    program::Program,
    usage::Usage,
};
use crate::{
    message::{
        BUILD, Call, CallMessage, EvalOutcome, Hello, HostCall, HostReturn, InvalidValue, Layer, NamedValue,
        NumberedQuery, Play, Print, ProgressReport, Query, QueryAnswer, ToControl, ToWorker, Value, WorkerSetup,
    },
    system::channels::{ServerChannels, channels},
};

/// An event of a worker.
#[derive(Debug)]
#[non_exhaustive]
pub enum WorkerEvent {
    /// A play printed a text.
    Print(Print),
    /// A play ended.
    Done {
        /// The play's number.
        play: u64,
        /// The outcome of the play.
        outcome: EvalOutcome,
    },
    /// A play was [stopped](Worker::stop) before it began, and does not run. No [`Done`](Self::Done) follows for it.
    Withdrawn {
        /// The play's number.
        play: u64,
    },
    /// No play runs, and the next one begins only after [`Worker::resume`].
    Held,
    /// A play calls a host function of [`WorkerSetup::host`] and waits for [`Worker::return_host_call`]. The arguments
    /// are not validated: a compromised worker may send text that is not JSON.
    HostCall(HostCall),
    /// The answer to [`Worker::request_progress`].
    Progress(ProgressReport),
    /// The answer to [`Worker::send_query`], of the same kind as the query.
    Answer {
        /// The query's number.
        number: u64,
        /// The answer.
        answer: QueryAnswer,
    },
    /// The worker's [machine](Worker::remote) drains, and the process ends soon, with [`Loss::Drained`]. What the worker
    /// sent before has been returned.
    Leaving,
    /// The worker's [machine](Worker::remote) shows no sign of life. It may be lost, or late: without a sign until then, the
    /// worker is lost at `lost_at`, with [`Loss::Unreachable`].
    Silent {
        /// The time at which the machine counts as lost.
        lost_at: std::time::Instant,
    },
    /// The process ended, and its environment is lost. No event follows.
    Lost(Loss),
}

/// A handle to a worker process. Dropping it kills the process.
///
/// # Examples
///
/// ```no_run
/// use worker::{Play, Program, Worker, WorkerEvent, WorkerSetup};
///
/// # async fn example() -> std::io::Result<()> {
/// let mut worker = Worker::start(Program::SameExecutable, WorkerSetup::default()).await?;
/// worker.play(&Play { number: 1, script: "40 + 2", name: None, bind: None });
/// if let WorkerEvent::Done { outcome, .. } = worker.event().await {
///     println!("{outcome:?}");
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Worker {
    work: FrameChannel,
    control: FrameChannel,
    /// Whether a progress report is pending.
    is_progress_pending: bool,
    /// The active layers of its sandbox, as the worker reports them.
    layers: Option<Vec<Layer>>,
    plays: SentPlays,
    live_bytes: u64,
    /// The constants of the queued plays.
    hidden_functions: Vec<u32>,
    constants: Vec<NamedValue>,
    host: HostCallValidator,
    /// The pending queries, by number.
    pending_queries: HashMap<u64, ExpectedAnswer>,
    /// Maximum size of an answer, in bytes.
    max_answer: usize,
    process: Process,
    is_broken: bool,
    is_control_closed: bool,
    /// The time at which a process that has closed its work pipe is killed.
    kill_at: Option<Instant>,
    /// The time at which a killed process on another machine counts as lost.
    end_at: Option<Instant>,
}

impl Worker {
    /// Starts a worker in a new process. To start many workers with the same setup, use a
    /// [`ForkServer`](crate::ForkServer).
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system cannot create the channels or start the process.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime with I/O enabled.
    pub async fn start(program: Program, setup: WorkerSetup) -> io::Result<Self> {
        let (server_channels, worker_channels) = channels()?;
        let process = Process::start(program.path()?, worker_channels).await?;
        let mut worker = Self::new(server_channels, process, MessageBounds::new(&setup))?;
        worker.work.send(&Hello { build: BUILD, setup });
        Ok(worker)
    }

    pub(crate) fn new(channels: ServerChannels, process: Process, bounds: MessageBounds) -> io::Result<Self> {
        let (work, control) = (Transport::pipes(channels.work)?, Transport::socket(channels.control)?);
        Ok(Self::with_transports(work, control, process, bounds))
    }

    pub(super) fn with_transports(
        work: Transport,
        control: Transport,
        process: Process,
        bounds: MessageBounds,
    ) -> Self {
        let max_frame =
            bounds.output.saturating_mul(2).saturating_add(128 << 10).max(bounds.args.saturating_add(1 << 10));
        Self {
            work: FrameChannel::new(work, max_frame),
            // The weight of an answer is larger than its encoding.
            control: FrameChannel::new(control, bounds.output.saturating_add(4 << 10)),
            is_progress_pending: false,
            layers: None,
            plays: SentPlays::new(),
            live_bytes: 0,
            constants: Vec::new(),
            hidden_functions: Vec::new(),
            host: HostCallValidator::new(bounds),
            pending_queries: HashMap::new(),
            max_answer: bounds.output,
            process,
            is_broken: false,
            is_control_closed: false,
            kill_at: None,
            end_at: None,
        }
    }

    /// The active layers of its sandbox; `None` before its first event.
    pub fn layers(&self) -> Option<&[Layer]> {
        self.layers.as_deref()
    }

    /// The process id on the worker's machine, for log lines.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid
    }

    /// The name of the worker's machine, for log lines; `None` if it is this one.
    pub fn machine(&self) -> Option<&str> {
        self.process.machine.as_deref()
    }

    /// The private memory of the process in bytes, resident or swapped out. Memory shared with files or other processes is
    /// not counted; unchanged memory inherited from a fork server is.
    ///
    /// The sample was taken at `since` or later. If the worker is on another machine, the call requests a sample for later
    /// calls, and returns [`Usage::Pending`] if there is none of that time.
    ///
    /// It is [`Usage::Unknown`] if the process has ended, for a worker on threads, and on systems other than Linux.
    pub fn memory_usage(&self, since: std::time::Instant) -> Usage<u64> {
        self.process.memory_usage(since)
    }

    /// The CPU time of the thread that evaluates scripts, since the start of the process. It is pending or unknown in the
    /// same cases as the [memory](Self::memory_usage).
    pub fn cpu_usage(&self, since: std::time::Instant) -> Usage<Duration> {
        self.process.cpu_usage(since)
    }

    /// Sets the constants of the plays that are queued from now on, besides [`WorkerSetup::constants`], which they hide.
    ///
    /// A name that is not set any more becomes `()`. Each change remains in the worker's memory: pass a value that is new
    /// in each play as an [input](Self::set_inputs).
    pub fn set_constants(&mut self, constants: &[NamedValue]) {
        if self.constants != constants {
            self.constants = constants.to_vec();
            self.work.queue(&ToWorker::Constants(self.constants.clone()));
        }
    }

    /// Hides host functions, by their numbers, from the plays and queries that follow: for scripts they do not exist, and
    /// completion does not list them. The program still has to refuse their calls, because a compromised worker can make
    /// them.
    pub fn hide_functions(&mut self, hidden: Vec<u32>) {
        if self.hidden_functions != hidden {
            self.work.queue(&ToWorker::HiddenFunctions(hidden.clone()));
            self.hidden_functions = hidden;
        }
    }

    /// Assigns values to variables before the play that is queued next. A variable of the same name is replaced.
    pub fn set_inputs(&mut self, inputs: Vec<NamedValue>) {
        if !inputs.is_empty() {
            self.work.queue(&ToWorker::Inputs(inputs));
        }
    }

    /// Queues a play, which [`flush`](Self::flush) or [`event`](Self::event) sends. The worker runs the plays that it has
    /// received one at a time, in order. The caller must bound the number and the size of unfinished plays.
    pub fn play(&mut self, play: &Play<'_>) {
        self.plays.push(play.number);
        self.work.queue(&ToWorker::Play(*play));
    }

    /// Queues a call of a function of [`WorkerSetup::functions`], like a [`play`](Self::play): stops, holds, host calls
    /// and events are the same. The caller must bound the number and the size of unfinished calls.
    ///
    /// A worker that a call has compromised sees the arguments of later calls: use a worker only for callers that may know
    /// them.
    ///
    /// A call with an unknown index or another number of arguments than parameters fails in the worker.
    ///
    /// # Errors
    ///
    /// Returns an error, and queues nothing, if an argument has more than [`Value::MAX_DEPTH`] levels.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use worker::{Call, ForkServer, FunctionFile, FunctionFiles, Program, Value, WorkerSetup, inspect_functions};
    ///
    /// # async fn example() -> std::io::Result<()> {
    /// let source = "private fn price(item) { 7 } fn order(item, count) { price(item) * count }";
    /// let file = FunctionFile { name: "order".into(), path: "shop/order.rhai".into(), source: source.into() };
    /// let functions = FunctionFiles { namespace: "shop".into(), files: vec![file] };
    /// let setup = WorkerSetup { functions: Some(functions.clone()), ..WorkerSetup::default() };
    /// // The indexes of calls are those of the public functions.
    /// let declared = inspect_functions(&functions.files, &setup.limits).expect("the file parses");
    /// assert_eq!(declared.iter().find(|function| !function.is_private).expect("one").name, "order");
    /// let mut worker = ForkServer::start(Program::SameExecutable, setup).await?.start_worker().await?;
    /// let args = [Value::String("tea".into()), Value::Int(3)];
    /// worker.call(&Call { number: 1, function: 0, args: &args, constants: &[] }).expect("valid arguments");
    /// let event = worker.event().await;
    /// # drop(event);
    /// # Ok(()) }
    /// ```
    pub fn call(&mut self, call: &Call<'_>) -> Result<(), InvalidValue> {
        if let Some(index) = call.args.iter().position(|value| !value.has_levels(Value::MAX_DEPTH)) {
            let reason = format!("it has more than {} levels", Value::MAX_DEPTH);
            return Err(InvalidValue { name: format!("argument {}", index + 1), reason });
        }
        self.set_constants(call.constants);
        self.plays.push(call.number);
        let Call { number, function, args, .. } = *call;
        self.work.queue(&ToWorker::Call(CallMessage { number, function, args: args.into() }));
        Ok(())
    }

    /// The number of live bytes of the worker after its last play or call, not counting those before the first one and
    /// the outcome.
    ///
    /// The worker states the number, so a compromised one can lie. It is 0 before the first outcome, for a worker on
    /// threads, and if the program's global allocator is not [`Allocator`](struct@crate::Allocator).
    pub fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Sends the queued plays, as far as the worker accepts them immediately.
    pub fn flush(&mut self) {
        self.work.flush();
    }

    /// Stops a play, or withdraws it if it has not begun; its [`WorkerEvent::Done`] or [`WorkerEvent::Withdrawn`]
    /// follows. It has no effect on a play that has ended.
    pub fn stop(&mut self, play: u64) {
        let is_first = self.plays.running() == Some(play);
        if self.plays.stop(play) {
            self.control.send(&ToControl::Stop { play });
            if is_first {
                // A play that waits for a host call checks its stop flag only after the call returns.
                self.return_host_call(HostReturn::Aborted);
            }
        }
    }

    /// Holds the plays that have not begun, so that the worker pauses after the running one; [`WorkerEvent::Held`]
    /// follows, unless all plays that were sent have begun. It has no effect while the worker is held.
    pub fn hold(&mut self) {
        if let Some(until) = self.plays.hold(Instant::now()) {
            self.control.send(&ToControl::Hold { until });
        }
    }

    /// Ends a [`hold`](Self::hold).
    pub fn resume(&mut self) {
        if self.plays.resume() {
            self.control.send(&ToControl::Resume);
        }
    }

    /// Whether the worker is held, or will be after the running play.
    pub fn is_holding(&self) -> bool {
        self.plays.is_holding()
    }

    /// Returns the result of the pending host call. It has no effect if no call is pending, for example after
    /// [`stop`](Self::stop) or if the process has ended.
    pub fn return_host_call(&mut self, returned: HostReturn) {
        if let Some(call) = self.host.open.take() {
            self.work.send(&ToWorker::Return { call, returned });
        }
    }

    /// Kills the process because the caller has detected a protocol violation; [`WorkerEvent::Lost`] with
    /// [`Loss::Crashed`] follows.
    pub fn kill_as_crashed(&mut self) {
        self.is_broken = true;
        self.kill();
    }

    /// Requests the progress of the running play; [`WorkerEvent::Progress`] follows.
    pub fn request_progress(&mut self) {
        // One request at a time: a worker that does not answer must not fill the server's buffer.
        if self.control.is_sent() && !self.is_progress_pending {
            self.is_progress_pending = true;
            self.control.send(&ToControl::Progress);
        }
    }

    /// Sends a query; [`WorkerEvent::Answer`] with the same number follows. The number must be unique within the
    /// worker.
    ///
    /// While a play runs, the worker answers with the state before the play, without values. The caller must bound the
    /// number of pending queries.
    pub fn send_query(&mut self, number: u64, query: Query) {
        self.pending_queries.insert(number, ExpectedAnswer::new(&query));
        let query = NumberedQuery { number, query };
        if self.plays.is_empty() {
            self.work.send(&ToWorker::Query(query));
        } else {
            self.control.send(&ToControl::Query(query));
        }
    }

    /// Lowers the priority of the process permanently, so that a long play does not slow down short ones. It has no
    /// effect if the system does not support it.
    pub fn lower_priority(&mut self) {
        self.process.lower_priority();
    }

    /// Whether [`lower_priority`](Self::lower_priority) was called.
    pub fn has_low_priority(&self) -> bool {
        self.process.is_low_priority
    }
}
