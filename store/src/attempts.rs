use std::{fmt, future::Future, sync::Arc, time::Instant};

use crate::{
    CommitError, Key, OnceClaim, PendingCommit, Prefix, Store, Transaction, TransactionLimits,
    store::Shared,
    turns::{Turn, TurnKey, Turns},
};

/// The attempts of one run: [`Store::run`] in parts, for functions that run elsewhere.
///
/// ```
/// # use std::{future::Future, time::Instant};
/// # use store::{Attempts, CommitError, Key, Revision, Store, Transaction};
/// # async fn function(transaction: &mut Transaction) -> Result<(), store::Error> { transaction.put("a", 1) }
/// async fn run(store: &Store, deadline: Instant) -> Result<Revision, CommitError> {
///     let mut attempts = store.attempts(deadline);
///     loop {
///         let mut transaction = attempts.begin();
///         // Before each read: attempts.before_read(&transaction, &key).await
///         function(&mut transaction).await.expect("a function that works");
///         match attempts.commit(transaction).await {
///             Ok(revision) => return Ok(revision),
///             Err(error) if error.is_temporary() && attempts.after_conflict(&error).await => {}
///             Err(error) => return Err(error),
///         }
///     }
/// }
/// ```
///
/// The futures need no runtime. Dropping the attempts, or a future of them, ends their turn or leaves the queue; a
/// commit that was handed over goes on, and keeps the turn until it has ended. Attempts do not keep the store open.
pub struct Attempts {
    shared: Arc<Shared>,
    limits: TransactionLimits,
    deadline: Instant,
    group: u64,
    count: u32,
    turn: Option<Arc<Turn>>,
}

impl Store {
    /// Begins a run, whose attempts wait for turns until a deadline.
    pub fn attempts(&self, deadline: Instant) -> Attempts {
        let limits = self.transaction_limits().clone().normalize();
        Attempts { shared: Arc::clone(self.shared()), limits, deadline, group: 0, count: 0, turn: None }
    }
}

impl Attempts {
    /// Begins the transaction of the next attempt.
    pub fn begin(&mut self) -> Transaction {
        self.count = self.count.saturating_add(1);
        Transaction::new(Arc::clone(&self.shared), self.limits.clone())
    }

    /// Sets the group of the run, such as its caller: on a hot key, groups take turns, however many runs each of them has.
    #[must_use]
    pub fn in_group(self, group: u64) -> Self {
        Self { group, ..self }
    }

    /// The number of attempts that began.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Waits for the turn on a key that the transaction is about to read, if other runs have turns on the key. Returns
    /// at once if this run has a turn, or if the transaction has read anything; at the deadline at the latest.
    pub fn before_read<'attempts>(
        &'attempts mut self,
        transaction: &Transaction,
        key: &Key,
    ) -> impl Future<Output = ()> + Send + use<'attempts> {
        let key = (!transaction.has_read()).then(|| TurnKey::Key(key.clone()));
        self.join(key)
    }

    /// Like [`Attempts::before_read`], before a list or count of a prefix.
    pub fn before_scan<'attempts>(
        &'attempts mut self,
        transaction: &Transaction,
        prefix: &Prefix,
    ) -> impl Future<Output = ()> + Send + use<'attempts> {
        let key = (!transaction.has_read()).then(|| TurnKey::Scan(prefix.clone()));
        self.join(key)
    }

    /// Whether a run has to wait for a turn before its transaction reads something, as [`Attempts::wait_for_turn`] does. A
    /// program that cannot wait in the middle of an attempt ends that attempt, waits, and begins another one.
    pub fn has_to_wait(&self, transaction: &Transaction, first_read: &TurnKey) -> bool {
        self.turn.is_none() && !transaction.has_read() && Turns::is_hot(&self.shared, first_read)
    }

    /// Waits for the turn on what the next attempt reads first; until the deadline at the latest.
    pub fn wait_for_turn(&mut self, first_read: TurnKey) -> impl Future<Output = ()> + Send + use<'_> {
        self.join(Some(first_read))
    }

    async fn join(&mut self, key: Option<TurnKey>) {
        if let Some(key) = key
            && self.turn.is_none()
        {
            self.turn = Turns::join(&self.shared, key, self.group, self.deadline).await.map(Arc::new);
        }
    }

    /// Hands the transaction to the committer, like [`Transaction::commit`]. The turn lasts until the commit has ended.
    pub fn commit(&mut self, transaction: Transaction) -> PendingCommit {
        transaction.commit_in_turn(None, self.turn.clone())
    }

    /// Like [`Attempts::commit`], with the result under the `once` key: see [`Transaction::commit_once`].
    pub fn commit_once(&mut self, transaction: Transaction, claim: &OnceClaim, result: Vec<u8>) -> PendingCommit {
        transaction.commit_in_turn(Some((claim, result)), self.turn.clone())
    }

    /// Waits until another attempt makes sense: after a [`CommitError::Conflict`] for the turn on what conflicted, and
    /// until transactions see the change; after [`CommitError::Busy`] for room in the queue; not at all after other
    /// errors. Returns false if the deadline has passed.
    ///
    /// If the store fails or closes in the meantime, the wait ends, and the next attempt gets the error.
    pub fn after_conflict<'attempts>(
        &'attempts mut self,
        error: &CommitError,
    ) -> impl Future<Output = bool> + Send + use<'attempts> {
        let error = match error {
            CommitError::Conflict { .. } | CommitError::Busy => Some(error.clone()),
            _ => None,
        };
        self.wait_after(error)
    }

    async fn wait_after(&mut self, error: Option<CommitError>) -> bool {
        if Instant::now() >= self.deadline {
            self.turn = None;
            return false;
        }
        let is_conflict = matches!(error, Some(CommitError::Conflict { .. }));
        match error {
            Some(CommitError::Conflict { key, scan, revision }) => {
                let key = scan.map_or(TurnKey::Key(key), TurnKey::Scan);
                let kept = self.turn.take().filter(|turn| *turn.key() == key && turn.renew());
                self.turn = match kept {
                    Some(turn) => Some(turn),
                    None => Turns::wait(&self.shared, key, self.group, self.deadline).await.map(Arc::new),
                };
                // Before the change is visible, another attempt conflicts again.
                self.shared.wait_for(revision, self.deadline).await;
            }
            Some(CommitError::Busy) => self.shared.queue.wait_for_room(&self.shared.timer, self.deadline).await,
            _ => {}
        }
        let is_in_time = Instant::now() < self.deadline;
        if is_in_time && is_conflict {
            self.shared.counters.count_rerun();
        }
        is_in_time
    }

    pub(crate) fn turn(&self) -> Option<Arc<Turn>> {
        self.turn.clone()
    }

    pub(crate) fn set_turn(&mut self, turn: Option<Arc<Turn>>) {
        self.turn = turn;
    }
}

impl fmt::Debug for Attempts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Attempts").field("count", &self.count).field("turn", &self.turn).finish_non_exhaustive()
    }
}
