//! The player of a session: its worker, the queries that the worker answers, and the one play that it runs.

mod ahead;
mod finish;
mod inputs;
mod prints;
mod query_grant;
mod running_play;
mod start_pacing;
mod timers;
mod worker_start;

use std::{collections::VecDeque, io, net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use keys::PublicKey;
use protocol::{
    Id, RpcError,
    error::LossReason,
    methods::{PlayParams, PlayResult},
};
use tokio::time::Instant;
use worker::{Loss, QueryAnswer, Worker};

use super::{pending_queries::PendingQueries, ticket::Ticket};
use crate::{
    calls::{CpuBudget, STOP_GRACE_PERIOD},
    circle::{Circle, SessionLimits, StartedWorker, WorkerStartGuard, script_constants},
    metrics::PlayTimer,
    quota::{Caller, Contention, Grant, Waiter, WorkerPermit},
    rights::Rights,
};
use query_grant::QueryGrant;
use running_play::RunningPlay;
use start_pacing::StartPacing;

pub(crate) use crate::calls::StopReason;

pub(crate) struct Player {
    circle: Arc<Circle>,
    /// The limits of the environment, or of the last one if there is none.
    limits: Arc<SessionLimits>,
    /// The session's number, for the log and for host functions.
    session: u64,
    /// The caller of plays while the session is not authenticated.
    anonymous_caller: Caller,
    worker: WorkerState,
    /// The start of the worker, until the first outcome.
    worker_start: Option<WorkerStartGuard>,
    /// The machine of the worker that was lost last, and how.
    machine_loss: Option<(String, Loss)>,
    play: Option<RunningPlay>,
    /// The plays that were sent to the worker behind the running one, in order.
    ahead: VecDeque<RunningPlay>,
    contention: Contention,
    /// When a play or a query last needed the worker.
    last_used: Instant,
    /// When to sample the worker's memory; `None` if it was sampled after its last use.
    sample_memory_at: Option<Instant>,
    plays: u64,
    pacing: StartPacing,
    /// The loss of the environment while transactions ended. The session gets this event after the finish of the play.
    unreported_loss: Option<LossReason>,
    /// Whether the machine of the worker drains, so that the session gets another worker once this one has nothing to do.
    is_leaving: bool,
    /// The revision that the last play committed, until the session takes it.
    committed: Option<store::Revision>,
    pub(super) queries: PendingQueries,
    query_grant: QueryGrant,
    /// The caller of the last play or query, and its key.
    worker_caller: Caller,
    caller_key: Option<PublicKey>,
    /// The caller for whom the worker is prepared, and the rights of the circle then.
    prepared: Option<(Option<PublicKey>, Arc<Rights>)>,
}

type WorkerStart = Pin<Box<dyn Future<Output = io::Result<StartedWorker>> + Send>>;

enum WorkerState {
    None,
    Starting(WorkerStart, WorkerPermit),
    Ready(Box<Worker>, WorkerPermit),
}

/// An event of the player, for its session.
#[derive(Debug)]
pub(crate) enum PlayerEvent {
    /// Prints of the running play, in order. Never empty.
    Printed(Vec<worker::Print>),
    /// The progress of the running play.
    Progress(worker::ProgressReport),
    /// The play has finished with this result.
    PlayFinished(Ticket, Result<PlayResult, RpcError>),
    /// The worker answered a query.
    QueryAnswered(Ticket, QueryAnswer),
    /// The worker for this play and the pending queries could not be started.
    WorkerNotStarted(Option<Ticket>, RpcError),
    /// The environment is lost, and with it the plays that the worker had.
    EnvironmentLost(Vec<Ticket>, LossReason),
}

impl Player {
    /// Makes the player of the session with this number, whose client is at `address`.
    pub(crate) fn new(circle: Arc<Circle>, limits: Arc<SessionLimits>, session: u64, address: IpAddr) -> Self {
        let queries = PendingQueries::new(&limits.values);
        let contention = circle.running_plays.contention();
        Self {
            circle,
            limits,
            session,
            anonymous_caller: Caller::anonymous(address),
            worker: WorkerState::None,
            worker_start: None,
            machine_loss: None,
            play: None,
            ahead: VecDeque::new(),
            contention,
            last_used: Instant::now(),
            sample_memory_at: None,
            plays: 0,
            pacing: StartPacing::default(),
            unreported_loss: None,
            is_leaving: false,
            committed: None,
            queries,
            query_grant: QueryGrant::None,
            worker_caller: Caller::anonymous(address),
            caller_key: None,
            prepared: None,
        }
    }

    /// Returns the bytes of the scripts that the player has and of the pending queries.
    pub(super) fn held_bytes(&self) -> u64 {
        self.play.as_ref().map_or(0, |play| play.script_bytes) + self.ahead_bytes() + self.queries.held_bytes()
    }

    /// Whether a play may start. A worker whose machine drains gets no more plays: the player moves first.
    pub(crate) fn is_idle(&self) -> bool {
        self.play.is_none() && self.unreported_loss.is_none() && !self.is_leaving
    }

    /// Whether the running play is being stopped or its transactions end, so that only its finish is left.
    pub(crate) fn is_finishing(&self) -> bool {
        self.play.as_ref().is_some_and(|play| play.stop_reason.is_some() || play.ending_result.is_some())
    }

    pub(crate) fn is_running(&self, id: &Id) -> bool {
        self.play.as_ref().is_some_and(|play| play.ticket.has_id(id))
    }

    /// Returns the id of the running play and the start of its time. A notification has no id, so it gets no reports.
    pub(crate) fn running_play(&self) -> Option<(&Id, Instant)> {
        let play = self.play.as_ref()?;
        Some((play.ticket.id()?, play.started))
    }

    /// Returns the limits of the environment, or of the last one if there is none.
    pub(crate) fn limits(&self) -> &SessionLimits {
        &self.limits
    }

    /// Returns the limits of the environment, or of the next one if there is none.
    pub(crate) fn next_limits(&self) -> Arc<SessionLimits> {
        match self.worker {
            WorkerState::None => self.circle.settings().limits.clone(),
            _ => self.limits.clone(),
        }
    }

    /// Returns why the running play is being stopped.
    pub(crate) fn stop_reason(&self) -> Option<StopReason> {
        self.play.as_ref().and_then(|play| play.stop_reason)
    }

    /// Starts a play, which runs once it has a worker and a grant, or sends it to the worker ahead of its start. If
    /// another play is active, the player must [accept](Self::accepts_ahead) this one.
    ///
    /// # Errors
    ///
    /// The quota allows no worker.
    pub(crate) fn start(
        &mut self,
        ticket: Ticket,
        params: Arc<PlayParams>,
        caller: Option<PublicKey>,
    ) -> Result<(), (Ticket, RpcError)> {
        if self.play.is_some() {
            self.send_ahead(ticket, &params, caller);
            return Ok(());
        }
        if let Err(error) = self.ensure_worker(caller) {
            return Err((ticket, error));
        }
        let mut play = self.new_play(ticket, &params, caller);
        play.unsent = Some(params);
        play.take_grant(self.acquire_grant(caller), Instant::now());
        self.play = Some(play);
        // If the worker is still held, all plays before this one were withdrawn.
        self.resume_worker();
        self.send_pending();
        Ok(())
    }

    /// Makes the next play, without a grant.
    fn new_play(&mut self, ticket: Ticket, params: &PlayParams, caller: Option<PublicKey>) -> RunningPlay {
        self.plays += 1;
        let max_ms = params.timeout_ms.map_or(u64::MAX, |ms| ms.max(1)).min(self.limits.values.play_ms);
        let timer = PlayTimer::new(self.circle.metrics.clone());
        RunningPlay::new(self.plays, ticket, params.script.len() as u64, caller, max_ms, timer)
    }

    /// Returns the caller with this key, or the session's anonymous caller.
    fn caller(&self, key: Option<PublicKey>) -> Caller {
        key.map_or(self.anonymous_caller, |key| Caller::Key(self.circle.settings.borrow().rights.quota_key(key)))
    }

    /// Returns a grant to run for a caller, or a waiter for one. It counts for the caller of the play; the worker may
    /// count for an earlier caller of the session.
    fn acquire_grant(&self, caller: Option<PublicKey>) -> Result<Grant, Waiter> {
        self.circle.running_plays.acquire(self.caller(caller))
    }

    /// Sends pending input to the worker. Queries go first, so that they see the variables from before the play.
    pub(crate) fn send_pending(&mut self) {
        self.schedule_memory_sample();
        self.send_queries();
        self.run();
    }

    /// Runs the play if it has a worker and a grant.
    fn run(&mut self) {
        let WorkerState::Ready(worker, _) = &mut self.worker else { return };
        let Some(play) = self.play.as_mut().filter(|play| play.grant.is_some()) else { return };
        if let Some(params) = play.unsent.take() {
            play.cpu_budget = (!worker.has_low_priority()).then(|| CpuBudget::new(Instant::now()));
            prepare(worker, &mut self.prepared, &self.circle, &self.limits, play.caller);
            send(worker, play.number, &params);
        }
    }

    /// Stops the play, unless it is already being stopped. A play that does not run yet finishes at once.
    pub(crate) fn stop(&mut self, reason: StopReason) -> Option<PlayerEvent> {
        let play = self.play.as_mut().filter(|play| play.stop_reason.is_none())?;
        if play.ending_result.is_some() {
            // The play has its result, but a circle that shuts down does not wait long for the end of transactions.
            if reason == StopReason::Shutdown
                && let Some(host_calls) = &mut play.host_calls
            {
                host_calls.shut_down();
            }
            return None;
        }
        play.stop_reason = Some(reason);
        if let WorkerState::Ready(worker, _) = &mut self.worker
            && play.unsent.is_none()
        {
            play.kill_at = Some(Instant::now() + STOP_GRACE_PERIOD);
            worker.stop(play.number);
            if let Some(host_calls) = &mut play.host_calls {
                host_calls.detach();
            }
            return None;
        }
        let play = self.play.take()?;
        let error = self.stop_error(reason, play.max_ms);
        Some(PlayerEvent::PlayFinished(play.ticket, Err(error)))
    }

    /// Drops the worker, so that the next play gets a fresh one. No play may be running.
    pub(crate) fn reset(&mut self) {
        if !matches!(self.worker, WorkerState::None) {
            self.pacing.note_reset(Instant::now());
        }
        self.drop_worker();
    }

    fn drop_worker(&mut self) {
        self.worker = WorkerState::None;
        self.worker_start = None;
        self.is_leaving = false;
        self.machine_loss = None;
        self.query_grant = QueryGrant::None;
    }

    /// Takes the machine of the worker that was lost last, if it was another one, and how the worker was lost.
    pub(super) fn take_machine_loss(&mut self) -> Option<(String, Loss)> {
        self.machine_loss.take()
    }

    /// Takes the revision that the last play committed, if it did.
    pub(super) fn take_committed(&mut self) -> Option<store::Revision> {
        self.committed.take()
    }

    /// Drops the plays and the worker, because the client is gone.
    pub(crate) fn abandon(&mut self) {
        self.play = None;
        self.ahead.clear();
        self.reset();
    }

    /// Returns when the worker will have been idle for `limit` seconds; `None` while it is in use.
    pub(crate) fn idle_deadline(&self, limit: Option<u64>) -> Option<Instant> {
        let is_idle = matches!(self.worker, WorkerState::Ready(..)) && self.is_idle() && !self.queries.has_waiting();
        self.last_used.checked_add(Duration::from_secs(limit.filter(|_| is_idle)?))
    }
}

/// Queues a play for its worker.
fn send(worker: &mut Worker, number: u64, params: &PlayParams) {
    worker.play(&worker::Play {
        number,
        script: &params.script,
        name: params.name.as_deref(),
        bind: params.bind.as_deref(),
    });
}

/// Prepares a worker for a play or a query of a caller: what scripts see of the caller, and the functions that they see.
fn prepare(
    worker: &mut Worker,
    prepared: &mut Option<(Option<PublicKey>, Arc<Rights>)>,
    circle: &Circle,
    limits: &SessionLimits,
    caller: Option<PublicKey>,
) {
    let settings = circle.settings.borrow();
    // The rights of a circle change seldom, and this comes before each play.
    if prepared.as_ref().is_some_and(|(key, rights)| *key == caller && Arc::ptr_eq(rights, &settings.rights)) {
        return;
    }
    let rights = settings.rights.of_caller(caller.as_ref());
    worker.set_constants(&script_constants::of_caller(caller, &rights));
    worker.hide_functions(circle.hidden_functions(&rights, limits));
    *prepared = Some((caller, settings.rights.clone()));
}
