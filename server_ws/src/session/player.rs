//! The session's worker: the queries that it is asked, and the one play that it runs, with the one outcome that the play
//! has.

use std::{io, net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use keys::PublicKey;
use protocol::{
    Id, RpcError,
    error::{BusyLimit, LossReason, PlayLimit},
    methods::{PlayParams, PlayResult},
};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use worker::{Answer, Event, HostCall, Loss, Outcome, Worker};

use super::{
    answers::Ticket,
    hosting::{Hosting, Objection, Refusal, Returned, Telling},
    inquiries::Inquiries,
    outcome,
};
use crate::{
    admission::{Caller, WorkerPlace},
    circle::Circle,
    host::{MAX_LEFT_BEHIND, Play as HostPlay, PlayEnd},
    memory::Verdict,
    slots::{RunningSlot, Turn},
};

/// How long a play that was told to stop may take to do so, before its worker is killed.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// How long a play may run before its worker gives way to others, for good: so long plays do not slow short ones.
const GIVE_WAY_AFTER: Duration = Duration::from_millis(5);

/// When a play is first reported on, and how often from then on.
const FIRST_PROGRESS: Duration = Duration::from_millis(500);
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// How long after it was used a worker's memory is looked at, and how often while it plays.
const WEIGH_INTERVAL: Duration = Duration::from_millis(250);

pub(crate) struct Player {
    circle: Arc<Circle>,
    /// The session's, for the log and for host functions.
    session: u64,
    /// Who the caller is that has proved no key.
    anonymous: Caller,
    slot: Slot,
    running: Option<Running>,
    /// When something last asked for the worker.
    last_used: Instant,
    /// When the worker's memory is looked at; never, when that was done since it was last used.
    weigh_at: Option<Instant>,
    plays: u64,
    pub(super) inquiries: Inquiries,
}

/// What brings something about.
enum Moved {
    /// It is the running play's turn.
    Turn(Option<RunningSlot>),
    Started(io::Result<Box<Worker>>),
    Event(Event),
    /// The running play's host function has ended.
    Returned(Returned),
    /// The running play's modules have been told of its end, or take too long.
    Told(Option<Result<(), Objection>>),
}

type Starting = Pin<Box<dyn Future<Output = io::Result<Worker>> + Send>>;

enum Slot {
    Empty,
    Starting(Starting, WorkerPlace),
    Ready(Box<Worker>, WorkerPlace),
}

/// Why a play is made to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its client cancelled it.
    Cancelled,
    /// Its time is over.
    Time,
    /// The circle ends.
    Shutdown,
    /// It makes more host calls than it may.
    HostCalls,
    /// A host function's result is larger than it may be.
    HostBytes,
    /// Its caller has as many host functions running on as may be.
    LeftBehind,
}

struct Running {
    ticket: Ticket,
    caller: Option<PublicKey>,
    /// Held while it runs.
    slot: Option<RunningSlot>,
    /// What it waits for before.
    turn: Option<Turn>,
    /// What is still to be sent, to a worker that is starting or once it is its turn.
    unsent: Option<(PlayParams, Option<String>)>,
    number: u64,
    started: Instant,
    max_ms: u64,
    deadline: Option<Instant>,
    /// When its worker gives way, unless it has done so before.
    give_way_at: Option<Instant>,
    next_progress: Instant,
    ending: Option<Ending>,
    kill_at: Option<Instant>,
    /// Once it has called a host function.
    hosting: Option<Hosting>,
    /// Once it has ended, while modules are told.
    telling: Option<Told>,
}

/// What is answered once modules have been told of it.
struct Told {
    then: Then,
    task: Telling,
    /// When it is answered all the same.
    by: Option<Instant>,
}

/// What a play came to.
enum Then {
    Ended(Result<PlayResult, RpcError>),
    Lost(LossReason),
}

/// What the player's worker brought about.
#[derive(Debug)]
pub(crate) enum Happened {
    /// Nothing that anyone need hear of.
    Nothing,
    /// The running play printed something.
    Printed(worker::Print),
    /// How far the running play is.
    Progress(worker::ProgressReport),
    /// The running play ended.
    Ended(Ticket, Result<PlayResult, RpcError>),
    /// A query has its answer.
    Answered(Ticket, Answer),
    /// No worker could be started, for this play and for whatever was asked.
    NotStarted(Option<Ticket>),
    /// The environment is gone, and with it the play that ran, if one did.
    Lost(Option<Ticket>, LossReason),
}

