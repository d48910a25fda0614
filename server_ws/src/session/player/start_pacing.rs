//! When a session may have its next worker: a session that resets, or whose workers crash, again and again waits. Forks cost
//! everyone, and each worker that crashes is a free guess at the memory of the next one. Pure: the time is an argument.

use std::time::Duration;

use tokio::time::Instant;

use crate::quota::{Caller, LossRate};

/// Between two resets at the least. The first one waits for nothing.
const RESET_INTERVAL: Duration = Duration::from_millis(250);

/// Losses in a row that cost no delay.
const FREE_LOSSES: u32 = 2;

/// The delay after the first loss that costs one. It doubles with each further loss in a row.
const FIRST_LOSS_DELAY: Duration = Duration::from_millis(100);

const MAX_LOSS_DELAY: Duration = Duration::from_secs(10);

/// A loss after so long is not in a row with those before.
const STABLE_LIFETIME: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct StartPacing {
    /// When the present worker started, or the one before.
    started: Option<Instant>,
    last_reset: Option<Instant>,
    losses: u32,
    next_start: Option<Instant>,
    /// Whether the next worker has its place among those of the caller.
    is_reserved: bool,
}

impl StartPacing {
    /// When the next worker may start; `None` if it never had to wait.
    pub(super) fn next_start(&self) -> Option<Instant> {
        self.next_start
    }

    /// Takes note that a worker has started.
    pub(super) fn note_start(&mut self, now: Instant) {
        self.started = Some(now);
        self.is_reserved = false;
    }

    /// Reserves the start of the next worker among those of the caller, once for each worker.
    pub(super) fn reserve(&mut self, rate: &LossRate, caller: Caller, now: Instant) {
        if !self.is_reserved {
            self.is_reserved = true;
            if let Some(at) = rate.reserve_start(caller, now) {
                self.delay_until(at);
            }
        }
    }

    /// Takes note that a worker was dropped for a reset.
    pub(super) fn note_reset(&mut self, now: Instant) {
        let allowed = self.last_reset.map_or(now, |last| last + RESET_INTERVAL).max(now);
        self.last_reset = Some(allowed);
        self.delay_until(allowed);
    }

    /// Takes note that a worker was lost by what its script did.
    pub(super) fn note_loss(&mut self, now: Instant) {
        if self.started.is_some_and(|started| now.saturating_duration_since(started) >= STABLE_LIFETIME) {
            self.losses = 0;
        }
        self.losses = self.losses.saturating_add(1);
        if let Some(doublings) = self.losses.checked_sub(FREE_LOSSES + 1) {
            let delay = FIRST_LOSS_DELAY.saturating_mul(2_u32.saturating_pow(doublings));
            self.delay_until(now + delay.min(MAX_LOSS_DELAY));
        }
    }

    fn delay_until(&mut self, at: Instant) {
        self.next_start = self.next_start.max(Some(at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn pacing_delays_all_resets_but_the_first() {
        let now = Instant::now();
        let mut pacing = StartPacing::default();
        pacing.note_reset(now);
        assert_eq!(pacing.next_start(), Some(now));
        pacing.note_reset(now + ms(10));
        assert_eq!(pacing.next_start(), Some(now + ms(250)));
        pacing.note_reset(now + ms(251));
        assert_eq!(pacing.next_start(), Some(now + ms(500)));
        pacing.note_reset(now + ms(2000));
        assert_eq!(pacing.next_start(), Some(now + ms(2000)));
    }

    #[test]
    fn pacing_delay_grows_with_losses_up_to_maximum() {
        let mut now = Instant::now();
        let mut pacing = StartPacing::default();
        let mut delays = Vec::new();
        for _ in 0..12 {
            pacing.note_start(now);
            now += ms(1);
            pacing.note_loss(now);
            delays.push(pacing.next_start().map_or(0, |at| at.saturating_duration_since(now).as_millis()));
            now = pacing.next_start().unwrap_or(now).max(now);
        }
        assert_eq!(delays, [0, 0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
        pacing.note_start(now);
        now += STABLE_LIFETIME;
        pacing.note_loss(now);
        assert!(pacing.next_start() <= Some(now), "a worker that lived is not in a row");
    }
}
