use std::time::{Duration, Instant};

use thiserror::Error;

use crate::{
    Attempts, CommitError, Once, OnceError, OnceKey, ParamsHash, PendingCommit, Recorded, Revision, Store, Transaction,
    timer::deadline_after, waiters::block_on,
};

/// The reason why [`Store::run`] did not commit. Nothing happened, unless [`CommitError::happened`] says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RunError<E> {
    /// The function failed.
    #[error(transparent)]
    Function(E),
    /// The transaction did not commit, and a rerun does not help.
    #[error(transparent)]
    Commit(CommitError),
    /// The transaction conflicted, or found the queue full, until the time was over.
    #[error("the transaction did not commit in {attempts} attempts until its deadline ({last}): allow more time")]
    Deadline {
        /// How often the function ran.
        attempts: u32,
        /// The last conflict, or [`CommitError::Busy`].
        last: CommitError,
    },
}

/// The reason why [`Store::run_once`] has no result.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RunOnceError<E> {
    /// The request cannot run under its `once` key.
    #[error(transparent)]
    Once(OnceError),
    /// The same request was running until the time was over.
    #[error("the same request still runs: send it again later")]
    InFlight,
    /// The run did not commit.
    #[error(transparent)]
    Run(RunError<E>),
}

impl Store {
    /// Runs a function in a transaction and commits it; after a conflict again, on a new snapshot, until the timeout.
    ///
    /// Reruns wait for a turn on the key or prefix on which they conflicted, and so does a first run that begins with
    /// reading there: on a hot key the runs go one after another. The function runs several times, so it must have no
    /// effect but through the transaction. Blocks. [`Store::attempts`] is the same for asynchronous functions.
    ///
    /// # Errors
    ///
    /// See [`RunError`].
    pub fn run<T, E>(
        &self,
        timeout: Duration,
        function: impl FnMut(&mut Transaction) -> Result<T, E>,
    ) -> Result<(T, Revision), RunError<E>> {
        self.run_attempts(deadline_after(timeout), function, |attempts, transaction, _| attempts.commit(transaction))
    }

    /// Runs a function like [`Store::run`], and records its result under a `once` key in the same commit. If the
    /// request has committed before, returns the record; if it runs now, waits for its end first.
    ///
    /// # Errors
    ///
    /// See [`RunOnceError`].
    pub fn run_once<E>(
        &self,
        timeout: Duration,
        key: &OnceKey,
        params: ParamsHash,
        function: impl FnMut(&mut Transaction) -> Result<Vec<u8>, E>,
    ) -> Result<Recorded, RunOnceError<E>> {
        let deadline = deadline_after(timeout);
        let claim = loop {
            match self.once(key.clone(), params).map_err(RunOnceError::Once)? {
                Once::Recorded(recorded) => return Ok(recorded),
                Once::Claimed(claim) => break claim,
                Once::InFlight(in_flight) => {
                    if !block_on(in_flight.wait(deadline)) {
                        return Err(RunOnceError::InFlight);
                    }
                }
            }
        };
        let ran = self.run_attempts(deadline, function, |attempts, transaction, result| {
            attempts.commit_once(transaction, &claim, result.clone())
        });
        let (result, revision) = ran.map_err(RunOnceError::Run)?;
        Ok(Recorded { revision, result: Some(result) })
    }

    fn run_attempts<T, E>(
        &self,
        deadline: Instant,
        mut function: impl FnMut(&mut Transaction) -> Result<T, E>,
        commit: impl Fn(&mut Attempts, Transaction, &T) -> PendingCommit,
    ) -> Result<(T, Revision), RunError<E>> {
        let mut attempts = self.attempts(deadline);
        loop {
            let mut transaction = attempts.begin();
            transaction.wait_for_turns(attempts.turn(), deadline);
            let result = function(&mut transaction);
            attempts.set_turn(transaction.take_turn());
            let last = match result {
                // The function may fail for no other reason than its old snapshot.
                Err(_) if transaction.is_too_old() => CommitError::TooOld,
                Err(error) => return Err(RunError::Function(error)),
                Ok(value) => match commit(&mut attempts, transaction, &value).wait() {
                    Ok(revision) => return Ok((value, revision)),
                    Err(error) if error.is_temporary() => error,
                    Err(error) => return Err(RunError::Commit(error)),
                },
            };
            if !block_on(attempts.after_conflict(&last)) {
                return Err(RunError::Deadline { attempts: attempts.count(), last });
            }
        }
    }
}