impl Player {
    pub(crate) fn new(circle: Arc<Circle>, session: u64, address: IpAddr) -> Self {
        let inquiries = Inquiries::new(&circle.limits);
        Self {
            circle,
            session,
            anonymous: Caller::anonymous(address),
            slot: Slot::Empty,
            running: None,
            last_used: Instant::now(),
            weigh_at: None,
            plays: 0,
            inquiries,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_none()
    }

    /// Whether the running play has been told to end, so that its outcome is all that is waited for.
    pub(crate) fn is_ending(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.ending.is_some() || running.telling.is_some())
    }

    pub(crate) fn runs(&self, id: &Id) -> bool {
        self.running.as_ref().is_some_and(|running| running.ticket.id.as_ref() == Some(id))
    }

    /// The id of the running play, and since when it runs.
    pub(crate) fn reported(&self) -> Option<(&Id, Instant)> {
        let running = self.running.as_ref()?;
        Some((running.ticket.id.as_ref()?, running.started))
    }

    /// Sees to it that there is a worker, or will be. The error is that the circle has none to give.
    pub(crate) fn prepare(&mut self, caller: Option<PublicKey>) -> Result<(), RpcError> {
        self.last_used = Instant::now();
        if matches!(self.slot, Slot::Empty) {
            let caller = caller.map_or(self.anonymous, Caller::Key);
            let place = self.circle.admission.worker(caller)?;
            let circle = self.circle.clone();
            self.slot = Slot::Starting(Box::pin(async move { circle.workers.worker().await }), place);
        }
        Ok(())
    }

    /// Begins a play; none must be running. The error is that the circle has no worker to give.
    pub(crate) fn begin(
        &mut self,
        ticket: Ticket,
        params: PlayParams,
        caller: Option<PublicKey>,
    ) -> Result<(), (Ticket, RpcError)> {
        if let Err(error) = self.prepare(caller) {
            return Err((ticket, error));
        }
        self.plays += 1;
        // Counted for whoever asked for it, whose place the session's worker is not always.
        let (slot, turn) = match self.circle.slots.take(caller.map_or(self.anonymous, Caller::Key)) {
            Ok(slot) => (Some(slot), None),
            Err(turn) => (None, Some(turn)),
        };
        let started = Instant::now();
        let max_ms = params.timeout_ms.unwrap_or(u64::MAX).min(self.circle.limits.play_ms);
        self.running = Some(Running {
            ticket,
            caller,
            slot,
            turn,
            unsent: Some((params, caller.map(|key| key.to_hex()))),
            number: self.plays,
            started,
            max_ms,
            deadline: None,
            give_way_at: None,
            next_progress: started,
            ending: None,
            kill_at: None,
            hosting: None,
            telling: None,
        });
        if self.running.as_ref().is_some_and(|running| running.slot.is_some()) {
            self.begin_time();
        }
        self.send();
        Ok(())
    }

    /// Sends what was not sent yet: queries first, so that they are answered from before a play.
    pub(crate) fn send(&mut self) {
        self.uses();
        let Slot::Ready(worker, _) = &mut self.slot else { return };
        self.inquiries.unsent().for_each(|(number, query)| worker.ask(number, query));
        let Some(running) = self.running.as_mut().filter(|running| running.slot.is_some()) else { return };
        if let Some((params, caller)) = running.unsent.take() {
            running.give_way_at = (!worker.gives_way()).then(|| Instant::now() + GIVE_WAY_AFTER);
            worker.play(&worker::Play {
                number: running.number,
                script: &params.script,
                bind: params.bind.as_deref(),
                caller: caller.as_deref(),
            });
        }
    }

    /// Has the running play end, unless it has been told to before. If it was not sent yet, it has ended.
    pub(crate) fn stop(&mut self, ending: Ending) -> Option<(Ticket, RpcError)> {
        let running = self.running.as_mut().filter(|running| running.ending.is_none())?;
        if let Some(telling) = &mut running.telling {
            // It has its outcome. A circle that ends does not wait for long, though.
            if ending == Ending::Shutdown {
                let soon = Instant::now() + STOP_GRACE;
                telling.by = Some(telling.by.map_or(soon, |by| by.min(soon)));
            }
            return None;
        }
        running.ending = Some(ending);
        if let Slot::Ready(worker, _) = &mut self.slot
            && running.unsent.is_none()
        {
            running.kill_at = Some(Instant::now() + STOP_GRACE);
            worker.stop(running.number);
            if let Some(hosting) = &mut running.hosting {
                hosting.abandon();
            }
            return None;
        }
        let running = self.running.take()?;
        let error = self.ended(ending, running.max_ms);
        Some((running.ticket, error))
    }

