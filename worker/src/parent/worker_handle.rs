//! The server's end of one worker. Nothing that comes from the worker is believed without being checked.

mod expected_answer;
mod host_call_validator;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, io, time::Duration};

use tokio::{
    net::UnixStream,
    time::{Instant, timeout_at},
};

use self::{expected_answer::ExpectedAnswer, host_call_validator::HostCallValidator};
use super::{
    loss::Loss,
    message_bounds::MessageBounds,
    pipe::Pipe,
    process::Process,
    program::Program,
    sockets::{Sockets, socket_pairs},
};
use crate::message::{
    BUILD, EvalOutcome, FromControl, FromWorker, Hello, HostCall, HostReturn, Layer, NumberedQuery, Play, Print,
    ProgressReport, Query, QueryAnswer, ToControl, ToWorker, WorkerSetup,
};

/// How long a process may go on once its socket is closed.
const END_GRACE_PERIOD: Duration = Duration::from_secs(1);

/// What a worker does or says.
#[derive(Debug)]
pub enum WorkerEvent {
    /// A play printed something.
    Print(Print),
    /// A play ended.
    Done {
        /// The play's number.
        play: u64,
        /// How.
        outcome: EvalOutcome,
    },
    /// A play calls a host function of [`Setup::host`] and waits for [`Worker::host_return`]. The arguments are the
    /// worker's word and nothing more: they may be no JSON.
    HostCall(HostCall),
    /// The answer to [`Worker::ask_progress`].
    Progress(ProgressReport),
    /// The answer to [`Worker::ask`]; to the kind of query that it was.
    Answer {
        /// The query's number.
        number: u64,
        /// What was asked for.
        answer: QueryAnswer,
    },
    /// The process is gone, and its environment with it. Nothing comes after this.
    Lost(Loss),
}

/// One worker process. Dropping it kills the process.
#[derive(Debug)]
pub struct Worker {
    work: Pipe,
    control: Pipe,
    /// Whether a report is to come.
    is_progress_pending: bool,
    /// What it says that keeps it where it is.
    layers: Option<Vec<Layer>>,
    /// Number of the play that was sent and has not ended.
    running: Option<u64>,
    /// Number of the play that is to end.
    stopped: Option<u64>,
    host: HostCallValidator,
    /// Queries without an answer, by number.
    pending_queries: HashMap<u64, ExpectedAnswer>,
    /// Bytes that an answer to one may have.
    max_answer: usize,
    process: Process,
    is_broken: bool,
    is_control_closed: bool,
    /// When a process that closed its socket is killed.
    kill_at: Option<Instant>,
}

impl Worker {
    /// Starts a process for it alone. It needs a tokio runtime with I/O enabled, which then reaps the process, too. For
    /// many of one setup there is [`Template`](crate::Template).
    pub async fn start(program: Program, setup: WorkerSetup) -> io::Result<Self> {
        let (server_sockets, worker_sockets) = socket_pairs()?;
        let process =
            Process::start(program.path()?, worker_sockets.work.into(), worker_sockets.control.into()).await?;
        let mut worker = Self::new(server_sockets, process, MessageBounds::new(&setup))?;
        worker.work.send(&Hello { build: BUILD, setup });
        Ok(worker)
    }

    pub(crate) fn new(sockets: Sockets, process: Process, bounds: MessageBounds) -> io::Result<Self> {
        let [work, control] = [sockets.work, sockets.control].map(|socket| {
            socket.set_nonblocking(true)?;
            UnixStream::from_std(socket)
        });
        let max_frame =
            bounds.output.saturating_mul(2).saturating_add(128 << 10).max(bounds.args.saturating_add(1 << 10));
        Ok(Self {
            work: Pipe::new(work?, max_frame),
            // An answer counts each of its texts and more than each entry's encoding adds.
            control: Pipe::new(control?, bounds.output.saturating_add(4 << 10)),
            is_progress_pending: false,
            layers: None,
            running: None,
            stopped: None,
            host: HostCallValidator::new(bounds),
            pending_queries: HashMap::new(),
            max_answer: bounds.output,
            process,
            is_broken: false,
            is_control_closed: false,
            kill_at: None,
        })
    }

