//! The signal that ends a connection from outside of its actor, which stands still while its client does not read.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    task::Context,
};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(super) struct CloseSignal {
    is_set: AtomicBool,
    socket: AtomicWaker,
    session: Notify,
    drained: Notify,
}

impl CloseSignal {
    pub(super) fn set(&self) {
        self.is_set.store(true, Ordering::Release);
        self.socket.wake();
        // One session waits at most, and a session that looks later finds the permit.
        self.session.notify_one();
    }

    pub(super) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    /// Whether the signal is set. From now on the socket's task is woken once it is.
    pub(super) fn poll(&self, cx: &Context<'_>) -> bool {
        self.socket.register(cx.waker());
        self.is_set()
    }

    /// Wakes the socket's task for another reason.
    pub(super) fn wake_socket(&self) {
        self.socket.wake();
    }

    /// Wakes the session, if it waits until its client has taken what was sent.
    pub(super) fn wake_session(&self) {
        self.drained.notify_one();
    }

    /// Waits for [`wake_session`](Self::wake_session). For the session alone.
    pub(super) async fn wait_for_client(&self) {
        self.drained.notified().await;
    }

    /// Waits until the signal is set. For the session alone.
    pub(super) async fn wait(&self) {
        self.session.notified().await;
    }
}
