//! Who may hold how much of a circle: connections, workers, and through `memory` what the workers have.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use keys::PublicKey;
use protocol::{Limits, RpcError, error::BusyLimit};

use super::{
    kernel,
    memory::{Account, Ledger, Verdict},
};
use crate::circle::worker_pool::Home;

/// Descriptors that a circle needs besides those of its connections and workers, and one in so many more for clients that
/// have not said yet what they want.
const SPARE_DESCRIPTORS: u64 = 64;
const SPARE_SHARE: u64 = 8;

/// One caller may have one in so many of the circle's places.
const PER_CALLER: u64 = 4;

/// Descriptors that a worker takes: two sockets, and its own ends of them. A process has those for itself after a moment,
/// so that they are counted as one.
const WORKER_DESCRIPTORS: u64 = 3;
const THREADS_DESCRIPTORS: u64 = 4;

/// So many places, of which none is waited for.
#[derive(Debug, Default)]
struct Places {
    taken: AtomicU64,
    max: AtomicU64,
}

impl Places {
    fn new(max: u64) -> Arc<Self> {
        Arc::new(Self { taken: AtomicU64::new(0), max: AtomicU64::new(max) })
    }

    fn max(&self) -> u64 {
        self.max.load(Ordering::Relaxed)
    }

    /// Where more are taken by now, they stay so until they are free.
    fn set_max(&self, max: u64) {
        self.max.store(max, Ordering::Relaxed);
    }

    fn take(self: &Arc<Self>) -> Option<Place> {
        let one_more = |taken: u64| (taken < self.max()).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Place(self.clone()))
    }
}

/// A place that is held; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whom something is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// Who has proved it.
    Key(PublicKey),
    /// The anonymous who come from there.
    Address(IpAddr),
}

impl Caller {
    /// Who has an IPv6 address has a network of 64 bits, and counts once.
    pub(crate) fn anonymous(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// The workers that each caller holds.
type Held = Arc<Mutex<HashMap<Caller, u64>>>;

/// A worker's place, counted with its memory for its caller until it is dropped.
#[derive(Debug)]
pub(crate) struct WorkerPlace {
    _place: Place,
    held: Held,
    caller: Caller,
    memory: Account,
}

impl WorkerPlace {
    /// Looks at what the worker has; the first time, at what it begins with.
    pub(crate) fn weigh(&mut self, pid: Option<u32>) -> Verdict {
        match pid.and_then(kernel::memory_of) {
            Some(bytes) => self.memory.note(bytes),
            // It has ended, or there is nothing to see: then `total_mib` was said not to hold.
            None => Verdict::Keep,
        }
    }
}

impl Drop for WorkerPlace {
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
    connections: Arc<Places>,
    workers: Arc<Places>,
    held: Held,
    max_per_caller: AtomicU64,
    memory: Ledger,
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            connections: Places::new(limits.connections),
            workers: Places::new(limits.workers),
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

    pub(crate) fn connection(&self) -> Option<Place> {
        self.connections.take()
    }

    /// A place for a worker of that caller, who may not take those of the others.
    pub(crate) fn worker(&self, caller: Caller) -> Result<WorkerPlace, RpcError> {
        let busy = |limit, max| RpcError::Busy { limit, max, retry_after_ms: None };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.get(&caller).copied().unwrap_or_default();
        let max_per_caller = self.max_per_caller.load(Ordering::Relaxed);
        if count >= max_per_caller {
            return Err(busy(BusyLimit::Sessions, max_per_caller));
        }
        let place = self.workers.take().ok_or_else(|| busy(BusyLimit::Workers, self.workers.max()))?;
        let memory = self.memory.open(caller)?;
        held.insert(caller, count + 1);
        Ok(WorkerPlace { _place: place, held: self.held.clone(), caller, memory })
    }
}

/// Sets what is a share of something else, where it was not set.
pub(crate) fn share_out(limits: &mut Limits) {
    limits.sessions_per_caller.get_or_insert((limits.workers / PER_CALLER).max(1));
    limits.running_per_caller.get_or_insert((limits.running_plays / PER_CALLER).max(1));
    limits.host_calls_per_caller.get_or_insert((limits.running_host_calls / PER_CALLER).max(1));
    limits.total_mib = limits.total_mib.or_else(|| Some(((kernel::machine_memory()? / 2) >> 20).max(1)));
    if let Some(total) = limits.total_mib {
        // One session may have what it may have.
        let share = (total / PER_CALLER).max(limits.memory_mib.saturating_mul(2)).min(total);
        limits.memory_per_caller_mib.get_or_insert(share);
    }
}

fn per_caller(limits: &Limits) -> u64 {
    limits.sessions_per_caller.unwrap_or(limits.workers)
}

/// Lowers the limits to what the process's descriptors allow: one a connection, three or four a worker, of which there
/// are to be half as many as connections at the most.
pub(crate) fn fit_to_descriptors(limits: &mut Limits, home: &Home) {
    let Some(descriptors) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current else { return };
    let per_worker = match home {
        Home::Processes(_) => WORKER_DESCRIPTORS,
        Home::Threads => THREADS_DESCRIPTORS,
    };
    fit(limits, descriptors, per_worker);
}

fn fit(limits: &mut Limits, descriptors: u64, per_worker: u64) {
    let usable = descriptors.saturating_sub(SPARE_DESCRIPTORS);
    let usable = (usable - usable / SPARE_SHARE).max(per_worker + 2);
    limits.workers = limits.workers.min((usable / (per_worker + 2)).max(1));
    limits.connections = limits.connections.min(usable - per_worker * limits.workers);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_fit_into_the_descriptors_that_there_are() {
        for descriptors in [0, 20, 64, 256, 1024, 1 << 20] {
            let mut limits = Limits::default();
            fit(&mut limits, descriptors, WORKER_DESCRIPTORS);
            assert!(limits.workers >= 1 && limits.connections >= 1, "{descriptors}: {limits:?}");
            let needed = limits.connections + WORKER_DESCRIPTORS * limits.workers;
            assert!(descriptors < 100 || needed + SPARE_DESCRIPTORS <= descriptors, "{descriptors}: {limits:?}");
        }
        let mut plenty = Limits::default();
        fit(&mut plenty, 1 << 20, WORKER_DESCRIPTORS);
        assert_eq!(plenty, Limits::default());
    }

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
        share_out(&mut limits);
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

    #[test]
    fn a_callers_share_of_the_memory_has_room_for_one_session() {
        let shares = |total_mib, memory_mib| {
            let mut limits = Limits { total_mib: Some(total_mib), memory_mib, ..Limits::default() };
            share_out(&mut limits);
            limits.memory_per_caller_mib
        };
        assert_eq!((shares(4000, 64), shares(400, 64), shares(100, 64)), (Some(1000), Some(128), Some(100)));
        let mut limits = Limits::default();
        share_out(&mut limits);
        assert_eq!(limits.total_mib.is_some(), cfg!(target_os = "linux"));
    }

    #[test]
    fn who_has_many_addresses_of_one_network_is_one_caller() {
        let address = |text: &str| Caller::anonymous(text.parse().expect("an address"));
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:2"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:10.0.0.1"), address("10.0.0.1"));
        assert_ne!(address("10.0.0.1"), address("10.0.0.2"));
    }
}
