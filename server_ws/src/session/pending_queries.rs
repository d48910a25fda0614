//! Queries of a session that its worker has not answered, within bounds. Pure: the time is handed in.

use std::{collections::BTreeMap, time::Duration};

use protocol::{Limits, RpcError, error::BusyLimit};
use tokio::time::Instant;
use worker::Query;

use super::batches::Ticket;

/// How many may be without an answer.
const MAX_INQUIRIES: u64 = 64;

/// How long an answer may take: longer than that only while the circle's own script runs.
const PATIENCE: Duration = Duration::from_secs(5);

/// One query. It is kept until its worker answers, also after its client was told that it takes too long: the worker
/// still holds it, so it still counts.
#[derive(Debug)]
struct Inquiry {
    /// Taken once it is answered.
    ticket: Option<Ticket>,
    /// Taken once it is sent.
    unsent: Option<Query>,
    bytes: u64,
    deadline: Instant,
}

#[derive(Debug)]
pub(crate) struct Inquiries {
    /// By number; what is newer has a greater one.
    open: BTreeMap<u64, Inquiry>,
    asked: u64,
    bytes: u64,
    max_kib: u64,
}

impl Inquiries {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { open: BTreeMap::new(), asked: 0, bytes: 0, max_kib: limits.queued_kib }
    }

    /// Takes a query, to be sent with the next [`unsent`](Self::unsent). One that has none before it is never refused.
    pub(crate) fn admit(&mut self, ticket: Ticket, query: Query, now: Instant) -> Result<(), (Ticket, RpcError)> {
        let bytes = bytes(&query);
        let busy = |max| RpcError::Busy { limit: BusyLimit::Queued, max, retry_after_ms: None };
        if self.open.len() as u64 >= MAX_INQUIRIES {
            return Err((ticket, busy(MAX_INQUIRIES)));
        }
        if !self.open.is_empty() && self.bytes + bytes > self.max_kib.saturating_mul(1024) {
            return Err((ticket, busy(self.max_kib)));
        }
        self.asked += 1;
        self.bytes += bytes;
        let inquiry = Inquiry { ticket: Some(ticket), unsent: Some(query), bytes, deadline: now + PATIENCE };
        self.open.insert(self.asked, inquiry);
        Ok(())
    }

    /// What is to be sent and was not yet, with its number.
    pub(crate) fn unsent(&mut self) -> impl Iterator<Item = (u64, Query)> {
        self.open.iter_mut().filter_map(|(number, inquiry)| Some((*number, inquiry.unsent.take()?)))
    }

    /// Who waits for the answer under that number; nobody if they were told that it takes too long.
    pub(crate) fn answered(&mut self, number: u64) -> Option<Ticket> {
        let inquiry = self.open.remove(&number)?;
        self.bytes -= inquiry.bytes;
        inquiry.ticket
    }

    /// Whether anyone waits for an answer.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.open.values().any(|inquiry| inquiry.ticket.is_some())
    }

    /// When [`overdue`](Self::overdue) has something to say.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.open.values().filter(|inquiry| inquiry.ticket.is_some()).map(|inquiry| inquiry.deadline).min()
    }

    /// Those who have waited for too long, and what to tell them.
    pub(crate) fn overdue(&mut self, now: Instant) -> Vec<(Ticket, RpcError)> {
        let late = self.open.values_mut().filter(|inquiry| inquiry.deadline <= now);
        let error = || RpcError::Busy { limit: BusyLimit::Running, max: 1, retry_after_ms: None };
        late.filter_map(|inquiry| Some((inquiry.ticket.take()?, error()))).collect()
    }

    /// Those who wait, when there is nothing to wait for any more.
    pub(crate) fn give_up(&mut self) -> Vec<Ticket> {
        self.bytes = 0;
        std::mem::take(&mut self.open).into_values().filter_map(|inquiry| inquiry.ticket).collect()
    }

    /// Those who wait, when they are not to; the worker may still answer.
    pub(crate) fn dismiss(&mut self) -> Vec<Ticket> {
        self.open.values_mut().filter_map(|inquiry| inquiry.ticket.take()).collect()
    }
}

fn bytes(query: &Query) -> u64 {
    match query {
        Query::Complete { before } => before.len() as u64,
        Query::Scope => 0,
        Query::Lookup { name } => name.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use protocol::Id;

    use super::*;

    fn ticket(id: u64) -> Ticket {
        Ticket { id: Some(Id::number(id)), is_answered: true, is_play: false, batch: None, audited: None }
    }

    fn complete(bytes: usize) -> Query {
        Query::Complete { before: "x".repeat(bytes) }
    }

    #[test]
    fn they_are_bounded_in_number_and_bytes_until_they_are_answered() {
        let now = Instant::now();
        let mut inquiries = Inquiries::new(&Limits { queued_kib: 1, ..Limits::default() });
        inquiries.admit(ticket(1), complete(2000), now).expect("the first is never refused");
        assert!(inquiries.admit(ticket(2), complete(1), now).is_err());
        assert!(inquiries.answered(1).is_some() && inquiries.answered(1).is_none() && inquiries.answered(99).is_none());
        for id in 0..MAX_INQUIRIES {
            inquiries.admit(ticket(id), Query::Scope, now).expect("room");
        }
        let (_, error) = inquiries.admit(ticket(65), Query::Scope, now).expect_err("full");
        assert_eq!(error.code(), -32006);
        assert_eq!(inquiries.give_up().len(), 64);
        assert!(!inquiries.is_waited_for());
        inquiries.admit(ticket(66), Query::Scope, now).expect("room again");
    }

    #[test]
    fn who_waits_for_too_long_is_told_once_and_still_counts() {
        let now = Instant::now();
        let mut inquiries = Inquiries::new(&Limits::default());
        inquiries.admit(ticket(1), Query::Scope, now).expect("room");
        assert_eq!(inquiries.next_deadline(), Some(now + PATIENCE));
        assert!(inquiries.overdue(now).is_empty());
        assert_eq!(inquiries.overdue(now + PATIENCE).len(), 1);
        assert!(inquiries.overdue(now + PATIENCE).is_empty() && inquiries.next_deadline().is_none());
        assert_eq!(inquiries.open.len(), 1);
        assert!(inquiries.answered(1).is_none());
        assert!(inquiries.open.is_empty());
    }
}
