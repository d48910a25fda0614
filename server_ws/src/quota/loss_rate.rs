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

/// When the losses of each caller are paid for (the generic cell rate algorithm).
#[derive(Debug, Default)]
pub(crate) struct LossRate(Mutex<HashMap<Caller, Instant>>);

impl LossRate {
    /// Takes note that a worker of the caller was lost by what its script did.
    pub(crate) fn note_loss(&self, caller: Caller, now: Instant) {
        let mut paid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if paid.len() >= MAX_CALLERS && !paid.contains_key(&caller) {
            paid.retain(|_, at| *at > now);
            if paid.len() >= MAX_CALLERS {
                return;
            }
        }
        let at = paid.entry(caller).or_insert(now);
        *at = ((*at).max(now) + INTERVAL).min(now + BURST + MAX_DELAY);
    }

    /// Reserves the start of a worker of the caller. Returns when that is; `None` if at once. Where the caller waits, a start
    /// stands for as much time as a loss, so that not all sessions of the caller start at the same moment.
    pub(crate) fn reserve_start(&self, caller: Caller, now: Instant) -> Option<Instant> {
        let mut paid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let paid_at = paid.get_mut(&caller)?;
        let at = paid_at.checked_sub(BURST).filter(|at| *at > now)?;
        *paid_at = (*paid_at + INTERVAL).min(now + BURST + MAX_DELAY);
        Some(at)
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
        for starts in 1..=1000_u32 {
            assert_eq!(rate.reserve_start(caller(1), now), Some(now + (starts * INTERVAL).min(MAX_DELAY)));
        }
        assert_eq!(rate.reserve_start(caller(2), now), None);
        assert_eq!(rate.reserve_start(caller(1), now + MAX_DELAY), None);
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
