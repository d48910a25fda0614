//! The inputs that change the state of the player: from its worker, from the running play, and from the quotas.

use std::io;

use protocol::error::LossReason;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use worker::{HostCall, WorkerEvent};

use super::{
    Player, PlayerEvent, WorkerState,
    running_play::{PlayInput, RunningPlay},
};
use crate::{
    audit::AuditEntry,
    calls::{CallAuthority, CallEvent, CallRejection, CallReturn, HostCalls, RunOrigin, StopReason},
    circle::StartedWorker,
    circle_store::CircleStore,
    host::{self, PlayOutput},
    quota::Grant,
};

/// An input that changes the state of the player.
enum PlayerInput {
    Play(PlayInput),
    /// The grant for the session's queries; `None` if the circle is gone.
    QueryGrant(Option<Grant>),
    WorkerStarted(io::Result<StartedWorker>),
    Worker(WorkerEvent),
    /// Another caller waits for a grant to run.
    Contention,
}

impl Player {
    /// Like [`next_event`](Self::next_event), or while the session takes no events, waits until the player has to
    /// [give way](Self::pause_ahead).
    pub(in crate::session) async fn next_event_if(&mut self, takes_events: bool) -> Option<PlayerEvent> {
        if takes_events {
            return self.next_event().await;
        }
        self.contention.begins().await;
        None
    }

    /// Waits until the state of the player changes, and returns the event for the session, if any. It never
    /// returns while there is no worker, no play and no unreported loss. Cancel safe.
    pub(crate) async fn next_event(&mut self) -> Option<PlayerEvent> {
        if self.play.is_none()
            && let Some(reason) = self.unreported_loss.take()
        {
            return Some(PlayerEvent::EnvironmentLost(self.take_ahead_tickets(), reason));
        }
        if self.is_leaving && self.play.is_none() && self.ahead.is_empty() && !self.queries.has_waiting() {
            return self.lose_environment(LossReason::Killed);
        }
        let is_blocked = self.is_blocked_by_end();
        let may_hold = self.may_hold();
        let input = tokio::select! {
            input = next_play_input(self.play.as_mut()) => PlayerInput::Play(input),
            input = next_worker_input(&mut self.worker, is_blocked) => input,
            grant = self.query_grant.wait() => PlayerInput::QueryGrant(grant),
            () = self.contention.begins(), if may_hold => PlayerInput::Contention,
        };
        match input {
            PlayerInput::WorkerStarted(started) => self.take_worker(started),
            PlayerInput::Worker(event) => self.handle_worker_event(event),
            PlayerInput::QueryGrant(grant) => {
                self.take_query_grant(grant);
                None
            }
            PlayerInput::Contention => {
                self.hold_worker();
                None
            }
            PlayerInput::Play(PlayInput::HostCall(CallEvent::Printed(print))) => self.print_from_host(print),
            PlayerInput::Play(PlayInput::HostCall(CallEvent::Returned(returned))) => self.return_to_script(returned),
            PlayerInput::Play(PlayInput::Ended(ended)) => self.finish_ended(ended),
            PlayerInput::Play(PlayInput::Granted(grant)) => {
                if let (Some(play), Some(grant)) = (&mut self.play, grant) {
                    play.take_grant(Ok(grant), Instant::now());
                }
                self.resume_worker();
                self.send_pending();
                None
            }
        }
    }

    /// Returns the event of the running play's outcome if it has already arrived, without waiting.
    pub(in crate::session) fn arrived_outcome(&mut self) -> Option<PlayerEvent> {
        if self.play.as_ref()?.ending_result.is_some() {
            return None;
        }
        let WorkerState::Ready(worker, _) = &mut self.worker else { return None };
        let outcome = worker.arrived_outcome()?;
        self.finish(outcome)
    }

