//! How long to wait before a circle is started again. Pure: time and randomness are handed in.

use std::time::Duration;

/// The longest wait after a first failure; it doubles with each that follows.
const FIRST: Duration = Duration::from_millis(500);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(30);

/// A circle that was never ready and failed so often in a row is not started again by itself.
const MOST: u32 = 10;

/// A circle that stayed up for so long has not failed in a row.
const STEADY: Duration = Duration::from_secs(10);

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
    pub(crate) fn after(&mut self, uptime: Duration, random: u32) -> Option<Duration> {
        if uptime >= STEADY {
            self.failures = 0;
        }
        let half = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST) / 2;
        self.failures = self.failures.saturating_add(1);
        let wait = half + half.mul_f64(f64::from(random) / f64::from(u32::MAX));
        (self.has_been_ready || self.failures < MOST).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_bound_and_is_short_again_after_a_steady_life() {
        for (random, share) in [(u32::MAX, 1), (0, 2)] {
            let mut backoff = Backoff::default();
            for wait in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000] {
                let found = backoff.after(Duration::from_secs(1), random);
                assert_eq!(found, Some(Duration::from_millis(wait) / share));
            }
            assert_eq!(backoff.after(STEADY, random), Some(FIRST / share));
            assert_eq!(backoff.after(Duration::ZERO, random), Some(FIRST * 2 / share));
        }
    }

    #[test]
    fn what_keeps_failing_is_given_up() {
        let mut backoff = Backoff::default();
        let tries = (0..100).take_while(|_| backoff.after(Duration::ZERO, 7).is_some()).count();
        assert_eq!(tries, 9);
    }

    #[test]
    fn circle_that_was_ready_is_never_given_up() {
        let mut backoff = Backoff::default();
        backoff.note_ready();
        let waits: Vec<_> = (0..100).map(|_| backoff.after(Duration::from_secs(1), u32::MAX)).collect();
        assert!(waits[6..].iter().all(|wait| *wait == Some(LONGEST)), "{waits:?}");
    }

    proptest! {
        /// Whatever the lives were and the randomness is.
        #[test]
        fn a_wait_is_bounded_and_grows_until_a_steady_life(
            lives in prop::collection::vec((0..20_u64, any::<u32>()), 1..60)
        ) {
            let (mut backoff, mut failures, mut before) = (Backoff::default(), 0, Duration::ZERO);
            for (uptime, random) in lives {
                let uptime = Duration::from_secs(uptime);
                if uptime >= STEADY {
                    (failures, before) = (0, Duration::ZERO);
                }
                failures += 1;
                match backoff.after(uptime, random) {
                    Some(wait) => {
                        prop_assert!(failures < MOST);
                        prop_assert!((FIRST / 2..=LONGEST).contains(&wait));
                        // Between half of the longest and all of it they grow no more.
                        prop_assert!(wait >= before.min(LONGEST / 2), "{wait:?} after {before:?}");
                        before = wait;
                    }
                    None => prop_assert!(failures >= MOST),
                }
            }
        }

        #[test]
        fn circles_that_end_together_are_not_all_started_together(random in any::<u32>(), other in any::<u32>()) {
            let wait = |random| Backoff::default().after(Duration::ZERO, random);
            prop_assert_eq!(wait(random).cmp(&wait(other)), random.cmp(&other));
        }
    }
}
