//! The spare workers of a circle: started, sealed and waiting, so that a new session need not wait for a fork. A spare
//! worker has run nothing of any session, and serves one session.
//!
//! Spare workers count for no caller. A session that uses one has passed the same admission as for a fork, and a
//! session that finds none gets a fork.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};
use worker::SpareWorker;

use super::{Circle, CirclePhase, worker_pool::WorkerPool};

/// Maximum number of spare workers of a circle. `tests/support/process.rs` has the same number.
const MAX_SPARES: usize = 4;

/// Maximum delay of the next spare worker by sessions that start their workers.
const START_PRIORITY_TIMEOUT: Duration = Duration::from_millis(10);

/// A spare worker that waits for a session.
#[derive(Debug)]
pub(super) struct WaitingWorker {
    pub(super) worker: SpareWorker,
    /// The memory of the fresh worker in bytes, if known.
    pub(super) memory_base: Option<u64>,
}

/// The spare workers of one pool.
#[derive(Debug, Default)]
pub(super) struct SpareWorkers {
    state: Mutex<SpareState<WaitingWorker>>,
    /// Signals a change of the state to the task that starts spare workers.
    changed: Notify,
}

/// The state, without I/O. `W` is a spare worker.
#[derive(Debug)]
struct SpareState<W> {
    waiting: VecDeque<W>,
    /// The number of spare workers that the circle keeps; 0 until the first session starts a worker.
    target: usize,
    /// The group of sessions that took the last spare worker.
    last_group: Option<u64>,
    starts: Starts,
}

/// The sessions that start their workers, up to their first outcomes. They go before the next spare worker.
#[derive(Debug, Default)]
struct Starts {
    active: usize,
    /// The number of times that the active starts were forgotten, because they took too long.
    epoch: u64,
    /// Whether there was a start since the last spare worker could not be started.
    has_new: bool,
}

impl<W> Default for SpareState<W> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), target: 0, last_group: None, starts: Starts::default() }
    }
}

impl<W> SpareState<W> {
    /// Removes the oldest spare worker that is alive, for a group of sessions, and all that are not alive. A group that
    /// took the previous one leaves the last one to others, so that a caller who opens many sessions does not take all.
    fn take(&mut self, group: u64, mut is_alive: impl FnMut(&mut W) -> bool) -> Option<W> {
        self.waiting.retain_mut(|spare| is_alive(spare));
        let keeps_last = self.target > 1 && self.last_group == Some(group);
        if self.waiting.len() <= usize::from(keeps_last) {
            return None;
        }
        self.last_group = Some(group);
        self.waiting.pop_front()
    }

    /// Sets the target, and removes the spare workers that are too many.
    fn set_target(&mut self, target: usize) -> Vec<W> {
        self.target = target;
        self.waiting.drain(target.min(self.waiting.len())..).collect()
    }
}

impl SpareWorkers {
    fn lock(&self) -> MutexGuard<'_, SpareState<WaitingWorker>> {
        // Every change leaves the state consistent, even if a thread panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a session starts its worker.
    pub(super) fn begin_start(self: &Arc<Self>) -> WorkerStartGuard {
        let mut state = self.lock();
        let starts = &mut state.starts;
        starts.active += 1;
        starts.has_new = true;
        let epoch = starts.epoch;
        drop(state);
        self.changed.notify_one();
        WorkerStartGuard { spares: self.clone(), epoch }
    }

    /// Returns a spare worker for a group of sessions, if one waits.
    pub(super) fn take(&self, group: u64) -> Option<WaitingWorker> {
        self.lock().take(group, |spare| spare.worker.is_alive())
    }

    /// Ends the spare workers.
    pub(super) fn discard(&self) {
        // The lock is released before the workers are dropped.
        let _discarded = self.lock().set_target(0);
    }

    /// Waits until fewer spare workers wait than `target` says and no session is about to start a worker. The first wait
    /// lasts until a session starts a worker.
    pub(super) async fn wait_until_needed(&self, target: impl Fn() -> usize) {
        while !self.lock().starts.has_new || self.apply_target(target()) {
            self.changed.notified().await;
        }
        if timeout(START_PRIORITY_TIMEOUT, self.wait_for_active_starts()).await.is_err() {
            let starts = &mut self.lock().starts;
            (starts.active, starts.epoch) = (0, starts.epoch + 1);
        }
    }

    /// Adds a spare worker, or records that none could be started: the next one is needed after the next start of a
    /// session's worker.
    pub(super) fn add(&self, started: io::Result<WaitingWorker>) {
        match started {
            Ok(spare) => self.lock().waiting.push_back(spare),
            Err(error) => {
                // A session that needs a worker reports what is wrong.
                tracing::debug!(%error, "cannot start spare worker");
                self.lock().starts.has_new = false;
            }
        }
    }

    /// Sets the target. Returns whether enough spare workers wait.
    fn apply_target(&self, target: usize) -> bool {
        let mut state = self.lock();
        let surplus = state.set_target(target.min(MAX_SPARES));
        let is_met = state.waiting.len() >= state.target;
        drop(state);
        drop(surplus);
        is_met
    }

