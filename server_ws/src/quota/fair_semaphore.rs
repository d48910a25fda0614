//! A semaphore that is fair to callers: waiting callers get grants in turn, so a caller with many waiters does not
//! delay the others. Some grants are reserved for callers that hold none, so that a few callers with endless plays
//! leave room for the first play of others.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::sync::{oneshot, watch};

use super::caller::Caller;

/// One in this many grants is reserved for callers that hold none. With fewer grants than this, none is reserved.
const RESERVED_SHARE: u64 = 8;

#[derive(Debug, Clone)]
pub(crate) struct FairSemaphore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    grants: Mutex<Grants>,
    /// Whether a caller waits who may hold more grants.
    is_contended: watch::Sender<bool>,
}

#[derive(Debug)]
struct Grants {
    /// The number of held grants.
    held: u64,
    max: u64,
    max_per_caller: u64,
    callers: HashMap<Caller, CallerGrants>,
    /// The callers with waiters, in the order of their turns.
    waiting_callers: VecDeque<Caller>,
    /// The last published contention.
    is_contended: bool,
}

impl Grants {
    /// Whether a grant is free for a caller that holds `held_by_caller` grants.
    fn is_free_for(&self, held_by_caller: u64) -> bool {
        let reserved = if held_by_caller == 0 { 0 } else { self.max / RESERVED_SHARE };
        self.held < self.max - reserved && held_by_caller < self.max_per_caller
    }

    /// Whether a caller waits because others hold the grants. Waiters of a caller at its own bound wait only for that
    /// caller.
    fn has_blocked_caller(&self) -> bool {
        let mut waiting = self.waiting_callers.iter().filter_map(|caller| self.callers.get(caller));
        waiting.any(|own| own.held < self.max_per_caller && own.waiters.iter().any(|one| !one.is_closed()))
    }
}

#[derive(Debug, Default)]
struct CallerGrants {
    held: u64,
    waiters: VecDeque<oneshot::Sender<Grant>>,
    /// The number of `waiters`, for the holders of the caller's grants.
    waiting: Arc<AtomicUsize>,
}

impl CallerGrants {
    fn push_waiter(&mut self, waiter: oneshot::Sender<Grant>) {
        // Clients that send and cancel plays leave no dropped waiters. The others are bounded by the sessions.
        self.waiters.retain(|waiter| !waiter.is_closed());
        self.waiters.push_back(waiter);
        self.waiting.store(self.waiters.len(), Relaxed);
    }

    fn pop_waiter(&mut self) -> Option<oneshot::Sender<Grant>> {
        let waiter = self.waiters.pop_front();
        self.waiting.store(self.waiters.len(), Relaxed);
        waiter
    }
}

/// The permission for a caller to run one play or host call. Dropping the grant passes it to the next waiter.
#[derive(Debug)]
pub(crate) struct Grant {
    /// `None` once the grant is released.
    semaphore: Option<FairSemaphore>,
    caller: Caller,
    /// The number of the caller's own waiters.
    waiting: Arc<AtomicUsize>,
}

/// Whether others wait for grants, as the holder of a grant sees it.
#[derive(Debug)]
pub(crate) struct Contention(watch::Receiver<bool>);

impl Contention {
    /// Whether someone could use this grant now: another caller, or another session of the same caller.
    pub(crate) fn affects(&self, grant: &Grant) -> bool {
        grant.waiting.load(Relaxed) > 0 || *self.0.borrow()
    }

    /// Waits until another caller waits for a grant. Cancel safe.
    pub(crate) async fn begins(&mut self) {
        if self.0.wait_for(|is_contended| *is_contended).await.is_err() {
            // The semaphore is gone, and nobody can wait for it.
            std::future::pending::<()>().await;
        }
    }
}

/// A grant to come. Dropping the waiter gives up its turn.
pub(crate) type Waiter = oneshot::Receiver<Grant>;

impl FairSemaphore {
    /// Makes a semaphore with `max` grants, of which one caller may hold `max_per_caller`.
    pub(crate) fn new(max: u64, max_per_caller: u64) -> Self {
        let (callers, waiting_callers) = (HashMap::new(), VecDeque::new());
        let grants = Grants { held: 0, max, max_per_caller, callers, waiting_callers, is_contended: false };
        Self(Arc::new(Shared { grants: Mutex::new(grants), is_contended: watch::Sender::new(false) }))
    }

    /// Returns a view of the contention.
    pub(crate) fn contention(&self) -> Contention {
        Contention(self.0.is_contended.subscribe())
    }

    fn update_contention(&self, grants: &mut Grants) {
        let is_contended = grants.has_blocked_caller();
        if std::mem::replace(&mut grants.is_contended, is_contended) != is_contended {
            self.0.is_contended.send_replace(is_contended);
        }
    }

