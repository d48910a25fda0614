//! Turns of callers in the server: so many sessions of one caller take a message, or send prints, in one round of all
//! sessions. So a caller with many busy connections costs the others no more time than one with a few.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::Semaphore;

use super::caller::Caller;

/// Sessions of one caller that have a turn at the same time.
const TURNS_PER_CALLER: usize = 4;

/// As many callers are there at the least before those who are gone are looked for.
const MIN_PRUNED: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct CallerTurns(Mutex<Turns>);

#[derive(Debug, Default)]
struct Turns {
    callers: HashMap<Caller, Weak<Semaphore>>,
    /// With so many entries, those of callers who are gone are removed.
    prune_at: usize,
}

impl CallerTurns {
    /// The turns of a caller, which all sessions of the caller share.
    pub(crate) fn of(&self, caller: Caller) -> Arc<Semaphore> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = turns.callers.get(&caller).and_then(Weak::upgrade) {
            return own;
        }
        if turns.callers.len() >= turns.prune_at.max(MIN_PRUNED) {
            turns.callers.retain(|_, own| own.strong_count() > 0);
            turns.prune_at = 2 * turns.callers.len();
        }
        let own = Arc::new(Semaphore::new(TURNS_PER_CALLER));
        turns.callers.insert(caller, Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_a_caller_share_turns_and_callers_who_are_gone_leave_nothing() {
        let turns = CallerTurns::default();
        let caller = |number: u32| Caller::anonymous(std::net::Ipv4Addr::from_bits((10 << 24) | number).into());
        let (one, same, other) = (turns.of(caller(1)), turns.of(caller(1)), turns.of(caller(2)));
        let taken: Vec<_> = (0..TURNS_PER_CALLER).map(|_| one.try_acquire().expect("free")).collect();
        assert!(same.try_acquire().is_err() && other.try_acquire().is_ok());
        drop(taken);
        assert!(same.try_acquire().is_ok());
        (3..10_000).for_each(|number| drop(turns.of(caller(number))));
        assert!(turns.0.lock().expect("not poisoned").callers.len() <= MIN_PRUNED);
    }
}