    /// What the running play was told to end for.
    pub(crate) fn ending(&self) -> Option<Ending> {
        self.running.as_ref().and_then(|running| running.ending)
    }

    /// Drops the worker; the next play gets a fresh one. No play must be running.
    pub(crate) fn reset(&mut self) {
        self.slot = Slot::Empty;
    }

    /// When the worker has not been used for so long that it is to be given back; never, without one that is idle.
    pub(crate) fn idle_until(&self, limit: Option<u64>) -> Option<Instant> {
        let is_idle = matches!(self.slot, Slot::Ready(..)) && self.is_idle() && !self.inquiries.is_waited_for();
        self.last_used.checked_add(Duration::from_secs(limit.filter(|_| is_idle)?))
    }

    /// When [`weigh`](Self::weigh) has something to do next.
    pub(crate) fn next_weighing(&self) -> Option<Instant> {
        // One that is made to end is not ended twice.
        self.weigh_at.filter(|_| matches!(self.slot, Slot::Ready(..)) && !self.is_ending())
    }

    /// Looks at the worker's memory, if that is due. Where it grew and there is no room, it is dropped, and lost with it is
    /// what this returns.
    pub(crate) fn weigh(&mut self, now: Instant) -> Option<Happened> {
        self.next_weighing().filter(|at| *at <= now)?;
        // Short plays share a look, and one that does nothing is not looked at again.
        self.weigh_at = None;
        let is_idle = self.is_idle();
        let Slot::Ready(worker, place) = &mut self.slot else { return None };
        match place.weigh(worker.pid()) {
            Verdict::Keep if is_idle => return None,
            Verdict::Keep | Verdict::Watch => {
                self.weigh_at = Some(now + WEIGH_INTERVAL);
                return None;
            }
            Verdict::End => {}
        }
        tracing::warn!(
            pid = worker.pid(),
            "the memory for all or for one caller is used up, a worker that grew is ended"
        );
        Some(self.lose(LossReason::Memory))
    }

    /// Something makes use of the worker.
    fn uses(&mut self) {
        self.weigh_at.get_or_insert_with(|| Instant::now() + WEIGH_INTERVAL);
    }

    /// When [`tick`](Self::tick) has something to do next. `is_heard`: the client reads, so progress can be told.
    pub(crate) fn next_tick(&self, is_heard: bool) -> Option<Instant> {
        let running = self.running.as_ref()?;
        if running.telling.is_some() {
            return None;
        }
        if running.ending.is_some() {
            return running.kill_at;
        }
        let progress = (is_heard && running.ticket.id.is_some()).then_some(running.next_progress);
        [running.deadline, running.give_way_at, progress].into_iter().flatten().min()
    }