    async fn wait_for_active_starts(&self) {
        while self.lock().starts.active > 0 {
            self.changed.notified().await;
        }
    }
}

/// The start of a session's worker, until the first outcome. Dropping it ends the start.
#[derive(Debug)]
pub(crate) struct WorkerStartGuard {
    spares: Arc<SpareWorkers>,
    epoch: u64,
}

impl Drop for WorkerStartGuard {
    fn drop(&mut self) {
        let starts = &mut self.spares.lock().starts;
        if self.epoch == starts.epoch {
            starts.active -= 1;
        }
        self.spares.changed.notify_one();
    }
}

/// Keeps the spare workers of a circle until the circle drains or the future is dropped, and then ends them. After a
/// reconfiguration that changes the setup of workers, the spare workers of the old setup end.
pub(crate) async fn keep(circle: Arc<Circle>) {
    let (mut settings, mut phase) = (circle.settings.subscribe(), circle.phase.subscribe());
    let mut pool = PoolWithSpares(settings.borrow_and_update().workers.clone());
    loop {
        tokio::select! {
            never = pool.0.keep_spares(|| circle.admission.free_workers()) => match never {},
            // The circle has the senders, so neither channel is closed.
            _changed = settings.changed() => {}
            _phase = phase.wait_for(|phase| *phase != CirclePhase::Open) => return,
        }
        let current = settings.borrow_and_update().workers.clone();
        if !Arc::ptr_eq(&pool.0, &current) {
            pool = PoolWithSpares(current);
        }
    }
}

/// A pool whose spare workers end when this is dropped.
struct PoolWithSpares(Arc<WorkerPool>);

impl Drop for PoolWithSpares {
    fn drop(&mut self) {
        self.0.discard_spares();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    fn state(target: usize, waiting: impl IntoIterator<Item = u32>) -> SpareState<u32> {
        SpareState { waiting: waiting.into_iter().collect(), target, ..SpareState::default() }
    }

    #[test]
    fn oldest_living_spare_worker_is_taken() {
        let mut state = state(4, 1..=4);
        assert_eq!(state.take(1, |spare| *spare != 1), Some(2));
        assert_eq!(state.take(2, |spare| *spare != 4), Some(3));
        assert_eq!(state.take(3, |_| true), None);
        assert!(state.waiting.is_empty());
    }

    #[test]
    fn group_leaves_last_spare_worker_to_others() {
        let mut state = state(4, 1..=4);
        assert_eq!([(); 5].map(|()| state.take(1, |_| true)), [Some(1), Some(2), Some(3), None, None]);
        assert_eq!(state.take(2, |_| true), Some(4));
    }

    #[test]
    fn only_spare_worker_is_for_everyone() {
        let mut state = state(1, [1]);
        state.last_group = Some(1);
        assert_eq!(state.take(1, |_| true), Some(1));
    }

    #[test]
    fn surplus_spare_workers_are_removed() {
        let mut state = state(4, 1..=4);
        assert_eq!(state.set_target(1), [2, 3, 4]);
        assert!(state.set_target(4).is_empty());
        assert_eq!(state.waiting, [1]);
    }

    /// Whether a future is ready at once.
    async fn is_ready(future: impl Future<Output = ()>) -> bool {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await
    }

    #[tokio::test]
    async fn spare_worker_is_needed_after_first_outcome_of_session() {
        let spares = Arc::new(SpareWorkers::default());
        assert!(!is_ready(spares.wait_until_needed(|| 1)).await, "no session has started a worker");
        let start = spares.begin_start();
        assert!(!is_ready(spares.wait_until_needed(|| 1)).await, "the session goes first");
        drop(start);
        assert!(is_ready(spares.wait_until_needed(|| 1)).await);
        assert!(!is_ready(spares.wait_until_needed(|| 0)).await, "no place is free");
    }

    #[tokio::test]
    async fn slow_start_delays_spare_workers_once() {
        let spares = Arc::new(SpareWorkers::default());
        let slow = spares.begin_start();
        spares.wait_until_needed(|| 1).await;
        assert!(is_ready(spares.wait_until_needed(|| 1)).await);
        let next = spares.begin_start();
        drop(slow);
        assert!(!is_ready(spares.wait_until_needed(|| 1)).await, "the end of the slow start is not that of the next");
        drop(next);
        assert!(is_ready(spares.wait_until_needed(|| 1)).await);
    }

    #[tokio::test]
    async fn failed_start_of_spare_worker_is_not_retried_before_next_session() {
        let spares = Arc::new(SpareWorkers::default());
        drop(spares.begin_start());
        assert!(is_ready(spares.wait_until_needed(|| 1)).await);
        spares.add(Err(io::ErrorKind::WouldBlock.into()));
        assert!(!is_ready(spares.wait_until_needed(|| 1)).await);
        drop(spares.begin_start());
        assert!(is_ready(spares.wait_until_needed(|| 1)).await);
    }
}
