//! A call of one function of the circle, for a client or for a play: it waits for a grant and a worker, runs, and ends.
//!
//! The call is one future. Dropping it ends the worker, and the transactions of its host modules.

use std::sync::Arc;

use functions::signature::{ArgumentFault, Arguments};
use keys::PublicKey;
use protocol::{
    RpcError,
    error::{BusyLimit, LimitSetting, ScriptError, ScriptErrorKind},
};
use serde_json::value::RawValue;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use worker::{NamedValue, Print, ProgressReport};

use super::{
    CallAuthority, EndError, HostCalls, StopReason, program_call::ProgramCall, refusal, worker_call::WorkerCall,
};
use crate::{
    circle::{Circle, SessionLimits, script_constants::CallerConstants},
    circle_functions::{CircleFunction, FunctionBody, Generation, PooledWorker},
    conversion,
    host::{self, PlayOutput},
    quota::{Caller, Grant},
    rights::CallerRights,
};

/// The caller of a function.
#[derive(Debug, Clone)]
pub(crate) struct FunctionCaller {
    pub(crate) key: Option<PublicKey>,
    /// The caller to which quotas are counted.
    pub(crate) caller: Caller,
    pub(crate) rights: CallerRights,
    /// The number of the session.
    pub(crate) session: u64,
}

/// The function of a call.
#[derive(Debug, Clone)]
pub(crate) struct Callee {
    pub(crate) generation: Arc<Generation>,
    pub(crate) name: Arc<str>,
}

/// The arguments of a call that fit its function.
#[derive(Debug)]
pub(crate) enum CallArguments {
    /// For a worker, which has this number for the function.
    Worker(u32, Vec<worker::Value>),
    /// For a function of the program: the index of its module, its own index, and the JSON of the arguments.
    Program(usize, usize, Vec<Box<RawValue>>),
}

impl CallArguments {
    /// Reads the parameters of a request. Also returns the time limit in milliseconds that the request has.
    ///
    /// # Errors
    ///
    /// The first parameter that does not fit.
    pub(crate) fn read(
        circle: &Circle,
        function: &CircleFunction,
        params: Option<&RawValue>,
    ) -> Result<(Self, Option<u64>), ArgumentFault> {
        let Arguments { values, timeout_ms, .. } = function.signature.arguments(params)?;
        let arguments = match function.body {
            FunctionBody::Worker(number) => {
                Self::Worker(number, values.into_iter().map(conversion::argument).collect())
            }
            FunctionBody::Program { module, function } => {
                let values = values.iter().map(|value| serde_json::value::to_raw_value(&value.to_json()));
                let values: Vec<_> = values.collect::<Result<_, _>>().unwrap_or_default();
                let borrowed: Vec<&RawValue> = values.iter().map(|value| &**value).collect();
                circle.host.modules[module].check(function, &borrowed).map_err(|error| {
                    let param = error.data().and_then(|data| Some(data["param"].as_str()?.to_owned()));
                    let reason = error.message().to_owned();
                    ArgumentFault { param: param.unwrap_or_default(), reason }
                })?;
                Self::Program(module, function, values)
            }
        };
        Ok((arguments, timeout_ms))
    }
}

/// A call of a function that has been admitted.
#[derive(Debug)]
pub(crate) struct FunctionCall {
    pub(crate) circle: Arc<Circle>,
    pub(crate) limits: Arc<SessionLimits>,
    pub(crate) callee: Callee,
    pub(crate) caller: FunctionCaller,
    pub(crate) args: CallArguments,
    /// The time limit in milliseconds, and the setting that has it.
    pub(crate) max_ms: u64,
    pub(crate) setting: LimitSetting,
    /// The end of its time; `None` if that is too far in the future to represent.
    pub(crate) deadline: Option<Instant>,
    /// Why to stop the call.
    pub(crate) stop: watch::Receiver<Option<StopReason>>,
    /// Where progress goes, with the number of the call; a report that finds no room is dropped.
    pub(crate) reports: Option<(u64, mpsc::Sender<CallReport>)>,
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
}

impl CallEnd {
    pub(super) fn error(error: RpcError) -> Self {
        Self { result: Err(error), prints: Vec::new() }
    }
}

impl FunctionCall {
    /// Runs the call to its end.
    pub(crate) async fn run(mut self) -> CallEnd {
        let started = Instant::now();
        let grant = self.before_deadline(Self::acquire_grant).await;
        let grant = match grant {
            Ok(grant) => grant,
            Err(error) => return CallEnd::error(error),
        };
        match std::mem::replace(&mut self.args, CallArguments::Worker(0, Vec::new())) {
            CallArguments::Program(module, function, args) => {
                ProgramCall::new(self, started).run(module, function, args, grant).await
            }
            CallArguments::Worker(number, args) => match self.before_deadline(Self::checkout).await {
                Ok(worker) => WorkerCall::new(&mut self, worker, started).run(number, &args, grant).await,
                Err(error) => CallEnd::error(error),
            },
        }
    }

