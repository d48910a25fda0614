//! The server's handle to a worker. It validates every message of the worker.

mod expected_answer;
mod host_call_validator;
mod sent_plays;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    future::poll_fn,
    io,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use self::{
    expected_answer::ExpectedAnswer,
    host_call_validator::HostCallValidator,
    sent_plays::{Decision, SentPlays, Violation},
};
use super::{
    frame_channel::{FrameChannel, Transport},
    loss::Loss,
    message_bounds::MessageBounds,
    process::Process,
    program::Program,
};
use crate::{
    message::{
        BUILD, EvalOutcome, FromControl, FromWorker, Hello, HostCall, HostReturn, Layer, NumberedQuery, Play, Print,
        ProgressReport, Query, QueryAnswer, ToControl, ToWorker, WorkerSetup,
    },
    system::channels::{ServerChannels, channels},
};

/// Time for a process to exit after it has closed its work pipe.
const END_GRACE_PERIOD: Duration = Duration::from_secs(1);

/// An event of a worker.
#[derive(Debug)]
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
/// worker.play(&Play { number: 1, script: "40 + 2", bind: None, caller: None });
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
        let max_frame =
            bounds.output.saturating_mul(2).saturating_add(128 << 10).max(bounds.args.saturating_add(1 << 10));
        Ok(Self {
            work: FrameChannel::new(work, max_frame),
            // The weight of an answer is larger than its encoding.
            control: FrameChannel::new(control, bounds.output.saturating_add(4 << 10)),
            is_progress_pending: false,
            layers: None,
            plays: SentPlays::new(),
            host: HostCallValidator::new(bounds),
            pending_queries: HashMap::new(),
            max_answer: bounds.output,
            process,
            is_broken: false,
            is_control_closed: false,
            kill_at: None,
        })
    }

    /// The active layers of its sandbox; `None` before its first event.
    pub fn layers(&self) -> Option<&[Layer]> {
        self.layers.as_deref()
    }

    /// The process id, for log lines.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid
    }

    /// Queues a play, which [`flush`](Self::flush) or [`event`](Self::event) sends. The worker runs the plays that it has
    /// received one at a time, in order. The caller must bound the number and the size of unfinished plays.
    pub fn play(&mut self, play: &Play<'_>) {
        self.plays.push(play.number);
        self.work.queue(&ToWorker::Play(*play));
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

    /// Kills the process; [`WorkerEvent::Lost`] follows.
    pub fn kill(&mut self) {
        self.process.kill();
        if !self.process.has_process() {
            self.work.close();
            self.control.close();
        }
    }

    /// Waits for the next event, in order. Cancel safe: dropping the future loses no event.
    ///
    /// It also sends what [`play`](Self::play) and [`stop`](Self::stop) could not send immediately, so it
    /// must be awaited for them to make progress.
    pub async fn event(&mut self) -> WorkerEvent {
        if !self.is_broken
            && let Some(event) = poll_fn(|cx| self.poll_event(cx)).await
        {
            return event;
        }
        self.wait_for_loss().await
    }

    /// Like [`event`](Self::event), but leaves the messages about plays unread: it returns progress, answers to queries
    /// during a play, withdrawn plays, and the end of the worker.
    pub async fn control_event(&mut self) -> WorkerEvent {
        if !self.is_broken
            && let Some(event) = poll_fn(|cx| self.poll_control_event(cx)).await
        {
            return event;
        }
        self.wait_for_loss().await
    }

    fn poll_control_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<WorkerEvent>> {
        loop {
            match self.next_control() {
                Ok(Some(event)) => return Poll::Ready(Some(event)),
                Ok(None) if self.is_control_closed => return Poll::Ready(None),
                Ok(None) => {}
                Err(error) => {
                    self.fail(&error);
                    return Poll::Ready(None);
                }
            }
            if !self.poll_control(cx) {
                return Poll::Pending;
            }
        }
    }

    /// Returns the next print if it is the next event and has already arrived, without waiting. After one print, a
    /// caller can take the following ones with it.
    pub fn arrived_print(&mut self) -> Option<Print> {
        let running = self.plays.running().filter(|_| !self.is_broken && self.layers.is_some())?;
        let is_print = |message: &FromWorker| matches!(message, FromWorker::Print(print) if print.play == running);
        // `event` reports invalid messages.
        match self.work.receive_if(is_print) {
            Ok(Some(FromWorker::Print(print))) => Some(print),
            _ => None,
        }
    }

    /// Returns the outcome of the running play if it is the next event and has already arrived, without waiting.
    pub fn arrived_outcome(&mut self) -> Option<EvalOutcome> {
        let running = self.plays.running().filter(|_| !self.is_broken && self.layers.is_some())?;
        let is_outcome = |message: &FromWorker| matches!(message, FromWorker::Done { play, .. } if *play == running);
        // `event` reports invalid messages.
        let message = self.work.receive_if(is_outcome).ok()??;
        match self.handle_message(message) {
            Ok(Some(WorkerEvent::Done { outcome, .. })) => Some(outcome),
            Ok(_) => None,
            Err(error) => {
                self.fail(&error);
                None
            }
        }
    }

    /// Polls for the next event; `None` if the worker has ended or violated the protocol.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<WorkerEvent>> {
        if self.plays.awaits_hold() {
            // Otherwise outcomes that wait behind a slow client could seem to be later than the answer.
            self.poll_control(cx);
        }
        loop {
            match self.next() {
                Ok(Some(event)) => return Poll::Ready(Some(event)),
                Ok(None) => {}
                Err(error) => {
                    self.fail(&error);
                    return Poll::Ready(None);
                }
            }
            // The control socket first, so that endless output on the work pipe does not delay answers. If only the
            // control socket closes, messages that arrived on the work pipe still count.
            if self.poll_control(cx) {
                continue;
            }
            match self.work.poll_drive(cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(_) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Polls the control socket. Returns whether anything has changed.
    fn poll_control(&mut self, cx: &mut Context<'_>) -> bool {
        if self.is_control_closed {
            return false;
        }
        let Poll::Ready(moved) = self.control.poll_drive(cx) else { return false };
        self.is_control_closed = !moved.unwrap_or(false);
        true
    }

    /// Kills a worker that has violated the protocol.
    fn fail(&mut self, error: &io::Error) {
        tracing::error!(pid = self.process.pid, %error, "worker violated the protocol; killing it");
        self.is_broken = true;
        self.kill();
    }

    /// Returns the next event from the messages that have arrived completely.
    fn next(&mut self) -> io::Result<Option<WorkerEvent>> {
        if let Some(event) = self.next_control()? {
            return Ok(Some(event));
        }
        if let Some(decision) = self.plays.held() {
            return Ok(Some(decision.into()));
        }
        while let Some(message) = self.work.receive::<FromWorker>()? {
            if let Some(event) = self.handle_message(message)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Returns the next event from the messages on the control socket that have arrived completely.
    fn next_control(&mut self) -> io::Result<Option<WorkerEvent>> {
        // A worker sends nothing on the control socket before it is sealed.
        while self.layers.is_some()
            && let Some(message) = self.control.receive::<FromControl>()?
        {
            match message {
                FromControl::Begun { play } => {
                    if let Some(decision) = self.plays.acknowledge(play)? {
                        return Ok(Some(decision.into()));
                    }
                }
                FromControl::Progress(report) if std::mem::take(&mut self.is_progress_pending) => {
                    return Ok(Some(WorkerEvent::Progress(report)));
                }
                FromControl::Progress(_) => return Err(Violation("unrequested progress report").into()),
                FromControl::Answer { number, answer } => return self.accept_answer(number, answer).map(Some),
            }
        }
        Ok(None)
    }

    /// Validates a message on the work pipe and returns its event, if any. Returns an error for a protocol violation.
    fn handle_message(&mut self, message: FromWorker) -> io::Result<Option<WorkerEvent>> {
        let violation = |why| Err(Violation(why).into());
        match message {
            FromWorker::Sealed(layers) if self.layers.is_none() => self.layers = Some(layers),
            // A worker sends nothing else before it is sealed.
            _ if self.layers.is_none() => return violation("message before the worker is sealed"),
            FromWorker::Print(print) if self.plays.is_running(print.play) => {
                return Ok(Some(WorkerEvent::Print(print)));
            }
            FromWorker::HostCall(call) if self.plays.is_running(call.play) => {
                if !self.host.admit(&call) {
                    return violation("malformed host call");
                }
                if !self.plays.is_running_stopped() {
                    return Ok(Some(WorkerEvent::HostCall(call)));
                }
                self.return_host_call(HostReturn::Aborted);
            }
            FromWorker::Done { play, outcome } if self.host.open.is_none() => {
                let is_reported = self.plays.finish(play, Instant::now())?;
                return Ok(is_reported.then_some(WorkerEvent::Done { play, outcome }));
            }
            FromWorker::Answer { number, answer } => return self.accept_answer(number, answer).map(Some),
            _ => return violation("message for a play that is not running"),
        }
        Ok(None)
    }

    /// Validates an answer against its query.
    fn accept_answer(&mut self, number: u64, answer: QueryAnswer) -> io::Result<WorkerEvent> {
        match self.pending_queries.remove(&number) {
            Some(query) if query.matches(&answer, self.max_answer) => Ok(WorkerEvent::Answer { number, answer }),
            _ => Err(Violation("answer without a matching query").into()),
        }
    }

    /// Waits for the end of the process. Cancel safe: a second call keeps the deadline of the first.
    async fn wait_for_loss(&mut self) -> WorkerEvent {
        // A socket can close before its process has ended, while the process handles a failure.
        let was_killed_by_server = self.process.was_killed;
        if !self.process.has_process() && was_killed_by_server {
            // The threads may take their time; there is nothing to wait for.
            return WorkerEvent::Lost(if self.is_broken { Loss::Crashed } else { Loss::Killed });
        }
        let deadline = *self.kill_at.get_or_insert_with(|| Instant::now() + END_GRACE_PERIOD);
        let loss = if let Ok(loss) = timeout_at(deadline, &mut self.process.ended).await {
            loss
        } else {
            self.kill();
            (&mut self.process.ended).await
        };
        WorkerEvent::Lost(match loss {
            _ if self.is_broken => Loss::Crashed,
            Ok(Loss::Memory) => Loss::Memory,
            _ if was_killed_by_server => Loss::Killed,
            // The owner of the process was dropped without reporting.
            loss => loss.unwrap_or(Loss::Crashed),
        })
    }
}

impl From<Violation> for io::Error {
    fn from(Violation(what): Violation) -> Self {
        Self::new(io::ErrorKind::InvalidData, what)
    }
}

impl From<Decision> for WorkerEvent {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Withdrawn { play } => Self::Withdrawn { play },
            Decision::Held => Self::Held,
        }
    }
}