    /// Sets new bounds for later grants. Grants beyond lower bounds stay valid.
    pub(crate) fn set_max(&self, max: u64, max_per_caller: u64) {
        let mut grants = self.lock();
        (grants.max, grants.max_per_caller) = (max, max_per_caller);
        self.serve_waiters(&mut grants);
        self.update_contention(&mut grants);
    }

    fn lock(&self) -> MutexGuard<'_, Grants> {
        // No code panics while it holds the lock.
        self.0.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a grant for a caller, or a waiter for one.
    pub(crate) fn acquire(&self, caller: Caller) -> Result<Grant, Waiter> {
        let mut grants = self.lock();
        let held_by_caller = grants.callers.get(&caller).map_or(0, |own| own.held);
        let is_free = grants.is_free_for(held_by_caller);
        let own = grants.callers.entry(caller).or_default();
        if is_free && own.waiters.is_empty() {
            own.held += 1;
            let waiting = own.waiting.clone();
            grants.held += 1;
            return Ok(Grant { semaphore: Some(self.clone()), caller, waiting });
        }
        let (sender, waiter) = oneshot::channel();
        let is_waiting = !own.waiters.is_empty();
        own.push_waiter(sender);
        if !is_waiting {
            grants.waiting_callers.push_back(caller);
        }
        self.update_contention(&mut grants);
        Err(waiter)
    }

    /// Returns the number of held grants.
    pub(crate) fn held(&self) -> u64 {
        self.lock().held
    }

    /// Returns the number of grants that nobody holds.
    pub(crate) fn free(&self) -> u64 {
        let grants = self.lock();
        grants.max.saturating_sub(grants.held)
    }

    /// Returns the number of grants that a caller holds.
    pub(crate) fn held_by(&self, caller: Caller) -> u64 {
        self.lock().callers.get(&caller).map_or(0, |own| own.held)
    }

    fn release(&self, caller: Caller) {
        let mut grants = self.lock();
        grants.held -= 1;
        if let Some(own) = grants.callers.get_mut(&caller) {
            own.held -= 1;
        }
        self.serve_waiters(&mut grants);
        // The map keeps no entry for a caller without grants and waiters.
        if grants.callers.get(&caller).is_some_and(|own| own.held == 0 && own.waiters.is_empty()) {
            grants.callers.remove(&caller);
        }
        self.update_contention(&mut grants);
    }

