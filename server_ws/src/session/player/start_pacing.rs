//! The pacing of worker starts: a session that resets repeatedly, or whose workers crash repeatedly, has to wait. Forks
//! are expensive, and each crash is a free guess at the memory layout of the next worker. Pure: the time is an
//! argument.

use std::time::Duration;

use tokio::time::Instant;

use crate::quota::{Caller, LossRate};

/// The minimum interval between two resets. The first reset does not wait.
const RESET_INTERVAL: Duration = Duration::from_millis(250);

/// The number of consecutive losses without a delay.
const FREE_LOSSES: u32 = 2;

/// The delay after the first loss that has one. It doubles with each further consecutive loss.
const FIRST_LOSS_DELAY: Duration = Duration::from_millis(100);

const MAX_LOSS_DELAY: Duration = Duration::from_secs(10);

/// A worker that lives this long ends a series of consecutive losses.
const STABLE_LIFETIME: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct StartPacing {
    /// When the current worker started, or the last one.
    started: Option<Instant>,
    last_reset: Option<Instant>,
    losses: u32,
    next_start: Option<Instant>,
    /// Whether the start of the next worker is reserved in the caller's loss rate.
    is_reserved: bool,
}

impl StartPacing {
    /// Returns when the next worker may start; `None` if there was never a delay.
    pub(super) fn next_start(&self) -> Option<Instant> {
        self.next_start
    }

    /// Records the start of a worker.
    pub(super) fn note_start(&mut self, now: Instant) {
        self.started = Some(now);
        self.is_reserved = false;
    }

    /// Reserves the start of the next worker in the caller's loss rate, once for each worker.
    pub(super) fn reserve(&mut self, rate: &LossRate, caller: Caller, now: Instant) {
        if !self.is_reserved {
            self.is_reserved = true;
            if let Some(at) = rate.reserve_start(caller, now) {
                self.delay_until(at);
            }
        }
    }

    /// Records that a worker was dropped for a reset.
    pub(super) fn note_reset(&mut self, now: Instant) {
        let allowed = self.last_reset.map_or(now, |last| last + RESET_INTERVAL).max(now);
        self.last_reset = Some(allowed);
        self.delay_until(allowed);
    }

    /// Records a loss of a worker that its script caused.
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