    /// Waits for something, unless the call is stopped or its time ends before.
    async fn before_deadline<T>(&self, acquire: impl AsyncFnOnce(&Self) -> Result<T, RpcError>) -> Result<T, RpcError> {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            reason = stop_reason(&mut stop) => Err(self.stop_error(reason)),
            acquired = acquire(self) => acquired,
            () = wait_until(self.deadline) => Err(self.stop_error(StopReason::Time)),
        }
    }

    async fn acquire_grant(&self) -> Result<Grant, RpcError> {
        match self.circle.running_calls.acquire(self.caller.caller) {
            Ok(grant) => Ok(grant),
            // The circle has the semaphore.
            Err(waiter) => waiter.await.map_err(|_| RpcError::ShuttingDown),
        }
    }

    async fn checkout(&self) -> Result<PooledWorker, RpcError> {
        let checkout = self.callee.generation.checkout(self.caller.rights.group, self.caller.caller);
        checkout.await.map_err(|error| {
            tracing::error!(%error, "cannot start worker for functions");
            let max = self.limits.values.function_workers;
            RpcError::Busy { limit: BusyLimit::Calls, max, retry_after_ms: None }
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
        };
        let (circle, limits) = (self.circle.clone(), self.limits.clone());
        HostCalls::new(circle, limits, self.caller.caller, context, prints, CallAuthority::Circle)
    }

    /// Returns the result of a call whose transactions have ended.
    pub(super) fn ended(
        &self,
        result: Result<Box<RawValue>, RpcError>,
        ended: Result<(), EndError>,
    ) -> Result<Box<RawValue>, RpcError> {
        match (result, ended) {
            (Ok(_), Err(EndError::Refused(module, error))) => Err(if self.caller.rights.may_play() {
                refusal(&module, &error)
            } else {
                tracing::error!(function = %self.callee.name, module, error = error.message(), "host module refused a call");
                RpcError::Internal
            }),
            (Ok(_), Err(EndError::Timeout)) => Err(self.stop_error(StopReason::Time)),
            (Ok(_), Err(EndError::ShutDown)) => Err(self.stop_error(StopReason::Shutdown)),
            (result, _) => result,
        }
    }

    pub(super) fn stop_error(&self, reason: StopReason) -> RpcError {
        reason.error(&self.limits.values, self.max_ms, self.setting)
    }

    /// Returns the constants that the function sees.
    pub(super) fn constants(&self) -> Vec<NamedValue> {
        CallerConstants::new(self.caller.key, &self.caller.rights).values()
    }

    /// Returns the error that the caller gets for an error of the function.
    pub(super) fn script_error(&self, error: worker::ScriptError) -> RpcError {
        let thrown = error.thrown.as_ref().and_then(|json| RawValue::from_string(json.clone()).ok());
        let error = conversion::script_error(error);
        if let Some(thrown) = thrown.filter(|thrown| !is_host_error(thrown)) {
            let kept = if self.caller.rights.may_play() {
                error
            } else {
                // Where the function threw is none of the caller's business.
                ScriptError { line: None, column: None, function: None, hint: None, trace: Vec::new(), ..error }
            };
            return RpcError::Script(Box::new(ScriptError {
                kind: ScriptErrorKind::Thrown,
                thrown: Some(thrown),
                ..kept
            }));
        }
        let frame = error.trace.first();
        tracing::error!(
            function = %self.callee.name,
            file = frame.and_then(|frame| frame.name.as_deref()),
            line = frame.and_then(|frame| frame.line).or(error.line),
            error = %error.message,
            "function failed"
        );
        if self.caller.rights.may_play() { RpcError::Script(Box::new(error)) } else { RpcError::Internal }
    }

    /// Converts the value of the function, if it has the declared type.
    pub(super) fn value(&self, json: String) -> Result<Box<RawValue>, RpcError> {
        let value = RawValue::from_string(json).map_err(|error| {
            tracing::error!(function = %self.callee.name, %error, "invalid JSON value from worker");
            RpcError::Internal
        })?;
        match self.callee.generation.check_result(&self.callee.name, &value) {
            Ok(()) => Ok(value),
            Err(reason) => {
                tracing::error!(function = %self.callee.name, %reason, "result does not have the declared type");
                Err(RpcError::Internal)
            }
        }
    }
}

/// Waits for the end of transactions, for a shorter time if the circle shuts down.
pub(super) async fn wait_for_end(
    host_calls: &mut HostCalls,
    stop: &mut watch::Receiver<Option<StopReason>>,
) -> Result<(), EndError> {
    let shutdown = async {
        if stop.wait_for(|reason| *reason == Some(StopReason::Shutdown)).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = host_calls.end() => return ended,
        () = shutdown => {}
    }
    // The call has its result, but a circle that shuts down does not wait long for the end of transactions.
    host_calls.shut_down();
    host_calls.end().await
}

/// Waits until the call has to stop. Cancel safe.
pub(super) async fn stop_reason(stop: &mut watch::Receiver<Option<StopReason>>) -> StopReason {
    let reason = stop.wait_for(Option::is_some).await.ok().and_then(|reason| *reason);
    match reason {
        Some(reason) => reason,
        // Nobody can stop the call any more.
        None => std::future::pending().await,
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