    /// Gives free grants to waiting callers in turn, unless they hold as many as they may.
    fn serve_waiters(&self, grants: &mut Grants) {
        let mut skipped = 0;
        while grants.held < grants.max && skipped < grants.waiting_callers.len() {
            let Some(caller) = grants.waiting_callers.pop_front() else { return };
            let held_by_caller = grants.callers.get(&caller).map_or(0, |own| own.held);
            let is_free = grants.is_free_for(held_by_caller);
            let Some(own) = grants.callers.get_mut(&caller) else { continue };
            // Waiters that were dropped have given up their turn.
            while own.waiters.front().is_some_and(oneshot::Sender::is_closed) {
                own.pop_waiter();
            }
            if own.waiters.is_empty() {
                if own.held == 0 {
                    grants.callers.remove(&caller);
                }
                continue;
            }
            if !is_free {
                grants.waiting_callers.push_back(caller);
                skipped += 1;
                continue;
            }
            if let Some(sender) = own.pop_waiter() {
                let grant = Grant { semaphore: Some(self.clone()), caller, waiting: own.waiting.clone() };
                match sender.send(grant) {
                    Ok(()) => {
                        own.held += 1;
                        grants.held += 1;
                    }
                    // The waiter was dropped meanwhile. This grant was never held, so it must not be released.
                    Err(mut unheld) => unheld.semaphore = None,
                }
            }
            if !own.waiters.is_empty() {
                grants.waiting_callers.push_back(caller);
            }
            skipped = 0;
        }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if let Some(semaphore) = self.semaphore.take() {
            semaphore.release(self.caller);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(number: u8) -> Caller {
        Caller::anonymous([10, 0, 0, number].into())
    }

    #[test]
    fn semaphore_grants_waiting_callers_in_turn() {
        let semaphore = FairSemaphore::new(1, 1);
        let held = semaphore.acquire(caller(1)).expect("free");
        let mut greedy: Vec<Waiter> = (0..5).map(|_| semaphore.acquire(caller(1)).expect_err("taken")).collect();
        let mut modest = semaphore.acquire(caller(2)).expect_err("taken");
        drop(held);
        // The greedy caller was first, and after one grant it is the modest caller's turn.
        let first = greedy[0].try_recv().expect("its turn");
        assert!(modest.try_recv().is_err());
        drop(first);
        let second = modest.try_recv().expect("its turn");
        assert!(greedy[1].try_recv().is_err());
        drop(second);
        assert!(greedy[1].try_recv().is_ok());
    }

    #[test]
    fn contention_affects_only_grants_that_a_waiter_could_use() {
        let semaphore = FairSemaphore::new(3, 2);
        let contention = semaphore.contention();
        let held: Vec<Grant> = (0..2).map(|_| semaphore.acquire(caller(1)).expect("free")).collect();
        let other = semaphore.acquire(caller(2)).expect("free");
        let own = semaphore.acquire(caller(1)).expect_err("at its bound");
        assert!(contention.affects(&held[0]) && !contention.affects(&other), "only the caller itself waits");
        drop(own);
        let third = semaphore.acquire(caller(3)).expect_err("all are held");
        assert!(contention.affects(&held[0]) && contention.affects(&other));
        drop(third);
        drop(held);
        assert!(!contention.affects(&other));
    }

    #[test]
    fn dropped_waiters_do_not_accumulate() {
        let semaphore = FairSemaphore::new(1, 1);
        let held = semaphore.acquire(caller(1)).expect("free");
        for _ in 0..100 {
            drop(semaphore.acquire(caller(2)).expect_err("taken"));
        }
        let mut waiter = semaphore.acquire(caller(2)).expect_err("taken");
        // Two sessions of a caller in turn: one of them waits at any time.
        for _ in 0..100 {
            let next = semaphore.acquire(caller(2)).expect_err("taken");
            drop(std::mem::replace(&mut waiter, next));
        }
        let grants = semaphore.lock();
        assert!(grants.callers[&caller(2)].waiters.len() <= 2, "{:?}", grants.callers[&caller(2)].waiters);
        assert_eq!(grants.waiting_callers.len(), 1);
        drop(grants);
        drop(held);
        assert!(waiter.try_recv().is_ok());
    }

    #[test]
    fn semaphore_bounds_grants_per_caller() {
        let semaphore = FairSemaphore::new(4, 2);
        let held: Vec<Grant> = (0..2).map(|_| semaphore.acquire(caller(1)).expect("free")).collect();
        let mut third = semaphore.acquire(caller(1)).expect_err("a third");
        let other = semaphore.acquire(caller(2)).expect("room for others");
        drop(other);
        assert!(third.try_recv().is_err(), "a caller at its bound gets nothing that others release");
        drop(held);
        assert!(third.try_recv().is_ok());
    }

    #[test]
    fn changed_bounds_apply_at_once_or_after_releases() {
        let semaphore = FairSemaphore::new(1, 1);
        let first = semaphore.acquire(caller(1)).expect("free");
        let mut second = semaphore.acquire(caller(1)).expect_err("taken");
        semaphore.set_max(2, 2);
        let second = second.try_recv().expect("there is room now");
        semaphore.set_max(1, 1);
        drop(second);
        let mut third = semaphore.acquire(caller(2)).expect_err("all grants are held");
        drop(first);
        assert!(third.try_recv().is_ok());
    }

    #[test]
    fn dropped_waiter_is_skipped() {
        let semaphore = FairSemaphore::new(1, 1);
        let held = semaphore.acquire(caller(1)).expect("free");
        let gone = semaphore.acquire(caller(2)).expect_err("taken");
        let mut pending_waiter = semaphore.acquire(caller(3)).expect_err("taken");
        drop(gone);
        drop(held);
        let last = pending_waiter.try_recv().expect("its turn");
        drop(last);
        let unread = semaphore.acquire(caller(4)).expect("free");
        let waiter = semaphore.acquire(caller(5)).expect_err("taken");
        drop(unread);
        // The grant has arrived and nobody took it: dropping the waiter releases it.
        drop(waiter);
        let grants = semaphore.lock();
        assert_eq!((grants.held, grants.callers.len(), grants.waiting_callers.len()), (0, 0, 0));
    }

    #[test]
    fn semaphore_reserves_grants_for_new_callers() {
        let semaphore = FairSemaphore::new(16, 4);
        // Four callers hold as much as they can get.
        let mut held: Vec<Grant> = (0..14).map(|n| semaphore.acquire(caller(n % 4)).expect("free")).collect();
        let mut pending_waiter = semaphore.acquire(caller(2)).expect_err("the rest is reserved");
        let fifth = semaphore.acquire(caller(5)).expect("reserved for a caller who holds none");
        drop(semaphore.acquire(caller(5)).expect_err("now this caller holds one"));
        let _sixth = semaphore.acquire(caller(6)).expect("another one");
        let mut seventh = semaphore.acquire(caller(7)).expect_err("all are held");
        drop(fifth);
        assert!(seventh.try_recv().is_ok() && pending_waiter.try_recv().is_err());
        held.truncate(12);
        assert!(pending_waiter.try_recv().is_ok());
    }
}
