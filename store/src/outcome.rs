//! The way from the committer back to a caller, which waits in a thread, in a task or with a callback.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::{CommitEffect, CommitError, Revision, stats::Counters, turns::Turn};

/// The end of a commit: its revision, or the reason why nothing was committed.
///
/// A transaction that only read has the revision of its snapshot.
pub type CommitResult = Result<Revision, CommitError>;

type Callback = Box<dyn FnOnce(CommitResult) + Send>;

enum Stage {
    /// The committer has not taken the commit.
    Waiting,
    /// The commit is in a group: nothing stops it.
    Taken,
    Finished(CommitResult),
}

struct Cell {
    stage: Stage,
    waker: Option<Waker>,
    callback: Option<Callback>,
}

struct Outcome {
    cell: Mutex<Cell>,
    finished: Condvar,
}

impl Outcome {
    fn lock(&self) -> MutexGuard<'_, Cell> {
        self.cell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, mut cell: MutexGuard<'_, Cell>, result: CommitResult) {
        if matches!(cell.stage, Stage::Finished(_)) {
            return;
        }
        cell.stage = Stage::Finished(result.clone());
        let (waker, callback) = (cell.waker.take(), cell.callback.take());
        drop(cell);
        self.finished.notify_all();
        waker.into_iter().for_each(wake);
        if let Some(callback) = callback {
            call(|| callback(result));
        }
    }
}

/// Wakes a task of the program, whose waker may panic.
pub(crate) fn wake(waker: Waker) {
    call(|| waker.wake());
}

/// Calls a function of the program. A panic of one must not keep others from their outcomes; the panic hook reports it.
pub(crate) fn call(callback: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(callback)));
}

/// A commit that the committer has or will get. Wait with [`PendingCommit::wait`], `await`, or
/// [`PendingCommit::on_finish`].
///
/// Dropping it does not stop the commit: use [`PendingCommit::cancel`] first. As a future it is cancel safe, and needs
/// no runtime.
#[must_use = "the commit may fail"]
pub struct PendingCommit(Arc<Outcome>);

impl PendingCommit {
    fn new(stage: Stage) -> Self {
        let cell = Cell { stage, waker: None, callback: None };
        Self(Arc::new(Outcome { cell: Mutex::new(cell), finished: Condvar::new() }))
    }

    /// A commit that waits for the committer, and what answers it.
    pub(crate) fn pair(turn: Option<Arc<Turn>>, counters: Arc<Counters>) -> (Self, Responder) {
        let pending = Self::new(Stage::Waiting);
        let responder = Responder { outcome: Arc::clone(&pending.0), turn, counters };
        (pending, responder)
    }

    pub(crate) fn finished(result: CommitResult) -> Self {
        Self::new(Stage::Finished(result))
    }

    /// Blocks until the commit has ended.
    ///
    /// # Errors
    ///
    /// The reason why the transaction did not commit.
    pub fn wait(self) -> CommitResult {
        let mut cell = self.0.lock();
        loop {
            if let Stage::Finished(result) = &cell.stage {
                return result.clone();
            }
            cell = self.0.finished.wait(cell).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Calls a function once the commit has ended: at once on this thread, or later on the thread of the committer,
    /// where the function must not block.
    pub fn on_finish(self, callback: impl FnOnce(CommitResult) + Send + 'static) {
        let mut cell = self.0.lock();
        if let Stage::Finished(result) = &cell.stage {
            let result = result.clone();
            drop(cell);
            callback(result);
        } else {
            cell.callback = Some(Box::new(callback));
        }
    }

    /// Stops the commit with [`CommitError::Canceled`] unless the committer has it already. Returns whether it did; if
    /// not, the outcome says what happened.
    pub fn cancel(&self) -> bool {
        let cell = self.0.lock();
        let is_waiting = matches!(cell.stage, Stage::Waiting);
        if is_waiting {
            self.0.finish(cell, Err(CommitError::Canceled));
        }
        is_waiting
    }

    /// Whether the commit has ended.
    pub fn is_finished(&self) -> bool {
        matches!(self.0.lock().stage, Stage::Finished(_))
    }
}

impl Future for PendingCommit {
    type Output = CommitResult;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<CommitResult> {
        let waker = context.waker().clone();
        let mut cell = self.0.lock();
        if let Stage::Finished(result) = &cell.stage {
            return Poll::Ready(result.clone());
        }
        // Dropping a waker may run code of the program, which must not find the lock taken.
        let before = cell.waker.replace(waker);
        drop(cell);
        drop(before);
        Poll::Pending
    }
}

impl fmt::Debug for PendingCommit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PendingCommit").field("is_finished", &self.is_finished()).finish()
    }
}

