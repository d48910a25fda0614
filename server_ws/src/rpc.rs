//! JSON-RPC: a text message becomes requests, each request is admitted, and its method answers it. This layer is above
//! sessions and does not depend on actix.

mod methods;

use protocol::{
    Method, MethodName, Request, RpcError,
    error::MissingRight,
    message::{self, IncomingMessage, RejectedCall, RpcCall},
    methods::{Cancel, Play},
};
use serde_json::value::RawValue;

use crate::session::{ReplyTo, Session, Ticket};

/// The start of the methods that call functions of the circle.
const FUNCTION_PREFIX: &str = "fn.";

/// Admits the requests of one text message, and answers those that need not wait.
pub(crate) fn receive(session: &mut Session, text: &str) {
    // This comes before parsing, because the requests of a stranger come one at a time.
    if session.is_stranger() && text.trim_ascii_start().starts_with('[') {
        let refused = RpcError::InvalidRequest { reason: "a batch needs an authenticated session".into(), id: None };
        let error = session.count_request().err().unwrap_or(refused);
        return session.send(message::response(None, Err::<&(), _>(&error)));
    }
    let max_batch = usize::try_from(session.limits.values.batch).unwrap_or(usize::MAX);
    match message::parse(text, max_batch) {
        Err(error) => {
            let error = session.count_request().err().unwrap_or(error);
            session.send(message::response(None, Err::<&(), _>(&error)));
        }
        Ok(IncomingMessage::Single(call)) => admit(session, call, None),
        Ok(IncomingMessage::Batch(calls)) => {
            let replies = calls.iter().filter(|call| !matches!(call, Ok(RpcCall { id: None, .. }))).count();
            let batch = session.batches.open(replies);
            for call in calls {
                admit(session, call, batch);
            }
        }
    }
}

/// Admits a request: gives it a ticket, and passes it to its method or rejects it.
fn admit(session: &mut Session, call: Result<RpcCall<'_>, RejectedCall>, batch: Option<u64>) {
    let (id, call) = match call {
        Err(RejectedCall { id, error }) => (id, Err(error)),
        Ok(RpcCall { id, method, params }) => (id, Ok((method, params))),
    };
    let is_play = matches!(&call, Ok((method, _)) if *method == Play::NAME);
    let (reply_to, request) = match id {
        // The id of the reply is null, so that the client does not take it for the reply to the play.
        Some(id) if session.has_play(&id) => (ReplyTo::Null, Err(id_is_taken(&id))),
        Some(id) => (ReplyTo::Id(id), call),
        None if call.is_ok() => (ReplyTo::Nobody, call),
        None => (ReplyTo::Null, call),
    };
    let ticket = Ticket::new(reply_to, batch);
    if let Ok((method, params)) = &request
        && let Some(name) = method.strip_prefix(FUNCTION_PREFIX)
    {
        let counted = session.count_request();
        return methods::call::handle(session, ticket, name, *params, counted);
    }
    let request = match request {
        Err(error) => Err(session.count_request().err().unwrap_or(error)),
        Ok((method, params)) => {
            // A caller over its rate limit can still cancel its plays.
            let counted = if method == Cancel::NAME { Ok(()) } else { session.count_request() };
            match (counted, read(session, &method, params)) {
                (Err(error), Ok(Request::Play(params))) => {
                    return methods::play::refuse(session, ticket, params, &error);
                }
                (Err(error), _) => Err(error),
                (Ok(()), request) => request,
            }
        }
    };
    match request {
        Ok(request) => dispatch(session, ticket, request),
        Err(error) => {
            // A play that is rejected here also counts as a play.
            if is_play {
                session.counts.reject_play(&error);
            }
            session.reply_error(&ticket, &error);
        }
    }
}

fn id_is_taken(id: &protocol::Id) -> RpcError {
    RpcError::InvalidRequest {
        reason: "another play or call of this connection has this id and is still unanswered".into(),
        id: serde_json::value::to_raw_value(id).ok(),
    }
}

/// Parses the request of a call, if the session may make it.
fn read(session: &Session, method: &str, params: Option<&RawValue>) -> Result<Request, RpcError> {
    let method: MethodName = method.parse()?;
    if method.is_protected() && !session.is_admitted() {
        return Err(RpcError::Unauthenticated);
    }
    // Whoever may do anything may have something to cancel. Subscriptions have rights of their own.
    let needs_play = !matches!(method, MethodName::Cancel | MethodName::Subscribe | MethodName::Unsubscribe);
    if method.is_protected() && needs_play && !session.rights.may_play() {
        return Err(if session.auth.identity().is_some() {
            no_right_to_play(session)
        } else {
            RpcError::Unauthenticated
        });
    }
    Request::parse(method, params)
}

fn no_right_to_play(session: &Session) -> RpcError {
    let role = session.rights.role_name().map_or("", |role| role);
    let reason = format!("the role '{role}' may not play scripts, only call functions (fn.NAME)");
    RpcError::Forbidden { reason, missing: Some(MissingRight::Play) }
}

fn dispatch(session: &mut Session, ticket: Ticket, request: Request) {
    match request {
        Request::Identify(params) => {
            let result = methods::identify::handle(session, &params);
            session.reply_result(&ticket, &result);
        }
        Request::FetchNonce(params) => {
            let result = methods::fetch_nonce::handle(session, &params);
            session.reply_result(&ticket, &result);
        }
        Request::Authenticate(params) => {
            let result = methods::authenticate::handle(session, &params);
            session.reply_result(&ticket, &result);
        }
        Request::Play(params) => methods::play::handle(session, ticket, params),
        Request::Reset(_) => methods::reset::handle(session, ticket),
        Request::Cancel(params) => {
            let result = methods::cancel::handle(session, &params);
            session.reply(&ticket, &result);
        }
        Request::Complete(params) => methods::complete::handle(session, ticket, params),
        Request::Scope(_) => methods::scope::handle(session, ticket),
        Request::Lookup(params) => methods::lookup::handle(session, ticket, params),
        Request::Subscribe(params) => methods::subscribe::handle(session, ticket, &params),
        Request::Unsubscribe(params) => {
            let result = methods::subscribe::unsubscribe(session, &params);
            session.reply(&ticket, &result);
        }
        Request::Describe(_) => {
            let result = serde_json::value::to_raw_value(&methods::describe::handle(session));
            session.reply_text(&ticket, &result.as_deref().map_err(|_| RpcError::Internal));
        }
        Request::Discover(_) => {
            let circle = session.circle.clone();
            let contract = methods::discover::handle(&circle, session.auth.identity().as_ref());
            session.reply_text(&ticket, &contract.as_deref().map_err(Clone::clone));
        }
    }
}
