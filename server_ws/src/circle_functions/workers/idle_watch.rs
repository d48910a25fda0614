//! The watch of an idle worker on another machine. Such a worker sends nothing, so whatever arrives is its end, or says that
//! its machine drains: without the watch, the machine would wait for the worker until the end of its grace period.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use tokio::task::AbortHandle;

use super::Group;

/// The task that watches one idle worker. Dropping the watch ends the task.
#[derive(Debug)]
pub(super) struct IdleWatch {
    number: u64,
    task: AbortHandle,
}

impl IdleWatch {
    /// Starts to watch the worker that gets this watch in a group.
    pub(super) fn start(group: &Arc<Group>) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let group = Arc::downgrade(group);
        let task = tokio::spawn(poll_fn(move |context| poll_worker(&group, number, context)));
        Self { number, task: task.abort_handle() }
    }
}

impl Drop for IdleWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns `Ready` once the worker is not idle any more, and discards it if something has arrived.
fn poll_worker(group: &Weak<Group>, number: u64, context: &mut Context<'_>) -> Poll<()> {
    let Some(group) = group.upgrade() else { return Poll::Ready(()) };
    let mut idle = group.idle();
    let is_watched = |watch: &Option<IdleWatch>| watch.as_ref().is_some_and(|watch| watch.number == number);
    let Some(at) = idle.iter().position(|idle| is_watched(&idle.watch)) else { return Poll::Ready(()) };
    let event = pin!(idle[at].worker.event()).poll(context);
    event.map(|_| {
        idle.remove(at);
    })
}
