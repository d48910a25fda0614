//! Semaphores that limit how many sessions of one caller process a message, or send prints, in one round of all
//! sessions of a thread. So a caller with many busy connections takes no more time from the others than a caller with a
//! few.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    thread::{self, ThreadId},
};

use tokio::sync::Semaphore;

use super::caller::Caller;

/// The number of sessions of one caller that hold a permit at the same time, on one thread.
const PERMITS_PER_CALLER: usize = 4;

/// The minimum number of entries before those without sessions are removed.
const MIN_PRUNED: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct CallerSemaphores(Mutex<SemaphoreMap>);

#[derive(Debug, Default)]
struct SemaphoreMap {
    /// Each thread has semaphores of its own: sessions take time only from sessions of the same thread, and to wake a
    /// session of another thread costs a system call.
    callers: HashMap<(ThreadId, Caller), Weak<Semaphore>>,
    /// The number of entries at which those without sessions are removed.
    prune_at: usize,
}

impl CallerSemaphores {
    /// Returns the semaphore of a caller on this thread, which the caller's sessions of this thread share.
    pub(crate) fn get(&self, caller: Caller) -> Arc<Semaphore> {
        let key = (thread::current().id(), caller);
        let mut semaphores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = semaphores.callers.get(&key).and_then(Weak::upgrade) {
            return own;
        }
        if semaphores.callers.len() >= semaphores.prune_at.max(MIN_PRUNED) {
            semaphores.callers.retain(|_, own| own.strong_count() > 0);
            semaphores.prune_at = 2 * semaphores.callers.len();
        }
        let own = Arc::new(Semaphore::new(PERMITS_PER_CALLER));
        semaphores.callers.insert(key, Arc::downgrade(&own));
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
        let on_thread = thread::scope(|scope| scope.spawn(|| semaphores.get(caller(1))).join().expect("no panic"));
        assert!(!Arc::ptr_eq(&one, &on_thread), "a session never waits for one of another thread");
        (3..10_000).for_each(|number| drop(semaphores.get(caller(number))));
        assert!(semaphores.0.lock().expect("not poisoned").callers.len() <= MIN_PRUNED);
    }
}
