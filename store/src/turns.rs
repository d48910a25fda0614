//! Turns on hot keys and prefixes: reruns of transactions that conflicted there go one after another, so that each of
//! them works on what the one before committed.
//!
//! A run has one turn at most, and has none while it waits for another, so turns cannot deadlock. A turn that its
//! holder keeps for too long goes to the next run; what the holder commits is validated like any other transaction.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use crate::{Key, Prefix, outcome::wake, store::Shared};

/// How long a run keeps a turn before it hands its commit over. The commit itself ends whatever happens.
const TURN: Duration = Duration::from_millis(50);

/// What runs have turns on: what a transaction read and another one changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TurnKey {
    /// A key.
    Key(Key),
    /// Scans of a prefix, whichever part of it they passed.
    Scan(Prefix),
}

/// The keys and prefixes on which a run has a turn.
#[derive(Default)]
pub(crate) struct Turns(Mutex<Queues>);

#[derive(Default)]
struct Queues {
    tickets: u64,
    by_key: HashMap<TurnKey, TurnQueue>,
}

struct TurnQueue {
    /// Place of the run that has the turn.
    holder: Place,
    /// When the turn goes to the next run; never while the holder commits.
    expires: Option<Instant>,
    /// In the order of their rounds.
    waiters: VecDeque<TurnWaiter>,
}

/// The place of a run among those on one key. Groups of runs take turns: a group has one run in each round.
#[derive(Clone, Copy)]
struct Place {
    ticket: u64,
    group: u64,
    round: u64,
}

struct TurnWaiter {
    place: Place,
    waker: Waker,
}

impl TurnQueue {
    fn new(holder: Place) -> Self {
        Self { holder, expires: Some(Instant::now() + TURN), waiters: VecDeque::new() }
    }

    /// The place of a run that comes now: in the first round in which its group has no run.
    fn place(&self, ticket: u64, group: u64) -> Place {
        let places = self.waiters.iter().map(|waiter| waiter.place).chain([self.holder]);
        let last = places.filter(|place| place.group == group).map(|place| place.round).max();
        Place { ticket, group, round: last.map_or(self.holder.round, |last| last + 1) }
    }

    fn add(&mut self, place: Place, waker: Waker) {
        let at = self.waiters.partition_point(|waiter| waiter.place.round <= place.round);
        self.waiters.insert(at, TurnWaiter { place, waker });
    }

    fn give(&mut self, holder: Place) {
        self.holder = holder;
        self.expires = Some(Instant::now() + TURN);
    }

    /// The next run, which has to look when the turn expires now.
    fn next_waker(&self) -> Option<Waker> {
        self.waiters.front().map(|waiter| waiter.waker.clone())
    }
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether runs have turns on a key.
    pub(crate) fn is_hot(shared: &Shared, key: &TurnKey) -> bool {
        shared.turns.lock().by_key.contains_key(key)
    }

    /// Waits for the turn on a key if runs have turns on it, until a deadline.
    pub(crate) async fn join(shared: &Arc<Shared>, key: TurnKey, group: u64, deadline: Instant) -> Option<Turn> {
        if Self::is_hot(shared, &key) { Self::wait(shared, key, group, deadline).await } else { None }
    }

    /// Waits for the turn on a key. Nothing after the deadline. Dropping the future leaves the queue.
    pub(crate) async fn wait(shared: &Arc<Shared>, key: TurnKey, group: u64, deadline: Instant) -> Option<Turn> {
        let turn = Turn::new(shared, key, group);
        let mut alarm = shared.timer.alarm();
        let is_granted = poll_fn(|context| match turn.poll(context.waker(), deadline) {
            Wait::Granted => Poll::Ready(true),
            Wait::Deadline => Poll::Ready(false),
            Wait::Until(time) => {
                alarm.set(time, context.waker());
                Poll::Pending
            }
        })
        .await;
        is_granted.then_some(turn)
    }
}

enum Wait {
    Granted,
    Deadline,
    Until(Instant),
}

/// The turn of a run on a key, or its place in the queue. Dropping it gives the turn to the next run.
pub(crate) struct Turn {
    shared: Arc<Shared>,
    key: TurnKey,
    group: u64,
    ticket: u64,
}

impl Turn {
    fn new(shared: &Arc<Shared>, key: TurnKey, group: u64) -> Self {
        let mut queues = shared.turns.lock();
        queues.tickets += 1;
        Self { shared: Arc::clone(shared), key, group, ticket: queues.tickets }
    }

    pub(crate) fn key(&self) -> &TurnKey {
        &self.key
    }

