//! Turns on hot keys: reruns of transactions that conflicted on a key go one after another, so that each of them works
//! on what the one before committed.
//!
//! A run has one turn at most, and has none while it waits for another, so turns cannot deadlock. A turn that its
//! holder keeps for too long goes to the next run; what the holder commits is validated like any other transaction.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{Key, store::Shared};

/// How long a run keeps a turn before it hands its commit over. The commit itself ends whatever happens.
const TURN: Duration = Duration::from_millis(50);

/// The keys on which a run has a turn.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<Key, KeyQueue>>);

struct KeyQueue {
    holder: Ticket,
    /// When the turn goes to the next run; never while the holder commits.
    expires: Option<Instant>,
    waiters: VecDeque<Arc<Waiter>>,
}

/// Identifies a run by its waiter.
type Ticket = Arc<Waiter>;

#[derive(Default)]
struct Waiter {
    is_granted: Mutex<bool>,
    granted: Condvar,
}

impl Waiter {
    fn grant(&self) {
        *self.is_granted.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.granted.notify_one();
    }

    /// Waits for the grant until a time.
    fn wait_until(&self, time: Instant) {
        let mut is_granted = self.is_granted.lock().unwrap_or_else(PoisonError::into_inner);
        while !*is_granted {
            let left = time.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            is_granted = self.granted.wait_timeout(is_granted, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl KeyQueue {
    fn give(&mut self, holder: Ticket) {
        self.holder = holder;
        self.expires = Some(Instant::now() + TURN);
    }
}

/// The turn of a run on a key. Dropping it gives the turn to the next run.
pub(crate) struct Turn {
    shared: Arc<Shared>,
    key: Key,
    ticket: Ticket,
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, KeyQueue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn on a key if runs have turns on it, until a deadline.
    pub(crate) fn join(shared: &Arc<Shared>, key: &Key, deadline: Instant) -> Option<Turn> {
        let is_hot = shared.turns.lock().contains_key(key);
        is_hot.then(|| Self::wait(shared, key, deadline)).flatten()
    }

    /// Waits for the turn on a key. Nothing after the deadline.
    pub(crate) fn wait(shared: &Arc<Shared>, key: &Key, deadline: Instant) -> Option<Turn> {
        let ticket = Ticket::default();
        let turn = |ticket| Some(Turn { shared: Arc::clone(shared), key: key.clone(), ticket });
        match shared.turns.lock().entry(key.clone()) {
            Entry::Vacant(vacant) => {
                let expires = Some(Instant::now() + TURN);
                vacant.insert(KeyQueue { holder: Arc::clone(&ticket), expires, waiters: VecDeque::new() });
                return turn(ticket);
            }
            Entry::Occupied(mut queue) => queue.get_mut().waiters.push_back(Arc::clone(&ticket)),
        }
        loop {
            let wake = {
                let mut queues = shared.turns.lock();
                // The queue exists as long as a run waits in it.
                let queue = queues.get_mut(key)?;
                if Arc::ptr_eq(&queue.holder, &ticket) {
                    return turn(ticket);
                }
                let now = Instant::now();
                let is_next = queue.waiters.front().is_some_and(|front| Arc::ptr_eq(front, &ticket));
                if is_next && queue.expires.is_some_and(|expires| expires <= now) {
                    queue.waiters.pop_front();
                    queue.give(Arc::clone(&ticket));
                    return turn(ticket);
                }
                if deadline <= now {
                    queue.waiters.retain(|waiter| !Arc::ptr_eq(waiter, &ticket));
                    return None;
                }
                // Not before `now`: a run that is not the next looks again after a while.
                let expiry = queue.expires.filter(|expires| is_next && *expires > now);
                expiry.unwrap_or(now + TURN).min(deadline)
            };
            ticket.wait_until(wake);
        }
    }
}

impl Turn {
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    fn with_queue(&self, change: impl FnOnce(&mut KeyQueue)) -> bool {
        let mut queues = self.shared.turns.lock();
        let queue = queues.get_mut(&self.key).filter(|queue| Arc::ptr_eq(&queue.holder, &self.ticket));
        queue.map(change).is_some()
    }

    /// The run has handed its commit over: the turn lasts until the commit has ended.
    pub(crate) fn commit(&self) {
        self.with_queue(|queue| queue.expires = None);
    }

    /// The commit conflicted on the same key, and the run starts again in the same turn. False if another run has it.
    pub(crate) fn renew(&self) -> bool {
        self.with_queue(|queue| queue.expires = Some(Instant::now() + TURN))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queues = self.shared.turns.lock();
        let Some(queue) = queues.get_mut(&self.key).filter(|queue| Arc::ptr_eq(&queue.holder, &self.ticket)) else {
            return;
        };
        match queue.waiters.pop_front() {
            Some(next) => {
                queue.give(Arc::clone(&next));
                next.grant();
            }
            None => drop(queues.remove(&self.key)),
        }
    }
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Turn").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::StoreOptions;

    fn far() -> Instant {
        Instant::now() + Duration::from_mins(10)
    }

    #[test]
    fn turns_go_round_in_order() {
        let store = StoreOptions::new("test").open_in_memory().expect("a store");
        let (shared, key) = (store.shared(), Key::new("k").expect("a key"));
        assert!(Turns::join(shared, &key, far()).is_none(), "the key is not hot");
        let first = Turns::wait(shared, &key, far()).expect("a turn");
        first.commit();
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for number in 0..3 {
                scope.spawn({
                    let (key, order) = (&key, &order);
                    move || {
                        let turn = Turns::join(shared, key, far()).expect("a turn");
                        order.lock().expect("the order").push(number);
                        turn.commit();
                    }
                });
                while shared.turns.lock()[&key].waiters.len() <= number {
                    thread::yield_now();
                }
            }
            drop(first);
        });
        assert_eq!(order.into_inner().expect("the order"), [0, 1, 2]);
        assert!(shared.turns.lock().is_empty());
    }

    #[test]
    fn kept_turn_goes_to_the_next_run() {
        let store = StoreOptions::new("test").open_in_memory().expect("a store");
        let (shared, key) = (store.shared(), Key::new("k").expect("a key"));
        let kept = Turns::wait(shared, &key, far()).expect("a turn");
        let next = Turns::wait(shared, &key, far()).expect("a turn that the other kept for too long");
        assert!(!kept.renew() && next.renew());
        drop(kept);
        assert!(next.renew(), "a lost turn ends nothing");
        next.commit();
        assert!(Turns::wait(shared, &key, Instant::now()).is_none(), "the deadline");
        drop(next);
        assert!(shared.turns.lock().is_empty());
    }
}
