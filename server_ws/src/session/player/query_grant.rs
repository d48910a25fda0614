//! The grant for a session's queries. Queries bypass the queue of plays, so they have bounds of their own: the queries
//! of a bounded number of sessions are evaluated at the same time, and callers take turns.

use tokio::time::Instant;

use super::{Player, WorkerState, prepare};
use crate::calls::CpuBudget;
use crate::quota::{Grant, Waiter};

/// The number of queries under one grant. A session with more queries needs another grant.
const QUERIES_PER_GRANT: usize = 16;

#[derive(Debug, Default)]
pub(super) enum QueryGrant {
    #[default]
    None,
    Waiting(Waiter),
    Held {
        _grant: Grant,
        /// The number of queries sent under this grant.
        sent: usize,
        unanswered: usize,
        /// `None` once the worker has the lowest priority.
        cpu_budget: Option<CpuBudget>,
    },
}

impl QueryGrant {
    fn taken(grant: Grant) -> Self {
        Self::Held { _grant: grant, sent: 0, unanswered: 0, cpu_budget: None }
    }

    /// Waits for the grant; never returns unless the session waits for one. `None` if the circle is gone. Cancel safe.
    pub(super) async fn wait(&mut self) -> Option<Grant> {
        match self {
            Self::Waiting(waiter) => waiter.await.ok(),
            Self::None | Self::Held { .. } => std::future::pending().await,
        }
    }

    /// Returns when the CPU budget of this grant is to be checked.
    pub(super) fn next_check(&self) -> Option<Instant> {
        if let Self::Held { cpu_budget: Some(budget), .. } = self { Some(budget.next_check()) } else { None }
    }
}

impl Player {
    /// Takes the grant for which the session waited.
    pub(super) fn take_query_grant(&mut self, grant: Option<Grant>) {
        self.query_grant = grant.map_or(QueryGrant::None, QueryGrant::taken);
        self.send_pending();
    }

    /// Sends queries to the worker, as far as the session's grant allows.
    pub(super) fn send_queries(&mut self) {
        let WorkerState::Ready(worker, _) = &mut self.worker else { return };
        if !self.queries.has_unsent() {
            return;
        }
        if matches!(self.query_grant, QueryGrant::None) {
            self.query_grant = match self.circle.running_queries.acquire(self.worker_caller) {
                Ok(grant) => QueryGrant::taken(grant),
                Err(waiter) => QueryGrant::Waiting(waiter),
            };
        }
        let QueryGrant::Held { sent, unanswered, cpu_budget, .. } = &mut self.query_grant else { return };
        if self.play.is_none() {
            prepare(worker, &mut self.prepared, &self.circle, &self.limits, self.caller_key);
        }
        for (number, query) in self.queries.take_unsent().take(QUERIES_PER_GRANT - *sent) {
            *sent += 1;
            *unanswered += 1;
            worker.send_query(number, query);
        }
        if cpu_budget.is_none() && !worker.has_low_priority() {
            *cpu_budget = Some(CpuBudget::new(Instant::now()));
        }
    }

    /// Records an answer. The last one releases the grant, and the session acquires another for further queries.
    pub(super) fn note_answer(&mut self) {
        if let QueryGrant::Held { unanswered, .. } = &mut self.query_grant {
            *unanswered = unanswered.saturating_sub(1);
            if *unanswered == 0 {
                self.query_grant = QueryGrant::None;
                self.send_queries();
            }
        }
    }

    /// Lowers the priority of a worker whose queries have used up their CPU budget.
    pub(super) fn check_query_budget(&mut self, now: Instant) {
        if let QueryGrant::Held { cpu_budget, .. } = &mut self.query_grant
            && let Some(budget) = cpu_budget.as_mut().filter(|budget| budget.next_check() <= now)
            && let WorkerState::Ready(worker, _) = &mut self.worker
            && budget.is_spent(now, worker)
        {
            *cpu_budget = None;
            worker.lower_priority();
        }
    }
}
