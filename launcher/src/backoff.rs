//! How long to wait before a circle is started again. Pure.

use std::time::Duration;

/// The wait after a first failure; it doubles with each that follows.
const FIRST: Duration = Duration::from_millis(500);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(30);

/// A circle that failed so often in a row is not started again by itself.
const MOST: u32 = 10;

/// A circle that stayed up for so long has not failed in a row.
const STEADY: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait, after a life of that length; `None` once it is not worth another try.
    pub(crate) fn after(&mut self, uptime: Duration) -> Option<Duration> {
        if uptime >= STEADY {
            self.failures = 0;
        }
        let wait = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures += 1;
        (self.failures < MOST).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_bound_and_is_short_again_after_a_steady_life() {
        let mut backoff = Backoff::default();
        for wait in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000] {
            assert_eq!(backoff.after(Duration::from_secs(1)), Some(Duration::from_millis(wait)));
        }
        assert_eq!(backoff.after(STEADY), Some(FIRST));
        assert_eq!(backoff.after(Duration::ZERO), Some(FIRST * 2));
    }

    #[test]
    fn what_keeps_failing_is_given_up() {
        let mut backoff = Backoff::default();
        let tries = (0..100).take_while(|_| backoff.after(Duration::ZERO).is_some()).count();
        assert_eq!(tries, 9);
    }
}
