//! Unsolicited news about the session, and their queue.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
};

use protocol::error::LossReason;

/// Maximum number of notices that wait for the program. The oldest give way to newer ones.
const MAX_NOTICES: usize = 16;

/// An unsolicited notification about the session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The environment and its variables were lost between plays, or by a play whose result nobody awaits.
    EnvironmentLost {
        /// Why the environment was lost.
        reason: LossReason,
    },
    /// The connection was lost with its environment, and the client [reconnects](crate::ReconnectPolicy). Every request
    /// without an answer has failed with the same reason; plays among them may still have run.
    ConnectionLost {
        /// The close code (RFC 6455 §7.4), if the circle sent one.
        code: Option<u16>,
        /// The reason, as far as the client knows it.
        reason: String,
        /// The number of requests without an answer.
        unanswered: usize,
    },
    /// The client has reconnected. The session is new: it has no variables. It is authenticated if the one before was.
    Reconnected {
        /// The number of attempts.
        attempts: u32,
    },
    /// The client has given up to reconnect. It is not connected.
    ReconnectFailed {
        /// The error of the last attempt.
        reason: String,
    },
}

/// The notices of the connections that follow each other by reconnection. Clones share the queue.
#[derive(Debug, Clone, Default)]
pub(crate) struct NoticeQueue(Arc<Mutex<Notices>>);

#[derive(Debug, Default)]
struct Notices {
    notices: VecDeque<Notice>,
    waker: Option<Waker>,
}

impl NoticeQueue {
    pub(crate) fn push(&self, notice: Notice) {
        {
            let mut queue = self.lock();
            if queue.notices.len() == MAX_NOTICES {
                queue.notices.pop_front();
            }
            queue.notices.push_back(notice);
        }
        self.wake();
    }

    pub(crate) fn pop(&self) -> Option<Notice> {
        self.lock().notices.pop_front()
    }

    /// Has the task woken at the next notice or [`wake`](Self::wake).
    pub(crate) fn register(&self, context: &Context<'_>) {
        self.lock().waker = Some(context.waker().clone());
    }

    /// Wakes the task that waits for a notice.
    pub(crate) fn wake(&self) {
        let waker = self.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Notices> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
