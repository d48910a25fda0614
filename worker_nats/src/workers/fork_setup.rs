//! A fork server of a machine, with some workers that wait: a new session need not wait for a fork.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};
use worker::{ForkServer, RelayedWorker, SpareWorker};

/// Maximum number of spare workers of a setup.
const MAX_SPARES: usize = 4;

/// Delay of new spare workers after the start of a worker, whose first play goes first.
const REFILL_DELAY: Duration = Duration::from_millis(10);

/// Maximum time in which a spare worker starts. A fork server that takes longer is not ready, and may never be.
const SPARE_TIMEOUT: Duration = Duration::from_secs(30);

/// A fork server and its spare workers. Dropping it ends the spare workers, and the fork server after its last worker.
#[derive(Debug)]
pub struct ForkSetup {
    fork_server: ForkServer,
    spares: SpareWorkers<SpareWorker>,
}

/// The spare workers, and the task that starts them. Dropping it ends both.
#[derive(Debug)]
struct SpareWorkers<W> {
    state: Arc<Mutex<SpareState<W>>>,
    /// The task ends when this is dropped.
    owner: watch::Sender<()>,
}

/// The state, without I/O. `W` is a spare worker.
#[derive(Debug)]
struct SpareState<W> {
    waiting: VecDeque<W>,
    /// The group that took the last spare worker.
    last_group: Option<u64>,
    /// Whether a task starts spare workers.
    is_refilling: bool,
    /// Whether there may be spare workers.
    is_allowed: bool,
}

impl<W> Default for SpareState<W> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), last_group: None, is_refilling: false, is_allowed: true }
    }
}

impl<W> SpareState<W> {
    /// Removes the oldest spare worker, for a group. A group that took the previous one leaves the last one to others.
    fn take(&mut self, group: u64) -> Option<W> {
        let keeps_last = self.last_group == Some(group);
        if self.waiting.len() <= usize::from(keeps_last) {
            return None;
        }
        self.last_group = Some(group);
        self.waiting.pop_front()
    }

    /// Whether a task has to start spare workers now. There is one task at a time.
    fn begin_refill(&mut self) -> bool {
        let needs_task = self.is_allowed && self.waiting.len() < MAX_SPARES && !self.is_refilling;
        self.is_refilling |= needs_task;
        needs_task
    }

    /// Adds a spare worker, if one has started. Returns whether the task goes on.
    fn refill(&mut self, started: Option<W>) -> bool {
        let has_started = started.is_some();
        self.waiting.extend(started.filter(|_| self.is_allowed));
        // Without one, the next start of a worker tries again, and reports what is wrong.
        self.is_refilling = has_started && self.is_allowed && self.waiting.len() < MAX_SPARES;
        self.is_refilling
    }

    /// Allows spare workers, or returns those to end.
    fn allow(&mut self, is_allowed: bool) -> VecDeque<W> {
        self.is_allowed = is_allowed;
        if is_allowed { VecDeque::new() } else { std::mem::take(&mut self.waiting) }
    }
}

impl<W: Send + 'static> SpareWorkers<W> {
    fn new() -> Self {
        Self { state: Arc::default(), owner: watch::Sender::new(()) }
    }

    fn lock(&self) -> MutexGuard<'_, SpareState<W>> {
        lock(&self.state)
    }

    fn allow(&self, is_allowed: bool) -> VecDeque<W> {
        self.lock().allow(is_allowed)
    }

    /// Starts spare workers in a task of their own, if some are missing.
    fn refill<F: Future<Output = io::Result<W>> + Send>(&self, start: impl Fn() -> F + Send + 'static) {
        if !self.lock().begin_refill() {
            return;
        }
        let (state, mut owner) = (Arc::downgrade(&self.state), self.owner.subscribe());
        let refill = async move {
            tokio::time::sleep(REFILL_DELAY).await;
            loop {
                let started = match timeout(SPARE_TIMEOUT, start()).await {
                    Ok(started) => started,
                    Err(elapsed) => Err(elapsed.into()),
                };
                if let Err(error) = &started {
                    tracing::debug!(%error, "cannot start spare worker");
                }
                let Some(state) = state.upgrade() else { return };
                if !lock(&state).refill(started.ok()) {
                    return;
                }
            }
        };
        tokio::spawn(async move {
            tokio::select! {
                () = refill => {}
                // Only the drop of the owner is a change. The task holds the fork server, which would not end otherwise.
                _dropped = owner.changed() => {}
            }
        });
    }
}

