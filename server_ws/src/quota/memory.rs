//! How much memory the workers of a circle have: of each caller and in sum, within bounds. Pure: what a worker has is handed
//! in.
//!
//! Nothing is known of what a worker has between two looks at it. So the bounds are kept by ending who is over them, at the
//! look that finds it, and by starting no worker for who is at them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use protocol::{Limits, RpcError, error::BusyLimit};

use super::caller::Caller;

const MIB: u64 = 1 << 20;

/// What a worker counts at the least: what a fresh one has, with the kernel's share.
const MIN_WORKER: u64 = MIB / 2;

#[derive(Debug, Clone)]
pub(crate) struct Ledger(Arc<Mutex<Table>>);

#[derive(Debug)]
struct Table {
    bytes: u64,
    max_mib: u64,
    max_mib_per_caller: u64,
    is_blind: bool,
    callers: HashMap<Caller, Holding>,
}

/// What the workers of one caller have.
#[derive(Debug, Default)]
struct Holding {
    workers: u64,
    bytes: u64,
    /// How many of them are suspects.
    suspects: u64,
}

/// What the workers of a circle have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) workers: u64,
    pub(crate) bytes: u64,
}

/// What one worker has; nothing any more when it is dropped.
#[derive(Debug)]
pub(crate) struct Account {
    ledger: Ledger,
    caller: Caller,
    /// What it had when it was new, and shares with others.
    base: Option<u64>,
    bytes: u64,
    /// It grew when it was last looked at, or before and the circle has been over its bound since.
    is_suspect: bool,
}

/// What is to become of a worker that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Verdict {
    /// It goes on.
    Keep,
    /// It goes on, and is to be looked at again soon, whether it does anything or not.
    Watch,
    /// It grew where there is no room, and nobody else is to make some.
    End,
}

