//! The commits that wait for the committer.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::{CommitError, request::CommitRequest};

/// Bounds of one group. A group writes few enough pages that the free disk space which the store demands is enough.
const GROUP_COMMITS: usize = 256;
const GROUP_KEYS: usize = 4096;
const GROUP_BYTES: usize = 8 * 1024 * 1024;

#[derive(Default)]
struct Waiting {
    requests: VecDeque<CommitRequest>,
    is_closed: bool,
    /// Tests hold commits back, so that they come in one group.
    is_paused: bool,
}

pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    capacity: usize,
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { waiting: Mutex::default(), changed: Condvar::new(), capacity }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, request: CommitRequest) {
        let mut waiting = self.lock();
        let refusal = if waiting.is_closed {
            CommitError::Closed
        } else if waiting.requests.len() >= self.capacity {
            CommitError::Busy
        } else {
            waiting.requests.push_back(request);
            drop(waiting);
            self.changed.notify_all();
            return;
        };
        drop(waiting);
        request.responder.answer(Err(refusal));
    }

    /// Waits for commits, and takes as many as one group has. Nothing once the queue is closed and empty.
    pub(crate) fn take_group(&self) -> Option<Vec<CommitRequest>> {
        let mut waiting = self.lock();
        loop {
            let is_ready = !waiting.requests.is_empty() && !waiting.is_paused;
            if is_ready || waiting.is_closed {
                break;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let (mut group, mut keys, mut bytes) = (Vec::new(), 0, 0);
        while let Some(request) = waiting.requests.front() {
            keys += request.writes.len();
            bytes += request.bytes;
            let is_full = group.len() >= GROUP_COMMITS || keys > GROUP_KEYS || bytes > GROUP_BYTES;
            if is_full && !group.is_empty() {
                break;
            }
            group.extend(waiting.requests.pop_front());
        }
        (!group.is_empty()).then_some(group)
    }

    /// Refuses new commits. Those that wait are still taken.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    #[cfg(any(test, feature = "faults"))]
    pub(crate) fn set_paused(&self, is_paused: bool) {
        self.lock().is_paused = is_paused;
        self.changed.notify_all();
    }
}
