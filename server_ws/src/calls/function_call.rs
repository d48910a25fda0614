//! A call of one function of the circle, for a client or for a play: it waits for a grant and a worker, runs, and ends.
//!
//! The call is one future. Dropping it ends the worker, and the transactions of its host modules.

use std::{sync::Arc, time::Duration};

use functions::{
    roles::Role,
    signature::{ArgumentFault, Arguments},
};
use keys::PublicKey;
use protocol::{RpcError, error::LimitSetting};
use serde_json::value::RawValue;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    StopReason,
    call_context::{CallContext, CallEnd, CallReport},
    program_call::ProgramCall,
    worker_call::WorkerCall,
};
use crate::{
    circle::{Circle, Settings},
    circle_functions::{CircleFunction, FunctionBody, Generation},
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
enum CallArguments {
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
    fn read(
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
    context: CallContext,
    args: CallArguments,
}

impl FunctionCall {
    /// Admits a call: checks its parameters, and counts it for its caller. `deadline` is that of the play that makes the
    /// call. Also returns what stops the call.
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
    ) -> Result<(Self, watch::Sender<Option<StopReason>>), RpcError> {
        let (args, timeout_ms) = CallArguments::read(circle, &callee.function, params)
            .map_err(|fault| RpcError::InvalidParams { param: fault.param, reason: fault.reason })?;
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
        let (stopper, stop) = watch::channel(None);
        let circle = circle.clone();
        let context =
            CallContext { circle, limits, callee, caller, max_ms, setting, started, deadline, stop, reports: None };
        Ok((Self { context, args }, stopper))
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
    pub(crate) async fn run(self) -> CallEnd {
        let Self { mut context, args } = self;
        let grant = match context.before_deadline(CallContext::acquire_grant).await {
            Ok(grant) => grant,
            Err(error) => return CallEnd::error(error),
        };
        match args {
            CallArguments::Program(module, function, args) => {
                ProgramCall::new(context).run(module, function, args, grant).await
            }
            CallArguments::Worker(number, args) => match context.before_deadline(CallContext::checkout).await {
                Ok(worker) => WorkerCall::new(&mut context, worker).run(number, &args, grant).await,
                Err(error) => CallEnd::error(error),
            },
        }
    }
}
