//! What runs now, plays and host functions: so many at a time, dealt to their callers in turn, so that who has many waiting
//! holds up nobody else.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::caller::Caller;

#[derive(Debug, Clone)]
pub(crate) struct Slots(Arc<Mutex<Table>>);

#[derive(Debug)]
struct Table {
    running: u64,
    max: u64,
    per_caller: u64,
    callers: HashMap<Caller, Share>,
    /// Who waits, in the order of their turns.
    turns: VecDeque<Caller>,
}

impl Table {
    fn is_free(&self) -> bool {
        self.running < self.max
    }
}

/// What one caller has and waits for.
#[derive(Debug, Default)]
struct Share {
    running: u64,
    waiting: VecDeque<oneshot::Sender<RunningSlot>>,
}

/// A slot that is held; another's when it is dropped.
#[derive(Debug)]
pub(crate) struct RunningSlot {
    /// `None` once it is given back.
    slots: Option<Slots>,
    caller: Caller,
}

/// A slot to come. Dropped, it is no longer waited for.
pub(crate) type Turn = oneshot::Receiver<RunningSlot>;

impl Slots {
    /// So many in sum, and of one caller.
    pub(crate) fn new(max: u64, per_caller: u64) -> Self {
        let (callers, turns) = (HashMap::new(), VecDeque::new());
        Self(Arc::new(Mutex::new(Table { running: 0, max, per_caller, callers, turns })))
    }

    /// What holds from now on. Where more run, they go on.
    pub(crate) fn set(&self, max: u64, per_caller: u64) {
        let mut table = self.table();
        (table.max, table.per_caller) = (max, per_caller);
        self.deal(&mut table);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot, or the caller's turn for one.
    pub(crate) fn take(&self, caller: Caller) -> Result<RunningSlot, Turn> {
        let mut table = self.table();
        let (is_free, per_caller) = (table.is_free(), table.per_caller);
        let share = table.callers.entry(caller).or_default();
        if is_free && share.running < per_caller && share.waiting.is_empty() {
            share.running += 1;
            table.running += 1;
            return Ok(RunningSlot { slots: Some(self.clone()), caller });
        }
        let (sender, turn) = oneshot::channel();
        share.waiting.push_back(sender);
        if share.waiting.len() == 1 {
            table.turns.push_back(caller);
        }
        Err(turn)
    }

    /// How many are held.
    pub(crate) fn running(&self) -> u64 {
        self.table().running
    }

    fn give_back(&self, caller: Caller) {
        let mut table = self.table();
        table.running -= 1;
        if let Some(share) = table.callers.get_mut(&caller) {
            share.running -= 1;
        }
        self.deal(&mut table);
        // A caller who has and wants nothing costs nothing.
        if table.callers.get(&caller).is_some_and(|share| share.running == 0 && share.waiting.is_empty()) {
            table.callers.remove(&caller);
        }
    }

    /// Gives what is free to those whose turn it is and who may have more.
    fn deal(&self, table: &mut Table) {
        let mut passed = 0;
        while table.is_free() && passed < table.turns.len() {
            let Some(caller) = table.turns.pop_front() else { return };
            let per_caller = table.per_caller;
            let Some(share) = table.callers.get_mut(&caller) else { continue };
            // Whoever no longer waits is passed over.
            while share.waiting.front().is_some_and(oneshot::Sender::is_closed) {
                share.waiting.pop_front();
            }
            if share.waiting.is_empty() {
                if share.running == 0 {
                    table.callers.remove(&caller);
                }
                continue;
            }
            if share.running >= per_caller {
                table.turns.push_back(caller);
                passed += 1;
                continue;
            }
            if let Some(sender) = share.waiting.pop_front() {
                let slot = RunningSlot { slots: Some(self.clone()), caller };
                match sender.send(slot) {
                    Ok(()) => {
                        share.running += 1;
                        table.running += 1;
                    }
                    // It was never held, so there is nothing to give back.
                    Err(mut unheld) => unheld.slots = None,
                }
            }
            if !share.waiting.is_empty() {
                table.turns.push_back(caller);
            }
            passed = 0;
        }
    }
}

impl Drop for RunningSlot {
    fn drop(&mut self) {
        if let Some(slots) = self.slots.take() {
            slots.give_back(self.caller);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(running_plays: u64, running_per_caller: u64) -> Slots {
        Slots::new(running_plays, running_per_caller)
    }

    fn caller(number: u8) -> Caller {
        Caller::anonymous([10, 0, 0, number].into())
    }

    #[test]
    fn slots_are_dealt_in_turn_whoever_waits_for_more() {
        let slots = slots(1, 1);
        let held = slots.take(caller(1)).expect("free");
        let mut greedy: Vec<Turn> = (0..5).map(|_| slots.take(caller(1)).expect_err("taken")).collect();
        let mut modest = slots.take(caller(2)).expect_err("taken");
        drop(held);
        // The greedy one was first in turn, and after one of theirs it is the other's.
        let first = greedy[0].try_recv().expect("its turn");
        assert!(modest.try_recv().is_err());
        drop(first);
        let second = modest.try_recv().expect("its turn");
        assert!(greedy[1].try_recv().is_err());
        drop(second);
        assert!(greedy[1].try_recv().is_ok());
    }

    #[test]
    fn a_caller_leaves_room_for_others() {
        let slots = slots(4, 2);
        let held: Vec<RunningSlot> = (0..2).map(|_| slots.take(caller(1)).expect("free")).collect();
        let mut third = slots.take(caller(1)).expect_err("a third");
        let other = slots.take(caller(2)).expect("room for others");
        drop(other);
        assert!(third.try_recv().is_err(), "what others give back is not for who has enough");
        drop(held);
        assert!(third.try_recv().is_ok());
    }

    #[test]
    fn more_slots_are_dealt_at_once_and_fewer_hold_once_some_are_back() {
        let slots = slots(1, 1);
        let first = slots.take(caller(1)).expect("free");
        let mut second = slots.take(caller(1)).expect_err("taken");
        slots.set(2, 2);
        let second = second.try_recv().expect("there is room now");
        slots.set(1, 1);
        drop(second);
        let mut third = slots.take(caller(2)).expect_err("as many run as may");
        drop(first);
        assert!(third.try_recv().is_ok());
    }

    #[test]
    fn who_no_longer_waits_is_passed_over_and_nothing_stays_behind() {
        let slots = slots(1, 1);
        let held = slots.take(caller(1)).expect("free");
        let gone = slots.take(caller(2)).expect_err("taken");
        let mut waits = slots.take(caller(3)).expect_err("taken");
        drop(gone);
        drop(held);
        let last = waits.try_recv().expect("its turn");
        drop(last);
        let unread = slots.take(caller(4)).expect("free");
        let turn = slots.take(caller(5)).expect_err("taken");
        drop(unread);
        // Granted and not looked at: given back all the same.
        drop(turn);
        let table = slots.table();
        assert_eq!((table.running, table.callers.len(), table.turns.len()), (0, 0, 0));
    }
}
