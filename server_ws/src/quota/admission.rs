//! Who may hold how much of a circle: connections, workers, and through `memory` what the workers have.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use protocol::{Limits, RpcError, error::BusyLimit};

use super::{
    caller::Caller,
    capacity::{Capacity, Permit},
    kernel,
    memory::{Account, Ledger, Verdict},
};

/// The workers that each caller holds.
type Held = Arc<Mutex<HashMap<Caller, u64>>>;

/// A worker's place, counted with its memory for its caller until it is dropped.
#[derive(Debug)]
pub(crate) struct WorkerPermit {
    _permit: Permit,
    held: Held,
    caller: Caller,
    memory: Account,
}

impl WorkerPermit {
    /// Looks at what the worker has; the first time, at what it begins with.
    pub(crate) fn weigh(&mut self, pid: Option<u32>) -> Verdict {
        match pid.and_then(kernel::memory_of) {
            Some(bytes) => self.memory.note(bytes),
            // It has ended, or there is nothing to see: then `total_mib` was said not to hold.
            None => Verdict::Keep,
        }
    }
}

impl Drop for WorkerPermit {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.caller) {
            *count -= 1;
            // A caller who holds nothing costs nothing.
            if *count == 0 {
                held.remove(&self.caller);
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Admission {
    connections: Arc<Capacity>,
    workers: Arc<Capacity>,
    held: Held,
    max_per_caller: AtomicU64,
    memory: Ledger,
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            connections: Capacity::new(limits.connections),
            workers: Capacity::new(limits.workers),
            held: Held::default(),
            max_per_caller: AtomicU64::new(per_caller(limits)),
            memory: Ledger::new(limits),
        }
    }

    /// What holds for all that is wanted from now on; what is held stays.
    pub(crate) fn set(&self, limits: &Limits) {
        self.connections.set_max(limits.connections);
        self.workers.set_max(limits.workers);
        self.max_per_caller.store(per_caller(limits), Ordering::Relaxed);
        self.memory.set(limits);
    }

    /// What workers have cannot be seen: nothing is counted of it.
    pub(crate) fn be_blind(&self) {
        self.memory.be_blind();
    }

    pub(crate) fn is_blind(&self) -> bool {
        self.memory.is_blind()
    }

    /// What the workers have.
    pub(crate) fn memory(&self) -> Ledger {
        self.memory.clone()
    }

    pub(crate) fn connection(&self) -> Option<Permit> {
        self.connections.acquire()
    }

    /// A place for a worker of that caller, who may not take those of the others.
    pub(crate) fn worker(&self, caller: Caller) -> Result<WorkerPermit, RpcError> {
        let busy = |limit, max| RpcError::Busy { limit, max, retry_after_ms: None };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.get(&caller).copied().unwrap_or_default();
        let max_per_caller = self.max_per_caller.load(Ordering::Relaxed);
        if count >= max_per_caller {
            return Err(busy(BusyLimit::Sessions, max_per_caller));
        }
        let permit = self.workers.acquire().ok_or_else(|| busy(BusyLimit::Workers, self.workers.max()))?;
        let memory = self.memory.open(caller)?;
        held.insert(caller, count + 1);
        Ok(WorkerPermit { _permit: permit, held: self.held.clone(), caller, memory })
    }
}

fn per_caller(limits: &Limits) -> u64 {
    limits.sessions_per_caller.unwrap_or(limits.workers)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;
    use crate::quota::derived_limits::derive_shares;

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let admission = Admission::new(&Limits { connections: 1, workers: 1, ..Limits::default() });
        let held = admission.connection().expect("free");
        assert!(admission.connection().is_none());
        drop(held);
        assert!(admission.connection().is_some());
        let caller = Caller::anonymous(Ipv6Addr::LOCALHOST.into());
        let _held = admission.worker(caller).expect("free");
        assert_eq!(admission.worker(caller).expect_err("taken").code(), -32006);
    }

    #[test]
    fn limits_that_change_hold_for_what_is_wanted_next() {
        let limits = |connections, workers| Limits { connections, workers, ..Limits::default() };
        let admission = Admission::new(&limits(1, 1));
        let caller = Caller::anonymous(Ipv6Addr::LOCALHOST.into());
        let held = (admission.connection().expect("free"), admission.worker(caller).expect("free"));
        admission.set(&limits(2, 2));
        let more = (admission.connection().expect("free"), admission.worker(caller).expect("free"));
        admission.set(&limits(1, 1));
        drop(more);
        assert!(admission.connection().is_none() && admission.worker(caller).is_err(), "the first are held");
        drop(held);
        assert!(admission.connection().is_some() && admission.worker(caller).is_ok());
    }

    #[test]
    fn a_caller_cannot_take_the_places_of_others() {
        let mut limits = Limits { workers: 8, ..Limits::default() };
        derive_shares(&mut limits);
        assert_eq!(limits.sessions_per_caller, Some(2));
        let admission = Admission::new(&limits);
        let (one, other) = (Caller::anonymous([10, 0, 0, 1].into()), Caller::anonymous([10, 0, 0, 2].into()));
        let first = admission.worker(one).expect("free");
        let _second = admission.worker(one).expect("free");
        let error = admission.worker(one).expect_err("a third");
        assert!(matches!(error, RpcError::Busy { limit: BusyLimit::Sessions, max: 2, .. }), "{error:?}");
        admission.worker(other).expect("free for others");
        drop(first);
        let _third = admission.worker(one).expect("free again");
        assert_eq!(admission.held.lock().expect("not poisoned").len(), 1);
    }
}
