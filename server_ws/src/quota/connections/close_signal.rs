//! The signal that ends a connection from outside of its actor, which does not run while its client does not read.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    task::Context,
};

use futures_util::task::AtomicWaker;

#[derive(Debug, Default)]
pub(super) struct CloseSignal {
    is_set: AtomicBool,
    socket: AtomicWaker,
    session: AtomicWaker,
}

impl CloseSignal {
    pub(super) fn set(&self) {
        self.is_set.store(true, Ordering::Release);
        self.socket.wake();
        self.session.wake();
    }

    pub(super) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    /// Whether the signal is set. If not, the socket's task is woken once it is.
    pub(super) fn poll(&self, cx: &Context<'_>) -> bool {
        self.socket.register(cx.waker());
        self.is_set()
    }

    /// Like [`poll`](Self::poll), for the session's task.
    pub(super) fn poll_session(&self, cx: &Context<'_>) -> bool {
        self.session.register(cx.waker());
        self.is_set()
    }

    /// Wakes the socket's task for another reason.
    pub(super) fn wake_socket(&self) {
        self.socket.wake();
    }

    /// Wakes the session's task for another reason.
    pub(super) fn wake_session(&self) {
        self.session.wake();
    }
}
