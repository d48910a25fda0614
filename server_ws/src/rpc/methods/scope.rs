//! `scope`: lists the contents of the environment.

use worker::Query;

use crate::session::{Session, Ticket};

pub(crate) fn handle(session: &mut Session, ticket: Ticket) {
    session.query(ticket, Query::Scope);
}
