//! The context of a running call: what it needs besides its arguments, what it reports, and how it ends.

use std::{sync::Arc, time::Duration};

use protocol::{
    RpcError,
    error::{BusyLimit, LimitSetting, ScriptError, ScriptErrorKind},
};
use serde_json::value::RawValue;
use store::{CommitError, OnceClaim, Revision};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use worker::{NamedValue, PRINT_COST, Print, ProgressReport};

use super::{
    CallAuthority, CallStopper, EndError, HostCalls, RunOrigin, RunStore, StopReason, call_log, commit_error,
    function_call::{Callee, FunctionCaller},
    play_end,
    play_end::OnceRecord,
    refusal, too_old,
};
use crate::{
    circle::{Circle, SessionLimits, retry_after_ms, script_constants},
    circle_functions::PooledWorker,
    circle_store::{Retry, StoreRights},
    conversion,
    host::{self, PlayOutput},
    quota::Grant,
};

/// The time of a call whose deadline is too far in the future to represent.
const LONG: Duration = Duration::from_hours(24);

/// What a call needs besides its arguments.
#[derive(Debug)]
pub(super) struct CallContext {
    pub(super) circle: Arc<Circle>,
    pub(super) limits: Arc<SessionLimits>,
    pub(super) callee: Callee,
    pub(super) caller: FunctionCaller,
    /// The time limit in milliseconds, and the setting that has it.
    pub(super) max_ms: u64,
    pub(super) setting: LimitSetting,
    /// When the call was admitted.
    pub(super) started: Instant,
    /// The end of its time; `None` if that is too far in the future to represent.
    pub(super) deadline: Option<Instant>,
    /// Stops the call.
    pub(super) stopper: CallStopper,
    /// The transaction of the running attempt; `None` without a store.
    pub(super) transaction: Option<RunStore>,
    /// The claim of a request that has `once`.
    pub(super) once: Option<OnceClaim>,
    /// Number of times that the function has begun to run.
    pub(super) attempts: u32,
    /// Where progress goes, with the number of the call; a report that finds no room is dropped.
    pub(super) reports: Option<(u64, mpsc::Sender<CallReport>)>,
}

/// The progress of a call.
#[derive(Debug)]
pub(crate) struct CallReport {
    pub(crate) call: u64,
    pub(crate) started: Instant,
    pub(crate) progress: ProgressReport,
}

/// The end of a call.
#[derive(Debug)]
pub(crate) struct CallEnd {
    pub(crate) result: Result<Box<RawValue>, RpcError>,
    /// What the call printed, if its caller may see it.
    pub(crate) prints: Vec<Print>,
    /// The revision of the store that has the effects of the call, if it committed any.
    pub(crate) revision: Option<Revision>,
    /// Why the call runs again, if it may.
    pub(super) retry: Option<Retry>,
}

impl CallEnd {
    pub(crate) fn error(error: RpcError) -> Self {
        Self { result: Err(error), prints: Vec::new(), revision: None, retry: None }
    }
}

/// What a call has printed, if its caller may see it.
#[derive(Debug)]
pub(super) struct CallOutput {
    prints: Vec<Print>,
    is_visible: bool,
    bytes: u64,
    max_bytes: u64,
}

impl CallOutput {
    /// Keeps a print within the bound of output, which a compromised worker may ignore.
    pub(super) fn keep(&mut self, print: Print) {
        if !self.is_visible {
            return;
        }
        self.bytes = self.bytes.saturating_add(PRINT_COST).saturating_add(print.text.len() as u64);
        if self.bytes <= self.max_bytes {
            self.prints.push(print);
        }
    }
}

impl CallContext {
    /// Waits for something, unless the call is stopped or its time ends before.
    pub(super) async fn before_deadline<T>(
        &self,
        acquire: impl AsyncFnOnce(&Self) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        tokio::select! {
            biased;
            reason = self.stopper.stopped() => Err(self.stop_error(reason)),
            acquired = acquire(self) => acquired,
            () = wait_until(self.deadline) => Err(self.stop_error(StopReason::Time)),
        }
    }

    /// Returns when the store stops to wait for the call.
    pub(super) fn store_deadline(&self) -> std::time::Instant {
        self.deadline.unwrap_or_else(|| Instant::now() + LONG).into_std()
    }

    pub(super) async fn acquire_grant(&self) -> Result<Grant, RpcError> {
        match self.circle.running_calls.acquire(self.caller.caller) {
            Ok(grant) => Ok(grant),
            // The circle has the semaphore.
            Err(waiter) => waiter.await.map_err(|_| RpcError::ShuttingDown),
        }
    }

