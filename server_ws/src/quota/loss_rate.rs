//! The rate at which the workers of a caller may crash, whatever sessions the caller spreads the crashes over: each crash costs
//! everyone a fork, and is a free guess at the memory of the next worker. Pure: the time is an argument.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::caller::Caller;

/// The time that one loss stands for.
const INTERVAL: Duration = Duration::from_millis(100);

/// How far ahead of its losses a caller may be that had none: 16 of them.
const BURST: Duration = Duration::from_millis(1600);

/// The longest delay.
const MAX_DELAY: Duration = Duration::from_secs(10);

/// Callers that are told apart at the most. A caller beyond them is paced by its sessions alone.
const MAX_CALLERS: usize = 1 << 14;

/// The losses of each caller.
#[derive(Debug, Default)]
pub(crate) struct LossRate(Mutex<HashMap<Caller, Losses>>);

/// The losses of one caller (the generic cell rate algorithm), and the starts that wait for them.
#[derive(Debug, Clone, Copy)]
struct Losses {
    /// When the time is over that the losses stand for.
    paid_at: Instant,
    /// When the last of the waiting workers starts. Starts keep an interval, so that not all sessions start at the same moment.
    last_start: Instant,
}

impl LossRate {
    /// Takes note that a worker of the caller was lost by what its script did.
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

    /// Reserves the start of a worker of the caller. Returns when that is; `None` if at once. A start that waits stands for no
    /// loss, so the delay ends with the losses.
    pub(crate) fn reserve_start(&self, caller: Caller, now: Instant) -> Option<Instant> {
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let losses = callers.get_mut(&caller)?;
        losses.paid_at.checked_sub(BURST).filter(|at| *at > now)?;
        let next = losses.last_start.max(now) + INTERVAL;
        // With more sessions than fit into the longest delay, the later ones start among the first.
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
    fn caller_whose_workers_crash_in_many_sessions_waits_and_others_do_not() {
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
        // Workers that start and live prolong nothing.
        assert_eq!(rate.reserve_start(caller(1), now + INTERVAL), None);
    }

    #[test]
    fn callers_are_bounded_and_leave_once_their_losses_are_paid_for() {
        let (rate, now) = (LossRate::default(), Instant::now());
        let count = u32::try_from(MAX_CALLERS).expect("a few");
        (0..2 * count).for_each(|number| rate.note_loss(caller(number), now));
        assert_eq!(rate.0.lock().expect("not poisoned").len(), MAX_CALLERS);
        rate.note_loss(caller(3 * count), now + INTERVAL);
        assert_eq!(rate.0.lock().expect("not poisoned").len(), 1);
    }
}
