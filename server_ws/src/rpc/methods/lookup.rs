//! `lookup`: what the functions of a name do.

use protocol::methods::LookupParams;
use worker::Query;

use crate::session::{Session, Ticket};

pub(crate) fn handle(session: &mut Session, ticket: Ticket, params: LookupParams) {
    session.query(ticket, Query::Lookup { name: params.name });
}
