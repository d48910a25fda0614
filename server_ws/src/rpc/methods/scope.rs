//! `scope`: what an environment holds.

use protocol::methods::{ScopeFunction, ScopeResult, Variable};
use worker::Query;

use crate::session::{Session, batches::Ticket};

pub(crate) fn handle(session: &mut Session, ticket: Ticket) {
    session.inquire(ticket, Query::Scope);
}

pub(crate) fn result(listing: worker::Listing) -> ScopeResult {
    let variables = listing.variables.into_iter().map(|variable| Variable {
        name: variable.name,
        r#type: variable.type_name,
        output: variable.output,
        constant: variable.is_constant,
    });
    let functions =
        listing.functions.into_iter().map(|function| ScopeFunction { name: function.name, params: function.params });
    ScopeResult { variables: variables.collect(), functions: functions.collect() }
}
