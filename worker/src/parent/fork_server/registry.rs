//! The registry of a fork server: the requested workers and the unanswered requests. Sessions and the task of the fork
//! server share only this state.

use std::{
    collections::{HashMap, VecDeque},
    io,
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, oneshot};

use super::fork_queue::ForkQueue;
use crate::{
    message::{FromForkServer, ProcessCommand, ToForkServer},
    parent::loss::Loss,
    system::channels::WorkerChannels,
};

/// Maximum number of unanswered fork requests: the fair order does not apply to requests that are already sent, and the
/// kernel bounds the number of descriptors in flight.
const MAX_UNANSWERED: usize = 4;

/// A requested worker that has not ended.
#[derive(Debug)]
struct RegisteredWorker {
    /// Receives the process id.
    on_forked: Option<oneshot::Sender<io::Result<u32>>>,
    /// Receives the reason why the process ended.
    on_ended: Option<oneshot::Sender<Loss>>,
    is_ending: bool,
    group: u64,
}

#[derive(Debug, Default)]
struct RegistryState {
    is_ready: bool,
    /// The reason why the fork server ended.
    end: Option<Loss>,
    last_number: u64,
    workers: HashMap<u64, RegisteredWorker>,
    /// Fork requests that are not sent yet.
    forks: ForkQueue<PendingFork>,
    commands: VecDeque<(u64, ProcessCommand)>,
    /// Number of sent fork requests without an answer.
    unanswered_forks: usize,
    unanswered_ends: usize,
}

/// The registry. Its size is bounded by the number of workers: each is requested once and receives each command once.
#[derive(Debug, Default)]
pub(super) struct Registry {
    state: Mutex<RegistryState>,
    /// Signals that there is a message to send.
    changed: Notify,
}

/// A fork request that is not sent yet.
#[derive(Debug)]
struct PendingFork {
    channels: WorkerChannels,
    is_spare: bool,
}

/// A requested worker.
#[derive(Debug)]
pub(super) struct ForkRequest {
    /// The number that identifies the worker in commands.
    pub(super) number: u64,
    /// The worker's process id, or the error of the fork.
    pub(super) forked: oneshot::Receiver<io::Result<u32>>,
    /// The reason why the worker's process ended.
    pub(super) ended: oneshot::Receiver<Loss>,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, RegistryState> {
        // Every change leaves the state consistent, even if a thread panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests a worker with these channels. The requests of different groups are sent in turn.
    pub(super) fn request(&self, group: u64, channels: WorkerChannels, is_spare: bool) -> ForkRequest {
        let ((on_forked, forked), (on_ended, ended)) = (oneshot::channel(), oneshot::channel());
        let mut state = self.lock();
        state.last_number += 1;
        let number = state.last_number;
        // If the fork server has ended, both senders are dropped here, and both receivers return an error.
        if state.end.is_none() {
            let (on_forked, on_ended) = (Some(on_forked), Some(on_ended));
            state.workers.insert(number, RegisteredWorker { on_forked, on_ended, is_ending: false, group });
            state.forks.push(group, number, PendingFork { channels, is_spare });
        }
        drop(state);
        self.changed.notify_one();
        ForkRequest { number, forked, ended }
    }

    /// Sends a command for a worker that has not ended. Killing a worker whose request is not sent yet removes the
    /// request.
    pub(super) fn send_command(&self, number: u64, command: ProcessCommand) {
        let mut state = self.lock();
        let state = &mut *state;
        let Some(worker) = state.workers.get_mut(&number).filter(|worker| !worker.is_ending) else { return };
        if command == ProcessCommand::Kill {
            if state.forks.remove(worker.group, number) {
                state.workers.remove(&number);
                return;
            }
            worker.is_ending = true;
            state.unanswered_ends += 1;
        }
        state.commands.push_back((number, command));
        self.changed.notify_one();
    }

    /// Removes the next message to send, with its descriptors.
    pub(super) fn next(&self) -> Option<(ToForkServer, Option<WorkerChannels>)> {
        let mut state = self.lock();
        if !state.is_ready {
            return None;
        }
        if let Some((number, command)) = state.commands.pop_front() {
            return Some((ToForkServer::Command { number, command }, None));
        }
        if state.unanswered_forks >= MAX_UNANSWERED {
            return None;
        }
        let (number, PendingFork { channels, is_spare }) = state.forks.pop()?;
        state.unanswered_forks += 1;
        Some((ToForkServer::Fork { number, is_spare }, Some(channels)))
    }

    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether the fork server has to answer a request.
    pub(super) fn is_answer_due(&self) -> bool {
        let state = self.lock();
        state.unanswered_forks + state.unanswered_ends > 0
    }

    /// Handles a message of the fork server. Returns an error if the message answers no request.
    pub(super) fn handle(&self, message: FromForkServer) -> io::Result<()> {
        let mut state = self.lock();
        let state = &mut *state;
        let unrequested = || io::Error::new(io::ErrorKind::InvalidData, "unrequested answer from the fork server");
        match message {
            FromForkServer::Ready if !state.is_ready => state.is_ready = true,
            FromForkServer::Ready => return Err(unrequested()),
            FromForkServer::Forked { number, pid } => {
                let worker = state.workers.get_mut(&number).ok_or_else(unrequested)?;
                state.unanswered_forks = state.unanswered_forks.checked_sub(1).ok_or_else(unrequested)?;
                // The requester may have dropped its future.
                let _receiver_dropped = worker.on_forked.take().ok_or_else(unrequested)?.send(Ok(pid));
            }
            FromForkServer::NotForked { number, error } => {
                let mut worker = state.workers.remove(&number).ok_or_else(unrequested)?;
                state.unanswered_forks = state.unanswered_forks.checked_sub(1).ok_or_else(unrequested)?;
                state.unanswered_ends -= usize::from(worker.is_ending);
                let on_forked = worker.on_forked.take().ok_or_else(unrequested)?;
                let _receiver_dropped = on_forked.send(Err(io::Error::from_raw_os_error(error)));
            }
            FromForkServer::Ended { number, status } => {
                let mut worker = state.workers.remove(&number).filter(|worker| worker.on_forked.is_none());
                let worker = worker.as_mut().ok_or_else(unrequested)?;
                state.unanswered_ends -= usize::from(worker.is_ending);
                let on_ended = worker.on_ended.take();
                let _receiver_dropped = on_ended.map(|on_ended| on_ended.send(Loss::of(ExitStatus::from_raw(status))));
            }
        }
        Ok(())
    }

    /// Records that the fork server has ended, and its workers with it: the kernel kills them.
    pub(super) fn close(&self, end: Loss) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        state.forks.clear();
        state.commands.clear();
        for (_, mut worker) in state.workers.drain() {
            let on_ended = worker.on_ended.take();
            let _receiver_dropped = on_ended.map(|on_ended| on_ended.send(Loss::Killed));
        }
    }

    /// The reason why the fork server ended; `None` while it runs.
    pub(super) fn end(&self) -> Option<Loss> {
        self.lock().end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_rejects_unrequested_answers() {
        let registry = Registry::default();
        registry.handle(FromForkServer::Ready).expect("the first message");
        for message in [
            FromForkServer::Ready,
            FromForkServer::Forked { number: 1, pid: 1 },
            FromForkServer::NotForked { number: 1, error: 0 },
            FromForkServer::Ended { number: 1, status: 0 },
        ] {
            assert!(registry.handle(message).is_err(), "{message:?}");
        }
    }
}
