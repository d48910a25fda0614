//! `reset`: gives the session a fresh environment, after the plays before it.

use crate::session::{Job, Session, Ticket};

pub(crate) fn handle(session: &mut Session, ticket: Ticket) {
    session.enqueue(ticket, Job::Reset);
}
