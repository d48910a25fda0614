use std::time::{Duration, Instant};

use thiserror::Error;

use crate::{
    CommitError, Revision, Store, Transaction,
    turns::{Turn, Turns},
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
    /// The transaction conflicted until the time was over.
    #[error("the transaction conflicted {attempts} times until its deadline ({last}): allow more time, or read less")]
    Deadline {
        /// How often the function ran.
        attempts: u32,
        /// The last conflict.
        last: CommitError,
    },
}

impl Store {
    /// Runs a function in a transaction and commits it; after a conflict again, on a new snapshot, until the timeout.
    ///
    /// Reruns wait for a turn on the key on which they conflicted, and so does a first run that begins with reading
    /// such a key: on a hot key the runs go one after another. The function runs several times, so it must have no
    /// effect but through the transaction. Blocks.
    ///
    /// # Errors
    ///
    /// See [`RunError`].
    pub fn run<T, E>(
        &self,
        timeout: Duration,
        mut function: impl FnMut(&mut Transaction) -> Result<T, E>,
    ) -> Result<(T, Revision), RunError<E>> {
        let deadline = Instant::now() + timeout;
        let mut turn: Option<Turn> = None;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut transaction = self.begin();
            transaction.wait_for_turns(turn, deadline);
            let result = function(&mut transaction);
            turn = transaction.take_turn();
            let last = match result {
                // The function may fail for no other reason than its old snapshot.
                Err(_) if transaction.is_too_old() => CommitError::TooOld,
                Err(error) => return Err(RunError::Function(error)),
                Ok(value) => {
                    let pending = transaction.commit();
                    turn.iter().for_each(Turn::commit);
                    match pending.wait() {
                        Ok(revision) => return Ok((value, revision)),
                        Err(error) if error.is_conflict() => error,
                        Err(error) => return Err(RunError::Commit(error)),
                    }
                }
            };
            if Instant::now() >= deadline {
                return Err(RunError::Deadline { attempts, last });
            }
            turn = self.next_turn(turn, &last, deadline);
        }
    }

    fn next_turn(&self, turn: Option<Turn>, conflict: &CommitError, deadline: Instant) -> Option<Turn> {
        let CommitError::Conflict { key, revision } = conflict else { return None };
        let kept = turn.filter(|turn| turn.key() == key && turn.renew());
        let turn = kept.or_else(|| Turns::wait(self.shared(), key, deadline));
        // Before the other commit is visible, a rerun conflicts again.
        self.wait_for(*revision, deadline.saturating_duration_since(Instant::now()));
        turn
    }
}
