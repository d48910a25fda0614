//! The memory quota of a circle's workers, for each caller and for all together. Pure: the caller of this module
//! samples the workers.
//!
//! The memory of a worker is unknown between two samples. So the quota evicts a worker at the sample that finds its
//! caller or the circle over the bound, and admits no new worker at the bound.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use protocol::{Limits, RpcError, error::BusyLimit};

use super::caller::Caller;

const MIB: u64 = 1 << 20;

/// Largest sample that counts, in bytes: more than a worker can have.
const MAX_SAMPLE: u64 = 1 << 40;

/// The minimum usage of a worker in bytes: that of a fresh worker, including the kernel's share.
const MIN_WORKER: u64 = MIB / 2;

/// The memory quota of a circle; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct MemoryQuota(Arc<Mutex<Totals>>);

#[derive(Debug)]
struct Totals {
    bytes: u64,
    max_mib: u64,
    max_mib_per_caller: u64,
    is_disabled: bool,
    callers: HashMap<Caller, CallerUsage>,
}

/// The usage of all workers of one caller.
#[derive(Debug, Default)]
struct CallerUsage {
    workers: u64,
    bytes: u64,
    /// The number of workers that are candidates for eviction.
    candidates: u64,
}

/// The number of a circle's workers, and their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkerTotals {
    pub(crate) workers: u64,
    pub(crate) bytes: u64,
}

/// The memory usage of one worker. Dropping it releases the worker's part of the quota.
#[derive(Debug)]
pub(crate) struct WorkerUsage {
    quota: MemoryQuota,
    caller: Caller,
    /// The bytes of the fresh worker, which it shares with others.
    base: Option<u64>,
    bytes: u64,
    /// Whether the worker is a candidate for eviction: it grew since the last sample, or it grew before and the circle
    /// has been over its bound since.
    is_candidate: bool,
}

/// What to do with a worker after sampling its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum MemoryAction {
    /// Keep the worker.
    Keep,
    /// Keep the worker, and sample it again soon, even if it is idle.
    Watch,
    /// Kill the worker: it grew, the quota is used up, and no other worker has to go first.
    Evict,
}

