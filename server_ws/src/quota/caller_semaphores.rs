//! Semaphores that limit how many sessions of one caller process a message, or send prints, in one round of all
//! sessions. So a caller with many busy connections takes no more time from the others than a caller with a few.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::Semaphore;

use super::caller::Caller;

/// The number of sessions of one caller that hold a permit at the same time.
const PERMITS_PER_CALLER: usize = 4;

/// The minimum number of entries before those without sessions are removed.
const MIN_PRUNED: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct CallerSemaphores(Mutex<SemaphoreMap>);

#[derive(Debug, Default)]
struct SemaphoreMap {
    callers: HashMap<Caller, Weak<Semaphore>>,
    /// The number of entries at which those without sessions are removed.
    prune_at: usize,
}

impl CallerSemaphores {
    /// Returns the semaphore of a caller, which all sessions of the caller share.
    pub(crate) fn get(&self, caller: Caller) -> Arc<Semaphore> {
        let mut semaphores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = semaphores.callers.get(&caller).and_then(Weak::upgrade) {
            return own;
        }
        if semaphores.callers.len() >= semaphores.prune_at.max(MIN_PRUNED) {
            semaphores.callers.retain(|_, own| own.strong_count() > 0);
            semaphores.prune_at = 2 * semaphores.callers.len();
        }
        let own = Arc::new(Semaphore::new(PERMITS_PER_CALLER));
        semaphores.callers.insert(caller, Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caller_sessions_share_semaphore_and_leave_nothing() {
        let semaphores = CallerSemaphores::default();
        let caller = |number: u32| Caller::anonymous(std::net::Ipv4Addr::from_bits((10 << 24) | number).into());
        let (one, same, other) = (semaphores.get(caller(1)), semaphores.get(caller(1)), semaphores.get(caller(2)));
        let taken: Vec<_> = (0..PERMITS_PER_CALLER).map(|_| one.try_acquire().expect("free")).collect();
        assert!(same.try_acquire().is_err() && other.try_acquire().is_ok());
        drop(taken);
        assert!(same.try_acquire().is_ok());
        (3..10_000).for_each(|number| drop(semaphores.get(caller(number))));
        assert!(semaphores.0.lock().expect("not poisoned").callers.len() <= MIN_PRUNED);
    }
}
