//! Who has asked the template for what. The one place that sessions and the task of the template share.

use std::{
    collections::{HashMap, VecDeque},
    io,
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, oneshot};

use crate::{
    message::{FromForkServer, Order, ToForkServer},
    parent::{loss::Loss, sockets::Sockets},
};

/// Workers that the template is asked for at a time: the kernel bounds how many descriptors may be on their way.
const MAX_UNANSWERED: usize = 16;

/// A worker that was asked for and has not ended.
#[derive(Debug)]
struct RegisteredWorker {
    /// Waits for its process.
    on_forked: Option<oneshot::Sender<io::Result<u32>>>,
    /// Waits for its end.
    on_ended: Option<oneshot::Sender<Loss>>,
    is_dying: bool,
}

#[derive(Debug, Default)]
struct RegistryState {
    is_ready: bool,
    /// How the template ended.
    end: Option<Loss>,
    last: u64,
    workers: HashMap<u64, RegisteredWorker>,
    /// What was not sent yet.
    forks: VecDeque<(u64, Sockets)>,
    orders: VecDeque<(u64, Order)>,
    /// What was sent, or will be, and not answered.
    unanswered_forks: usize,
    unanswered_ends: usize,
}

/// Bounded by the workers that there are: each is asked for once, and takes each order once.
#[derive(Debug, Default)]
pub(super) struct Registry {
    state: Mutex<RegistryState>,
    /// There is something to be sent.
    changed: Notify,
}

/// A worker that was asked for.
#[derive(Debug)]
pub(super) struct ForkRequest {
    /// By which it takes orders.
    pub(super) number: u64,
    /// Its process id, or why it has none.
    pub(super) forked: oneshot::Receiver<io::Result<u32>>,
    /// How its process ended.
    pub(super) ended: oneshot::Receiver<Loss>,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, RegistryState> {
        // Every change of them leaves them usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a worker that has those sockets.
    pub(super) fn request(&self, sockets: Sockets) -> ForkRequest {
        let ((on_forked, forked), (on_ended, ended)) = (oneshot::channel(), oneshot::channel());
        let mut state = self.lock();
        state.last += 1;
        let number = state.last;
        // Of a fork server that has ended, both senders are dropped here, by which the receivers see it.
        if state.end.is_none() {
            let worker = RegisteredWorker { on_forked: Some(on_forked), on_ended: Some(on_ended), is_dying: false };
            state.workers.insert(number, worker);
            state.forks.push_back((number, sockets));
        }
        drop(state);
        self.changed.notify_one();
        ForkRequest { number, forked, ended }
    }

    pub(super) fn order(&self, number: u64, order: Order) {
        let mut state = self.lock();
        let state = &mut *state;
        let Some(worker) = state.workers.get_mut(&number).filter(|worker| !worker.is_dying) else { return };
        if order == Order::Kill {
            if let Some(at) = state.forks.iter().position(|(waiting, _)| *waiting == number) {
                state.forks.remove(at);
                state.workers.remove(&number);
                return;
            }
            worker.is_dying = true;
            state.unanswered_ends += 1;
        }
        state.orders.push_back((number, order));
        self.changed.notify_one();
    }

    /// What is to be sent next, with its descriptors.
    pub(super) fn next(&self) -> Option<(ToForkServer, Option<Sockets>)> {
        let mut state = self.lock();
        if !state.is_ready {
            return None;
        }
        if let Some((number, order)) = state.orders.pop_front() {
            return Some((ToForkServer::Order { number, order }, None));
        }
        if state.unanswered_forks >= MAX_UNANSWERED {
            return None;
        }
        let (number, sockets) = state.forks.pop_front()?;
        state.unanswered_forks += 1;
        Some((ToForkServer::Fork { number }, Some(sockets)))
    }

    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether the template has something to answer.
    pub(super) fn is_answer_due(&self) -> bool {
        let state = self.lock();
        state.unanswered_forks + state.unanswered_ends > 0
    }

    /// Notes what the template said; the error is that it may not say that.
    pub(super) fn note(&self, said: FromForkServer) -> io::Result<()> {
        let mut state = self.lock();
        let state = &mut *state;
        let unasked = || io::Error::new(io::ErrorKind::InvalidData, "a template said what nobody asked for");
        match said {
            FromForkServer::Ready if !state.is_ready => state.is_ready = true,
            FromForkServer::Ready => return Err(unasked()),
            FromForkServer::Forked { number, pid } => {
                let worker = state.workers.get_mut(&number).ok_or_else(unasked)?;
                state.unanswered_forks = state.unanswered_forks.checked_sub(1).ok_or_else(unasked)?;
                // Nobody waits for it any more if it is to die.
                let _unwanted = worker.on_forked.take().ok_or_else(unasked)?.send(Ok(pid));
            }
            FromForkServer::NotForked { number, error } => {
                let mut worker = state.workers.remove(&number).ok_or_else(unasked)?;
                state.unanswered_forks = state.unanswered_forks.checked_sub(1).ok_or_else(unasked)?;
                state.unanswered_ends -= usize::from(worker.is_dying);
                let on_forked = worker.on_forked.take().ok_or_else(unasked)?;
                let _unwanted = on_forked.send(Err(io::Error::from_raw_os_error(error)));
            }
            FromForkServer::Ended { number, status } => {
                let mut worker = state.workers.remove(&number).filter(|worker| worker.on_forked.is_none());
                let worker = worker.as_mut().ok_or_else(unasked)?;
                state.unanswered_ends -= usize::from(worker.is_dying);
                let on_ended = worker.on_ended.take();
                let _unasked = on_ended.map(|on_ended| on_ended.send(Loss::of(ExitStatus::from_raw(status))));
            }
        }
        Ok(())
    }

    /// The template has ended, and its workers with it: their kernel sees to that.
    pub(super) fn close(&self, end: Loss) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        state.forks.clear();
        state.orders.clear();
        for (_, mut worker) in state.workers.drain() {
            let on_ended = worker.on_ended.take();
            let _unasked = on_ended.map(|on_ended| on_ended.send(Loss::Killed));
        }
    }

    /// How it ended.
    pub(super) fn end(&self) -> Option<Loss> {
        self.lock().end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_that_says_what_nobody_asked_for_is_found_out() {
        let registry = Registry::default();
        registry.note(FromForkServer::Ready).expect("first of all");
        for said in [
            FromForkServer::Ready,
            FromForkServer::Forked { number: 1, pid: 1 },
            FromForkServer::NotForked { number: 1, error: 0 },
            FromForkServer::Ended { number: 1, status: 0 },
        ] {
            assert!(registry.note(said).is_err(), "{said:?}");
        }
    }
}
