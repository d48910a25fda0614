//! The host functions of a circle that run now, and those that no play waits for any more.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use protocol::Limits;
use tokio::{runtime::Handle, task::JoinHandle};
use tokio_util::task::TaskTracker;

use crate::quota::{Caller, FairSemaphore, Grant, Waiter};

/// Host functions of one caller, and modules that hear of the end of a play, that may run on without a play that waits for them,
/// before no more are begun for that caller. Those that ran at that moment may be left behind, too.
pub const MAX_LEFT_BEHIND: u64 = 4;

#[derive(Debug)]
pub(crate) struct Running {
    places: FairSemaphore,
    left_behind: LeftBehind,
    tasks: TaskTracker,
    /// Where they run: with the program's own, not with what serves connections.
    runtime: OnceLock<Handle>,
}

/// How many each caller has.
#[derive(Debug, Clone, Default)]
pub(crate) struct LeftBehind(Arc<Mutex<HashMap<Caller, u64>>>);

impl Running {
    pub(crate) fn new(limits: &Limits) -> Self {
        let (max, per_caller) = places(limits);
        Self {
            places: FairSemaphore::new(max, per_caller),
            left_behind: LeftBehind::default(),
            tasks: TaskTracker::new(),
            runtime: OnceLock::new(),
        }
    }

    /// What holds from now on.
    pub(crate) fn set(&self, limits: &Limits) {
        let (max, per_caller) = places(limits);
        self.places.set_max(max, per_caller);
    }

    /// Whatever is spawned from now on runs there.
    pub(crate) fn run_on(&self, runtime: Handle) {
        self.runtime.get_or_init(|| runtime);
    }

    /// Runs to its end, whoever waits for it. It needs a tokio runtime around it where [`run_on`](Self::run_on) was not
    /// called.
    pub(crate) fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        match self.runtime.get() {
            Some(runtime) => self.tasks.spawn_on(task, runtime),
            None => self.tasks.spawn(task),
        }
    }

    /// A place for one more of that caller that runs, or the turn for one.
    pub(crate) fn place(&self, caller: Caller) -> Result<Grant, Waiter> {
        self.places.acquire(caller)
    }

    /// Whether that caller may leave no more behind.
    pub(crate) fn has_left_enough(&self, caller: Caller) -> bool {
        self.left_behind.count(caller) >= MAX_LEFT_BEHIND
    }

    /// Counts a task for its caller until it ends.
    pub(crate) fn leave_behind<T: Send + 'static>(&self, caller: Caller, task: JoinHandle<T>) {
        if task.is_finished() {
            return;
        }
        let left_behind = self.left_behind.clone();
        left_behind.add(caller);
        self.spawn(async move {
            // How it ends is nobody's business any more; a panic has been printed.
            let _ended = task.await;
            left_behind.remove(caller);
        });
    }

    /// Waits until none runs, but no longer than that; false if some still do.
    pub(crate) async fn all_ended(&self, patience: Duration) -> bool {
        self.tasks.close();
        tokio::time::timeout(patience, self.tasks.wait()).await.is_ok()
    }
}

/// How many there are, in sum and for one caller.
fn places(limits: &Limits) -> (u64, u64) {
    let max = limits.running_host_calls;
    (max, limits.host_calls_per_caller.unwrap_or(max))
}

impl LeftBehind {
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
            // A caller who left nothing costs nothing.
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
    async fn a_caller_leaves_so_many_behind_until_they_end() {
        let running = Running::new(&Limits::default());
        let (one, other) = (Caller::anonymous([10, 0, 0, 1].into()), Caller::anonymous([10, 0, 0, 2].into()));
        let mut ends = Vec::new();
        for left in 0..MAX_LEFT_BEHIND {
            assert!(!running.has_left_enough(one), "{left}");
            let (end, ended) = oneshot::channel::<()>();
            running.leave_behind(one, running.spawn(ended));
            ends.push(end);
        }
        assert!(running.has_left_enough(one) && !running.has_left_enough(other));
        assert!(!running.all_ended(Duration::ZERO).await);
        drop(ends);
        assert!(running.all_ended(Duration::from_secs(30)).await);
        assert!(!running.has_left_enough(one) && running.left_behind.0.lock().expect("not poisoned").is_empty());
    }
}
