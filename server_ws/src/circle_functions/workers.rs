//! The workers of functions. Anonymous callers, authenticated ones and members have workers of their own, and one
//! caller gets at most half of a group.

mod idle_watch;

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
};

use protocol::Limits;
use worker::Worker;

use idle_watch::IdleWatch;

use crate::{
    circle::WorkerPool,
    quota::{Caller, FairSemaphore, Grant, Waiter},
    rights::{CALLER_GROUPS, CallerGroup},
};

/// Number of calls after which a worker is replaced.
const MAX_CALLS: u64 = 10_000;

/// Growth of a worker's live memory at which it is replaced, in bytes.
const MAX_GROWTH: u64 = 8 << 20;

/// Calls that compute at the same time, at least.
const MIN_COMPUTING: u64 = 2;

/// The workers of one generation of functions.
#[derive(Debug)]
pub(super) struct FunctionWorkers {
    pool: WorkerPool,
    groups: [Arc<Group>; CALLER_GROUPS],
}

/// The workers for one group of callers.
#[derive(Debug)]
struct Group {
    /// Grants for calls that have a worker.
    workers: FairSemaphore,
    /// Grants for calls that compute: as many as there are processors, or as many as there are workers if worker machines
    /// run them. A call that waits for a host function, or that has used up its budget, holds none.
    computing: FairSemaphore,
    idle: Mutex<VecDeque<IdleWorker>>,
    /// Number of idle workers that the group keeps: one for each call that may compute, and the reserved ones.
    max_idle: usize,
    /// Number of idle workers that only a caller without another call may take: half as many as there are processors. A
    /// caller who floods the group with long calls uses up a worker with each of them, and the calls of others must not
    /// wait for new workers.
    reserved: usize,
}

/// A worker between two calls.
#[derive(Debug)]
struct IdleWorker {
    worker: Box<Worker>,
    calls: u64,
    /// The thread that used the worker last. Its runtime receives the worker's messages, so the same thread is faster.
    thread: ThreadId,
    /// Discards a worker on another machine once something arrives from there.
    watch: Option<IdleWatch>,
}

/// A worker that a call has. Dropping it ends the process, unless the call gives it back.
#[derive(Debug)]
pub(crate) struct PooledWorker {
    worker: Box<Worker>,
    calls: u64,
    group: Arc<Group>,
    caller: Caller,
    /// Held while the call has the worker.
    _place: Grant,
    computing: Option<Grant>,
    has_low_priority: bool,
    /// Whether the worker is replaced after the call.
    is_worn: bool,
}

impl FunctionWorkers {
    pub(super) fn new(pool: WorkerPool, limits: &Limits) -> Self {
        let computing = max_computing(pool.is_remote(), limits);
        let group = || {
            let reserved = processors() - half(processors());
            Arc::new(Group {
                workers: FairSemaphore::new(limits.function_workers, half(limits.function_workers)),
                computing: FairSemaphore::new(computing, half(computing)),
                idle: Mutex::default(),
                max_idle: count((computing + reserved).min(limits.function_workers)),
                reserved: count(reserved),
            })
        };
        Self { pool, groups: std::array::from_fn(|_| group()) }
    }

    pub(super) fn apply(&self, limits: &Limits) {
        for group in &self.groups {
            group.workers.set_max(limits.function_workers, half(limits.function_workers));
            let computing = max_computing(self.pool.is_remote(), limits);
            group.computing.set_max(computing, half(computing));
        }
    }

    pub(super) fn have_same_setup(&self, other: &Self) -> bool {
        self.pool.is_same(&other.pool)
    }

    pub(super) fn pool(&self) -> &WorkerPool {
        &self.pool
    }

    pub(super) async fn checkout(&self, group: CallerGroup, caller: Caller) -> io::Result<PooledWorker> {
        let group = self.groups[group as usize].clone();
        // In this order: a caller at its own bound of places must not keep others from computing.
        let place = acquire(&group.workers, caller).await?;
        let computing = acquire(&group.computing, caller).await?;
        // The place of this call is one of them.
        let has_other_calls = group.workers.held_by(caller) > 1;
        let (worker, calls) = match group.take_idle(has_other_calls) {
            Some(IdleWorker { worker, calls, .. }) => (worker, calls),
            None => (self.pool.fork_worker(caller.group()).await?.into(), 0),
        };
        Ok(PooledWorker {
            worker,
            calls,
            group,
            caller,
            _place: place,
            computing: Some(computing),
            has_low_priority: false,
            is_worn: false,
        })
    }
}

