//! The events of a worker: they come from the messages on both channels, each of which is validated.

use std::{
    future::poll_fn,
    io,
    sync::Once,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use super::{
    Worker, WorkerEvent,
    sent_plays::{Decision, Violation},
};
use crate::{
    message::{EvalOutcome, FromControl, FromWorker, HostReturn, Layer, Print, QueryAnswer},
    parent::{loss::Loss, process::MachineNotice},
};

/// Time for a process to exit after it has closed its work pipe.
const END_GRACE_PERIOD: Duration = Duration::from_secs(1);

/// Time for another machine to report the end of a process that it was to kill. The handle does not wait longer: the machine
/// may be compromised or out of reach, and the deadline of a play must hold.
const REMOTE_KILL_TIMEOUT: Duration = Duration::from_secs(1);

impl Worker {
    /// Waits for the next event, in order. Cancel safe: dropping the future loses no event.
    ///
    /// It also sends what [`play`](Self::play) and [`stop`](Self::stop) could not send immediately, so it
    /// must be awaited for them to make progress.
    pub async fn event(&mut self) -> WorkerEvent {
        let end_at = self.end_at;
        if !self.is_broken
            && let Some(event) = before(end_at, poll_fn(|cx| self.poll_event(cx))).await
        {
            return event;
        }
        self.wait_for_loss().await
    }

    /// Kills the process; [`WorkerEvent::Lost`] follows: at the end of the process, or one second later if the process is on
    /// another machine, which may never report the end.
    pub fn kill(&mut self) {
        self.process.kill();
        if self.process.machine.is_some() {
            self.end_at.get_or_insert_with(|| Instant::now() + REMOTE_KILL_TIMEOUT);
        }
        if !self.process.has_process() {
            self.work.close();
            self.control.close();
        }
    }

    /// Like [`event`](Self::event), but leaves the messages about plays unread: it returns progress, answers to queries
    /// during a play, withdrawn plays, and the end of the worker.
    pub async fn control_event(&mut self) -> WorkerEvent {
        let end_at = self.end_at;
        if !self.is_broken
            && let Some(event) = before(end_at, poll_fn(|cx| self.poll_control_event(cx))).await
        {
            return event;
        }
        self.wait_for_loss().await
    }

    /// Whether a worker that has nothing to do is alive. Such a worker sends nothing, so whatever arrives is its end. The
    /// answer does not wait for the runtime to see that a channel has closed.
    pub fn is_alive_and_silent(&mut self) -> bool {
        let has_input = self.is_broken || self.work.has_input() || self.control.has_input();
        !has_input && self.poll_event(&mut Context::from_waker(Waker::noop())).is_pending()
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
        // While the answer to a hold is pending, `event` reads that first.
        let is_ready = !self.is_broken && self.layers.is_some() && !self.plays.awaits_hold();
        let running = self.plays.running().filter(|_| is_ready)?;
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
                // All that had arrived has been handled.
                Poll::Pending => {
                    let notice = self.process.take_notice();
                    return notice.map_or(Poll::Pending, |notice| Poll::Ready(Some(notice.into())));
                }
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
        tracing::error!(machine = self.machine(), pid = self.process.pid, %error, "worker violated the protocol; killing it");
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
            FromWorker::Sealed(layers) if self.layers.is_none() => {
                if self.process.has_process() {
                    warn_of_missing_allocator(&layers);
                }
                self.layers = Some(layers);
            }
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
            FromWorker::Done { play, outcome, live_bytes } if self.host.open.is_none() => {
                let is_reported = self.plays.finish(play, Instant::now())?;
                self.live_bytes = live_bytes;
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
        let kill_at = *self.kill_at.get_or_insert_with(|| Instant::now() + END_GRACE_PERIOD);
        let first_deadline = self.end_at.unwrap_or(kill_at);
        let loss = if let Ok(loss) = timeout_at(first_deadline, &mut self.process.ended).await {
            loss
        } else {
            self.kill();
            before(self.end_at, async { Some((&mut self.process.ended).await) }).await.unwrap_or(Ok(Loss::Unreachable))
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

/// Waits for a future until a deadline, if there is one. Returns `None` after the deadline.
async fn before<T>(deadline: Option<Instant>, future: impl Future<Output = Option<T>>) -> Option<T> {
    match deadline {
        Some(deadline) => timeout_at(deadline, future).await.ok().flatten(),
        None => future.await,
    }
}

/// Logs once that nothing enforces the memory limit of workers.
fn warn_of_missing_allocator(layers: &[Layer]) {
    static WARNED: Once = Once::new();
    if !layers.contains(&Layer::Memory) {
        WARNED.call_once(|| {
            tracing::warn!(
                "the memory limit of scripts is not enforced, because the program has another allocator: make \
                 worker::Allocator its #[global_allocator], or worker::Allocator::new(…) around its own"
            );
        });
    }
}

impl From<Violation> for io::Error {
    fn from(Violation(what): Violation) -> Self {
        Self::new(io::ErrorKind::InvalidData, what)
    }
}

impl From<MachineNotice> for WorkerEvent {
    fn from(notice: MachineNotice) -> Self {
        match notice {
            MachineNotice::Leaving => Self::Leaving,
            MachineNotice::Silent(lost_at) => Self::Silent { lost_at },
        }
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