    /// What keeps it where it is; known with its first event.
    pub fn layers(&self) -> Option<&[Layer]> {
        self.layers.as_deref()
    }

    /// The process id, for log lines.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid
    }

    /// Sends a play. The one before must have ended.
    pub fn play(&mut self, play: &Play<'_>) {
        self.running = Some(play.number);
        self.work.send(&ToWorker::Play(*play));
    }

    /// Ends that play, now or as soon as it begins; its [`Event::Done`] still comes. It has no effect on a play that
    /// ended.
    pub fn stop(&mut self, play: u64) {
        self.control.send(&ToControl::Stop { play });
        if self.running == Some(play) {
            self.stopped = Some(play);
            // It would not look before it is answered.
            self.return_host_call(HostReturn::Aborted);
        }
    }

    /// Answers the host call for which the play waits. It has no effect where none waits any more: after
    /// [`stop`](Self::stop), or once the process is gone.
    pub fn return_host_call(&mut self, returned: HostReturn) {
        if let Some(call) = self.host.open.take() {
            self.work.send(&ToWorker::Return { call, returned });
        }
    }

    /// Kills a process that said what no worker says, in words that only the caller can judge; [`Event::Lost`] with
    /// [`Loss::Crashed`] follows.
    pub fn kill_as_crashed(&mut self) {
        self.is_broken = true;
        self.kill();
    }

    /// Asks how far the running play is.
    pub fn request_progress(&mut self) {
        // One question at a time: a worker that does not answer must not fill this end.
        if self.control.is_sent() && !self.is_progress_pending {
            self.is_progress_pending = true;
            self.control.send(&ToControl::Progress);
        }
    }

    /// Asks something; [`Event::Answer`] follows under that number, which no other query of this worker may have. While a
    /// play runs it is answered from what there was before the play, without values. The caller bounds how many it asks
    /// for before they are answered.
    pub fn send_query(&mut self, number: u64, query: Query) {
        self.pending_queries.insert(number, ExpectedAnswer::new(&query));
        let query = NumberedQuery { number, query };
        if self.running.is_some() {
            self.control.send(&ToControl::Query(query));
        } else {
            self.work.send(&ToWorker::Query(query));
        }
    }

    /// From now on, for good, it runs only while nothing else wants the processor much: for one whose play takes long, so
    /// that it does not slow those that do not. Where the system cannot, nothing changes.
    pub fn lower_priority(&mut self) {
        self.process.lower_priority();
    }

    /// Whether [`give_way`](Self::give_way) was called.
    pub fn has_low_priority(&self) -> bool {
        self.process.is_low_priority
    }

    /// Kills the process; [`Event::Lost`] follows.
    pub fn kill(&mut self) {
        self.process.kill();
        if !self.process.has_process() {
            self.work.close();
            self.control.close();
        }
    }

    /// The next event, in order. Cancel safe: an event is never lost when the future is dropped. It also drives what
    /// [`play`](Self::play) and [`stop`](Self::stop) could not send at once, so it must be awaited for them to go on.
    pub async fn event(&mut self) -> WorkerEvent {
        if self.is_broken {
            return self.wait_for_loss().await;
        }
        loop {
            match self.next() {
                Ok(Some(event)) => return event,
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(pid = self.process.pid, %error, "a worker broke the protocol and is killed");
                    self.is_broken = true;
                    self.kill();
                    return self.wait_for_loss().await;
                }
            }
            tokio::select! {
                // The quiet one first: a play that prints without end must not keep answers from being seen. Its end is
                // not the worker's: what has arrived on the other one counts, even if the process is gone by now.
                biased;
                moved = self.control.drive(), if !self.is_control_closed => {
                    self.is_control_closed = !moved.unwrap_or(false);
                }
                moved = self.work.drive() => if !moved.unwrap_or(false) {
                    return self.wait_for_loss().await;
                },
            }
        }
    }

    /// The next print, if it has arrived and nothing else stands before it. It waits for nothing, so that whoever has
    /// taken one print can take those behind it in the same turn.
    pub fn arrived_print(&mut self) -> Option<Print> {
        let running = self.running.filter(|_| !self.is_broken && self.layers.is_some())?;
        let is_print = |message: &FromWorker| matches!(message, FromWorker::Print(print) if print.play == running);
        // What is no message is an error of the next event.
        match self.work.receive_if(is_print) {
            Ok(Some(FromWorker::Print(print))) => Some(print),
            _ => None,
        }
    }

    /// The next event of what has fully arrived.
    fn next(&mut self) -> io::Result<Option<WorkerEvent>> {
        // Before it is sealed a worker has nothing to say there.
        let message = if self.layers.is_some() { self.control.receive::<FromControl>()? } else { None };
        match message {
            Some(FromControl::Progress(report)) if std::mem::take(&mut self.is_progress_pending) => {
                return Ok(Some(WorkerEvent::Progress(report)));
            }
            Some(FromControl::Progress(_)) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a report that nobody asked for"));
            }
            Some(FromControl::Answer { number, answer }) => return self.accept_answer(number, answer).map(Some),
            None => {}
        }
        while let Some(message) = self.work.receive::<FromWorker>()? {
            if let Some(event) = self.handle_message(message)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Checks a message on the work socket: the event that it comes to, if any. The error is that no worker sends that.
    fn handle_message(&mut self, message: FromWorker) -> io::Result<Option<WorkerEvent>> {
        let violation = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
        match message {
            FromWorker::Sealed(layers) if self.layers.is_none() => self.layers = Some(layers),
            // Before it is sealed a worker has nothing to say.
            _ if self.layers.is_none() => return violation("it is not sealed"),
            FromWorker::Print(print) if self.running == Some(print.play) => return Ok(Some(WorkerEvent::Print(print))),
            FromWorker::HostCall(call) if self.running == Some(call.play) => {
                if !self.host.admit(&call) {
                    return violation("a host call that cannot be");
                }
                if self.stopped != self.running {
                    return Ok(Some(WorkerEvent::HostCall(call)));
                }
                self.return_host_call(HostReturn::Aborted);
            }
            FromWorker::Done { play, outcome } if self.running == Some(play) && self.host.open.is_none() => {
                self.running = None;
                return Ok(Some(WorkerEvent::Done { play, outcome }));
            }
            FromWorker::Answer { number, answer } => return self.accept_answer(number, answer).map(Some),
            _ => return violation("a message of a play that is not running"),
        }
        Ok(None)
    }

    /// Checks an answer against the query that it is for.
    fn accept_answer(&mut self, number: u64, answer: QueryAnswer) -> io::Result<WorkerEvent> {
        match self.pending_queries.remove(&number) {
            Some(query) if query.matches(&answer, self.max_answer) => Ok(WorkerEvent::Answer { number, answer }),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "an answer to nothing that was asked")),
        }
    }

    /// Cancel safe: when it gives up waiting is noted, not counted anew.
    async fn wait_for_loss(&mut self) -> WorkerEvent {
        // A socket can close before its process has ended, by a failure that is still being handled there.
        let was_killed_by_server = self.process.was_killed;
        if !self.process.has_process() && was_killed_by_server {
            // They may take their time; nobody has to wait for it.
            return WorkerEvent::Lost(if self.is_broken { Loss::Crashed } else { Loss::Killed });
        }
        let give_up_at = *self.kill_at.get_or_insert_with(|| Instant::now() + END_GRACE_PERIOD);
        let loss = if let Ok(loss) = timeout_at(give_up_at, &mut self.process.ended).await {
            loss
        } else {
            self.kill();
            (&mut self.process.ended).await
        };
        WorkerEvent::Lost(match loss {
            _ if self.is_broken => Loss::Crashed,
            Ok(Loss::Memory) => Loss::Memory,
            _ if was_killed_by_server => Loss::Killed,
            // Without one who could tell: what owned it is gone.
            loss => loss.unwrap_or(Loss::Crashed),
        })
    }
}