    /// Checks a worker out. A caller whose calls keep ending workers waits, as for the worker of a session.
    pub(super) async fn checkout(&self) -> Result<PooledWorker, RpcError> {
        if let Some(start) = self.circle.losses.reserve_start(self.caller.caller, Instant::now()) {
            sleep_until(start).await;
        }
        let checkout = self.callee.generation.checkout(self.caller.rights.group, self.caller.caller);
        checkout.await.map_err(|error| {
            self.log_fault(|suppressed| {
                tracing::error!(%error, suppressed, "cannot start worker for functions");
            });
            let max = self.limits.values.function_workers;
            RpcError::Busy { limit: BusyLimit::Calls, max, retry_after_ms: retry_after_ms(&error) }
        })
    }

    /// Makes the host calls of this call.
    pub(super) fn host_calls(&self) -> HostCalls {
        let (output, prints) = PlayOutput::new(self.limits.values.output_kib.saturating_mul(1024));
        let context = host::PlayContext {
            caller: self.caller.key,
            session: self.caller.session,
            circle: self.circle.name.as_str().into(),
            deadline: self.deadline.map(Instant::into_std),
            cancelled: CancellationToken::new(),
            output,
            store: None,
        };
        let (circle, limits) = (self.circle.clone(), self.limits.clone());
        let (transaction, authority) = (self.transaction.clone(), CallAuthority::Circle);
        let origin = RunOrigin { authority, transaction, audited_caller: None };
        HostCalls::new(circle, limits, self.caller.caller, context, prints, origin)
    }

    /// Returns the place for what the call prints.
    pub(super) fn output(&self) -> CallOutput {
        let max_bytes = self.limits.values.output_kib.saturating_mul(1024);
        CallOutput { prints: Vec::new(), is_visible: self.caller.rights.may_play(), bytes: 0, max_bytes }
    }

    /// Whether progress of the call goes anywhere.
    pub(super) fn is_reported(&self) -> bool {
        self.reports.is_some()
    }

    /// Reports progress.
    pub(super) fn report(&self, progress: ProgressReport) {
        if let Some((call, reports)) = &self.reports {
            // A client that does not read gets no progress.
            let _full = reports.try_send(CallReport { call: *call, started: self.started, progress });
        }
    }

    /// Ends the transactions of the call, and returns the end of the call.
    pub(super) async fn end(
        &mut self,
        host_calls: Option<HostCalls>,
        result: Result<Box<RawValue>, RpcError>,
        output: CallOutput,
    ) -> CallEnd {
        // From here on, nobody stops a call that has succeeded.
        let result = result.and_then(|value| match self.stopper.begin_end() {
            Ok(()) => Ok(value),
            Err(reason) => Err(self.stop_error(reason)),
        });
        let record = result.as_ref().ok().zip(self.once.clone());
        let record = record.map(|(value, claim)| OnceRecord { claim, result: value.get().to_owned() });
        let mut host_calls = match host_calls {
            None if record.is_some() => Some(self.host_calls()),
            host_calls => host_calls,
        };
        let is_too_old = host_calls.as_ref().is_some_and(HostCalls::is_too_old);
        let mut ended = Ok(None);
        if let Some(host_calls) = &mut host_calls
            && host_calls.start_end(play_end(&result), self.deadline, record)
        {
            ended = self.wait_for_end(host_calls).await;
        }
        let (result, revision, conflict) = match (result, ended) {
            (Ok(value), Ok(revision)) => (Ok(value), revision, None),
            (Ok(_), Err(error)) => {
                let conflict = if let EndError::Commit(error) = &error { Some(error.clone()) } else { None };
                (Err(self.end_error(error)), None, conflict)
            }
            // The function may have failed for no other reason.
            (Err(RpcError::Script(_) | RpcError::Internal), _) if is_too_old => {
                (Err(too_old(self.attempts)), None, Some(CommitError::TooOld))
            }
            (Err(error), _) => (Err(error), None, None),
        };
        let may_rerun = !host_calls.as_ref().is_some_and(HostCalls::has_lasting_effects);
        let prints = if result.is_ok() { output.prints } else { Vec::new() };
        CallEnd {
            result,
            prints,
            revision,
            retry: conflict.filter(|error| may_rerun && error.is_temporary()).map(Retry::Conflict),
        }
    }