    /// Does what is due. What it returns has ended.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<(Ticket, RpcError)> {
        let running = self.running.as_mut()?;
        if running.telling.is_some() {
            return None;
        }
        if running.ending.is_some() {
            if running.kill_at.is_some_and(|at| at <= now)
                && let Slot::Ready(worker, _) = &mut self.slot
            {
                tracing::warn!(pid = worker.pid(), "a play does not stop, its worker is killed");
                running.kill_at = None;
                worker.kill();
            }
            return None;
        }
        if running.deadline.is_some_and(|deadline| deadline <= now) {
            return self.stop(Ending::Time);
        }
        if running.give_way_at.is_some_and(|at| at <= now)
            && let Slot::Ready(worker, _) = &mut self.slot
        {
            running.give_way_at = None;
            worker.give_way();
        }
        if running.next_progress <= now {
            running.next_progress = now + PROGRESS_INTERVAL;
            if let Slot::Ready(worker, _) = &mut self.slot
                && running.ticket.id.is_some()
            {
                worker.ask_progress();
            }
        }
        None
    }

    /// From now on the running play's time counts: what it waits for others' plays does not.
    fn begin_time(&mut self) {
        if let Some(running) = &mut self.running {
            running.started = Instant::now();
            running.deadline = running.started.checked_add(Duration::from_millis(running.max_ms));
            running.next_progress = running.started + FIRST_PROGRESS;
        }
    }

    /// The next thing that happens; never, without a worker. Cancel safe.
    pub(crate) async fn happened(&mut self) -> Happened {
        let (turn, hosting, telling) = match &mut self.running {
            Some(running) => (running.turn.as_mut(), running.hosting.as_mut(), running.telling.as_mut()),
            None => (None, None, None),
        };
        // Until modules have been told of a play, nothing happens after it.
        let is_told = telling.is_none();
        let moved = tokio::select! {
            slot = turn_of(turn) => Moved::Turn(slot),
            returned = returned(hosting), if is_told => Moved::Returned(returned),
            told = told(telling) => Moved::Told(told),
            moved = moved(&mut self.slot), if is_told => moved,
        };
        match moved {
            Moved::Started(started) => self.started(started),
            Moved::Event(event) => self.digest(event),
            Moved::Returned(returned) => self.returned(returned),
            Moved::Told(told) => self.told(told),
            Moved::Turn(slot) => {
                if let Some(running) = &mut self.running {
                    (running.slot, running.turn) = (slot, None);
                }
                self.begin_time();
                self.send();
                Happened::Nothing
            }
        }
    }

    fn started(&mut self, started: io::Result<Box<Worker>>) -> Happened {
        let Slot::Starting(_, mut place) = std::mem::replace(&mut self.slot, Slot::Empty) else {
            return Happened::Nothing;
        };
        match started {
            Ok(worker) => {
                tracing::debug!(pid = worker.pid(), "a worker started");
                // What it begins with is where its growth is counted from, and no reason to end it.
                let _fresh = place.weigh(worker.pid());
                self.slot = Slot::Ready(worker, place);
                self.send();
                Happened::Nothing
            }
            Err(error) => {
                tracing::error!(%error, "no worker can be started");
                Happened::NotStarted(self.running.take().map(|running| running.ticket))
            }
        }
    }

    fn digest(&mut self, event: Event) -> Happened {
        match event {
            Event::Print(_) | Event::Progress(_) if self.is_ending() => Happened::Nothing,
            Event::Print(print) => Happened::Printed(print),
            Event::HostCall(call) => self.host_call(call),
            Event::Progress(report) => match &self.running {
                Some(running) if running.number == report.play => Happened::Progress(report),
                _ => Happened::Nothing,
            },
            Event::Answer { number, answer } => match self.inquiries.answered(number) {
                Some(ticket) => Happened::Answered(ticket, answer),
                None => Happened::Nothing,
            },
            Event::Done { outcome, .. } => self.done(outcome),
            Event::Lost(loss) => self.lost(loss),
        }
    }

    fn host_call(&mut self, call: HostCall) -> Happened {
        let Some(running) = &mut self.running else { return Happened::Nothing };
        let hosting = running.hosting.get_or_insert_with(|| {
            let play = HostPlay {
                caller: running.caller,
                session: self.session,
                circle: self.circle.name.as_str().into(),
                deadline: running.deadline.map(Instant::into_std),
                cancelled: CancellationToken::new(),
            };
            Hosting::new(self.circle.clone(), running.caller.map_or(self.anonymous, Caller::Key), play)
        });
        match hosting.call(call) {
            Ok(()) => Happened::Nothing,
            Err(Refusal::TooMany) => self.end(Ending::HostCalls),
            Err(Refusal::LeftBehind) => self.end(Ending::LeftBehind),
        }
    }

    fn returned(&mut self, returned: Returned) -> Happened {
        let Slot::Ready(worker, _) = &mut self.slot else { return Happened::Nothing };
        match returned {
            Returned::Script(returned) => worker.host_return(returned),
            Returned::TooLarge => return self.end(Ending::HostBytes),
            Returned::Unreadable => {
                tracing::error!(pid = worker.pid(), "a worker calls a host function as none does, and is killed");
                worker.condemn();
            }
        }
        Happened::Nothing
    }

    /// Has the running play end for a reason of its own.
    fn end(&mut self, ending: Ending) -> Happened {
        match self.stop(ending) {
            Some((ticket, error)) => Happened::Ended(ticket, Err(error)),
            None => Happened::Nothing,
        }
    }

    fn done(&mut self, outcome: Outcome) -> Happened {
        self.last_used = Instant::now();
        let Some(running) = self.running.take() else { return Happened::Nothing };
        let elapsed = running.started.elapsed();
        let result = match (running.ending, outcome) {
            // Set before the outcome came, so it is the outcome.
            (Some(ending), _) => Err(self.ended(ending, running.max_ms)),
            (None, Outcome::Value(value)) => match RawValue::from_string(value.json) {
                Ok(json) => Ok(PlayResult {
                    output: value.output,
                    r#type: value.type_name,
                    value: json,
                    elapsed_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
                    operations: value.operations,
                }),
                Err(error) => {
                    tracing::error!(%error, "a worker sent a value that is not JSON, and is dropped");
                    self.running = Some(running);
                    return self.lose(LossReason::Crash);
                }
            },
            (None, outcome) => Err(outcome::error(outcome)),
        };
        self.tell(running, Then::Ended(result))
    }

    fn lost(&mut self, loss: Loss) -> Happened {
        let ending = self.running.as_ref().and_then(|running| running.ending);
        let reason = match (loss, ending) {
            (Loss::Killed, Some(Ending::Time)) => LossReason::Time,
            (Loss::Killed, _) => LossReason::Killed,
            (Loss::Memory, _) => LossReason::Memory,
            (Loss::Crashed, _) => LossReason::Crash,
        };
        self.lose(reason)
    }

    fn lose(&mut self, reason: LossReason) -> Happened {
        self.slot = Slot::Empty;
        match self.running.take() {
            Some(running) => self.tell(running, Then::Lost(reason)),
            None => Happened::Lost(None, reason),
        }
    }

    /// Lets the modules that a play called know how it ended, before anyone else does.
    fn tell(&mut self, mut running: Running, then: Then) -> Happened {
        let how = match &then {
            Then::Ended(Ok(_)) => PlayEnd::Succeeded,
            Then::Ended(Err(error)) => outcome::play_end(error),
            Then::Lost(_) => PlayEnd::Lost,
        };
        match running.hosting.as_mut().and_then(|hosting| hosting.end(how)) {
            Some(task) => {
                let by = if how.is_success() { running.deadline } else { Some(Instant::now() + STOP_GRACE) };
                running.telling = Some(Told { then, task, by });
                self.running = Some(running);
                Happened::Nothing
            }
            None => happened(running.ticket, then),
        }
    }

    /// They know, or take too long.
    fn told(&mut self, told: Option<Result<(), Objection>>) -> Happened {
        let Some(mut running) = self.running.take() else { return Happened::Nothing };
        let Some(telling) = running.telling.take() else { return Happened::Nothing };
        let then = match (telling.then, told) {
            (Then::Ended(Ok(_)), Some(Err(objection))) => Then::Ended(Err(outcome::objection(objection))),
            (then, Some(_)) => then,
            (then, None) => {
                tracing::warn!("a host module takes longer at the end of a play than it may");
                match then {
                    // Nobody knows whether its effects last.
                    Then::Ended(Ok(_)) => Then::Ended(Err(self.ended(Ending::Time, running.max_ms))),
                    then => then,
                }
            }
        };
        happened(running.ticket, then)
    }

    fn ended(&self, ending: Ending, max_ms: u64) -> RpcError {
        let limits = &self.circle.limits;
        match ending {
            Ending::Cancelled => RpcError::Cancelled,
            Ending::Time => RpcError::LimitExceeded { limit: PlayLimit::Time, max: max_ms },
            Ending::Shutdown => RpcError::ShuttingDown,
            Ending::HostCalls => RpcError::LimitExceeded { limit: PlayLimit::Operations, max: limits.host_calls },
            Ending::HostBytes => RpcError::LimitExceeded { limit: PlayLimit::Size, max: limits.host_kib },
            Ending::LeftBehind => {
                RpcError::Busy { limit: BusyLimit::Running, max: MAX_LEFT_BEHIND, retry_after_ms: None }
            }
        }
    }
}

