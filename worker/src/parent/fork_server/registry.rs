//! Who has asked the template for what. The one place that sessions and the task of the template share.

use std::{
    collections::{HashMap, VecDeque},
    io,
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, oneshot};

use super::{
    driver::Core,
    message::{FromTemplate, ToTemplate},
};
use crate::handle::{Loss, Order, Sockets, loss};

/// Workers that the template is asked for at a time: the kernel bounds how many descriptors may be on their way.
const MAX_UNANSWERED: usize = 16;

/// A worker that was asked for and has not ended.
#[derive(Debug)]
struct Entry {
    /// Waits for its process.
    asks: Option<oneshot::Sender<io::Result<u32>>>,
    /// Waits for its end.
    told: Option<oneshot::Sender<Loss>>,
    is_dying: bool,
}

#[derive(Debug, Default)]
struct Books {
    is_ready: bool,
    /// How the template ended.
    end: Option<Loss>,
    last: u64,
    workers: HashMap<u64, Entry>,
    /// What was not sent yet.
    forks: VecDeque<(u64, Sockets)>,
    orders: VecDeque<(u64, Order)>,
    /// What was sent, or will be, and not answered.
    unanswered_forks: usize,
    unanswered_ends: usize,
}

/// Bounded by the workers that there are: each is asked for once, and takes each order once.
#[derive(Debug, Default)]
pub(super) struct SharedBooks {
    books: Mutex<Books>,
    /// There is something to be sent.
    changed: Notify,
}

/// What a worker that was asked for brings.
pub(super) struct Asked {
    pub(super) forked: oneshot::Receiver<io::Result<u32>>,
    pub(super) ended: oneshot::Receiver<Loss>,
    pub(super) place: Place,
}

impl SharedBooks {
    fn lock(&self) -> MutexGuard<'_, Books> {
        // Every change of them leaves them usable.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a worker that has those sockets.
    pub(super) fn ask(self: &Arc<Self>, core: Arc<Core>, sockets: Sockets) -> Asked {
        let ((asks, forked), (told, ended)) = (oneshot::channel(), oneshot::channel());
        let mut books = self.lock();
        books.last += 1;
        let number = books.last;
        // Of a template that is over, both senders are dropped here, which is what it says.
        if books.end.is_none() {
            books.workers.insert(number, Entry { asks: Some(asks), told: Some(told), is_dying: false });
            books.forks.push_back((number, sockets));
        }
        drop(books);
        self.changed.notify_one();
        Asked { forked, ended, place: Place { core, number } }
    }

    fn order(&self, number: u64, order: Order) {
        let mut books = self.lock();
        let books = &mut *books;
        let Some(entry) = books.workers.get_mut(&number).filter(|entry| !entry.is_dying) else { return };
        if order == Order::Die {
            if let Some(at) = books.forks.iter().position(|(waiting, _)| *waiting == number) {
                books.forks.remove(at);
                books.workers.remove(&number);
                return;
            }
            entry.is_dying = true;
            books.unanswered_ends += 1;
        }
        books.orders.push_back((number, order));
        self.changed.notify_one();
    }

    /// What is to be sent next, with its descriptors.
    pub(super) fn next(&self) -> Option<(ToTemplate, Option<Sockets>)> {
        let mut books = self.lock();
        if !books.is_ready {
            return None;
        }
        if let Some((number, order)) = books.orders.pop_front() {
            return Some((ToTemplate::Order { number, order }, None));
        }
        if books.unanswered_forks >= MAX_UNANSWERED {
            return None;
        }
        let (number, sockets) = books.forks.pop_front()?;
        books.unanswered_forks += 1;
        Some((ToTemplate::Fork { number }, Some(sockets)))
    }

    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether the template has something to answer.
    pub(super) fn is_answer_due(&self) -> bool {
        let books = self.lock();
        books.unanswered_forks + books.unanswered_ends > 0
    }

    /// Notes what the template said; the error is that it may not say that.
    pub(super) fn note(&self, said: FromTemplate) -> io::Result<()> {
        let mut books = self.lock();
        let books = &mut *books;
        let unasked = || io::Error::new(io::ErrorKind::InvalidData, "a template said what nobody asked for");
        match said {
            FromTemplate::Ready if !books.is_ready => books.is_ready = true,
            FromTemplate::Ready => return Err(unasked()),
            FromTemplate::Forked { number, pid } => {
                let entry = books.workers.get_mut(&number).ok_or_else(unasked)?;
                books.unanswered_forks = books.unanswered_forks.checked_sub(1).ok_or_else(unasked)?;
                // Nobody waits for it any more if it is to die.
                let _unwanted = entry.asks.take().ok_or_else(unasked)?.send(Ok(pid));
            }
            FromTemplate::NotForked { number, error } => {
                let mut entry = books.workers.remove(&number).ok_or_else(unasked)?;
                books.unanswered_forks = books.unanswered_forks.checked_sub(1).ok_or_else(unasked)?;
                books.unanswered_ends -= usize::from(entry.is_dying);
                let asks = entry.asks.take().ok_or_else(unasked)?;
                let _unwanted = asks.send(Err(io::Error::from_raw_os_error(error)));
            }
            FromTemplate::Ended { number, status } => {
                let mut entry = books.workers.remove(&number).filter(|entry| entry.asks.is_none());
                let entry = entry.as_mut().ok_or_else(unasked)?;
                books.unanswered_ends -= usize::from(entry.is_dying);
                let told = entry.told.take();
                let _unasked = told.map(|told| told.send(loss(ExitStatus::from_raw(status))));
            }
        }
        Ok(())
    }

    /// The template has ended, and its workers with it: their kernel sees to that.
    pub(super) fn close(&self, end: Loss) {
        let mut books = self.lock();
        books.end.get_or_insert(end);
        books.forks.clear();
        books.orders.clear();
        for (_, mut entry) in books.workers.drain() {
            let told = entry.told.take();
            let _unasked = told.map(|told| told.send(Loss::Killed));
        }
    }

    /// How it ended.
    pub(super) fn end(&self) -> Option<Loss> {
        self.lock().end
    }
}

/// A worker's place with the template that forks it. Dropping it ends the worker.
#[derive(Debug)]
pub(crate) struct Place {
    core: Arc<Core>,
    number: u64,
}

impl Place {
    pub(crate) fn order(&self, order: Order) {
        self.core.books.order(self.number, order);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.order(Order::Die);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_that_says_what_nobody_asked_for_is_found_out() {
        let books = SharedBooks::default();
        books.note(FromTemplate::Ready).expect("first of all");
        for said in [
            FromTemplate::Ready,
            FromTemplate::Forked { number: 1, pid: 1 },
            FromTemplate::NotForked { number: 1, error: 0 },
            FromTemplate::Ended { number: 1, status: 0 },
        ] {
            assert!(books.note(said).is_err(), "{said:?}");
        }
    }
}