    fn handle_worker_event(&mut self, event: WorkerEvent) -> Option<PlayerEvent> {
        match event {
            WorkerEvent::Print(_) | WorkerEvent::Progress(_) if self.is_finishing() => None,
            WorkerEvent::Print(print) => Some(PlayerEvent::Printed(self.arrived_prints(print))),
            WorkerEvent::HostCall(call) => self.start_host_call(call),
            WorkerEvent::Progress(mut report) => {
                let play = self.play.as_ref().filter(|play| play.number == report.play)?;
                if let Some(progress) = play.host_calls.as_ref().and_then(HostCalls::progress) {
                    report.script = Some(progress);
                }
                Some(PlayerEvent::Progress(report))
            }
            WorkerEvent::Answer { number, answer } => {
                self.worker_start = None;
                let ticket = self.queries.finish(number);
                self.note_answer();
                ticket.map(|ticket| PlayerEvent::QueryAnswered(ticket, answer))
            }
            WorkerEvent::Done { outcome, .. } => self.finish(outcome),
            WorkerEvent::Withdrawn { play } => self.finish_withdrawn(play),
            WorkerEvent::Held => {
                self.release_grant();
                None
            }
            WorkerEvent::Lost(loss) => self.lose_worker(loss),
            WorkerEvent::Leaving => {
                self.is_leaving = true;
                None
            }
            // The play may have effects outside of its transaction, so it does not run again before the machine is lost.
            WorkerEvent::Silent { .. } => None,
            event => {
                tracing::error!(?event, "unknown event from worker; ignoring it");
                None
            }
        }
    }

    fn start_host_call(&mut self, call: HostCall) -> Option<PlayerEvent> {
        let caller = self.caller(self.play.as_ref()?.caller);
        let play = self.play.as_mut()?;
        let host_calls = play.host_calls.get_or_insert_with(|| {
            let (output, prints) = PlayOutput::new(self.limits.values.output_kib.saturating_mul(1024));
            let host_play = host::PlayContext {
                caller: play.caller,
                session: self.session,
                circle: self.circle.name.as_str().into(),
                deadline: play.deadline.map(Instant::into_std),
                cancelled: CancellationToken::new(),
                output,
                store: None,
            };
            let (circle, limits, authority) = (self.circle.clone(), self.limits.clone(), CallAuthority::Caller);
            let audited_caller = play.ticket.audit().map(AuditEntry::caller);
            let transaction = circle.store.as_ref().map(CircleStore::begin_run);
            let origin = RunOrigin { authority, transaction, audited_caller };
            HostCalls::new(circle, limits, caller, host_play, prints, origin)
        });
        match host_calls.start(call) {
            Ok(()) => None,
            Err(CallRejection::TooManyCalls) => self.stop(StopReason::HostCalls),
            Err(CallRejection::TooManyDetached) => self.stop(StopReason::DetachedCalls),
        }
    }

    fn return_to_script(&mut self, returned: CallReturn) -> Option<PlayerEvent> {
        let WorkerState::Ready(worker, _) = &mut self.worker else { return None };
        match returned {
            CallReturn::Script(returned) => worker.return_host_call(returned),
            // Plays have no turns.
            CallReturn::WaitsForTurn => {}
            CallReturn::TooLarge => return self.stop(StopReason::HostBytes),
            CallReturn::Malformed => {
                tracing::error!(
                    machine = worker.machine(),
                    pid = worker.pid(),
                    "malformed host call from worker; killing it"
                );
                worker.kill_as_crashed();
            }
        }
        None
    }
}

async fn next_play_input(play: Option<&mut RunningPlay>) -> PlayInput {
    match play {
        Some(play) => play.next_input().await,
        None => std::future::pending().await,
    }
}

/// Waits for the next input from the worker. While the transactions of a play end, the plays behind it wait, so
/// their messages stay in the pipe.
async fn next_worker_input(worker: &mut WorkerState, is_blocked: bool) -> PlayerInput {
    match worker {
        WorkerState::Ready(worker, _) if is_blocked => PlayerInput::Worker(worker.control_event().await),
        WorkerState::None => std::future::pending().await,
        WorkerState::Starting(start, _) => PlayerInput::WorkerStarted(start.await),
        WorkerState::Ready(worker, _) => PlayerInput::Worker(worker.event().await),
    }
}
