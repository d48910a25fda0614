//! `fn.NAME`: calls a function of the circle.

use protocol::{RpcError, error::BusyLimit};
use serde_json::value::RawValue;

use crate::{
    audit::AuditedRun,
    calls::{CallStopper, Callee, FunctionCall, FunctionCaller},
    session::{Session, Ticket},
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
        is_from_play: false,
    });
    let ticket = ticket.into_call(audit);
    match counted.and_then(|()| admit(session, name, params)) {
        Ok((call, stopper)) => {
            session.start_call(ticket, params.map_or(0, |params| params.get().len()), call, stopper);
        }
        Err(error) => session.reply_error(&ticket, &error),
    }
}

/// Checks everything that needs no worker.
fn admit(session: &Session, name: &str, params: Option<&RawValue>) -> Result<(FunctionCall, CallStopper), RpcError> {
    let settings = session.circle.settings();
    let key = session.auth.identity();
    let rights = settings.rights.of_caller(key.as_ref());
    let Some(role) = &rights.role else { return Err(RpcError::Unauthenticated) };
    if session.circle.is_draining() {
        return Err(RpcError::ShuttingDown);
    }
    // A caller cannot tell a function that it may not call from one that does not exist.
    let Some(callee) = Callee::find(&settings, role, name) else {
        return Err(RpcError::MethodNotFound { method: format!("fn.{name}").chars().take(64).collect() });
    };
    let max = settings.limits.values.queued_calls;
    if session.running_calls() as u64 >= max {
        return Err(RpcError::Busy { limit: BusyLimit::Calls, max, retry_after_ms: None });
    }
    let caller = FunctionCaller { key, caller: session.caller(), rights, session: session.number() };
    FunctionCall::admit(&session.circle, &settings, callee, caller, params, None, None)
}
