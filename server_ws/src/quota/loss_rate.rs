//! The rate at which the workers of a caller may crash, over all sessions of the caller. Each crash costs everyone a
//! fork, and is a free guess at the memory layout of the next worker. Pure: the time is an argument.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::caller::Caller;

/// The interval that one loss costs.
const INTERVAL: Duration = Duration::from_millis(100);

/// The burst allowance of a caller without losses: 16 losses.
const BURST: Duration = Duration::from_millis(1600);

/// The maximum delay.
const MAX_DELAY: Duration = Duration::from_secs(10);

/// The maximum number of callers with an entry. Further callers are paced only by each of their sessions.
const MAX_CALLERS: usize = 1 << 14;

/// The losses of each caller.
#[derive(Debug, Default)]
pub(crate) struct LossRate(Mutex<HashMap<Caller, Losses>>);

/// The losses of one caller (the generic cell rate algorithm), and the worker starts that wait for them.
#[derive(Debug, Clone, Copy)]
struct Losses {
    /// The theoretical arrival time: the end of the intervals of all losses.
    paid_at: Instant,
    /// The start of the last waiting worker. Starts keep an interval, so that not all sessions start at the same
    /// moment.
    last_start: Instant,
}

impl LossRate {
    /// Records a loss of a worker that its script caused.
    pub(crate) fn note_loss(&self, caller: Caller, now: Instant) {
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= MAX_CALLERS && !callers.contains_key(&caller) {
            callers.retain(|_, losses| losses.paid_at > now);
            if callers.len() >= MAX_CALLERS {
                return;
            }
        }
        let losses = callers.entry(caller).or_insert(Losses { paid_at: now, last_start: now });
        losses.paid_at = (losses.paid_at.max(now) + INTERVAL).min(now + BURST + MAX_DELAY);
    }

    /// Reserves the start of a worker of the caller. Returns when it may start; `None` if at once. A waiting start does
    /// not count as a loss, so the delay ends with the losses.
    pub(crate) fn reserve_start(&self, caller: Caller, now: Instant) -> Option<Instant> {
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let losses = callers.get_mut(&caller)?;
        losses.paid_at.checked_sub(BURST).filter(|at| *at > now)?;
        let next = losses.last_start.max(now) + INTERVAL;
        // If the sessions do not fit into the maximum delay, later ones start among the first.
        losses.last_start = if next > now + MAX_DELAY { now + INTERVAL } else { next };
        Some(losses.last_start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(number: u32) -> Caller {
        Caller::anonymous(std::net::Ipv4Addr::from_bits((10 << 24) | number).into())
    }

    #[test]
    fn crashes_in_many_sessions_delay_only_their_caller() {
        let (rate, now) = (LossRate::default(), Instant::now());
        for _ in 0..16 {
            rate.note_loss(caller(1), now);
            assert_eq!(rate.reserve_start(caller(1), now), None);
        }
        rate.note_loss(caller(1), now);
        for starts in 0..1000_u32 {
            assert_eq!(rate.reserve_start(caller(1), now), Some(now + (starts % 100 + 1) * INTERVAL));
        }
        assert_eq!(rate.reserve_start(caller(2), now), None);
        // Starts of workers do not prolong the delay.
        assert_eq!(rate.reserve_start(caller(1), now + INTERVAL), None);
    }

    #[test]
    fn loss_rate_is_bounded_and_removes_expired_callers() {
        let (rate, now) = (LossRate::default(), Instant::now());
        let count = u32::try_from(MAX_CALLERS).expect("a few");
        (0..2 * count).for_each(|number| rate.note_loss(caller(number), now));
        assert_eq!(rate.0.lock().expect("not poisoned").len(), MAX_CALLERS);
        rate.note_loss(caller(3 * count), now + INTERVAL);
        assert_eq!(rate.0.lock().expect("not poisoned").len(), 1);
    }
}
