//! How long to wait before a circle is started again. Pure: time and randomness are handed in.

use std::time::Duration;

/// The longest wait after a first failure; it doubles with each that follows.
const INITIAL_DELAY: Duration = Duration::from_millis(500);

/// The longest wait.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// A circle that was never ready and failed so often in a row is not started again by itself.
const MAX_FAILURES: u32 = 10;

/// A circle that stayed up for so long has not failed in a row.
const STABLE_UPTIME: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    has_been_ready: bool,
}

impl Backoff {
    /// Notes that the circle took connections: it can be what it is to be, so it is never given up. Whoever could end it again
    /// and again from outside would otherwise end it for good.
    pub(crate) fn note_ready(&mut self) {
        self.has_been_ready = true;
    }

    /// The wait, after a life of that length; `None` once it is not worth another try.
    ///
    /// It is between half of what it may be and all of it, as `random` says, any number: circles that ended together, of
    /// whatever they lacked, do not ask for it together again. The next is never shorter, until the longest is reached.
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
        /// Whatever the lives were and the randomness is.
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
                        // Between half of the longest and all of it they grow no more.
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
