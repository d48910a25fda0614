//! The attempts of a call of a function.

use std::{sync::Arc, time::Instant};

use store::{Attempts, CommitError, OnceClaim, PendingCommit, Store, Transaction, TurnKey};
use tokio::sync::Mutex;

use super::RunTransaction;

/// The attempts of one call, which the transaction of the running attempt shares.
#[derive(Debug, Clone)]
pub(crate) struct CallAttempts {
    attempts: Arc<Mutex<Attempts>>,
    /// Whether reads may wait for the disk.
    may_block: bool,
}

/// Why a call runs again.
#[derive(Debug)]
pub(crate) enum Retry {
    /// The transaction did not commit.
    Conflict(CommitError),
    /// The attempt was about to read first what other runs conflict on. It gave its worker back, and waits for its turn.
    Turn(TurnKey),
    /// The machine of the worker is lost or drains. What the function has done is undone.
    LostMachine,
}

impl CallAttempts {
    pub(super) fn new(store: &Store, group: u64, may_block: bool, deadline: Instant) -> Self {
        let attempts = store.attempts(deadline).in_group(group);
        Self { attempts: Arc::new(Mutex::new(attempts)), may_block }
    }

    /// Begins the transaction of the next attempt.
    pub(crate) async fn begin(&self) -> Arc<RunTransaction> {
        let transaction = self.attempts.lock().await.begin();
        Arc::new(RunTransaction::new(transaction, self.may_block, Some(self.clone())))
    }

    /// Waits until another attempt makes sense. Returns false if none does.
    pub(crate) async fn wait(&self, retry: Retry) -> bool {
        let mut attempts = self.attempts.lock().await;
        match retry {
            Retry::Conflict(error) => attempts.after_conflict(&error).await,
            Retry::Turn(key) => {
                attempts.wait_for_turn(key).await;
                true
            }
            Retry::LostMachine => true,
        }
    }

    pub(super) async fn has_to_wait(&self, transaction: &Transaction, first_read: &TurnKey) -> bool {
        self.attempts.lock().await.has_to_wait(transaction, first_read)
    }

    pub(super) async fn commit(&self, transaction: Transaction, record: Option<(OnceClaim, Vec<u8>)>) -> PendingCommit {
        let mut attempts = self.attempts.lock().await;
        match record {
            None => attempts.commit(transaction),
            Some((claim, result)) => attempts.commit_once(transaction, &claim, result),
        }
    }
}
