//! `fn.NAME`: calls a function of the circle.

use std::{sync::Arc, time::Duration};

use protocol::{
    RpcError,
    error::{BusyLimit, LimitSetting},
};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::{
    audit::AuditedRun,
    calls::{CallArguments, Callee, FunctionCaller},
    session::{AdmittedCall, Session, Ticket},
};

/// Starts a call, or refuses it. `counted` is whether the caller may make another request.
pub(crate) fn handle(
    session: &mut Session,
    ticket: Ticket,
    name: &str,
    params: Option<&RawValue>,
    counted: Result<(), RpcError>,
) {
    let audit = session.audit(|| AuditedRun::Call {
        function: name.chars().take(64).collect::<String>().into(),
        arguments: params.map_or("", RawValue::get).into(),
    });
    let ticket = ticket.into_call(audit);
    match counted.and_then(|()| admit(session, name, params)) {
        Ok(call) => session.start_call(ticket, call),
        Err(error) => session.reply_error(&ticket, &error),
    }
}

/// Checks everything that needs no worker.
fn admit(session: &Session, name: &str, params: Option<&RawValue>) -> Result<AdmittedCall, RpcError> {
    let settings = session.circle.settings();
    let rights = settings.rights.of_caller(session.auth.identity().as_ref());
    let Some(role) = &rights.role else { return Err(RpcError::Unauthenticated) };
    if session.circle.is_draining() {
        return Err(RpcError::ShuttingDown);
    }
    let found = settings.functions.as_ref().and_then(|generation| Some((generation, generation.find(name, role)?)));
    // A caller cannot tell a function that it may not call from one that does not exist.
    let Some((generation, function)) = found else {
        return Err(RpcError::MethodNotFound { method: format!("fn.{name}").chars().take(64).collect() });
    };
    let limits = settings.limits.clone();
    let max = limits.values.queued_calls;
    if session.running_calls() as u64 >= max {
        return Err(RpcError::Busy { limit: BusyLimit::Calls, max, retry_after_ms: None });
    }
    let (args, timeout_ms) = CallArguments::read(&session.circle, function, params)
        .map_err(|fault| RpcError::InvalidParams { param: fault.param, reason: fault.reason })?;
    session.circle.count_run(session.caller(), &rights)?;
    let own_ms = function.signature.timeout_ms.unwrap_or(limits.values.call_ms);
    let (max_ms, setting) = match timeout_ms {
        Some(ms) if ms < own_ms => (ms, LimitSetting::TimeoutMs),
        _ => (own_ms, LimitSetting::CallMs),
    };
    Ok(AdmittedCall {
        callee: Callee { generation: generation.clone(), name: Arc::from(name) },
        caller: FunctionCaller {
            key: session.auth.identity(),
            caller: session.caller(),
            rights,
            session: session.number(),
        },
        limits: limits.clone(),
        args,
        max_ms,
        setting,
        deadline: Instant::now().checked_add(Duration::from_millis(max_ms)),
    })
}