/// The committer's end, and the turn of the run, which lasts as long.
pub(crate) struct Responder {
    outcome: Arc<Outcome>,
    turn: Option<Arc<Turn>>,
    counters: Arc<Counters>,
}

impl Responder {
    /// Takes the commit into a group. False if it was canceled.
    pub(crate) fn take(&self) -> bool {
        let mut cell = self.outcome.lock();
        let is_waiting = matches!(cell.stage, Stage::Waiting);
        if is_waiting {
            cell.stage = Stage::Taken;
        }
        is_waiting
    }

    pub(crate) fn answer(mut self, result: CommitResult) {
        // After a failure the run may start again in its turn, which Drop renews.
        if result.is_ok() {
            self.turn.take().iter().for_each(|turn| turn.end());
        }
        self.counters.count(&result);
        self.outcome.finish(self.outcome.lock(), result);
    }
}

impl Drop for Responder {
    /// No caller waits forever, whatever the committer does.
    fn drop(&mut self) {
        if let Some(turn) = &self.turn {
            turn.renew();
        }
        let cell = self.outcome.lock();
        let happened = match cell.stage {
            Stage::Waiting => CommitEffect::No,
            Stage::Taken => CommitEffect::Unknown,
            Stage::Finished(_) => return,
        };
        let result = Err(CommitError::Failed { happened, reason: "the committer has ended".into() });
        self.counters.count(&result);
        self.outcome.finish(cell, result);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn cancel_stops_only_what_no_group_has() {
        let (pending, responder) = PendingCommit::pair(None, Arc::default());
        assert!(pending.cancel());
        assert!(!responder.take());
        assert_eq!(pending.wait(), Err(CommitError::Canceled));

        let (pending, responder) = PendingCommit::pair(None, Arc::default());
        assert!(responder.take());
        assert!(!pending.cancel());
        responder.answer(Ok(Revision::new(7)));
        assert_eq!(pending.wait(), Ok(Revision::new(7)));
    }

    #[test]
    fn lost_commits_are_answered() {
        let (pending, responder) = PendingCommit::pair(None, Arc::default());
        drop(responder);
        assert_eq!(pending.wait().expect_err("an error").happened(), CommitEffect::No);

        let (pending, responder) = PendingCommit::pair(None, Arc::default());
        responder.take();
        drop(responder);
        assert_eq!(pending.wait().expect_err("an error").happened(), CommitEffect::Unknown);
    }

    #[test]
    fn callbacks_and_futures_get_the_outcome() {
        let (sender, results) = mpsc::channel();
        for is_early in [true, false] {
            let (pending, responder) = PendingCommit::pair(None, Arc::default());
            let sender = sender.clone();
            if is_early {
                pending.on_finish(move |result| sender.send(result).expect("a receiver"));
                responder.answer(Ok(Revision::new(1)));
            } else {
                responder.answer(Ok(Revision::new(1)));
                pending.on_finish(move |result| sender.send(result).expect("a receiver"));
            }
            assert_eq!(results.recv(), Ok(Ok(Revision::new(1))));
        }

        let (mut pending, responder) = PendingCommit::pair(None, Arc::default());
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut pending).poll(&mut context).is_pending());
        responder.answer(Ok(Revision::new(2)));
        assert_eq!(Pin::new(&mut pending).poll(&mut context), Poll::Ready(Ok(Revision::new(2))));
    }
}
