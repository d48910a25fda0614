//! Delay before a circle is restarted: exponential backoff with jitter. Pure: the caller supplies time and randomness.

use std::time::Duration;

/// Upper bound of the first delay; it doubles with each further failure in a row.
const INITIAL_DELAY: Duration = Duration::from_millis(500);

/// Upper bound of every delay.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// Failures in a row after which a circle that has never been ready is not restarted automatically any more.
const MAX_FAILURES: u32 = 10;

/// Uptime after which a circle counts as stable: its earlier failures are forgotten.
const STABLE_UPTIME: Duration = Duration::from_secs(10);

/// Restart backoff of one circle.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    has_been_ready: bool,
}

impl Backoff {
    /// Records that the circle has accepted connections. Such a circle is restarted forever: giving up would let anyone
    /// who can crash it from outside take it down for good.
    pub(crate) fn note_ready(&mut self) {
        self.has_been_ready = true;
    }

    /// Returns the delay before the next start, after a process that ran for `uptime`; `None` if the circle is given
    /// up.
    ///
    /// `random` is any number; it places the delay between half of its upper bound and all of it. So circles that
    /// failed together, for want of the same resource, do not retry together. Delays never get shorter until they reach
    /// the maximum.
    pub(crate) fn next_delay(&mut self, uptime: Duration, random: u32) -> Option<Duration> {
        if uptime >= STABLE_UPTIME {
            self.failures = 0;
        }
        let half = INITIAL_DELAY.saturating_mul(1 << self.failures.min(16)).min(MAX_DELAY) / 2;
        self.failures = self.failures.saturating_add(1);
        let delay = half + half.mul_f64(f64::from(random) / f64::from(u32::MAX));
        (self.has_been_ready || self.failures < MAX_FAILURES).then_some(delay)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn delay_doubles_to_maximum_and_resets_after_stable_uptime() {
        for (random, share) in [(u32::MAX, 1), (0, 2)] {
            let mut backoff = Backoff::default();
            for delay in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000] {
                let found = backoff.next_delay(Duration::from_secs(1), random);
                assert_eq!(found, Some(Duration::from_millis(delay) / share));
            }
            assert_eq!(backoff.next_delay(STABLE_UPTIME, random), Some(INITIAL_DELAY / share));
            assert_eq!(backoff.next_delay(Duration::ZERO, random), Some(INITIAL_DELAY * 2 / share));
        }
    }

    #[test]
    fn backoff_gives_up_after_repeated_failures() {
        let mut backoff = Backoff::default();
        let tries = (0..100).take_while(|_| backoff.next_delay(Duration::ZERO, 7).is_some()).count();
        assert_eq!(tries, 9);
    }

    #[test]
    fn backoff_never_gives_up_on_circle_that_was_ready() {
        let mut backoff = Backoff::default();
        backoff.note_ready();
        let waits: Vec<_> = (0..100).map(|_| backoff.next_delay(Duration::from_secs(1), u32::MAX)).collect();
        assert!(waits[6..].iter().all(|delay| *delay == Some(MAX_DELAY)), "{waits:?}");
    }

    proptest! {
        /// For any uptimes and any randomness.
        #[test]
        fn delay_is_bounded_and_grows_until_stable_uptime(
            lives in prop::collection::vec((0..20_u64, any::<u32>()), 1..60)
        ) {
            let (mut backoff, mut failures, mut before) = (Backoff::default(), 0, Duration::ZERO);
            for (uptime, random) in lives {
                let uptime = Duration::from_secs(uptime);
                if uptime >= STABLE_UPTIME {
                    (failures, before) = (0, Duration::ZERO);
                }
                failures += 1;
                match backoff.next_delay(uptime, random) {
                    Some(delay) => {
                        prop_assert!(failures < MAX_FAILURES);
                        prop_assert!((INITIAL_DELAY / 2..=MAX_DELAY).contains(&delay));
                        // Jitter between half the maximum and the maximum: no growth beyond that.
                        prop_assert!(delay >= before.min(MAX_DELAY / 2), "{delay:?} after {before:?}");
                        before = delay;
                    }
                    None => prop_assert!(failures >= MAX_FAILURES),
                }
            }
        }

        #[test]
        fn delay_is_jittered(random in any::<u32>(), other in any::<u32>()) {
            let delay = |random| Backoff::default().next_delay(Duration::ZERO, random);
            prop_assert_eq!(delay(random).cmp(&delay(other)), random.cmp(&other));
        }
    }
}
