//! The hub of a circle's subscriptions: its feeds, its epochs, and the bound of its reads.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use protocol::Limits;
use store::{ChangesLimit, Cursor, Filter, Listener, Store};
use tokio::sync::Semaphore;

use super::{
    counters::SubscriptionCounters,
    epoch::{Epoch, PendingRead},
    feeds::{Feed, FeedMember, Feeds, SessionSignal},
    position::{PagePosition, ReadFrom},
    ticker,
};

/// Reads that wait for the disk at the same time.
const MAX_READS: usize = 4;

/// The number of recent cursors, from which sessions of quiet feeds go on.
const RECENT_CURSORS: usize = 4;

/// The maximum number of entries that one event adds while all entries are sent.
const PART_ENTRIES: usize = 500;

/// The maximum size of these entries in bytes, if it is more than one entry.
const PART_BYTES: usize = 128 << 10;

/// The maximum number of changed entries of one event, unless a transaction has more. Each page of further changes reads
/// the log again, so small entries make large pages.
const MIN_CHANGES: usize = 10_000;

/// The room for keys in addition to the bytes of one transaction.
const KEY_RESERVE: usize = 256 << 10;

/// The bounds of one event.
#[derive(Debug, Clone, Copy)]
pub(super) struct EventLimits {
    /// For changes. All changes of one transaction fit.
    pub(super) changes: ChangesLimit,
    /// For a part of all entries.
    pub(super) part: ChangesLimit,
}

/// The subscriptions of a circle.
#[derive(Debug)]
pub(crate) struct EventHub {
    feeds: Arc<Feeds>,
    state: Arc<HubState>,
    /// The thread of the ticker, once there was a subscription.
    ticker: Mutex<Option<JoinHandle<()>>>,
    _listener: Listener,
}

#[derive(Debug)]
pub(super) struct HubState {
    store: Store,
    limits: EventLimits,
    epochs: Mutex<Epochs>,
    has_failed: AtomicBool,
    reads: Arc<Semaphore>,
}

/// The epochs that sessions read. An epoch pins pages of the store, so there is none without subscriptions.
#[derive(Debug, Default)]
struct Epochs {
    /// The epoch of the ticker, from which the sessions that it has woken read.
    ticked: Option<Arc<Epoch>>,
    /// A newer epoch for what must not wait for the ticker.
    newest: Option<Arc<Epoch>>,
    /// Cursors of the last epochs of the ticker, the oldest first.
    recent: VecDeque<Cursor>,
}

impl Epochs {
    /// Retires those epochs that have left the table.
    fn retire(&self, before: &[Arc<Epoch>]) {
        let is_current = |epoch: &Arc<Epoch>| {
            [&self.ticked, &self.newest].into_iter().flatten().any(|current| Arc::ptr_eq(current, epoch))
        };
        for epoch in before.iter().filter(|epoch| !is_current(epoch)) {
            epoch.retire();
        }
    }
}

impl HubState {
    fn epochs(&self) -> MutexGuard<'_, Epochs> {
        // No code panics while it holds the lock.
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an epoch for the ticker. `note` gets its revision and the recent cursors before sessions see the epoch.
    pub(super) fn take_epoch(&self, note: impl FnOnce(u64, &VecDeque<Cursor>)) {
        let epoch = Arc::new(Epoch::new(self.store.view()));
        let mut epochs = self.epochs();
        note(epoch.revision(), &epochs.recent);
        if epochs.recent.len() == RECENT_CURSORS {
            epochs.recent.pop_front();
        }
        epochs.recent.push_back(epoch.cursor());
        let mut before = Vec::new();
        if epochs.newest.as_ref().is_none_or(|newest| newest.revision() <= epoch.revision()) {
            before.extend(epochs.newest.replace(epoch.clone()));
        }
        before.extend(epochs.ticked.replace(epoch));
        epochs.retire(&before);
        // Dropped after the lock, because the store then locks, too.
        drop(epochs);
        drop(before);
    }

    /// Drops the epochs, because there are no subscriptions.
    pub(super) fn release(&self) {
        let epochs = std::mem::take(&mut *self.epochs());
        drop(epochs);
    }

    /// Checks the store. Returns whether it has failed since the last check.
    pub(super) fn check_store(&self) -> bool {
        let view = self.store.view();
        let limit = ChangesLimit { entries: 1, bytes: 1 };
        let checked = view.changes_since(&view.cursor(), &Filter::Topic(String::new()), limit);
        matches!(checked, Err(store::Error::Failed(_) | store::Error::Closed))
            && !self.has_failed.swap(true, Ordering::AcqRel)
    }
}

