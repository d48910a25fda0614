//! The finish of a play: its worker reports the outcome or is lost, its transactions end, and the session gets the
//! result.

use std::time::Duration;

use keys::PublicKey;
use protocol::{
    RpcError,
    error::{LimitSetting, LossReason},
    methods::PlayResult,
};
use serde_json::value::RawValue;
use store::Revision;
use tokio::time::Instant;
use worker::{EvalOutcome, Loss};

use super::{Player, PlayerEvent, WorkerState, running_play::RunningPlay};
use crate::{
    calls::{EndError, HostCalls, StopReason, commit_error, play_end, refusal, too_old},
    circle_store::StoreRights,
    conversion,
    metrics::SandboxLayer,
    session::ticket::Ticket,
};

impl Player {
    /// Finishes the running play with the outcome from its worker.
    pub(super) fn finish(&mut self, outcome: EvalOutcome) -> Option<PlayerEvent> {
        let now = Instant::now();
        self.last_used = now;
        if self.worker_start.take().is_some() {
            self.note_sandbox();
        }
        let play = self.play.take()?;
        let elapsed = now.saturating_duration_since(play.started);
        let result = match (play.stop_reason, outcome) {
            // The play was stopped before its outcome came.
            (Some(reason), _) => Err(self.stop_error(reason, play.max_ms)),
            (None, EvalOutcome::Value(value)) => match RawValue::from_string(value.json) {
                Ok(json) => Ok(PlayResult {
                    output: value.output,
                    r#type: value.type_name,
                    value: json.into(),
                    elapsed_us: micros(elapsed),
                    operations: value.operations,
                }),
                Err(error) => {
                    tracing::error!(%error, "invalid JSON value from worker; dropping it");
                    self.play = Some(play);
                    return self.lose_environment(LossReason::Crash);
                }
            },
            (None, outcome) => Err(conversion::play_error(outcome)),
        };
        self.end_transactions(play, result, now)
    }

    /// Shows the sandbox of a worker on another machine as that of the circle: its own machine runs no workers of sessions.
    fn note_sandbox(&self) {
        if let WorkerState::Ready(worker, _) = &self.worker
            && worker.machine().is_some()
        {
            let layers = worker.layers().unwrap_or_default();
            self.circle.metrics.set_sandbox(SandboxLayer::all(true, layers));
        }
    }

    /// Handles the loss of the worker.
    pub(super) fn lose_worker(&mut self, loss: Loss) -> Option<PlayerEvent> {
        let machine = match &self.worker {
            WorkerState::Ready(worker, _) => worker.machine().map(ToOwned::to_owned),
            _ => None,
        };
        let reason = match (loss, self.stop_reason()) {
            (Loss::Killed, Some(StopReason::Time)) => LossReason::Time,
            // Not the fault of the script: someone else has ended the worker.
            (Loss::Killed | Loss::Unreachable | Loss::Drained, _) => LossReason::Killed,
            (Loss::Memory, _) => LossReason::Memory,
            _ => LossReason::Crash,
        };
        let machine_loss = machine.map(|machine| (machine, loss));
        if self.play.as_ref().is_some_and(|play| play.ending_result.is_some()) {
            // The play already has its result, so the loss is an event of its own, after the finish.
            self.drop_lost_worker(reason);
            (self.unreported_loss, self.machine_loss) = (Some(reason), machine_loss);
            return None;
        }
        let event = self.lose_environment(reason);
        self.machine_loss = machine_loss;
        event
    }

    /// Drops the worker with the environment. A running play finishes with the loss as its error.
    pub(super) fn lose_environment(&mut self, reason: LossReason) -> Option<PlayerEvent> {
        self.drop_lost_worker(reason);
        match self.play.take() {
            Some(play) => self.end_transactions(play, Err(RpcError::EnvironmentLost { reason }), Instant::now()),
            None => Some(PlayerEvent::EnvironmentLost(self.take_ahead_tickets(), reason)),
        }
    }

    fn drop_lost_worker(&mut self, reason: LossReason) {
        self.drop_worker();
        // If something else killed the worker, the script is not to blame.
        if matches!(reason, LossReason::Crash | LossReason::Memory | LossReason::Time) {
            let now = Instant::now();
            self.pacing.note_loss(now);
            self.circle.losses.note_loss(self.worker_caller, now);
        }
    }