fn lock<W>(state: &Mutex<SpareState<W>>) -> MutexGuard<'_, SpareState<W>> {
    // Every change leaves the state consistent, even if a thread panics.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ForkSetup {
    pub(super) fn new(fork_server: ForkServer) -> Self {
        Self { fork_server, spares: SpareWorkers::new() }
    }

    /// Starts a worker: a spare one, or a fork. Groups take turns if many wait for forks.
    pub(super) async fn start(&self, group: u64) -> io::Result<RelayedWorker> {
        let spare = self.take(group);
        let fork_server = self.fork_server.clone();
        self.spares.refill(move || {
            let fork_server = fork_server.clone();
            async move { fork_server.start_spare_worker().await }
        });
        match spare {
            Some(spare) => spare.into_relayed(),
            None => self.fork_server.start_relayed(group).await,
        }
    }

    /// Allows spare workers, which the next start of a worker makes, or ends them.
    pub(super) fn allow_spares(&self, is_allowed: bool) {
        // They end without the lock.
        drop(self.spares.allow(is_allowed));
    }

    /// The memory of the fork server and the spare workers, in bytes.
    pub(super) fn memory(&self) -> u64 {
        let fork_server = self.fork_server.pid().and_then(worker::process_memory).unwrap_or(0);
        let spares = self.spares.lock();
        let spares = spares.waiting.iter().filter_map(|spare| spare.memory_usage().known());
        spares.fold(fork_server, u64::saturating_add)
    }

    /// Returns a spare worker that still lives.
    fn take(&self, group: u64) -> Option<SpareWorker> {
        loop {
            let mut spare = self.spares.lock().take(group)?;
            if spare.is_alive() {
                return Some(spare);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn spare_workers_are_refilled_by_one_task() {
        let mut state = SpareState::default();
        assert!(state.begin_refill() && !state.begin_refill());
        for number in 1..MAX_SPARES {
            assert!(state.refill(Some(number)));
        }
        assert!(!state.refill(Some(MAX_SPARES)) && !state.begin_refill());
        assert_eq!(state.take(1), Some(1));
        assert!(state.begin_refill());
        // The next start of a worker tries again.
        assert!(!state.refill(None) && state.begin_refill());
    }

    #[test]
    fn spare_workers_end_and_start_no_more_until_they_are_allowed() {
        let mut state = SpareState::default();
        assert!(state.begin_refill() && state.refill(Some(1)));
        assert_eq!(state.allow(false), [1]);
        // The one that was about to start ends, too.
        assert!(!state.refill(Some(2)) && !state.begin_refill());
        assert_eq!(state.take(1), None);
        assert!(state.allow(true).is_empty() && state.begin_refill() && state.refill(Some(3)));
        assert_eq!(state.take(1), Some(3));
    }

    #[tokio::test]
    async fn drop_of_the_setup_ends_a_start_that_does_not_end() {
        let (begun, mut starts) = mpsc::unbounded_channel();
        let (fork_server, mut fork_servers) = mpsc::channel::<()>(1);
        let spares = SpareWorkers::<()>::new();
        spares.refill(move || {
            let (begun, fork_server) = (begun.clone(), fork_server.clone());
            async move {
                let _receiver_lives = begun.send(());
                let _fork_server = fork_server;
                std::future::pending().await
            }
        });
        assert_eq!(starts.recv().await, Some(()));
        drop(spares);
        // Nobody holds the fork server.
        assert_eq!(timeout(SPARE_TIMEOUT / 2, fork_servers.recv()).await, Ok(None));
    }

    #[test]
    fn group_leaves_the_last_spare_worker_to_others() {
        let mut state = SpareState::default();
        for number in 1..=2 {
            state.refill(Some(number));
        }
        assert_eq!((state.take(1), state.take(1), state.take(2), state.take(3)), (Some(1), None, Some(2), None));
    }
}
