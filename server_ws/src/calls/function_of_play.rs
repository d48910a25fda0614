//! The calls of functions of the circle that a play makes. Each counts and has a record like a call of a client.

use std::sync::Arc;

use protocol::RpcError;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{
    CallStopper, Callee, FunctionCall, FunctionCaller, HostCalls, StopReason, call_log,
    host_calls::{CallEnd, CalledFunction},
};
use crate::{
    audit::{AuditEntry, AuditedRun},
    circle::Circle,
    host,
    metrics::PlayOutcome,
    quota::Caller,
    rights::CallerRights,
};

/// A call in the audit, the metrics and the log.
struct CallRecord {
    circle: Arc<Circle>,
    name: Arc<str>,
    caller: Caller,
    session: u64,
    started: Instant,
    audit: Option<Box<AuditEntry>>,
}

impl CallRecord {
    /// Records the outcome, and returns it for the script.
    fn finish(self, result: Result<String, RpcError>) -> CallEnd {
        let error = result.as_ref().err();
        let outcome = PlayOutcome::of(error.map_or(Ok(()), Err));
        self.circle.metrics.count_call(outcome);
        if let Some(audit) = &self.audit {
            audit.finish(outcome, error.map(RpcError::code));
        }
        call_log::log_finish(&self.circle, self.caller, &self.name, self.started, error, Some(self.session));
        CallEnd::Returned(result.map_err(|error| thrown(&error)))
    }
}

impl HostCalls {
    /// Starts a function of the circle for a play, with the rights that its caller has now. It takes no place among the
    /// host calls: plays that hold a place each, while their functions need one, would wait for each other.
    pub(super) fn start_function(&mut self, number: u32, index: usize, args: String) {
        let tasks = &self.circle.host.tasks;
        let task = match (self.limits.functions.get(index), RawValue::from_string(args)) {
            (Some(name), Ok(args)) => {
                let rights = self.circle.rights_of(self.play.caller.as_ref());
                let record = self.call_record(name, &args, &rights);
                match self.function_call(name, &args, rights) {
                    Ok((function_call, stopper)) => {
                        let cancelled = self.play.cancelled.clone();
                        tasks.spawn(async move {
                            let mut run = std::pin::pin!(function_call.run());
                            let end = tokio::select! {
                                end = &mut run => end,
                                () = cancelled.cancelled() => {
                                    stopper.stop(StopReason::Cancelled);
                                    run.await
                                }
                            };
                            record.finish(end.result.map(|value| value.get().to_owned()))
                        })
                    }
                    Err(error) => {
                        let end = record.finish(Err(error));
                        tasks.spawn(async move { end })
                    }
                }
            }
            _ => tasks.spawn(async { CallEnd::Malformed }),
        };
        self.running = Some((CalledFunction::OfScript(number), task));
    }

    fn call_record(&self, name: &Arc<str>, args: &RawValue, rights: &CallerRights) -> CallRecord {
        let session = self.play.session;
        let audit = self.circle.auditor.clone().zip(self.audited_caller).map(|(auditor, caller)| {
            let (function, arguments) = (name.chars().take(64).collect::<String>().into(), args.get().into());
            let run = AuditedRun::Call { function, arguments, is_from_play: true };
            AuditEntry::new(auditor, session, caller, rights.role_name().cloned(), run)
        });
        let (circle, name, caller) = (self.circle.clone(), name.clone(), self.caller);
        CallRecord { circle, name, caller, session, started: Instant::now(), audit }
    }

    /// Admits a call of a function of the circle.
    fn function_call(
        &self,
        name: &str,
        args: &RawValue,
        rights: CallerRights,
    ) -> Result<(FunctionCall, CallStopper), RpcError> {
        let settings = self.circle.settings();
        let callee = rights.role.as_ref().and_then(|role| Callee::find(&settings, role, name));
        let callee = callee.ok_or_else(|| RpcError::MethodNotFound { method: name.to_owned() })?;
        let caller = FunctionCaller { key: self.play.caller, caller: self.caller, rights, session: self.play.session };
        let deadline = self.play.deadline.map(Instant::from_std);
        let play = self.transaction.as_ref().map(|run| run.transaction().clone());
        FunctionCall::admit(&self.circle, &settings, callee, caller, Some(args), deadline, play)
    }
}

/// Returns what a script can catch of the error of a function.
fn thrown(error: &RpcError) -> host::Error {
    let script = match error {
        RpcError::Script(script) => script,
        RpcError::MethodNotFound { method } => {
            let message = format!("there is no function {method} that the role of the caller may call");
            return host::Error::new(message).with_code("not_found");
        }
        RpcError::InvalidParams { param, reason } => {
            let place = if param.is_empty() { String::new() } else { format!("{param}: ") };
            return host::Error::new(format!("{place}{reason}")).with_code("invalid_params");
        }
        other => return host::Error::new(other.to_string()).with_code(other.code().to_string()),
    };
    let error = host::Error::new(script.message.clone());
    match script.thrown.as_ref().and_then(|thrown| serde_json::from_str::<serde_json::Value>(thrown.get()).ok()) {
        Some(thrown) => error.with_code("thrown").with_data(thrown),
        None => error,
    }
}
