//! The session's worker: the queries that it is asked, and the one play that it runs, with the one outcome that the play
//! has.

mod cpu_budget;
mod finish;
mod host_calls;
mod running_play;
mod timers;

use std::{io, net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use keys::PublicKey;
use protocol::{
    Id, RpcError,
    error::{BusyLimit, LossReason},
    methods::{PlayParams, PlayResult},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use worker::{Answer, Event, HostCall, Worker};

use super::{batches::Ticket, pending_queries::Inquiries};
use crate::{
    circle::{Circle, SessionLimits},
    host::Play as HostPlay,
    metrics::PlayTimer,
    quota::{Caller, WorkerPermit},
};
use cpu_budget::Patience;
use host_calls::{Hosting, Refusal, Returned};
pub(crate) use running_play::Ending;
use running_play::{Running, Waited};

/// How long a play that was told to stop may take to do so, before its worker is killed.
const STOP_GRACE: Duration = Duration::from_secs(1);

pub(crate) struct Player {
    circle: Arc<Circle>,
    /// The limits of the environment, or of the one before.
    limits: Arc<SessionLimits>,
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
    /// What took the environment while modules were told of a play; not told of yet.
    lost_meanwhile: Option<LossReason>,
    pub(super) inquiries: Inquiries,
}

/// What brings something about.
enum Moved {
    Waited(Waited),
    Started(io::Result<Box<Worker>>),
    Event(Event),
}

type Starting = Pin<Box<dyn Future<Output = io::Result<Worker>> + Send>>;

enum Slot {
    Empty,
    Starting(Starting, WorkerPermit),
    Ready(Box<Worker>, WorkerPermit),
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
    NotStarted(Option<Ticket>, RpcError),
    /// The environment is gone, and with it the play that ran, if one did.
    Lost(Option<Ticket>, LossReason),
}

impl Player {
    pub(crate) fn new(circle: Arc<Circle>, limits: Arc<SessionLimits>, session: u64, address: IpAddr) -> Self {
        let inquiries = Inquiries::new(&limits.values);
        Self {
            circle,
            limits,
            session,
            anonymous: Caller::anonymous(address),
            slot: Slot::Empty,
            running: None,
            last_used: Instant::now(),
            weigh_at: None,
            plays: 0,
            lost_meanwhile: None,
            inquiries,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_none() && self.lost_meanwhile.is_none()
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
            let place = self.circle.admission.admit_worker(caller)?;
            // An environment is made as the circle is by then.
            let settings = self.circle.settings();
            self.limits = settings.limits.clone();
            let workers = settings.workers.clone();
            self.slot = Slot::Starting(Box::pin(async move { workers.start_worker().await }), place);
        }
        Ok(())
    }

    /// Begins a play; none must be running. The error is that the circle has no worker to give.
    pub(crate) fn begin(
        &mut self,
        ticket: Ticket,
        params: Arc<PlayParams>,
        caller: Option<PublicKey>,
    ) -> Result<(), (Ticket, RpcError)> {
        if let Err(error) = self.prepare(caller) {
            return Err((ticket, error));
        }
        self.plays += 1;
        // Counted for whoever asked for it, whose place the session's worker is not always.
        let slot = self.circle.running_plays.acquire(caller.map_or(self.anonymous, Caller::Key));
        let max_ms = params.timeout_ms.unwrap_or(u64::MAX).min(self.limits.values.play_ms);
        let timer = PlayTimer::new(self.circle.metrics.clone());
        self.running = Some(Running::new(self.plays, ticket, params, caller, max_ms, slot, timer));
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
            running.patience = (!worker.gives_way()).then(|| Patience::new(Instant::now()));
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

    /// The limits of the environment, or of the one before.
    pub(crate) fn limits(&self) -> &SessionLimits {
        &self.limits
    }

    /// The limits of the environment, or of the next one if there is none.
    pub(crate) fn present_limits(&self) -> Arc<SessionLimits> {
        match self.slot {
            Slot::Empty => self.circle.settings().limits.clone(),
            _ => self.limits.clone(),
        }
    }

    /// What the running play was told to end for.
    pub(crate) fn ending(&self) -> Option<Ending> {
        self.running.as_ref().and_then(|running| running.ending)
    }

    /// Drops the worker; the next play gets a fresh one. No play must be running.
    pub(crate) fn reset(&mut self) {
        self.slot = Slot::Empty;
    }

    /// Gives up what runs, because nobody is there any more who would be answered.
    pub(crate) fn give_up(&mut self) {
        self.running = None;
        self.reset();
    }

    /// When the worker has not been used for so long that it is to be given back; never, without one that is idle.
    pub(crate) fn idle_until(&self, limit: Option<u64>) -> Option<Instant> {
        let is_idle = matches!(self.slot, Slot::Ready(..)) && self.is_idle() && !self.inquiries.is_waited_for();
        self.last_used.checked_add(Duration::from_secs(limit.filter(|_| is_idle)?))
    }

    /// The next thing that happens; never, without a worker. Cancel safe.
    pub(crate) async fn happened(&mut self) -> Happened {
        if self.running.is_none()
            && let Some(reason) = self.lost_meanwhile.take()
        {
            return Happened::Lost(None, reason);
        }
        let moved = tokio::select! {
            waited = waits(self.running.as_mut()) => Moved::Waited(waited),
            moved = moved(&mut self.slot) => moved,
        };
        match moved {
            Moved::Started(started) => self.started(started),
            Moved::Event(event) => self.digest(event),
            Moved::Waited(Waited::Returned(returned)) => self.returned(returned),
            Moved::Waited(Waited::Told(told)) => self.told(told),
            Moved::Waited(Waited::Turn(slot)) => {
                if let Some(running) = &mut self.running {
                    (running.slot, running.turn) = (slot, None);
                    running.begin_time();
                }
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
                let _fresh = place.sample_memory(worker.pid());
                self.slot = Slot::Ready(worker, place);
                self.send();
                Happened::Nothing
            }
            Err(error) => {
                tracing::error!(%error, "no worker can be started");
                let error = match error.kind() {
                    // The system has no more to give.
                    io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory | io::ErrorKind::QuotaExceeded => {
                        let max = self.circle.settings.borrow().limits.values.workers;
                        RpcError::Busy { limit: BusyLimit::Workers, max, retry_after_ms: None }
                    }
                    _ => RpcError::Internal,
                };
                Happened::NotStarted(self.running.take().map(|running| running.ticket), error)
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
            Hosting::new(
                self.circle.clone(),
                self.limits.clone(),
                running.caller.map_or(self.anonymous, Caller::Key),
                play,
            )
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
}

async fn waits(running: Option<&mut Running>) -> Waited {
    match running {
        Some(running) => running.waits().await,
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
