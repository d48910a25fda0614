mod options;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

pub use options::StoreOptions;

use crate::{
    CommitNotice, Error, Once, OnceError, OnceKey, ParamsHash, PendingCommit, Revision, StoreId, StoreLimits,
    Transaction, TransactionLimits,
    engine::{FileCounters, Latch},
    environment::{Disk, StoreClock},
    listeners::{Listener, Listeners},
    lock_holder::HolderNote,
    once::{self, Claims},
    outcome::Responder,
    queue::Queue,
    request::CommitRequest,
    snapshot::{LiveSnapshots, Snapshot},
    stats::Counters,
    timer::{Timer, deadline_after},
    turns::{Turn, Turns},
    value_cache::ValueCache,
    waiters::{Waiters, block_on},
};

/// What the handles, the transactions and the committer of a store share.
pub(crate) struct Shared {
    pub(crate) id: StoreId,
    pub(crate) limits: StoreLimits,
    pub(crate) clock: StoreClock,
    pub(crate) disk: Disk,
    pub(crate) queue: Queue,
    pub(crate) claims: Claims,
    pub(crate) listeners: Listeners,
    pub(crate) turns: Turns,
    pub(crate) cache: ValueCache,
    current: Mutex<Arc<Snapshot>>,
    /// `current` has changed, or the store has failed or is closed.
    advanced: Waiters,
    latch: Latch,
    pub(crate) timer: Timer,
    pub(crate) live: LiveSnapshots,
    pub(crate) file: Arc<FileCounters>,
    pub(crate) counters: Arc<Counters>,
    is_closed: AtomicBool,
    close_failure: OnceLock<Arc<str>>,
    /// Present for a store in a file that is open for writing.
    holder: Option<HolderNote>,
}

impl Shared {
    fn lock_current(&self) -> MutexGuard<'_, Arc<Snapshot>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest snapshot.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.lock_current())
    }

    pub(crate) fn set_snapshot(&self, snapshot: Arc<Snapshot>) {
        // The snapshot before is dropped after the lock, because the engine then locks, too.
        let before = std::mem::replace(&mut *self.lock_current(), snapshot);
        before.note_replaced();
        self.advanced.wake_all();
        drop(before);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Whether the storage has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.latch.check().is_err_and(|failure| !failure.is_closed)
    }

    pub(crate) fn set_closed(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.advanced.wake_all();
    }

    /// Removes what tells other processes who has the store open.
    pub(crate) fn remove_holder_note(&self) {
        if let Some(holder) = &self.holder {
            holder.remove();
        }
    }

    pub(crate) fn set_close_failure(&self, reason: Arc<str>) {
        // Closing happens once.
        self.close_failure.get_or_init(|| reason);
    }

    pub(crate) fn submit(
        &self,
        turn: Option<Arc<Turn>>,
        request: impl FnOnce(Responder) -> CommitRequest,
    ) -> PendingCommit {
        let (pending, responder) = PendingCommit::pair(turn, Arc::clone(&self.counters));
        self.queue.push(request(responder));
        pending
    }

    /// Waits until the newest snapshot has a revision, or the store has failed or is closed, or until a deadline.
    /// Returns whether the snapshot has the revision.
    pub(crate) async fn wait_for(&self, revision: Revision, deadline: Instant) -> bool {
        let is_visible = || self.lock_current().revision() >= revision;
        let is_over = || is_visible() || self.is_closed() || self.latch.check().is_err();
        self.advanced.wait(&self.timer, deadline, is_over).await;
        is_visible()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").field("id", &self.id).finish_non_exhaustive()
    }
}

/// An open store. Clones are handles of the same store, which closes with the last of them.
#[derive(Debug, Clone)]
pub struct Store(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    transaction_limits: TransactionLimits,
    committer: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// The identity of the store.
    pub fn id(&self) -> StoreId {
        self.shared().id
    }

    /// Tells other processes what this one does with the store, such as the address of its server: the text is in their
    /// error [`OpenError::Locked`](crate::OpenError::Locked). It is up to about 300 bytes long, and in the file
    /// `STORE.holder` beside the store until the store is closed. Without effect for a store in memory, and where the
    /// file cannot be written. Blocks for the write.
    pub fn describe_holder(&self, text: &str) {
        if let Some(holder) = &self.shared().holder {
            holder.set(text);
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    pub(crate) fn transaction_limits(&self) -> &TransactionLimits {
        &self.0.transaction_limits
    }

    /// Begins a transaction with the limits of the options.
    pub fn begin(&self) -> Transaction {
        self.begin_with_limits(self.0.transaction_limits.clone())
    }

    /// Begins a transaction with limits of its own.
    pub fn begin_with_limits(&self, limits: TransactionLimits) -> Transaction {
        Transaction::new(Arc::clone(self.shared()), limits.normalize())
    }

    /// The revision of the newest durable commit.
    pub fn revision(&self) -> Revision {
        self.shared().snapshot().revision()
    }

    /// Blocks until transactions see a revision, for at most `timeout`. Returns whether they do. After a
    /// [`CommitError::Conflict`](crate::CommitError::Conflict) a rerun before that conflicts again.
    ///
    /// Returns at once if the store has failed or is closed.
    pub fn wait_for(&self, revision: Revision, timeout: Duration) -> bool {
        block_on(self.shared().wait_for(revision, deadline_after(timeout)))
    }

    /// Size of all entries, log records and `once` records in bytes, as [`StoreLimits::bytes`] bounds it.
    pub fn size(&self) -> u64 {
        let snapshot = self.shared().snapshot();
        let state = snapshot.state();
        state.data_bytes + state.log_bytes + state.once_bytes
    }

    /// Says what to do with a request that has a `once` key. May wait for the disk.
    ///
    /// # Errors
    ///
    /// See [`OnceError`].
    pub fn once(&self, key: OnceKey, params: ParamsHash) -> Result<Once, OnceError> {
        if self.shared().is_closed() {
            return Err(Error::Closed.into());
        }
        once::begin(self.shared(), key, params)
    }

    /// Calls a function after each group of commits, on the thread of the committer, before the callers of the commits
    /// get their answers. The function must not block, and must not wait for a commit.
    pub fn on_commit(&self, callback: impl Fn(&CommitNotice) + Send + Sync + 'static) -> Listener {
        Listeners::add(self.shared(), Arc::new(callback))
    }

    /// Closes the store: refuses new commits, ends those that wait, and closes the file. Transactions fail from then
    /// on.
    ///
    /// Dropping the last handle does the same, and ignores the error.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] if the storage failed on closing. Commits that were acknowledged are durable nevertheless.
    pub fn close(self) -> Result<(), Error> {
        self.0.close();
        match self.shared().close_failure.get() {
            None => Ok(()),
            Some(reason) => Err(Error::Failed(Arc::clone(reason))),
        }
    }
}

impl Handle {
    fn close(&self) {
        self.shared.queue.close();
        let committer = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A callback of the committer may have had the last handle. The thread then ends after the callback.
        if let Some(committer) = committer.filter(|committer| committer.thread().id() != thread::current().id()) {
            // The committer catches the panics of groups, and the latch reports them.
            drop(committer.join());
        }
        self.shared.timer.close();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}