fn happened(ticket: Ticket, then: Then) -> Happened {
    match then {
        Then::Ended(result) => Happened::Ended(ticket, result),
        Then::Lost(reason) => Happened::Lost(Some(ticket), reason),
    }
}

/// What the host function came to that a play waits for; never, without one.
async fn returned(hosting: Option<&mut Hosting>) -> Returned {
    match hosting {
        Some(hosting) => hosting.returned().await,
        None => std::future::pending().await,
    }
}

/// What the modules say that are told of a play's end; `None` if they take too long; never, if none is told.
async fn told(telling: Option<&mut Told>) -> Option<Result<(), Objection>> {
    let Some(Told { task, by, .. }) = telling else { return std::future::pending().await };
    let told = match by {
        Some(by) => timeout_at(*by, task).await.ok()?,
        None => task.await,
    };
    // The task only ends otherwise when the program's runtime does.
    Some(told.unwrap_or(Ok(())))
}

/// Waits for the turn of a play; forever, of none that waits for one.
async fn turn_of(turn: Option<&mut Turn>) -> Option<RunningSlot> {
    match turn {
        // The circle has the other end, and outlives its sessions.
        Some(turn) => turn.await.ok(),
        None => std::future::pending().await,
    }
}

async fn moved(slot: &mut Slot) -> Moved {
    match slot {
        Slot::Empty => std::future::pending().await,
        Slot::Starting(starting, _) => Moved::Started(starting.await.map(Box::new)),
        Slot::Ready(worker, _) => Moved::Event(worker.event().await),
    }
}
