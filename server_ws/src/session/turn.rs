//! The turn of a session: the messages and prints that it processes before other sessions of its thread run.

use std::{
    future::poll_fn,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::yield_now,
};

/// After this time, a session processes nothing more in its turn. A short message takes a few microseconds.
pub(super) const MAX_TURN_TIME: Duration = Duration::from_micros(50);

/// With this many bytes to send, a session processes nothing more in its turn.
pub(super) const MAX_TURN_BYTES: usize = 16 << 10;

/// The turn of a session. It begins when the session has to process something, and its permit counts the session to
/// its caller until other sessions have run.
#[derive(Debug, Default)]
pub(super) struct Turn(Option<(OwnedSemaphorePermit, Instant)>);

impl Turn {
    pub(super) fn has_begun(&self) -> bool {
        self.0.is_some()
    }

    /// Waits for a permit of the caller's semaphore.
    pub(super) async fn begin(&mut self, semaphore: &Arc<Semaphore>) {
        // The semaphore is never closed.
        let permit = semaphore.clone().acquire_owned().await;
        self.0 = permit.ok().map(|permit| (permit, Instant::now()));
    }

    /// Ends the turn, if it has begun, once other sessions of the thread have run. `has_more` states whether the session
    /// begins another one at once.
    pub(super) async fn end(&mut self, has_more: bool) {
        let Some((permit, began)) = self.0.take() else { return };
        let is_contended = permit.semaphore().available_permits() == 0;
        if has_more || is_contended || began.elapsed() >= MAX_TURN_TIME {
            // The thread also looks which other clients have sent something, and they come first.
            yield_now().await;
        } else {
            // That costs a system call. Without it, the sessions run whose messages the thread has already seen.
            requeue().await;
        }
        drop(permit);
    }
}

/// Runs the tasks of this thread that are ready, without looking for events.
async fn requeue() {
    let mut is_requeued = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_requeued, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