impl Ledger {
    pub(crate) fn new(limits: &Limits) -> Self {
        let (max_mib, max_mib_per_caller) = bounds(limits);
        Self(Arc::new(Mutex::new(Table {
            bytes: 0,
            max_mib,
            max_mib_per_caller,
            is_blind: false,
            callers: HashMap::new(),
        })))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What holds from now on.
    pub(crate) fn set(&self, limits: &Limits) {
        let mut table = self.table();
        if !table.is_blind {
            (table.max_mib, table.max_mib_per_caller) = bounds(limits);
        }
    }

    /// Nothing will be noted, so nothing is bounded.
    pub(crate) fn be_blind(&self) {
        let mut table = self.table();
        (table.max_mib, table.max_mib_per_caller, table.is_blind) = (u64::MAX, u64::MAX, true);
    }

    pub(crate) fn is_blind(&self) -> bool {
        self.table().is_blind
    }

    /// What all workers have now; of bytes none, where that cannot be seen.
    pub(crate) fn held(&self) -> Held {
        let table = self.table();
        let workers = table.callers.values().map(|holding| holding.workers).sum();
        Held { workers, bytes: if table.is_blind { 0 } else { table.bytes } }
    }

    /// An account for a worker of that caller, if there is room for one.
    pub(crate) fn open(&self, caller: Caller) -> Result<Account, RpcError> {
        let mut table = self.table();
        let held = table.callers.get(&caller).map_or(0, |holding| holding.bytes);
        for (held, max) in [(held, table.max_mib_per_caller), (table.bytes, table.max_mib)] {
            if held.saturating_add(MIN_WORKER) > bytes(max) {
                return Err(RpcError::Busy { limit: BusyLimit::Memory, max, retry_after_ms: None });
            }
        }
        let holding = table.callers.entry(caller).or_default();
        holding.workers += 1;
        holding.bytes += MIN_WORKER;
        table.bytes += MIN_WORKER;
        Ok(Account { ledger: self.clone(), caller, base: None, bytes: MIN_WORKER, is_suspect: false })
    }
}

impl Account {
    /// Notes what the worker has now; the first time, what it begins with.
    ///
    /// Past its caller's bound a worker that grew is ended. Past the circle's, of all that grew one whose caller holds most:
    /// if that is another's, it is ended when it is looked at, and this one is left alone if there is room then.
    pub(crate) fn note(&mut self, seen: u64) -> Verdict {
        let base = *self.base.get_or_insert(seen);
        let bytes_now = seen.saturating_sub(base).max(MIN_WORKER);
        let grew = bytes_now > self.bytes;
        let mut table = self.ledger.table();
        table.bytes = table.bytes - self.bytes + bytes_now;
        let is_over = table.bytes > bytes(table.max_mib);
        let is_suspect = grew || self.is_suspect && is_over;
        let holding = table.callers.entry(self.caller).or_default();
        holding.bytes = holding.bytes - self.bytes + bytes_now;
        holding.suspects = holding.suspects - u64::from(self.is_suspect) + u64::from(is_suspect);
        (self.bytes, self.is_suspect) = (bytes_now, is_suspect);
        let held = holding.bytes;
        let mut suspects = table.callers.values().filter(|other| other.suspects > 0);
        let must_make_room = is_over && is_suspect && suspects.all(|other| other.bytes <= held);
        if must_make_room || grew && held > bytes(table.max_mib_per_caller) {
            Verdict::End
        } else if is_suspect {
            Verdict::Watch
        } else {
            Verdict::Keep
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let mut table = self.ledger.table();
        table.bytes -= self.bytes;
        if let Some(holding) = table.callers.get_mut(&self.caller) {
            holding.workers -= 1;
            holding.bytes -= self.bytes;
            holding.suspects -= u64::from(self.is_suspect);
            // A caller who holds nothing costs nothing.
            if holding.workers == 0 {
                table.callers.remove(&self.caller);
            }
        }
    }
}

/// MiB that all may have in sum, and one caller.
fn bounds(limits: &Limits) -> (u64, u64) {
    (limits.total_mib.unwrap_or(u64::MAX), limits.memory_per_caller_mib.unwrap_or(u64::MAX))
}

fn bytes(mib: u64) -> u64 {
    mib.saturating_mul(MIB)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ledger(total_mib: u64, memory_per_caller_mib: u64) -> Ledger {
        let (total_mib, memory_per_caller_mib) = (Some(total_mib), Some(memory_per_caller_mib));
        Ledger::new(&Limits { total_mib, memory_per_caller_mib, ..Limits::default() })
    }

    fn caller(number: u8) -> Caller {
        Caller::anonymous([10, 0, 0, number].into())
    }

    /// An account whose worker shares 3 MiB with others.
    fn open(ledger: &Ledger, number: u8) -> Account {
        let mut account = ledger.open(caller(number)).expect("room");
        assert_eq!(account.note(3 * MIB), Verdict::Keep);
        account
    }

    /// The worker is seen to have so much.
    fn see(account: &mut Account, mib: u64) -> Verdict {
        account.note((3 + mib) * MIB)
    }

    #[test]
    fn who_grows_past_their_share_is_ended_and_no_worker_is_started_for_them() {
        let ledger = ledger(100, 20);
        let (mut one, mut two) = (open(&ledger, 1), open(&ledger, 1));
        assert_eq!(see(&mut one, 12), Verdict::Watch);
        assert_eq!(see(&mut two, 9), Verdict::End);
        // One that does not grow is not to blame.
        assert_eq!(see(&mut one, 12), Verdict::Keep);
        let error = ledger.open(caller(1)).expect_err("over");
        assert!(matches!(error, RpcError::Busy { limit: BusyLimit::Memory, max: 20, .. }), "{error:?}");
        let mut other = open(&ledger, 2);
        assert_eq!(see(&mut other, 20), Verdict::Watch);
        drop(two);
        assert!(ledger.open(caller(1)).is_ok());
    }

    #[test]
    fn of_all_who_grow_past_the_total_it_is_one_whose_caller_holds_most() {
        let ledger = ledger(30, 40);
        let (mut greedy, mut modest) = (open(&ledger, 1), open(&ledger, 2));
        assert_eq!(see(&mut greedy, 20), Verdict::Watch);
        assert_eq!(see(&mut modest, 11), Verdict::Watch);
        // Also if it grew before, and has done nothing since.
        assert_eq!(see(&mut greedy, 20), Verdict::End);
        drop(greedy);
        assert_eq!(see(&mut modest, 12), Verdict::Watch);
        // Nobody else grows, so nobody else can be ended for it.
        assert_eq!(see(&mut modest, 31), Verdict::End);
    }

    #[test]
    fn who_grows_at_once_with_others_does_not_get_away() {
        let ledger = ledger(100, 40);
        let mut accounts: Vec<Account> = (0..6).map(|number| open(&ledger, number)).collect();
        // Each a little less than the one before, so that at first it is always another's turn.
        let sizes: Vec<u64> = (0..6).map(|number| 32 - number).collect();
        let verdicts: Vec<Verdict> = accounts.iter_mut().zip(&sizes).map(|(account, mib)| see(account, *mib)).collect();
        assert_eq!(verdicts, [Verdict::Watch; 6]);
        let mut left = 6;
        for (mut account, mib) in accounts.into_iter().zip(sizes) {
            left -= u64::from(see(&mut account, mib) == Verdict::End);
            if ledger.table().bytes <= 100 * MIB {
                break;
            }
        }
        assert_eq!(left, 3);
    }

    #[test]
    fn who_has_stopped_growing_protects_nobody() {
        let ledger = ledger(30, 30);
        let (mut large, mut small) = (open(&ledger, 1), open(&ledger, 2));
        assert_eq!(see(&mut large, 20), Verdict::Watch);
        assert_eq!(see(&mut large, 20), Verdict::Keep);
        assert_eq!(see(&mut small, 11), Verdict::End);
        let error = ledger.open(caller(3)).expect_err("over");
        assert!(matches!(error, RpcError::Busy { limit: BusyLimit::Memory, max: 30, .. }), "{error:?}");
    }

    #[test]
    fn fresh_workers_count_too() {
        let ledger = ledger(1, 1);
        let _two = (ledger.open(caller(1)).expect("room"), ledger.open(caller(2)).expect("room"));
        assert!(ledger.open(caller(3)).is_err());
    }

    proptest! {
        /// Whatever is noted in whatever order, the sums are those of the accounts, and nothing stays behind.
        #[test]
        fn the_sums_are_right(steps in prop::collection::vec((0_u8..4, 0_usize..8, 0_u64..40), 0..200)) {
            let ledger = ledger(60, 25);
            let mut accounts: Vec<Account> = Vec::new();
            for (number, which, mib) in steps {
                if which >= accounts.len() {
                    accounts.extend(ledger.open(caller(number)));
                } else if mib == 0 || accounts[which].note(mib * MIB) == Verdict::End {
                    accounts.swap_remove(which);
                }
                let table = ledger.table();
                prop_assert_eq!(table.bytes, accounts.iter().map(|account| account.bytes).sum::<u64>());
                prop_assert_eq!(table.bytes, table.callers.values().map(|holding| holding.bytes).sum::<u64>());
                let suspects = accounts.iter().filter(|account| account.is_suspect).count() as u64;
                prop_assert_eq!(suspects, table.callers.values().map(|holding| holding.suspects).sum::<u64>());
                // Nobody is left over their own share.
                prop_assert!(table.callers.values().all(|holding| holding.bytes <= bytes(25)));
            }
            // Looked at again and again, all of them fit into the total.
            let mut rounds = 0;
            while ledger.table().bytes > bytes(60) {
                let suspects = accounts.iter().any(|account| account.is_suspect);
                prop_assert!(suspects && rounds < 10);
                accounts.retain_mut(|account| {
                    let seen = account.bytes + account.base.unwrap_or_default();
                    account.note(seen) != Verdict::End
                });
                rounds += 1;
            }
            accounts.clear();
            let table = ledger.table();
            prop_assert_eq!((table.bytes, table.callers.len()), (0, 0));
        }
    }
}