/// Returns the number of calls of a group that compute at the same time. The processors of this machine say nothing about
/// those of worker machines, whose number may change.
fn max_computing(is_remote: bool, limits: &Limits) -> u64 {
    if is_remote { limits.function_workers.max(MIN_COMPUTING) } else { processors() }
}

/// Returns the number of processors of this machine, at least [`MIN_COMPUTING`].
fn processors() -> u64 {
    thread::available_parallelism().map_or(MIN_COMPUTING, |cores| cores.get() as u64).max(MIN_COMPUTING)
}

/// Returns the number of grants that one caller may hold.
fn half(max: u64) -> u64 {
    (max / 2).max(1)
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Whether a call may take an idle worker. A call that may not gets a new worker, for which the places that are `free`
/// must leave room beside the idle ones.
fn may_take(idle: usize, reserved: usize, free: usize) -> bool {
    idle > reserved || idle > free
}

async fn acquire(semaphore: &FairSemaphore, caller: Caller) -> io::Result<Grant> {
    match semaphore.acquire(caller) {
        Ok(grant) => Ok(grant),
        // The group has the semaphore.
        Err(waiter) => waiter.await.map_err(|_| io::ErrorKind::NotConnected.into()),
    }
}

impl Group {
    fn idle(&self) -> MutexGuard<'_, VecDeque<IdleWorker>> {
        // Every change leaves the queue consistent, even if a thread panics.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an idle worker that lives, if there is one for a caller with or without other calls: preferably one that
    /// this thread has used.
    fn take_idle(&self, has_other_calls: bool) -> Option<IdleWorker> {
        let current = thread::current().id();
        let reserved = if has_other_calls { self.reserved } else { 0 };
        let free = count(self.workers.free());
        loop {
            let mut found = {
                let mut idle = self.idle();
                if !may_take(idle.len(), reserved, free) {
                    return None;
                }
                let at = idle.iter().rposition(|idle| idle.thread == current).or(idle.len().checked_sub(1))?;
                idle.remove(at)?
            };
            if found.worker.is_alive_and_silent() {
                return Some(found);
            }
        }
    }
}

impl PooledWorker {
    /// Returns the number of the next call.
    pub(crate) fn next_call(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }

    pub(crate) fn worker(&mut self) -> &mut Worker {
        &mut self.worker
    }

    /// Lets another call compute, because this one waits.
    pub(crate) fn stop_computing(&mut self) {
        self.computing = None;
    }

    /// Lets the call compute again after its wait, or returns a waiter for the grant. A worker with a lowered priority
    /// needs no grant.
    pub(crate) fn resume_computing(&mut self) -> Result<(), Waiter> {
        if !self.has_low_priority && self.computing.is_none() {
            self.computing = Some(self.group.computing.acquire(self.caller)?);
        }
        Ok(())
    }

    /// Takes the grant for which the call waited.
    pub(crate) fn take_computing(&mut self, grant: Grant) {
        self.computing = Some(grant);
    }

    /// Lowers the priority of the worker, which is then replaced after the call, and lets another call compute.
    pub(crate) fn demote(&mut self) {
        self.worker.lower_priority();
        self.has_low_priority = true;
        self.wear_out();
        self.computing = None;
    }

    /// Has the worker replaced after the call.
    pub(crate) fn wear_out(&mut self) {
        self.is_worn = true;
    }

    /// Gives the worker back after a call that ended without a limit.
    pub(crate) fn give_back(self) {
        let Self { worker, calls, group, is_worn, .. } = self;
        if is_worn || calls >= MAX_CALLS || worker.live_bytes() >= MAX_GROWTH {
            return;
        }
        let mut idle = group.idle();
        if idle.len() < group.max_idle {
            // The task waits for the lock, so it finds the worker.
            let watch = worker.machine().is_some().then(|| IdleWatch::start(&group));
            idle.push_back(IdleWorker { worker, calls, thread: thread::current().id(), watch });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_bound_local_calls_alone() {
        let limits = |function_workers| Limits { function_workers, ..Limits::default() };
        assert_eq!([1, 64, 1000].map(|workers| max_computing(true, &limits(workers))), [2, 64, 1000]);
        assert_eq!(max_computing(false, &limits(1)), max_computing(false, &limits(1000)));
    }

    #[test]
    fn last_idle_workers_are_reserved_unless_there_is_no_room_for_new_ones() {
        // A caller without another call takes what there is.
        assert!(may_take(1, 0, 60));
        assert!(!may_take(0, 0, 60));
        // A caller with other calls leaves the reserved workers.
        assert!(may_take(2, 1, 60));
        assert!(!may_take(1, 1, 60));
        // All places together have as many workers as the limit allows.
        assert!(may_take(1, 1, 0));
        assert!(!may_take(0, 1, 0));
    }
}
