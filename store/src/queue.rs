//! The commits that wait for the committer.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::{CommitError, StoreLimits, request::CommitRequest, timer::Timer, waiters::Waiters};

/// Bounds of one group. A group writes few enough pages that the free disk space which the store demands is enough.
const GROUP_COMMITS: usize = 256;
const GROUP_KEYS: usize = 4096;
const GROUP_BYTES: usize = 8 * 1024 * 1024;

#[derive(Default)]
struct Waiting {
    requests: VecDeque<CommitRequest>,
    /// Size of all that the requests read and write.
    bytes: usize,
    is_closed: bool,
    /// Tests hold commits back, so that they come in one group.
    is_paused: bool,
}

pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// Runs that wait for room.
    room: Waiters,
    max_commits: usize,
    max_bytes: usize,
    is_read_only: bool,
}

impl Queue {
    pub(crate) fn new(limits: &StoreLimits, is_read_only: bool) -> Self {
        Self {
            waiting: Mutex::default(),
            changed: Condvar::new(),
            room: Waiters::default(),
            max_commits: limits.queued_commits,
            max_bytes: limits.queued_bytes,
            is_read_only,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self, waiting: &Waiting, size: usize) -> bool {
        let is_within = waiting.bytes.saturating_add(size) <= self.max_bytes || waiting.requests.is_empty();
        is_within && waiting.requests.len() < self.max_commits
    }

    pub(crate) fn push(&self, request: CommitRequest) {
        let size = request.size();
        let mut waiting = self.lock();
        let refusal = if waiting.is_closed {
            CommitError::Closed
        } else if self.is_read_only {
            CommitError::ReadOnly
        } else if !self.has_room(&waiting, size) {
            CommitError::Busy
        } else {
            waiting.requests.push_back(request);
            waiting.bytes += size;
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
        waiting.bytes -= group.iter().map(CommitRequest::size).sum::<usize>();
        drop(waiting);
        self.room.wake_all();
        (!group.is_empty()).then_some(group)
    }

    /// Waits until the queue has room or is closed, or until a deadline.
    pub(crate) async fn wait_for_room(&self, timer: &Timer, deadline: Instant) {
        let has_room = || {
            let waiting = self.lock();
            waiting.is_closed || self.has_room(&waiting, 1)
        };
        self.room.wait(timer, deadline, has_room).await;
    }

    /// Number of commits that wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().requests.len()
    }

    /// Refuses new commits. Those that wait are still taken.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
        self.room.wake_all();
    }

    #[cfg(any(test, feature = "faults"))]
    pub(crate) fn set_paused(&self, is_paused: bool) {
        self.lock().is_paused = is_paused;
        self.changed.notify_all();
    }
}
