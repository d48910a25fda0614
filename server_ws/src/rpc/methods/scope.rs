//! `scope`: what an environment holds.

use worker::Query;

use crate::session::{Session, batches::Ticket};

pub(crate) fn handle(session: &mut Session, ticket: Ticket) {
    session.inquire(ticket, Query::Scope);
}
