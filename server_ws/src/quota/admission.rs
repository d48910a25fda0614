//! The admission of connections and workers: at once, or not at all. Nothing waits here.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use protocol::{Limits, RpcError, error::BusyLimit};
use worker::Usage;

use super::{
    caller::Caller,
    capacity::{Capacity, Permit},
    connections::Connections,
    memory_quota::{MemoryAction, MemoryQuota, WorkerUsage},
};

/// The number of workers of each caller.
type WorkersByCaller = Arc<Mutex<HashMap<Caller, u64>>>;

/// The permission for one worker of a caller, with the memory usage of the worker. Dropping the permit releases both.
#[derive(Debug)]
pub(crate) struct WorkerPermit {
    _permit: Permit,
    workers_by_caller: WorkersByCaller,
    caller: Caller,
    memory: WorkerUsage,
}

impl WorkerPermit {
    /// Records the memory of the fresh worker in bytes, if known. It is the base for later samples, and never a reason to
    /// evict the worker.
    pub(crate) fn set_memory_base(&mut self, base: Option<u64>) {
        let _first_action = base.map(|bytes| self.memory.sample(bytes));
    }

    /// Records a sample of the worker's memory in bytes.
    pub(crate) fn sample_memory(&mut self, usage: Usage<u64>) -> MemoryAction {
        match usage {
            Usage::Known(bytes) => self.memory.sample(bytes),
            Usage::Pending => MemoryAction::Watch,
            // The worker has ended, or its memory is unknown, in which case the startup check has disabled the quota.
            _ => MemoryAction::Keep,
        }
    }
}

impl Drop for WorkerPermit {
    fn drop(&mut self) {
        let mut workers = self.workers_by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = workers.get_mut(&self.caller) {
            *count -= 1;
            // The map keeps no entry for a caller without workers.
            if *count == 0 {
                workers.remove(&self.caller);
            }
        }
    }
}

/// The quotas of connections, of workers and of their memory.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) connections: Connections,
    workers: Arc<Capacity>,
    workers_by_caller: WorkersByCaller,
    max_per_caller: AtomicU64,
    memory: MemoryQuota,
}

impl Admission {
    /// Makes the quotas of a circle. `needs_key` states whether a connection has to authenticate before it may play.
    pub(crate) fn new(limits: &Limits, needs_key: bool) -> Self {
        Self {
            connections: Connections::new(limits, needs_key),
            workers: Capacity::new(limits.workers),
            workers_by_caller: WorkersByCaller::default(),
            max_per_caller: AtomicU64::new(max_per_caller(limits)),
            memory: MemoryQuota::new(limits),
        }
    }

    /// Applies new limits to later admissions. Existing permits stay valid.
    pub(crate) fn apply(&self, limits: &Limits) {
        self.connections.apply(limits);
        self.workers.set_max(limits.workers);
        self.max_per_caller.store(max_per_caller(limits), Ordering::Relaxed);
        self.memory.apply(limits);
    }

    /// Disables the memory quota, if the memory of workers cannot be sampled.
    pub(crate) fn disable_memory_quota(&self) {
        self.memory.disable();
    }

    pub(crate) fn is_memory_quota_disabled(&self) -> bool {
        self.memory.is_disabled()
    }

    pub(crate) fn memory(&self) -> MemoryQuota {
        self.memory.clone()
    }

    /// Returns how many more workers the circle admits.
    pub(crate) fn free_workers(&self) -> usize {
        usize::try_from(self.workers.free()).unwrap_or(usize::MAX)
    }

    /// Admits a worker of a caller, within the quotas of the circle and the caller.
    pub(crate) fn admit_worker(&self, caller: Caller) -> Result<WorkerPermit, RpcError> {
        let busy = |limit, max| RpcError::Busy { limit, max, retry_after_ms: None };
        let mut workers = self.workers_by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        let count = workers.get(&caller).copied().unwrap_or_default();
        let max_per_caller = self.max_per_caller.load(Ordering::Relaxed);
        if count >= max_per_caller {
            return Err(busy(BusyLimit::Sessions, max_per_caller));
        }
        let permit = self.workers.acquire().ok_or_else(|| busy(BusyLimit::Workers, self.workers.max()))?;
        let memory = self.memory.admit(caller)?;
        workers.insert(caller, count + 1);
        Ok(WorkerPermit { _permit: permit, workers_by_caller: self.workers_by_caller.clone(), caller, memory })
    }
}

/// Returns how many workers one caller may have.
fn max_per_caller(limits: &Limits) -> u64 {
    limits.sessions_per_caller.unwrap_or(limits.workers)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;
    use crate::quota::derived_limits::derive_shares;

    #[test]
    fn dropped_permit_is_released() {
        let admission = Admission::new(&Limits { workers: 1, ..Limits::default() }, false);
        let caller = Caller::anonymous(Ipv6Addr::LOCALHOST.into());
        let held = admission.admit_worker(caller).expect("free");
        assert_eq!(admission.admit_worker(caller).expect_err("taken").code(), -32006);
        drop(held);
        assert!(admission.admit_worker(caller).is_ok());
    }

    #[test]
    fn changed_limits_apply_to_next_admission() {
        let limits = |connections, workers| Limits { connections, workers, ..Limits::default() };
        let admission = Admission::new(&limits(1, 1), false);
        let address = Ipv6Addr::LOCALHOST.into();
        let caller = Caller::anonymous(address);
        let admit_connection = || {
            let slot = admission.connections.accept(Some(address)).expect("a socket more");
            slot.upgrade(address).ok().map(|()| slot)
        };
        let held = (admit_connection().expect("free"), admission.admit_worker(caller).expect("free"));
        admission.apply(&limits(2, 2));
        let more = (admit_connection().expect("free"), admission.admit_worker(caller).expect("free"));
        admission.apply(&limits(1, 1));
        drop(more);
        assert!(admit_connection().is_none() && admission.admit_worker(caller).is_err(), "the first are held");
        drop(held);
        assert!(admit_connection().is_some() && admission.admit_worker(caller).is_ok());
    }

    #[test]
    fn caller_cannot_exceed_its_share() {
        let mut limits = Limits { workers: 8, ..Limits::default() };
        derive_shares(&mut limits, true);
        assert_eq!(limits.sessions_per_caller, Some(2));
        let admission = Admission::new(&limits, false);
        let (one, other) = (Caller::anonymous([10, 0, 0, 1].into()), Caller::anonymous([10, 0, 0, 2].into()));
        let first = admission.admit_worker(one).expect("free");
        let _second = admission.admit_worker(one).expect("free");
        let error = admission.admit_worker(one).expect_err("a third");
        assert!(matches!(error, RpcError::Busy { limit: BusyLimit::Sessions, max: 2, .. }), "{error:?}");
        admission.admit_worker(other).expect("free for others");
        drop(first);
        let _third = admission.admit_worker(one).expect("free again");
        assert_eq!(admission.workers_by_caller.lock().expect("not poisoned").len(), 1);
    }
}
