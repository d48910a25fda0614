//! How a play comes to its one outcome, and who is told of it first.

use std::time::Duration;

use protocol::{
    RpcError,
    error::{BusyLimit, LossReason, PlayLimit, ScriptError, ScriptErrorKind},
    methods::PlayResult,
};
use serde_json::{json, value::RawValue};
use tokio::time::Instant;
use worker::{Loss, Outcome};

use super::{
    Happened, Player, STOP_GRACE, Slot,
    running_play::{Ending, Running, Then, Told},
};
use crate::{
    conversion,
    host::{EndHookError, MAX_LEFT_BEHIND, PlayEnd},
    session::batches::Ticket,
};

impl Player {
    pub(super) fn done(&mut self, outcome: Outcome) -> Happened {
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
                    elapsed_us: micros(elapsed),
                    operations: value.operations,
                }),
                Err(error) => {
                    tracing::error!(%error, "a worker sent a value that is not JSON, and is dropped");
                    self.running = Some(running);
                    return self.lose(LossReason::Crash);
                }
            },
            (None, outcome) => Err(conversion::play_error(outcome)),
        };
        self.tell(running, Then::Ended(result))
    }

    pub(super) fn lost(&mut self, loss: Loss) -> Happened {
        let ending = self.running.as_ref().and_then(|running| running.ending);
        let reason = match (loss, ending) {
            (Loss::Killed, Some(Ending::Time)) => LossReason::Time,
            (Loss::Killed, _) => LossReason::Killed,
            (Loss::Memory, _) => LossReason::Memory,
            (Loss::Crashed, _) => LossReason::Crash,
        };
        if self.running.as_ref().is_some_and(|running| running.telling.is_some()) {
            return self.lost_meanwhile(reason);
        }
        self.lose(reason)
    }

    /// The worker is gone while modules are told of a play: that has its outcome, and what is behind it is told after it.
    fn lost_meanwhile(&mut self, reason: LossReason) -> Happened {
        self.slot = Slot::Empty;
        self.lost_meanwhile = Some(reason);
        Happened::Nothing
    }

    pub(super) fn lose(&mut self, reason: LossReason) -> Happened {
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
            Then::Ended(Err(error)) => play_end(error),
            Then::Lost(_) => PlayEnd::Lost,
        };
        if !running.hosting.as_mut().is_some_and(|hosting| hosting.end(how)) {
            return happened(running.ticket, then);
        }
        let by = if how.is_success() { running.deadline } else { Some(Instant::now() + STOP_GRACE) };
        running.telling = Some(Told { then, by });
        self.running = Some(running);
        Happened::Nothing
    }

    /// They know, or take too long.
    pub(super) fn told(&mut self, told: Option<Result<(), EndHookError>>) -> Happened {
        let Some(mut running) = self.running.take() else { return Happened::Nothing };
        let Some(telling) = running.telling.take() else { return Happened::Nothing };
        self.last_used = Instant::now();
        let then = match (telling.then, told) {
            (Then::Ended(Ok(_)), Some(Err(error))) => Then::Ended(Err(end_hook_error(error))),
            (Then::Ended(Ok(result)), Some(Ok(()))) => {
                Then::Ended(Ok(PlayResult { elapsed_us: micros(running.started.elapsed()), ..result }))
            }
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

    pub(super) fn ended(&self, ending: Ending, max_ms: u64) -> RpcError {
        let limits = &self.limits.values;
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

fn micros(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}

fn happened(ticket: Ticket, then: Then) -> Happened {
    match then {
        Then::Ended(result) => Happened::Ended(ticket, result),
        Then::Lost(reason) => Happened::Lost(Some(ticket), reason),
    }
}

/// How a play with this error ended, for its host modules.
fn play_end(error: &RpcError) -> PlayEnd {
    match error {
        RpcError::Cancelled => PlayEnd::Cancelled,
        RpcError::LimitExceeded { .. } | RpcError::Busy { .. } => PlayEnd::Limited,
        RpcError::ShuttingDown => PlayEnd::ShutDown,
        _ => PlayEnd::Failed,
    }
}

/// The error of a play that an end hook has failed: as if the script had not caught the module's error.
fn end_hook_error(EndHookError { module, error }: EndHookError) -> RpcError {
    let mut thrown = json!({ "error": worker::HOST_ERROR, "function": module, "message": error.message });
    if let Some(data) = error.data {
        thrown["data"] = data;
    }
    RpcError::Script(Box::new(ScriptError {
        message: format!("{module}: {}", error.message),
        kind: ScriptErrorKind::Runtime,
        line: None,
        column: None,
        function: None,
        hint: None,
        thrown: serde_json::value::to_raw_value(&thrown).ok(),
    }))
}
