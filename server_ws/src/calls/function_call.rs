//! A call of one function of the circle, for a client or for a play: it waits for a grant and a worker, runs, and ends.
//!
//! The call is one future. Dropping it ends the worker, and the transactions of its host modules.

use std::{sync::Arc, time::Duration};

use functions::{
    roles::Role,
    signature::{ArgumentFault, Arguments},
};
use keys::PublicKey;
use protocol::{
    RpcError,
    error::{LimitSetting, PlayLimit},
};
use serde_json::value::RawValue;
use tokio::{sync::mpsc, time::Instant};

use super::{
    CallStopper, RunStore, StopReason,
    call_context::{CallContext, CallEnd, CallReport},
    once_request::{OnceRequest, OnceStart},
    program_call::ProgramCall,
    worker_call::WorkerCall,
};
use crate::{
    circle::{Circle, Settings},
    circle_functions::{CircleFunction, FunctionBody, Generation},
    circle_store::{Retry, RunTransaction},
    conversion,
    quota::Caller,
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

/// A function that a caller may call.
#[derive(Debug, Clone)]
pub(crate) struct Callee {
    pub(super) generation: Arc<Generation>,
    pub(crate) function: Arc<CircleFunction>,
}

impl Callee {
    /// Returns the function with a name, if there is one that the role may call.
    pub(crate) fn find(settings: &Settings, role: &Role, name: &str) -> Option<Self> {
        let generation = settings.functions.as_ref()?;
        Some(Self { generation: generation.clone(), function: generation.find(name, role)?.clone() })
    }

    pub(super) fn name(&self) -> &str {
        self.function.name()
    }
}

/// The arguments of a call that fit its function.
#[derive(Debug)]
pub(super) enum CallArguments {
    /// For a worker, which has this number for the function.
    Worker(u32, Vec<worker::Value>),
    /// For a function of the program: the index of its module, its own index, and the JSON of the arguments.
    Program(usize, usize, Vec<Box<RawValue>>),
}

/// The parameters of a request, and what its `_meta` asks for.
struct CallRequest {
    arguments: CallArguments,
    /// The time limit in milliseconds.
    timeout_ms: Option<u64>,
    once: Option<String>,
}

impl CallRequest {
    /// Reads the parameters of a request.
    ///
    /// # Errors
    ///
    /// The first parameter that does not fit.
    fn read(circle: &Circle, function: &CircleFunction, params: Option<&RawValue>) -> Result<Self, ArgumentFault> {
        let Arguments { values, timeout_ms, once, .. } = function.signature.arguments(params)?;
        let arguments = match function.body {
            FunctionBody::Worker(number) => {
                CallArguments::Worker(number, values.into_iter().map(conversion::argument).collect())
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
                CallArguments::Program(module, function, values)
            }
        };
        Ok(Self { arguments, timeout_ms, once })
    }
}

/// A call of a function that has been admitted.
#[derive(Debug)]
pub(crate) struct FunctionCall {
    context: CallContext,
    args: CallArguments,
    once: Option<OnceRequest>,
    /// The transaction of the play that makes the call.
    play: Option<Arc<RunTransaction>>,
    /// Number of attempts that have lost the machine of their worker.
    lost_machines: u32,
}

/// Number of lost machines after which a call runs again.
const MAX_LOST_MACHINES: u32 = 2;

impl FunctionCall {
    /// Admits a call: checks its parameters, and counts it for its caller. `deadline` and `play` are the deadline and the
    /// transaction of the play that makes the call. Also returns what stops the call.
    ///
    /// # Errors
    ///
    /// A parameter does not fit ([`RpcError::InvalidParams`]), or the caller has used up its calls of a minute
    /// ([`RpcError::RateLimited`]).
    pub(crate) fn admit(
        circle: &Arc<Circle>,
        settings: &Settings,
        callee: Callee,
        caller: FunctionCaller,
        params: Option<&RawValue>,
        deadline: Option<Instant>,
        play: Option<Arc<RunTransaction>>,
    ) -> Result<(Self, CallStopper), RpcError> {
        let CallRequest { arguments: args, timeout_ms, once } = CallRequest::read(circle, &callee.function, params)
            .map_err(|fault| RpcError::InvalidParams { param: fault.param, reason: fault.reason })?;
        let once = once.map(|once| OnceRequest::new(circle, &caller, &once, callee.name(), &args)).transpose()?;
        circle.count_run(|| caller.caller, &caller.rights)?;
        let limits = settings.limits.clone();
        let (own_ms, own_setting) = match callee.function.signature.timeout_ms {
            Some(ms) => (ms, LimitSetting::FunctionTimeout),
            None => (limits.values.call_ms, LimitSetting::CallMs),
        };
        let (max_ms, setting) = match timeout_ms {
            Some(ms) if ms < own_ms => (ms, LimitSetting::TimeoutMs),
            _ => (own_ms, own_setting),
        };
        let started = Instant::now();
        let own_deadline = started.checked_add(Duration::from_millis(max_ms));
        let deadline = [own_deadline, deadline].into_iter().flatten().min();
        let stopper = CallStopper::default();
        let context = CallContext {
            circle: circle.clone(),
            limits,
            callee,
            caller,
            max_ms,
            setting,
            started,
            deadline,
            stopper: stopper.clone(),
            transaction: play.clone().map(RunStore::OfPlay),
            once: None,
            attempts: 0,
            reports: None,
        };
        Ok((Self { context, args, once, play, lost_machines: 0 }, stopper))
    }

    /// Sets where the progress of the call goes, and the number of the call in the reports.
    pub(crate) fn report_to(&mut self, number: u64, reports: mpsc::Sender<CallReport>) {
        self.context.reports = Some((number, reports));
    }

    /// Returns the caller to which quotas count the call.
    pub(crate) fn quota_caller(&self) -> Caller {
        self.context.caller.caller
    }

    /// Returns the function.
    pub(crate) fn function(&self) -> &Arc<CircleFunction> {
        &self.context.callee.function
    }

    /// Runs the call to its end.
    pub(crate) async fn run(mut self) -> CallEnd {
        if let Some(once) = self.once.take() {
            match self.context.before_deadline(async |context| once.start(context.store_deadline()).await).await {
                Ok(OnceStart::Claimed(claim)) => self.context.once = Some(claim),
                Ok(OnceStart::Recorded(result)) => {
                    return match self.context.stopper.begin_end() {
                        Ok(()) => CallEnd { result, ..CallEnd::error(RpcError::Internal) },
                        Err(reason) => CallEnd::error(self.context.stop_error(reason)),
                    };
                }
                Err(error) => return CallEnd::error(error),
            }
        }
        match self.play.take() {
            Some(play) => self.run_in_play(&play).await,
            None => self.run_attempts().await,
        }
    }

    /// Runs in the transaction of a play. If the function fails, what it has written is undone.
    async fn run_in_play(&mut self, play: &RunTransaction) -> CallEnd {
        loop {
            let Ok(savepoint) = play.savepoint().await else { return CallEnd::error(RpcError::Internal) };
            let mut end = self.attempt().await;
            if play.end_savepoint(savepoint, end.result.is_ok()).await.is_err() {
                // The play has ended, and nobody waits for the result.
                return CallEnd::error(RpcError::Cancelled);
            }
            if !self.runs_again_after(end.retry.take().as_ref()) {
                return end;
            }
        }
    }

    /// Runs until the transaction commits, or fails for another reason than a conflict or the loss of a machine.
    async fn run_attempts(&mut self) -> CallEnd {
        let circle = self.context.circle.clone();
        let Some(store) = &circle.store else { return self.run_without_store().await };
        let attempts = store.begin_call(self.context.caller.caller, self.context.store_deadline());
        let mut last_conflict = None;
        loop {
            self.context.transaction = Some(RunStore::Own(attempts.begin().await));
            let mut end = self.attempt().await;
            let Some(retry) = end.retry.take() else {
                // A run that conflicts until its deadline says so, wherever the deadline finds it.
                return match (end.result, last_conflict) {
                    (Err(RpcError::LimitExceeded { limit: PlayLimit::Time, .. }), Some(conflict)) => {
                        CallEnd::error(conflict)
                    }
                    (result, _) => CallEnd { result, ..end },
                };
            };
            let is_conflict = matches!(retry, Retry::Conflict(_));
            if matches!(retry, Retry::LostMachine) && !self.may_lose_machine() {
                return end;
            }
            if is_conflict {
                last_conflict = end.result.as_ref().err().cloned();
            }
            self.context.stopper.begin_rerun();
            match self.context.before_deadline(async |_| Ok(attempts.wait(retry).await)).await {
                Ok(true) => {}
                // The caller learns of the conflict only when the time is over.
                Ok(false) | Err(RpcError::LimitExceeded { .. }) if is_conflict => return end,
                Ok(false) => return CallEnd::error(self.context.stop_error(StopReason::Time)),
                Err(error) => return CallEnd::error(error),
            }
        }
    }

    /// Runs, and again if the machine of the worker was lost.
    async fn run_without_store(&mut self) -> CallEnd {
        loop {
            let mut end = self.attempt().await;
            if !self.runs_again_after(end.retry.take().as_ref()) {
                return end;
            }
        }
    }

    /// Prepares a call whose transaction is not its own for another run, if the last one has lost its machine.
    fn runs_again_after(&mut self, retry: Option<&Retry>) -> bool {
        let runs_again = matches!(retry, Some(Retry::LostMachine)) && self.may_lose_machine();
        if runs_again {
            self.context.stopper.begin_rerun();
        }
        runs_again
    }

    /// Counts a lost machine. Returns whether the call may run again: a function that is to blame must not cost more
    /// machines.
    fn may_lose_machine(&mut self) -> bool {
        self.lost_machines += 1;
        self.lost_machines <= MAX_LOST_MACHINES
    }

    /// Runs the function.
    async fn attempt(&mut self) -> CallEnd {
        let Self { context, args, .. } = self;
        context.attempts += 1;
        let grant = match context.before_deadline(CallContext::acquire_grant).await {
            Ok(grant) => grant,
            Err(error) => return CallEnd::error(error),
        };
        match args {
            CallArguments::Program(module, function, args) => {
                ProgramCall::new(context).run(*module, *function, args.clone(), grant).await
            }
            CallArguments::Worker(number, args) => match context.before_deadline(CallContext::checkout).await {
                Ok(worker) => WorkerCall::new(context, worker).run(*number, args, grant).await,
                Err(error) => CallEnd::error(error),
            },
        }
    }
}