impl MemoryQuota {
    pub(crate) fn new(limits: &Limits) -> Self {
        let (max_mib, max_mib_per_caller) = bounds(limits);
        Self(Arc::new(Mutex::new(Totals {
            bytes: 0,
            max_mib,
            max_mib_per_caller,
            is_disabled: false,
            callers: HashMap::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Totals> {
        // No code panics while it holds the lock: samples are bounded, and the sums of all workers fit.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies new bounds.
    pub(crate) fn apply(&self, limits: &Limits) {
        let mut totals = self.lock();
        if !totals.is_disabled {
            (totals.max_mib, totals.max_mib_per_caller) = bounds(limits);
        }
    }

    /// Disables the quota, because workers cannot be sampled. No bound applies any more.
    pub(crate) fn disable(&self) {
        let mut totals = self.lock();
        (totals.max_mib, totals.max_mib_per_caller, totals.is_disabled) = (u64::MAX, u64::MAX, true);
    }

    pub(crate) fn is_disabled(&self) -> bool {
        self.lock().is_disabled
    }

    /// Returns the current totals. Bytes are 0 while the quota is disabled.
    pub(crate) fn totals(&self) -> WorkerTotals {
        let totals = self.lock();
        let workers = totals.callers.values().map(|usage| usage.workers).sum();
        WorkerTotals { workers, bytes: if totals.is_disabled { 0 } else { totals.bytes } }
    }

    /// Admits a worker of a caller, if there is room for one.
    pub(crate) fn admit(&self, caller: Caller) -> Result<WorkerUsage, RpcError> {
        let mut totals = self.lock();
        let held = totals.callers.get(&caller).map_or(0, |usage| usage.bytes);
        for (held, max) in [(held, totals.max_mib_per_caller), (totals.bytes, totals.max_mib)] {
            if held.saturating_add(MIN_WORKER) > bytes(max) {
                return Err(RpcError::Busy { limit: BusyLimit::Memory, max, retry_after_ms: None });
            }
        }
        let usage = totals.callers.entry(caller).or_default();
        usage.workers += 1;
        usage.bytes += MIN_WORKER;
        totals.bytes += MIN_WORKER;
        Ok(WorkerUsage { quota: self.clone(), caller, base: None, bytes: MIN_WORKER, is_candidate: false })
    }
}

impl WorkerUsage {
    /// Records a sample of the worker's memory. The first sample is the base with which later samples are compared.
    ///
    /// Over the bound of its caller, the quota evicts a worker that grew. Over the bound of the circle, it evicts a
    /// candidate of the caller that uses most. If that is another caller's worker, this one continues: a later sample
    /// evicts the other one, unless the circle is within its bound by then.
    pub(crate) fn sample(&mut self, sampled: u64) -> MemoryAction {
        // A worker machine can report anything, and the sums must not overflow.
        let sampled = sampled.min(MAX_SAMPLE);
        let base = *self.base.get_or_insert(sampled);
        let bytes_now = sampled.saturating_sub(base).max(MIN_WORKER);
        let grew = bytes_now > self.bytes;
        let mut totals = self.quota.lock();
        totals.bytes = totals.bytes - self.bytes + bytes_now;
        let is_over = totals.bytes > bytes(totals.max_mib);
        let is_candidate = grew || self.is_candidate && is_over;
        let usage = totals.callers.entry(self.caller).or_default();
        usage.bytes = usage.bytes - self.bytes + bytes_now;
        usage.candidates = usage.candidates - u64::from(self.is_candidate) + u64::from(is_candidate);
        (self.bytes, self.is_candidate) = (bytes_now, is_candidate);
        let held = usage.bytes;
        let mut candidates = totals.callers.values().filter(|other| other.candidates > 0);
        let must_make_room = is_over && is_candidate && candidates.all(|other| other.bytes <= held);
        if must_make_room || grew && held > bytes(totals.max_mib_per_caller) {
            MemoryAction::Evict
        } else if is_candidate {
            MemoryAction::Watch
        } else {
            MemoryAction::Keep
        }
    }
}

impl Drop for WorkerUsage {
    fn drop(&mut self) {
        let mut totals = self.quota.lock();
        totals.bytes -= self.bytes;
        if let Some(usage) = totals.callers.get_mut(&self.caller) {
            usage.workers -= 1;
            usage.bytes -= self.bytes;
            usage.candidates -= u64::from(self.is_candidate);
            // The map keeps no entry for a caller without workers.
            if usage.workers == 0 {
                totals.callers.remove(&self.caller);
            }
        }
    }
}

/// Returns the MiB that all callers together may use, and those that one caller may use.
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

    fn quota(total_mib: u64, memory_per_caller_mib: u64) -> MemoryQuota {
        let (total_mib, memory_per_caller_mib) = (Some(total_mib), Some(memory_per_caller_mib));
        MemoryQuota::new(&Limits { total_mib, memory_per_caller_mib, ..Limits::default() })
    }

    fn caller(number: u8) -> Caller {
        Caller::anonymous([10, 0, 0, number].into())
    }

    /// Admits a worker whose first sample is 3 MiB.
    fn admit(quota: &MemoryQuota, number: u8) -> WorkerUsage {
        let mut worker = quota.admit(caller(number)).expect("room");
        assert_eq!(worker.sample(3 * MIB), MemoryAction::Keep);
        worker
    }

    /// Samples a worker that has grown by `mib` MiB since its first sample.
    fn sample(worker: &mut WorkerUsage, mib: u64) -> MemoryAction {
        worker.sample((3 + mib) * MIB)
    }

    #[test]
    fn caller_over_share_loses_grown_worker() {
        let quota = quota(100, 20);
        let (mut one, mut two) = (admit(&quota, 1), admit(&quota, 1));
        assert_eq!(sample(&mut one, 12), MemoryAction::Watch);
        assert_eq!(sample(&mut two, 9), MemoryAction::Evict);
        // A worker that does not grow is no candidate.
        assert_eq!(sample(&mut one, 12), MemoryAction::Keep);
        let error = quota.admit(caller(1)).expect_err("over");
        assert!(matches!(error, RpcError::Busy { limit: BusyLimit::Memory, max: 20, .. }), "{error:?}");
        let mut other = admit(&quota, 2);
        assert_eq!(sample(&mut other, 20), MemoryAction::Watch);
        drop(two);
        assert!(quota.admit(caller(1)).is_ok());
    }

    #[test]
    fn false_samples_overflow_nothing() {
        let quota = MemoryQuota::new(&Limits::default());
        let mut workers: Vec<WorkerUsage> = (0..100).map(|_| quota.admit(caller(1)).expect("room")).collect();
        for worker in &mut workers {
            let _base = worker.sample(0);
            let _unbounded = worker.sample(u64::MAX);
        }
        assert_eq!(quota.totals().bytes, 100 * MAX_SAMPLE);
        assert!(quota.admit(caller(2)).is_ok(), "no bound applies");
        drop(workers);
        assert_eq!((quota.totals().workers, quota.totals().bytes), (0, 0));
    }

    #[test]
    fn quota_evicts_candidate_of_largest_caller() {
        let quota = quota(30, 40);
        let (mut greedy, mut modest) = (admit(&quota, 1), admit(&quota, 2));
        assert_eq!(sample(&mut greedy, 20), MemoryAction::Watch);
        assert_eq!(sample(&mut modest, 11), MemoryAction::Watch);
        // This also applies to a worker that grew before and has been idle since.
        assert_eq!(sample(&mut greedy, 20), MemoryAction::Evict);
        drop(greedy);
        assert_eq!(sample(&mut modest, 12), MemoryAction::Watch);
        // No other worker grows, so no other worker is a candidate.
        assert_eq!(sample(&mut modest, 31), MemoryAction::Evict);
    }

    #[test]
    fn growing_workers_are_evicted_until_rest_fits() {
        let quota = quota(100, 40);
        let mut workers: Vec<WorkerUsage> = (0..6).map(|number| admit(&quota, number)).collect();
        // Each worker grows a little less than the one before, so that at first another worker has to make room.
        let sizes: Vec<u64> = (0..6).map(|number| 32 - number).collect();
        let actions: Vec<MemoryAction> =
            workers.iter_mut().zip(&sizes).map(|(worker, mib)| sample(worker, *mib)).collect();
        assert_eq!(actions, [MemoryAction::Watch; 6]);
        let mut left = 6;
        for (mut worker, mib) in workers.into_iter().zip(sizes) {
            left -= u64::from(sample(&mut worker, mib) == MemoryAction::Evict);
            if quota.lock().bytes <= 100 * MIB {
                break;
            }
        }
        assert_eq!(left, 3);
    }

    #[test]
    fn stable_worker_protects_no_other() {
        let quota = quota(30, 30);
        let (mut large, mut small) = (admit(&quota, 1), admit(&quota, 2));
        assert_eq!(sample(&mut large, 20), MemoryAction::Watch);
        assert_eq!(sample(&mut large, 20), MemoryAction::Keep);
        assert_eq!(sample(&mut small, 11), MemoryAction::Evict);
        let error = quota.admit(caller(3)).expect_err("over");
        assert!(matches!(error, RpcError::Busy { limit: BusyLimit::Memory, max: 30, .. }), "{error:?}");
    }

    #[test]
    fn fresh_workers_count_towards_quota() {
        let quota = quota(1, 1);
        let _two = (quota.admit(caller(1)).expect("room"), quota.admit(caller(2)).expect("room"));
        assert!(quota.admit(caller(3)).is_err());
    }

    proptest! {
        /// After any samples in any order, the totals equal the sums over the workers, and nothing remains at the end.
        #[test]
        fn memory_totals_equal_sums_over_workers(steps in prop::collection::vec((0_u8..4, 0_usize..8, 0_u64..40), 0..200)) {
            let quota = quota(60, 25);
            let mut workers: Vec<WorkerUsage> = Vec::new();
            for (number, which, mib) in steps {
                if which >= workers.len() {
                    workers.extend(quota.admit(caller(number)));
                } else if mib == 0 || workers[which].sample(mib * MIB) == MemoryAction::Evict {
                    workers.swap_remove(which);
                }
                let totals = quota.lock();
                prop_assert_eq!(totals.bytes, workers.iter().map(|worker| worker.bytes).sum::<u64>());
                prop_assert_eq!(totals.bytes, totals.callers.values().map(|usage| usage.bytes).sum::<u64>());
                let candidates = workers.iter().filter(|worker| worker.is_candidate).count() as u64;
                prop_assert_eq!(candidates, totals.callers.values().map(|usage| usage.candidates).sum::<u64>());
                // No caller is left over its share.
                prop_assert!(totals.callers.values().all(|usage| usage.bytes <= bytes(25)));
            }
            // After repeated samples, all workers fit into the total.
            let mut rounds = 0;
            while quota.lock().bytes > bytes(60) {
                let candidates = workers.iter().any(|worker| worker.is_candidate);
                prop_assert!(candidates && rounds < 10);
                workers.retain_mut(|worker| {
                    let sampled = worker.bytes + worker.base.unwrap_or_default();
                    worker.sample(sampled) != MemoryAction::Evict
                });
                rounds += 1;
            }
            workers.clear();
            let totals = quota.lock();
            prop_assert_eq!((totals.bytes, totals.callers.len()), (0, 0));
        }
    }
}
