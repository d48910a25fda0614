//! The signal that ends a connection from outside of its actor, which does not run while its client does not read.

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
        // At most one session waits, and a session that checks later finds the permit.
        self.session.notify_one();
    }

    pub(super) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    /// Whether the signal is set. If not, the socket's task is woken once it is.
    pub(super) fn poll(&self, cx: &Context<'_>) -> bool {
        self.socket.register(cx.waker());
        self.is_set()
    }

    /// Wakes the socket's task for another reason.
    pub(super) fn wake_socket(&self) {
        self.socket.wake();
    }

    /// Wakes the session, if it waits for its client to read.
    pub(super) fn wake_session(&self) {
        self.drained.notify_one();
    }

    /// Waits for [`wake_session`](Self::wake_session). Only the session may call this.
    pub(super) async fn wait_for_client(&self) {
        self.drained.notified().await;
    }

    /// Waits until the signal is set. Only the session may call this.
    pub(super) async fn wait(&self) {
        self.session.notified().await;
    }
}
