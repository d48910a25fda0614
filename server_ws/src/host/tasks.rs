//! The host calls of a circle: those that run, and those that are detached because no play waits for them any more.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use protocol::Limits;
use tokio::{runtime::Handle, task::JoinHandle};
use tokio_util::task::TaskTracker;

use crate::quota::{Caller, FairSemaphore, Grant, Waiter};

/// The number of detached calls of one caller at which the circle starts no more calls for that caller. Host calls and
/// ends of transactions are detached if no play waits for them. Calls that already run may still become detached.
pub const MAX_DETACHED_CALLS: u64 = 4;

#[derive(Debug)]
pub(crate) struct HostTasks {
    running: FairSemaphore,
    detached: DetachedCalls,
    tasks: TaskTracker,
    /// The program's runtime. Host calls do not run on the threads that serve connections.
    runtime: OnceLock<Handle>,
}

/// The number of detached calls of each caller.
#[derive(Debug, Clone, Default)]
pub(crate) struct DetachedCalls(Arc<Mutex<HashMap<Caller, u64>>>);

impl HostTasks {
    pub(crate) fn new(limits: &Limits) -> Self {
        let (max, max_per_caller) = bounds(limits);
        Self {
            running: FairSemaphore::new(max, max_per_caller),
            detached: DetachedCalls::default(),
            tasks: TaskTracker::new(),
            runtime: OnceLock::new(),
        }
    }

    /// Applies new limits to later calls.
    pub(crate) fn apply(&self, limits: &Limits) {
        let (max, max_per_caller) = bounds(limits);
        self.running.set_max(max, max_per_caller);
    }

    /// Sets the runtime for later host calls.
    pub(crate) fn run_on(&self, runtime: Handle) {
        self.runtime.get_or_init(|| runtime);
    }

    /// Spawns a task that runs to its end, whether anyone waits for it or not. Without a runtime from
    /// [`run_on`](Self::run_on), the task runs on the current tokio runtime.
    pub(crate) fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        match self.runtime.get() {
            Some(runtime) => self.tasks.spawn_on(task, runtime),
            None => self.tasks.spawn(task),
        }
    }

    /// Returns a grant for one more call of a caller, or a waiter for one.
    pub(crate) fn acquire(&self, caller: Caller) -> Result<Grant, Waiter> {
        self.running.acquire(caller)
    }

    /// Whether a caller has as many detached calls as it may have.
    pub(crate) fn has_too_many_detached(&self, caller: Caller) -> bool {
        self.detached.count(caller) >= MAX_DETACHED_CALLS
    }

    /// Counts a task as a detached call of its caller until the task ends.
    pub(crate) fn detach<T: Send + 'static>(&self, caller: Caller, task: JoinHandle<T>) {
        if task.is_finished() {
            return;
        }
        let detached = self.detached.clone();
        detached.add(caller);
        self.spawn(async move {
            // Nobody waits for the result, and the panic hook has reported a panic.
            let _ended = task.await;
            detached.remove(caller);
        });
    }

    /// Waits until all tasks have ended, and returns false if some still run at the timeout.
    pub(crate) async fn wait_for_all(&self, timeout: Duration) -> bool {
        self.tasks.close();
        tokio::time::timeout(timeout, self.tasks.wait()).await.is_ok()
    }
}

/// Returns the maximum number of running host calls, in total and for one caller.
fn bounds(limits: &Limits) -> (u64, u64) {
    let max = limits.running_host_calls;
    (max, limits.host_calls_per_caller.unwrap_or(max))
}

impl DetachedCalls {
    fn count(&self, caller: Caller) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&caller).copied().unwrap_or_default()
    }

    fn add(&self, caller: Caller) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(caller).or_default() += 1;
    }

    fn remove(&self, caller: Caller) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&caller) {
            *count -= 1;
            // The map keeps no entry for a caller without detached calls.
            if *count == 0 {
                counts.remove(&caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn detached_calls_are_limited_until_they_end() {
        let tasks = HostTasks::new(&Limits::default());
        let (one, other) = (Caller::anonymous([10, 0, 0, 1].into()), Caller::anonymous([10, 0, 0, 2].into()));
        let mut end_signals = Vec::new();
        for detached in 0..MAX_DETACHED_CALLS {
            assert!(!tasks.has_too_many_detached(one), "{detached}");
            let (end, ended) = oneshot::channel::<()>();
            tasks.detach(one, tasks.spawn(ended));
            end_signals.push(end);
        }
        assert!(tasks.has_too_many_detached(one) && !tasks.has_too_many_detached(other));
        assert!(!tasks.wait_for_all(Duration::ZERO).await);
        drop(end_signals);
        assert!(tasks.wait_for_all(Duration::from_secs(30)).await);
        assert!(!tasks.has_too_many_detached(one) && tasks.detached.0.lock().expect("not poisoned").is_empty());
    }
}
