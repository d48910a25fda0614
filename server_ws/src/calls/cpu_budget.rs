//! The CPU budget of a play. When it is spent, the worker gets the lowest priority for good, so that a long play does
//! not slow short ones. Pure: the time is an argument.

use std::time::Duration;

use tokio::time::Instant;
use worker::{Usage, Worker};

/// The time until the first check of a play's CPU time, and the first interval after that.
const FIRST_INTERVAL: Duration = Duration::from_millis(3);

/// The maximum interval. Intervals double up to it, for a play that only waits.
const MAX_INTERVAL: Duration = Duration::from_millis(250);

/// The CPU time that a play may use after the first check.
const CPU_TIME_BUDGET: Duration = Duration::from_millis(3);

/// The CPU budget of one play. It counts CPU time and not elapsed time: a play that waits for a host function, for its
/// reader or for a processor slows no other.
#[derive(Debug)]
pub(crate) struct CpuBudget {
    since: Instant,
    next_check: Instant,
    interval: Duration,
    /// The worker's CPU time at the first check, including earlier plays.
    before: Option<Duration>,
}

impl CpuBudget {
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, next_check: now + FIRST_INTERVAL, interval: FIRST_INTERVAL, before: None }
    }

    pub(crate) fn next_check(&self) -> Instant {
        self.next_check
    }

    /// Checks the worker's CPU time so far. If it is unknown, the first check spends the budget. If another machine has
    /// not answered yet, a later check decides.
    pub(crate) fn is_spent(&mut self, now: Instant, worker: &Worker) -> bool {
        self.is_spent_by(now, worker.cpu_usage(self.since.into_std()))
    }

    fn is_spent_by(&mut self, now: Instant, usage: Usage<Duration>) -> bool {
        match usage {
            Usage::Known(computed) => {
                if computed.saturating_sub(*self.before.get_or_insert(computed)) >= CPU_TIME_BUDGET {
                    return true;
                }
            }
            Usage::Pending => {}
            _ => return true,
        }
        self.interval = (self.interval * 2).min(MAX_INTERVAL);
        self.next_check = now + self.interval;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_budget_counts_computing_not_waiting() {
        let ms = Duration::from_millis;
        let now = Instant::now();
        let mut budget = CpuBudget::new(now);
        assert_eq!(budget.next_check(), now + ms(3));
        // The CPU time of earlier plays does not count.
        assert!(!budget.is_spent_by(now + ms(3), Usage::Known(ms(9000))));
        for passed in [10, 20, 1000, 5000] {
            assert!(!budget.is_spent_by(now + ms(passed), Usage::Known(ms(9001))), "{passed}");
            assert!(!budget.is_spent_by(now + ms(passed), Usage::Pending), "{passed}");
            assert!(budget.next_check() > now + ms(passed));
        }
        assert!(budget.next_check() <= now + ms(5000) + MAX_INTERVAL);
        assert!(budget.is_spent_by(now + ms(6000), Usage::Known(ms(9003))));
        assert!(CpuBudget::new(now).is_spent_by(now + ms(3), Usage::Unknown));
    }
}