    /// Ends the transactions of the play. The client gets the result after them.
    fn end_transactions(
        &mut self,
        mut play: RunningPlay,
        result: Result<PlayResult, RpcError>,
        now: Instant,
    ) -> Option<PlayerEvent> {
        let result = match result {
            // The script may have failed for no other reason.
            Err(RpcError::Script(_)) if play.host_calls.as_ref().is_some_and(HostCalls::is_too_old) => Err(too_old(1)),
            result => result,
        };
        let (end, deadline) = (play_end(&result), play.deadline);
        if !play.host_calls.as_mut().is_some_and(|host_calls| host_calls.start_end(end, deadline, None)) {
            return Some(self.finish_event(play, result, now));
        }
        play.cpu_budget = self.new_cpu_budget(now).filter(|_| !self.ahead.is_empty());
        play.ending_result = Some(result);
        self.play = Some(play);
        None
    }

    /// Finishes the play after the end of its transactions.
    pub(super) fn finish_ended(&mut self, ended: Result<Option<Revision>, EndError>) -> Option<PlayerEvent> {
        let mut play = self.play.take()?;
        let result = play.ending_result.take()?;
        let now = Instant::now();
        self.last_used = now;
        self.committed = ended.as_ref().ok().copied().flatten();
        let result = match (result, ended) {
            (Ok(result), Ok(_)) => {
                Ok(PlayResult { elapsed_us: micros(now.saturating_duration_since(play.started)), ..result })
            }
            (Ok(_), Err(EndError::Refused(module, error))) => Err(refusal(&module, &error)),
            (Ok(_), Err(EndError::Commit(error))) => {
                let rights = self.circle.rights_of(play.caller.as_ref());
                let rights = StoreRights::OfCaller(Box::new(rights), play.caller);
                Err(commit_error(&error, 1, |key| rights.may_see(key)))
            }
            (Ok(_), Err(EndError::Timeout)) => Err(self.stop_error(StopReason::Time, play.max_ms)),
            (Ok(_), Err(EndError::ShutDown)) => Err(self.stop_error(StopReason::Shutdown, play.max_ms)),
            (Err(error), _) => Err(error),
        };
        Some(self.finish_event(play, result, now))
    }

    /// Returns the event of a play that has its result, and starts the next one that was sent ahead. A lost environment
    /// affects more than the play.
    pub(super) fn finish_event(
        &mut self,
        mut play: RunningPlay,
        result: Result<PlayResult, RpcError>,
        now: Instant,
    ) -> PlayerEvent {
        play.stop_clock(now);
        if let Err(RpcError::EnvironmentLost { reason }) = &result {
            let mut tickets = vec![play.ticket];
            tickets.append(&mut self.take_ahead_tickets());
            return PlayerEvent::EnvironmentLost(tickets, *reason);
        }
        self.start_next_ahead(play.grant, now);
        self.finished(play.ticket, play.caller, result, now)
    }

    /// Returns the event of a play that has its result.
    pub(super) fn finished(
        &self,
        ticket: Ticket,
        caller: Option<PublicKey>,
        result: Result<PlayResult, RpcError>,
        now: Instant,
    ) -> PlayerEvent {
        let caller = self.caller(caller);
        if let Some(suppressed) = self.circle.logged_plays.admit(caller, now.into_std()) {
            // The field is present only if lines were suppressed.
            let suppressed = (suppressed > 0).then_some(suppressed);
            match &result {
                Ok(result) => tracing::info!(elapsed_us = result.elapsed_us, suppressed, "play finished"),
                Err(error) => tracing::info!(code = error.code(), suppressed, "play finished"),
            }
        }
        PlayerEvent::PlayFinished(ticket, result)
    }

    /// Returns the error of a stopped play.
    pub(super) fn stop_error(&self, reason: StopReason, max_ms: u64) -> RpcError {
        let limits = &self.limits.values;
        // The play's own limit can only shorten the circle's.
        let setting = if max_ms < limits.play_ms { LimitSetting::TimeoutMs } else { LimitSetting::PlayMs };
        reason.error(limits, max_ms, setting)
    }
}

fn micros(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}
