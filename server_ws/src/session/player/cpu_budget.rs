//! How long a play may compute before its worker gives way to others, for good: so long plays do not slow short ones. Pure:
//! the time is handed in.

use std::time::Duration;

use tokio::time::Instant;

/// When it is first looked at what a play has computed, and how soon again.
const FIRST_LOOK: Duration = Duration::from_millis(3);

/// Looks become rarer, for a play that does nothing but wait.
const MAX_INTERVAL: Duration = Duration::from_millis(250);

/// What it may have computed since the first look.
const MAX_COMPUTED: Duration = Duration::from_millis(3);

/// Looks at what a play computes, and not at how long it takes: one that waits for a host function, for its reader or for a
/// processor slows nobody.
#[derive(Debug)]
pub(super) struct Patience {
    next_look: Instant,
    interval: Duration,
    /// What the worker had computed by the first look.
    before: Option<Duration>,
}

impl Patience {
    pub(super) fn new(now: Instant) -> Self {
        Self { next_look: now + FIRST_LOOK, interval: FIRST_LOOK, before: None }
    }

    pub(super) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// `computed`: by the worker, so far; where that cannot be known, the time that has passed is all that counts.
    pub(super) fn is_over(&mut self, now: Instant, computed: Option<Duration>) -> bool {
        let Some(computed) = computed else { return true };
        if computed.saturating_sub(*self.before.get_or_insert(computed)) >= MAX_COMPUTED {
            return true;
        }
        self.interval = (self.interval * 2).min(MAX_INTERVAL);
        self.next_look = now + self.interval;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_with_what_is_computed_and_not_with_what_is_waited() {
        let ms = Duration::from_millis;
        let now = Instant::now();
        let mut patience = Patience::new(now);
        assert_eq!(patience.next_look(), now + ms(3));
        // Whatever it has computed in plays before.
        assert!(!patience.is_over(now + ms(3), Some(ms(9000))));
        for passed in [10, 20, 1000, 5000] {
            assert!(!patience.is_over(now + ms(passed), Some(ms(9001))), "{passed}");
            assert!(patience.next_look() > now + ms(passed));
        }
        assert!(patience.next_look() <= now + ms(5000) + MAX_INTERVAL);
        assert!(patience.is_over(now + ms(6000), Some(ms(9003))));
        assert!(Patience::new(now).is_over(now + ms(3), None));
    }
}
