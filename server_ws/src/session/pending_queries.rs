//! The pending queries of a session, within bounds. Pure: the time is an argument.

use std::{collections::BTreeMap, time::Duration};

use protocol::{Limits, RpcError, error::BusyLimit};
use tokio::time::Instant;
use worker::Query;

use super::ticket::Ticket;

/// The maximum number of pending queries.
const MAX_PENDING: u64 = 64;

/// How long an answer may take. An answer takes longer only while the init script runs or the client does not read.
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);

/// A pending query. It stays in the table until the worker answers, even after it has expired: the worker still holds
/// it, so it counts.
#[derive(Debug)]
struct PendingQuery {
    /// `None` once the query has expired.
    ticket: Option<Ticket>,
    /// `None` once the query is sent to the worker.
    unsent: Option<Query>,
    bytes: u64,
    deadline: Instant,
}

#[derive(Debug)]
pub(crate) struct PendingQueries {
    /// The queries by number; newer queries have greater numbers.
    pending: BTreeMap<u64, PendingQuery>,
    admitted: u64,
    bytes: u64,
    max_kib: u64,
}

impl PendingQueries {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { pending: BTreeMap::new(), admitted: 0, bytes: 0, max_kib: limits.queued_kib }
    }

    /// Returns the bytes of the queries that the worker has not answered.
    pub(super) fn held_bytes(&self) -> u64 {
        self.bytes
    }

    /// Admits a query, for the next [`take_unsent`](Self::take_unsent). A single query is never refused for its size.
    pub(super) fn admit(&mut self, ticket: Ticket, query: Query, now: Instant) -> Result<(), (Ticket, RpcError)> {
        let bytes = bytes(&query);
        let busy = |max| RpcError::Busy { limit: BusyLimit::Queued, max, retry_after_ms: None };
        if self.pending.len() as u64 >= MAX_PENDING {
            return Err((ticket, busy(MAX_PENDING)));
        }
        if !self.pending.is_empty() && self.bytes + bytes > self.max_kib.saturating_mul(1024) {
            return Err((ticket, busy(self.max_kib)));
        }
        self.admitted += 1;
        self.bytes += bytes;
        let query = PendingQuery { ticket: Some(ticket), unsent: Some(query), bytes, deadline: now + QUERY_TIMEOUT };
        self.pending.insert(self.admitted, query);
        Ok(())
    }

    /// Whether a query has not been sent.
    pub(super) fn has_unsent(&self) -> bool {
        self.pending.values().any(|query| query.unsent.is_some())
    }

    /// Takes the queries that have not been sent, with their numbers.
    pub(super) fn take_unsent(&mut self) -> impl Iterator<Item = (u64, Query)> {
        self.pending.iter_mut().filter_map(|(number, query)| Some((*number, query.unsent.take()?)))
    }

    /// Removes a query that the worker has answered. Returns its ticket, unless the query has expired.
    pub(super) fn finish(&mut self, number: u64) -> Option<Ticket> {
        let query = self.pending.remove(&number)?;
        self.bytes -= query.bytes;
        query.ticket
    }

    /// Whether a query waits for its answer and has not expired.
    pub(super) fn has_waiting(&self) -> bool {
        self.pending.values().any(|query| query.ticket.is_some())
    }

    /// Returns when [`expire`](Self::expire) is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.pending.values().filter(|query| query.ticket.is_some()).map(|query| query.deadline).min()
    }

    /// Expires the queries that are past their deadlines. Returns their tickets, and the error of each. Removes those
    /// that were not sent.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<(Ticket, RpcError)> {
        let expired_numbers = self.pending.values_mut().filter(|query| query.deadline <= now);
        let error = || RpcError::Busy { limit: BusyLimit::Running, max: 1, retry_after_ms: None };
        let expired = expired_numbers.filter_map(|query| Some((query.ticket.take()?, error()))).collect();
        self.pending.retain(|_, query| query.ticket.is_some() || query.unsent.is_none());
        self.bytes = self.pending.values().map(|query| query.bytes).sum();
        expired
    }

    /// Removes all queries, because their worker is gone. Returns the tickets of those that have not expired.
    pub(super) fn take_all(&mut self) -> Vec<Ticket> {
        self.bytes = 0;
        std::mem::take(&mut self.pending).into_values().filter_map(|query| query.ticket).collect()
    }

    /// Expires all queries. Returns their tickets.
    pub(super) fn expire_all(&mut self) -> Vec<Ticket> {
        self.pending.values_mut().filter_map(|query| query.ticket.take()).collect()
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

    use super::{super::ticket::ReplyTo, *};

    fn ticket(id: u64) -> Ticket {
        Ticket::new(ReplyTo::Id(Id::number(id)), None)
    }

    fn complete(bytes: usize) -> Query {
        Query::Complete { before: "x".repeat(bytes) }
    }

    #[test]
    fn queries_are_bounded_in_number_and_bytes_until_the_worker_answers() {
        let now = Instant::now();
        let mut queries = PendingQueries::new(&Limits { queued_kib: 1, ..Limits::default() });
        queries.admit(ticket(1), complete(2000), now).expect("the first is never refused");
        assert!(queries.admit(ticket(2), complete(1), now).is_err());
        assert!(queries.finish(1).is_some() && queries.finish(1).is_none() && queries.finish(99).is_none());
        for id in 0..MAX_PENDING {
            queries.admit(ticket(id), Query::Scope, now).expect("room");
        }
        let (_, error) = queries.admit(ticket(65), Query::Scope, now).expect_err("full");
        assert_eq!(error.code(), -32006);
        assert_eq!(queries.take_all().len(), 64);
        assert!(!queries.has_waiting());
        queries.admit(ticket(66), Query::Scope, now).expect("room again");
    }

    #[test]
    fn query_expires_once_and_still_counts() {
        let now = Instant::now();
        let mut queries = PendingQueries::new(&Limits::default());
        queries.admit(ticket(1), Query::Scope, now).expect("room");
        assert_eq!(queries.take_unsent().count(), 1);
        queries.admit(ticket(2), Query::Scope, now).expect("room");
        assert_eq!(queries.next_deadline(), Some(now + QUERY_TIMEOUT));
        assert!(queries.expire(now).is_empty());
        assert_eq!(queries.expire(now + QUERY_TIMEOUT).len(), 2);
        // The worker has the first one; the second one is gone.
        assert!(queries.expire(now + QUERY_TIMEOUT).is_empty() && queries.next_deadline().is_none());
        assert_eq!(queries.pending.len(), 1);
        assert!(queries.finish(1).is_none());
        assert!(queries.pending.is_empty());
    }
}
