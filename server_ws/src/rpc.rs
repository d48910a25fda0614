//! Text → requests → handlers → text. It knows nothing of actix.

pub(crate) mod methods;

use protocol::{
    Method, MethodName, Request, RpcError,
    message::{self, Call, Incoming, Rejected},
    methods::Play,
};
use serde::Serialize;

use crate::session::{Session, batches::Ticket};

/// Carries out what one text message asks for. Whatever can be answered at once is.
pub(crate) fn receive(session: &mut Session, text: &str) {
    let max_batch = usize::try_from(session.limits.values.batch).unwrap_or(usize::MAX);
    match message::parse(text, max_batch) {
        Err(error) => session.send(message::response(None, Err::<&(), _>(&error))),
        Ok(Incoming::Single(call)) => admit(session, call, None),
        Ok(Incoming::Batch(calls)) => {
            let answered = calls.iter().filter(|call| !matches!(call, Ok(Call { id: None, .. }))).count();
            let batch = session.answers.open_batch(answered);
            for call in calls {
                admit(session, call, batch);
            }
        }
    }
}

fn admit(session: &mut Session, call: Result<Call<'_>, Rejected>, batch: Option<u64>) {
    let (id, outcome) = match call {
        Err(Rejected { id, error }) => (id, Err(error)),
        Ok(Call { id, method, params }) => (id, Ok((method, params))),
    };
    let is_answered = outcome.is_err() || id.is_some();
    let is_play = matches!(&outcome, Ok((method, _)) if *method == Play::NAME);
    if let Some(taken) = id.as_ref().filter(|id| session.has_play(id)) {
        // Answered under null, so that it does not settle the play.
        let error = RpcError::InvalidRequest {
            reason: "a play of this connection with this id is not answered yet".into(),
            id: serde_json::value::to_raw_value(taken).ok(),
        };
        return refuse(
            session,
            &Ticket { id: None, is_answered, is_play: false, batch, audited: None },
            &error,
            is_play,
        );
    }
    let ticket = Ticket { id, is_answered, is_play: false, batch, audited: None };
    match outcome.and_then(|(method, params)| {
        let method: MethodName = method.parse()?;
        if method.is_protected() && !session.is_admitted() {
            return Err(RpcError::Unauthenticated);
        }
        Request::parse(method, params)
    }) {
        Err(error) => refuse(session, &ticket, &error, is_play),
        Ok(request) => dispatch(session, ticket, request),
    }
}

/// Refuses what has not become a request. A play counts among the plays all the same.
fn refuse(session: &mut Session, ticket: &Ticket, error: &RpcError, is_play: bool) {
    if is_play {
        session.counts.play_refused(error);
    }
    session.refuse(ticket, error);
}

fn dispatch(session: &mut Session, ticket: Ticket, request: Request) {
    fn now(session: &mut Session, ticket: &Ticket, result: &Result<impl Serialize, RpcError>) {
        match result {
            Ok(result) => session.answer(ticket, result),
            Err(error) => session.refuse(ticket, error),
        }
    }
    match request {
        Request::FetchNonce(params) => {
            let result = methods::fetch_nonce::handle(session, &params);
            now(session, &ticket, &result);
        }
        Request::Authenticate(params) => {
            let result = methods::authenticate::handle(session, &params);
            now(session, &ticket, &result);
        }
        Request::Play(params) => methods::play::handle(session, Ticket { is_play: true, ..ticket }, params),
        Request::Reset(_) => methods::reset::handle(session, ticket),
        Request::Cancel(params) => {
            let result = methods::cancel::handle(session, &params);
            session.answer(&ticket, &result);
        }
        Request::Complete(params) => methods::complete::handle(session, ticket, params),
        Request::Scope(_) => methods::scope::handle(session, ticket),
        Request::Lookup(params) => methods::lookup::handle(session, ticket, params),
        Request::Describe(_) => {
            let result = methods::describe::handle(session);
            session.answer(&ticket, &result);
        }
        Request::Discover(_) => now(session, &ticket, &methods::discover::handle()),
    }
}