    /// Takes the turn if it is free, or waits in the queue.
    fn poll(&self, waker: &Waker, deadline: Instant) -> Wait {
        // Wakers are code of the program: they are cloned before the lock, and dropped and woken after it.
        let waker = waker.clone();
        let (mut next, mut left) = (None, None);
        let mut queues = self.shared.turns.lock();
        let queue = match queues.by_key.entry(self.key.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(TurnQueue::new(Place { ticket: self.ticket, group: self.group, round: 0 }));
                return Wait::Granted;
            }
            Entry::Occupied(queue) => queue.into_mut(),
        };
        let now = Instant::now();
        let position = queue.waiters.iter().position(|waiter| waiter.place.ticket == self.ticket);
        let is_next = position.map_or(queue.waiters.is_empty(), |position| position == 0);
        let is_expired = queue.expires.is_some_and(|expires| expires <= now);
        let wait = if queue.holder.ticket == self.ticket {
            Wait::Granted
        } else if is_next && is_expired {
            let waiter = position.and_then(|position| queue.waiters.remove(position));
            queue.give(waiter.as_ref().map_or_else(|| queue.place(self.ticket, self.group), |waiter| waiter.place));
            left = waiter.map(|waiter| waiter.waker);
            next = queue.next_waker();
            Wait::Granted
        } else if deadline <= now {
            Wait::Deadline
        } else {
            match position {
                Some(position) => left = Some(std::mem::replace(&mut queue.waiters[position].waker, waker)),
                None => queue.add(queue.place(self.ticket, self.group), waker),
            }
            Wait::Until(queue.expires.filter(|_| is_next).map_or(deadline, |expires| expires.min(deadline)))
        };
        drop(queues);
        drop(left);
        next.into_iter().for_each(wake);
        wait
    }

    /// Changes when the turn expires. False if another run has it.
    fn set_expiry(&self, expires: Option<Instant>) -> bool {
        let mut queues = self.shared.turns.lock();
        let queue = queues.by_key.get_mut(&self.key).filter(|queue| queue.holder.ticket == self.ticket);
        let Some(queue) = queue else { return false };
        queue.expires = expires;
        let next = queue.next_waker();
        drop(queues);
        next.into_iter().for_each(wake);
        true
    }

    /// The run has handed its commit over: the turn lasts until the commit has ended.
    pub(crate) fn commit(&self) {
        self.set_expiry(None);
    }

    /// The commit failed, and the run may start again in the same turn. False if another run has it.
    pub(crate) fn renew(&self) -> bool {
        self.set_expiry(Some(Instant::now() + TURN))
    }

    /// Gives the turn to the next run, or leaves the queue.
    pub(crate) fn end(&self) {
        let mut queues = self.shared.turns.lock();
        let Some(queue) = queues.by_key.get_mut(&self.key) else { return };
        let (mut granted, mut next, mut left) = (None, None, None);
        if queue.holder.ticket == self.ticket {
            match queue.waiters.pop_front() {
                Some(waiter) => {
                    queue.give(waiter.place);
                    granted = Some(waiter.waker);
                    next = queue.next_waker();
                }
                None => drop(queues.by_key.remove(&self.key)),
            }
        } else if let Some(position) = queue.waiters.iter().position(|waiter| waiter.place.ticket == self.ticket) {
            left = queue.waiters.remove(position);
            next = queue.next_waker().filter(|_| position == 0);
        }
        drop(queues);
        drop(left);
        granted.into_iter().chain(next).for_each(wake);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.end();
    }
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Turn").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, task::Context, thread};

    use super::*;
    use crate::{StoreOptions, waiters::block_on};

    fn far() -> Instant {
        Instant::now() + Duration::from_mins(10)
    }

    fn key() -> TurnKey {
        TurnKey::Key(Key::new("k").expect("a key"))
    }

    fn wait(shared: &Arc<Shared>, deadline: Instant) -> Option<Turn> {
        block_on(Turns::wait(shared, key(), 0, deadline))
    }

    #[test]
    fn groups_take_turns() {
        let place = |ticket, group, round| Place { ticket, group, round };
        let mut queue = TurnQueue::new(place(0, 1, 0));
        for (ticket, group) in [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3)] {
            queue.add(queue.place(ticket, group), Waker::noop().clone());
        }
        let order: Vec<_> = std::iter::from_fn(|| {
            let next = queue.waiters.pop_front()?.place;
            queue.give(next);
            if next.ticket == 2 {
                queue.add(queue.place(7, 4), Waker::noop().clone());
            }
            Some(next.ticket)
        })
        .collect();
        assert_eq!(order, [4, 6, 1, 5, 2, 7, 3]);
    }

    #[test]
    fn turns_go_round_in_order() {
        let store = StoreOptions::new("test").open_in_memory().expect("a store");
        let shared = store.shared();
        assert!(block_on(Turns::join(shared, key(), 0, far())).is_none(), "the key is not hot");
        let first = wait(shared, far()).expect("a turn");
        first.commit();
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for number in 0..3 {
                scope.spawn({
                    let order = &order;
                    move || {
                        let turn = block_on(Turns::join(shared, key(), 0, far())).expect("a turn");
                        order.lock().expect("the order").push(number);
                        turn.commit();
                    }
                });
                while shared.turns.lock().by_key[&key()].waiters.len() <= number {
                    thread::yield_now();
                }
            }
            drop(first);
        });
        assert_eq!(order.into_inner().expect("the order"), [0, 1, 2]);
        assert!(shared.turns.lock().by_key.is_empty());
    }

    #[test]
    fn kept_turn_goes_to_the_next_run() {
        let store = StoreOptions::new("test").open_in_memory().expect("a store");
        let shared = store.shared();
        let kept = wait(shared, far()).expect("a turn");
        let next = wait(shared, far()).expect("a turn that the other kept for too long");
        assert!(!kept.renew() && next.renew());
        drop(kept);
        assert!(next.renew(), "a lost turn ends nothing");
        next.commit();
        assert!(wait(shared, Instant::now()).is_none(), "the deadline");
        drop(next);
        assert!(shared.turns.lock().by_key.is_empty());
    }

    #[test]
    fn dropped_wait_leaves_the_queue() {
        let store = StoreOptions::new("test").open_in_memory().expect("a store");
        let shared = store.shared();
        let first = wait(shared, far()).expect("a turn");
        {
            let mut waiting = pin!(Turns::wait(shared, key(), 0, far()));
            assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert_eq!(shared.turns.lock().by_key[&key()].waiters.len(), 1);
        }
        assert!(shared.turns.lock().by_key[&key()].waiters.is_empty());
        drop(first);
        assert!(shared.turns.lock().by_key.is_empty());
    }
}
