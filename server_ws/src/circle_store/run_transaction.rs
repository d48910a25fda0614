//! The transaction of one run: of a play with the functions that it calls, or of one attempt of a call.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use store::{CommitError, Key, OnceClaim, PendingCommit, Savepoint, Transaction, TurnKey};
use tokio::{sync::Mutex, task::spawn_blocking};

use super::{
    CallAttempts,
    error::{ended, script_error},
};
use crate::host;

/// The transaction of a run. It ends with the run; what a detached host call does afterwards fails.
#[derive(Debug)]
pub(crate) struct RunTransaction {
    /// `None` once the run has ended.
    transaction: Arc<Mutex<Option<Transaction>>>,
    /// Whether a read failed because the snapshot is too old.
    is_too_old: AtomicBool,
    /// Whether a read may wait for the disk, so that it does not run on a thread that serves connections.
    may_block: bool,
    /// `None` for plays, which neither run again nor have turns.
    attempts: Option<CallAttempts>,
    /// What the run was about to read first, while it is the turn of another run.
    awaited_turn: OnceLock<TurnKey>,
}

/// What one operation reads.
#[derive(Debug)]
pub(super) enum ReadTarget {
    /// The value of one key.
    One(Key),
    /// A list or a count, or several keys, of which this is the first.
    Many(TurnKey),
}

impl ReadTarget {
    fn first(&self) -> TurnKey {
        match self {
            Self::One(key) => TurnKey::Key(key.clone()),
            Self::Many(first) => first.clone(),
        }
    }
}

impl RunTransaction {
    pub(super) fn new(transaction: Transaction, may_block: bool, attempts: Option<CallAttempts>) -> Self {
        let transaction = Arc::new(Mutex::new(Some(transaction)));
        Self { transaction, is_too_old: AtomicBool::new(false), may_block, attempts, awaited_turn: OnceLock::new() }
    }

    /// Reads. Much, and what may wait for the disk, is read on a thread that serves no connections. `may_wait` is whether
    /// the run may wait for its turn to read the target, and begin again.
    ///
    /// # Errors
    ///
    /// Those of the transaction; and any error, which the script does not get, if the run has to
    /// [wait for its turn](Self::awaited_turn).
    pub(super) async fn read<T: Send + 'static>(
        &self,
        target: &ReadTarget,
        may_wait: bool,
        read: impl FnOnce(&mut Transaction) -> Result<T, store::Error> + Send + 'static,
    ) -> host::Result<T> {
        let mut transaction = self.transaction.clone().lock_owned().await;
        if let (true, Some(attempts), Some(open)) = (may_wait, &self.attempts, &*transaction) {
            let first = target.first();
            if attempts.has_to_wait(open, &first).await {
                let _first = self.awaited_turn.set(first);
                return Err(ended());
            }
        }
        if let (ReadTarget::One(key), Some(open)) = (target, &mut *transaction)
            && (!self.may_block || open.is_in_memory(key.as_str()))
        {
            return self.note(Some(read(open)));
        }
        let read = spawn_blocking(move || transaction.as_mut().map(read));
        self.note(read.await.map_err(|_| host::Error::hidden())?)
    }

    /// Changes what the transaction writes.
    pub(super) async fn write<T>(
        &self,
        write: impl FnOnce(&mut Transaction) -> Result<T, store::Error>,
    ) -> host::Result<T> {
        self.note(self.transaction.lock().await.as_mut().map(write))
    }

    fn note<T>(&self, result: Option<Result<T, store::Error>>) -> host::Result<T> {
        let result = result.ok_or_else(ended)?;
        if matches!(result, Err(store::Error::TooOld)) {
            self.is_too_old.store(true, Ordering::Relaxed);
        }
        result.map_err(|error| script_error(&error))
    }

    /// Whether a read failed because the snapshot is too old, so that the run fails whatever its script did about it.
    pub(crate) fn is_too_old(&self) -> bool {
        self.is_too_old.load(Ordering::Relaxed)
    }

    /// Returns what the run was about to read first while it is the turn of another run. The attempt is over: it has done
    /// nothing that matters, and the run begins again in its turn.
    pub(crate) fn awaited_turn(&self) -> Option<&TurnKey> {
        self.awaited_turn.get()
    }

    /// Marks a point to which the writes of a function return if it fails.
    pub(crate) async fn savepoint(&self) -> host::Result<Savepoint> {
        self.write(Transaction::savepoint).await
    }

    /// Keeps or undoes what was written since a savepoint.
    pub(crate) async fn end_savepoint(&self, savepoint: Savepoint, is_kept: bool) -> host::Result<()> {
        self.write(
            |transaction| {
                if is_kept { transaction.release(savepoint) } else { transaction.roll_back(savepoint) }
            },
        )
        .await
    }

    /// Whether the run may have something to commit. A run that only read has committed.
    pub(crate) fn needs_commit(&self) -> bool {
        // A run that still uses the transaction has not succeeded, which the commit notices.
        self.is_too_old()
            || self.transaction.try_lock().map_or(true, |open| open.as_ref().is_some_and(Transaction::has_writes))
    }

    /// Hands the transaction to the store to commit it, with the record of a request that has `once`. Waits only for an
    /// operation that still uses the transaction, and a run that has succeeded has none.
    ///
    /// # Errors
    ///
    /// The transaction has ended, or its snapshot is too old.
    pub(crate) async fn hand_over(&self, record: Option<(OnceClaim, Vec<u8>)>) -> Result<PendingCommit, CommitError> {
        let transaction = self.transaction.lock().await.take().ok_or(CommitError::Canceled)?;
        if self.is_too_old() {
            return Err(CommitError::TooOld);
        }
        Ok(match (&self.attempts, record) {
            (Some(attempts), record) => attempts.commit(transaction, record).await,
            (None, None) => transaction.commit(),
            (None, Some((claim, result))) => transaction.commit_once(&claim, result),
        })
    }
}