    /// Returns the error of a call whose transaction was not committed. A caller learns of the keys that plays of its role
    /// may read, and not of others that the function uses.
    fn commit_error(&self, error: &CommitError) -> RpcError {
        let rights = StoreRights::OfCaller(Box::new(self.caller.rights.clone()), self.caller.key);
        commit_error(error, self.attempts, |key| self.caller.rights.may_play() && rights.may_see(key))
    }

    /// Returns the error of a call whose function has succeeded.
    fn end_error(&self, error: EndError) -> RpcError {
        match error {
            EndError::Refused(module, error) if self.caller.rights.may_play() => refusal(&module, &error),
            EndError::Refused(module, error) => {
                let name = self.callee.name();
                self.log_fault(|suppressed| {
                    let error = error.message();
                    tracing::error!(function = name, module, error, suppressed, "host module refused a call");
                });
                RpcError::Internal
            }
            EndError::Timeout => self.stop_error(StopReason::Time),
            EndError::ShutDown => self.stop_error(StopReason::Shutdown),
            EndError::Commit(error) => self.commit_error(&error),
        }
    }

    /// Waits for the end of transactions, for a shorter time if the circle shuts down.
    async fn wait_for_end(&self, host_calls: &mut HostCalls) -> Result<Option<Revision>, EndError> {
        tokio::select! {
            ended = host_calls.end() => return ended,
            () = self.stopper.shut_down() => {}
        }
        // The call has its result, but a circle that shuts down does not wait long for the end of transactions.
        host_calls.shut_down();
        host_calls.end().await
    }

    /// Logs a fault of the function or of its worker, unless the caller has caused many lines.
    pub(super) fn log_fault(&self, log: impl FnOnce(Option<u64>)) {
        call_log::log_fault(&self.circle, self.caller.caller, self.caller.session, log);
    }

    pub(super) fn stop_error(&self, reason: StopReason) -> RpcError {
        reason.error(&self.limits.values, self.max_ms, self.setting)
    }

    /// Returns the constants that the function sees.
    pub(super) fn constants(&self) -> [NamedValue; 3] {
        script_constants::of_caller(self.caller.key, &self.caller.rights)
    }

    /// Returns the error that the caller gets for an error of the function.
    pub(super) fn script_error(&self, error: worker::ScriptError) -> RpcError {
        let error = conversion::script_error(error);
        if error.thrown.as_ref().is_some_and(|thrown| !is_host_error(thrown)) {
            let error = ScriptError { kind: ScriptErrorKind::Thrown, ..error };
            return RpcError::Script(Box::new(if self.caller.rights.may_play() {
                error
            } else {
                // Where the function threw is none of the caller's business.
                ScriptError { line: None, column: None, function: None, hint: None, trace: Vec::new(), ..error }
            }));
        }
        let frame = error.trace.first();
        self.log_fault(|suppressed| {
            tracing::error!(
                function = self.callee.name(),
                file = frame.and_then(|frame| frame.name.as_deref()),
                line = frame.and_then(|frame| frame.line).or(error.line),
                error = %error.message,
                suppressed,
                "function failed"
            );
        });
        if self.caller.rights.may_play() { RpcError::Script(Box::new(error)) } else { RpcError::Internal }
    }

    /// Converts the value of the function, if it has the declared type.
    pub(super) fn value(&self, json: String) -> Result<Box<RawValue>, RpcError> {
        let value = RawValue::from_string(json).map_err(|error| {
            let function = self.callee.name();
            self.log_fault(|suppressed| {
                tracing::error!(function, %error, suppressed, "invalid JSON value from worker");
            });
            RpcError::Internal
        })?;
        match self.callee.function.check_result(&value) {
            Ok(()) => Ok(value),
            Err(reason) => {
                let function = self.callee.name();
                self.log_fault(|suppressed| {
                    tracing::error!(function, %reason, suppressed, "result does not have the declared type");
                });
                Err(RpcError::Internal)
            }
        }
    }
}

pub(super) async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Whether a thrown value is the error of a host function or of Rhai, which the function of the circle did not catch or
/// threw again.
fn is_host_error(thrown: &RawValue) -> bool {
    let value: serde_json::Value = serde_json::from_str(thrown.get()).unwrap_or_default();
    let is_error_of_rhai = value["error"].as_str().is_some_and(|error| error.starts_with("Error"));
    value["error"] == worker::HOST_ERROR || (is_error_of_rhai && value["message"].is_string())
}
