//! `lookup`: describes the functions with a name.

use protocol::methods::LookupParams;
use worker::Query;

use crate::session::{Session, Ticket};

pub(crate) fn handle(session: &mut Session, ticket: Ticket, params: LookupParams) {
    session.query(ticket, Query::Lookup { name: params.name });
}