impl EventHub {
    pub(crate) fn new(store: Store, limits: &Limits) -> Self {
        let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let changes = ChangesLimit {
            entries: size(limits.store_writes).max(MIN_CHANGES),
            bytes: size(limits.store_kib.saturating_mul(1024)).saturating_add(KEY_RESERVE),
        };
        let limits = EventLimits { changes, part: ChangesLimit { entries: PART_ENTRIES, bytes: PART_BYTES } };
        let feeds = Arc::new(Feeds::default());
        let listener = store.on_commit({
            let feeds = feeds.clone();
            move |notice| feeds.note_commits(notice)
        });
        let state = HubState {
            store,
            limits,
            epochs: Mutex::default(),
            has_failed: AtomicBool::new(false),
            reads: Arc::new(Semaphore::new(MAX_READS)),
        };
        Self { feeds, state: Arc::new(state), ticker: Mutex::default(), _listener: listener }
    }

    /// The counters of the subscriptions.
    pub(crate) fn counters(&self) -> &Arc<SubscriptionCounters> {
        self.feeds.counters()
    }

    /// Whether the store has failed, so that no event follows.
    pub(crate) fn has_failed(&self) -> bool {
        self.state.has_failed.load(Ordering::Acquire)
    }

    /// Notes that a read has found the store failed or closed.
    pub(crate) fn note_failure(&self) {
        if !self.state.has_failed.swap(true, Ordering::AcqRel) {
            self.feeds.wake_all();
        }
    }

    /// Joins the feed of a filter.
    ///
    /// # Errors
    ///
    /// The system starts no thread.
    pub(crate) fn join(&self, filter: &Filter, signal: Arc<SessionSignal>) -> std::io::Result<FeedMember> {
        let mut ticker = self.ticker.lock().unwrap_or_else(PoisonError::into_inner);
        if ticker.is_none() {
            *ticker = Some(ticker::start(self.feeds.clone(), self.state.clone())?);
        }
        drop(ticker);
        Ok(self.feeds.join(filter, signal))
    }

    /// The cursor of the newest durable commit.
    pub(crate) fn cursor(&self) -> Cursor {
        self.state.store.cursor()
    }

    /// Begins to read what follows `cursor` from the epoch of the ticker, if that is newer.
    pub(crate) fn read_ticked(&self, feed: &Arc<Feed>, cursor: Cursor) -> Option<PendingRead> {
        let epoch = self.state.epochs().ticked.clone()?;
        if epoch.revision() <= cursor.revision().get() {
            return None;
        }
        let (from, is_shared) = feed.position_in(epoch.revision(), cursor);
        Some(self.read(&epoch, feed, ReadFrom::Cursor(from), is_shared))
    }

    /// Begins to read what follows `cursor` from an epoch that has a revision.
    pub(crate) fn read_until(&self, feed: &Arc<Feed>, cursor: Cursor, revision: u64) -> PendingRead {
        let from = feed.advance(cursor, &self.state.epochs().recent);
        self.read(&self.epoch_with(revision), feed, ReadFrom::Cursor(from), false)
    }

    /// Begins to read from an epoch that has a revision.
    pub(crate) fn read_from(&self, feed: &Arc<Feed>, from: ReadFrom, revision: u64) -> PendingRead {
        self.read(&self.epoch_with(revision), feed, from, false)
    }

    /// Begins to read a page of changes from the epoch of the page before.
    pub(crate) fn read_page(&self, feed: &Arc<Feed>, page: PagePosition, epoch: &Arc<Epoch>) -> PendingRead {
        self.read(epoch, feed, ReadFrom::Page(page), false)
    }

    fn read(&self, epoch: &Arc<Epoch>, feed: &Arc<Feed>, from: ReadFrom, is_shared: bool) -> PendingRead {
        epoch.read(feed, from, is_shared, self.state.limits, &self.state.reads)
    }

    /// Forgets an epoch that the store does not remember any more.
    pub(crate) fn forget(&self, revision: u64) {
        let epoch = Arc::new(Epoch::new(self.state.store.view()));
        let mut epochs = self.state.epochs();
        let mut before = Vec::new();
        let Epochs { ticked, newest, .. } = &mut *epochs;
        for slot in [ticked, newest] {
            if slot.as_ref().is_some_and(|forgotten| forgotten.revision() == revision) {
                before.extend(slot.replace(epoch.clone()));
            }
        }
        epochs.retire(&before);
        drop(epochs);
        drop(before);
    }

    /// Returns an epoch that has a durable revision.
    fn epoch_with(&self, revision: u64) -> Arc<Epoch> {
        let has_revision = |epoch: &&Arc<Epoch>| epoch.revision() >= revision;
        if let Some(newest) = self.state.epochs().newest.as_ref().filter(has_revision) {
            return newest.clone();
        }
        let epoch = Arc::new(Epoch::new(self.state.store.view()));
        let mut epochs = self.state.epochs();
        if let Some(newest) = epochs.newest.as_ref().filter(|newest| newest.revision() >= epoch.revision()) {
            return newest.clone();
        }
        let before = epochs.newest.replace(epoch.clone());
        epochs.retire(before.as_slice());
        drop(epochs);
        drop(before);
        epoch
    }
}

impl Drop for EventHub {
    fn drop(&mut self) {
        self.feeds.close();
        // The thread has the store, which is closed once the circle is dropped.
        let ticker = self.ticker.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ticker) = ticker {
            // The panic hook has reported a panic.
            drop(ticker.join());
        }
    }
}
