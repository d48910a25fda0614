//! The time that a play may compute before its worker gets the lowest priority, for good. So a long play does not slow
//! short ones. Pure: the time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// When the time that a play has computed is first checked, and the first interval after that.
const FIRST_INTERVAL: Duration = Duration::from_millis(3);

/// Intervals double up to this one, for a play that does nothing but wait.
const MAX_INTERVAL: Duration = Duration::from_millis(250);

/// The time that a play may compute after the first check.
const CPU_TIME_BUDGET: Duration = Duration::from_millis(3);

/// The budget counts the time that a play computes, and not how long it takes: a play that waits for a host function,
/// for its reader or for a processor slows no other.
#[derive(Debug)]
pub(super) struct CpuBudget {
    next_check: Instant,
    interval: Duration,
    /// The time that the worker had computed by the first check, in earlier plays too.
    before: Option<Duration>,
}

impl CpuBudget {
    pub(super) fn new(now: Instant) -> Self {
        Self { next_check: now + FIRST_INTERVAL, interval: FIRST_INTERVAL, before: None }
    }

    pub(super) fn next_check(&self) -> Instant {
        self.next_check
    }

    /// Checks the time that the worker has computed so far. Where that is not known, the first check spends the budget.
    pub(super) fn is_spent(&mut self, now: Instant, computed: Option<Duration>) -> bool {
        let Some(computed) = computed else { return true };
        if computed.saturating_sub(*self.before.get_or_insert(computed)) >= CPU_TIME_BUDGET {
            return true;
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
        // Whatever the worker has computed in earlier plays.
        assert!(!budget.is_spent(now + ms(3), Some(ms(9000))));
        for passed in [10, 20, 1000, 5000] {
            assert!(!budget.is_spent(now + ms(passed), Some(ms(9001))), "{passed}");
            assert!(budget.next_check() > now + ms(passed));
        }
        assert!(budget.next_check() <= now + ms(5000) + MAX_INTERVAL);
        assert!(budget.is_spent(now + ms(6000), Some(ms(9003))));
        assert!(CpuBudget::new(now).is_spent(now + ms(3), None));
    }
}
