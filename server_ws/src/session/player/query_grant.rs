//! The turn of a session to have its queries answered. Queries go past the queue of plays, so they have bounds of their own:
//! so many sessions have one evaluated at a time, and callers come in turn.

use tokio::time::Instant;

use super::{Player, WorkerState, cpu_budget::CpuBudget};
use crate::quota::{Grant, Waiter, kernel};

/// Queries of one turn. A session with more of them takes another turn.
const QUERIES_PER_GRANT: usize = 16;

#[derive(Debug, Default)]
pub(super) enum QueryGrant {
    #[default]
    None,
    Waiting(Waiter),
    Held {
        _grant: Grant,
        /// Queries that were sent in this turn.
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

    /// Waits for the grant of a turn; pending forever where no turn is waited for. Cancel safe. `None` if the circle is gone.
    pub(super) async fn wait(&mut self) -> Option<Grant> {
        match self {
            Self::Waiting(waiter) => waiter.await.ok(),
            Self::None | Self::Held { .. } => std::future::pending().await,
        }
    }

    /// When the time that the worker has computed in this turn is to be checked.
    pub(super) fn next_check(&self) -> Option<Instant> {
        if let Self::Held { cpu_budget: Some(budget), .. } = self { Some(budget.next_check()) } else { None }
    }
}

impl Player {
    /// Takes the turn that the session waited for.
    pub(super) fn take_query_grant(&mut self, grant: Option<Grant>) {
        self.query_grant = grant.map_or(QueryGrant::None, QueryGrant::taken);
        self.send_pending();
    }

    /// Sends queries to the worker, as far as it is the session's turn.
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
        for (number, query) in self.queries.take_unsent().take(QUERIES_PER_GRANT - *sent) {
            *sent += 1;
            *unanswered += 1;
            worker.send_query(number, query);
        }
        if cpu_budget.is_none() && !worker.has_low_priority() {
            *cpu_budget = Some(CpuBudget::new(Instant::now()));
        }
    }

    /// Takes note of an answer. The last one ends the turn, and the session takes another one for further queries.
    pub(super) fn note_answer(&mut self) {
        if let QueryGrant::Held { unanswered, .. } = &mut self.query_grant {
            *unanswered = unanswered.saturating_sub(1);
            if *unanswered == 0 {
                self.query_grant = QueryGrant::None;
                self.send_queries();
            }
        }
    }

    /// Lowers the priority of a worker that computes for long in this turn, as plays do.
    pub(super) fn check_query_budget(&mut self, now: Instant) {
        if let QueryGrant::Held { cpu_budget, .. } = &mut self.query_grant
            && let Some(budget) = cpu_budget.as_mut().filter(|budget| budget.next_check() <= now)
            && let WorkerState::Ready(worker, _) = &mut self.worker
            && budget.is_spent(now, worker.pid().and_then(kernel::cpu_time))
        {
            *cpu_budget = None;
            worker.lower_priority();
        }
    }
}
