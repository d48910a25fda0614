//! `lookup`: what the functions of a name do.

use protocol::methods::{FunctionDoc, LookupParams, LookupResult, Origin};
use worker::Query;

use crate::session::{Session, batches::Ticket};

pub(crate) fn handle(session: &mut Session, ticket: Ticket, params: LookupParams) {
    session.inquire(ticket, Query::Lookup { name: params.name });
}

pub(crate) fn result(functions: Vec<worker::FunctionDoc>) -> LookupResult {
    let functions = functions.into_iter().map(|function| FunctionDoc {
        signature: function.signature,
        doc: function.doc,
        origin: origin(function.origin),
    });
    LookupResult { functions: functions.collect() }
}

fn origin(origin: worker::Origin) -> Origin {
    match origin {
        worker::Origin::Session => Origin::Session,
        worker::Origin::Circle => Origin::Circle,
        worker::Origin::Module => Origin::Module,
        worker::Origin::Host => Origin::Host,
        worker::Origin::Native => Origin::Native,
        worker::Origin::Standard => Origin::Standard,
    }
}
