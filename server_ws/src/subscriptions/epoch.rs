//! An epoch: one revision of the store, and what sessions read from it. Sessions at the same position share a read.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use store::{Changes, Cursor, Error, Filter, View};
use tokio::sync::{Semaphore, watch};

use super::{
    feeds::Feed,
    hub::EventLimits,
    position::{EntryPosition, PagePosition, ReadFrom},
    render::{self, Notifications},
};

/// The bytes of finished reads that an epoch keeps for further sessions.
const MAX_KEPT_BYTES: usize = 16 << 20;

/// What a session got from an epoch.
#[derive(Debug, Clone)]
pub(crate) enum ReadOutcome {
    /// Changes or events. The next position is the cursor.
    Changes { notifications: Arc<Notifications>, cursor: Cursor },
    /// A part of all entries, which are not complete.
    Part {
        notifications: Arc<Notifications>,
        /// Where the next part begins.
        position: EntryPosition,
        /// Whether the pages of what changed since the first part follow, in place of another part.
        is_last: bool,
        /// The revision of the epoch.
        revision: u64,
    },
    /// A page of changes. The next page is of the same epoch.
    Page { notifications: Arc<Notifications>, next: PagePosition },
    /// Changes after the position are lost. A topic goes on from the cursor.
    Gap(Cursor),
    /// The store does not remember the epoch any more.
    TooOld { revision: u64 },
    /// The store has failed, or is closed.
    Failed,
    /// The read has panicked twice.
    Panicked,
}

/// A read that has begun. It is not a task of the session: dropping it leaves the read to the others that wait.
#[derive(Debug)]
pub(crate) struct PendingRead {
    receiver: watch::Receiver<Option<ReadOutcome>>,
    epoch: Arc<Epoch>,
}

impl PendingRead {
    /// The epoch that is read.
    pub(crate) fn epoch(&self) -> &Arc<Epoch> {
        &self.epoch
    }

    /// Waits for the outcome; `None` if the thread that read has ended: read again. Cancel safe.
    pub(crate) async fn outcome(&mut self) -> Option<ReadOutcome> {
        self.receiver.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone())
    }
}

/// Which reads are the same: those of a feed from one position. `None` stands for the positions that the feed shares.
type ReadKey = (u64, Option<ReadFrom>);

#[derive(Debug, Default)]
struct Reads {
    by_key: HashMap<ReadKey, watch::Receiver<Option<ReadOutcome>>>,
    kept_bytes: usize,
    /// The reads that have panicked once.
    panicked: HashSet<ReadKey>,
    /// Whether the hub has a newer epoch. A session that is within the pages of this one keeps it, so it keeps no reads.
    is_retired: bool,
}

/// One revision of the store, with its reads.
#[derive(Debug)]
pub(crate) struct Epoch {
    view: View,
    cursor: Cursor,
    reads: Arc<Mutex<Reads>>,
}

impl Epoch {
    pub(super) fn new(view: View) -> Self {
        Self { cursor: view.cursor(), view, reads: Arc::default() }
    }

    pub(super) fn cursor(&self) -> Cursor {
        self.cursor
    }

    pub(crate) fn revision(&self) -> u64 {
        self.cursor.revision().get()
    }

    /// Drops the finished reads, now and later, because the hub has a newer epoch.
    pub(super) fn retire(&self) {
        let mut reads = lock(&self.reads);
        reads.is_retired = true;
        reads.forget();
    }

    /// Begins a read, or joins one from the same position. Call this on a runtime.
    pub(super) fn read(
        self: &Arc<Self>,
        feed: &Feed,
        from: ReadFrom,
        is_shared: bool,
        limits: EventLimits,
        permits: &Arc<Semaphore>,
    ) -> PendingRead {
        let key = (feed.number, (!is_shared).then(|| from.clone()));
        let (view, filter) = (self.view.clone(), feed.filter.clone());
        self.begin(key, permits, move || read(&view, &filter, &from, limits))
    }

    fn begin(
        self: &Arc<Self>,
        key: ReadKey,
        permits: &Arc<Semaphore>,
        read: impl FnOnce() -> ReadOutcome + Send + 'static,
    ) -> PendingRead {
        let epoch = self.clone();
        let mut reads = lock(&self.reads);
        if let Some(read) = reads.by_key.get(&key)
            && (read.borrow().is_some() || read.has_changed().is_ok())
        {
            return PendingRead { receiver: read.clone(), epoch };
        }
        let (sender, receiver) = watch::channel(None);
        reads.by_key.insert(key.clone(), receiver.clone());
        drop(reads);
        let (permits, reads) = (permits.clone(), self.reads.clone());
        tokio::spawn(async move {
            // The semaphore is never closed.
            let Ok(_permit) = permits.acquire_owned().await else { return };
            let outcome = match tokio::task::spawn_blocking(read).await {
                Ok(outcome) => outcome,
                // The sessions read again after the first panic. The panic hook has reported it.
                Err(_) if lock(&reads).panicked.insert(key) => return,
                Err(_) => ReadOutcome::Panicked,
            };
            lock(&reads).keep(outcome.bytes());
            sender.send_replace(Some(outcome));
        });
        PendingRead { receiver, epoch }
    }
}

fn lock(reads: &Mutex<Reads>) -> MutexGuard<'_, Reads> {
    // No code panics while it holds the lock.
    reads.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reads {
    /// Counts a finished read, and forgets all if they are too many.
    fn keep(&mut self, bytes: usize) {
        self.kept_bytes += bytes;
        if self.is_retired || self.kept_bytes > MAX_KEPT_BYTES {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.by_key = HashMap::new();
        self.kept_bytes = 0;
    }
}

impl ReadOutcome {
    fn bytes(&self) -> usize {
        /// What an entry of the table takes beside its notifications.
        const OVERHEAD: usize = 256;
        OVERHEAD
            + match self {
                Self::Changes { notifications, .. }
                | Self::Part { notifications, .. }
                | Self::Page { notifications, .. } => notifications.bytes(),
                Self::Gap(_) | Self::TooOld { .. } | Self::Failed | Self::Panicked => 0,
            }
    }
}

/// Reads. Waits for the disk.
fn read(view: &View, filter: &Filter, from: &ReadFrom, limits: EventLimits) -> ReadOutcome {
    let outcome = match (from, filter) {
        (ReadFrom::Cursor(cursor), Filter::Topic(_)) => {
            view.changes_since(cursor, filter, limits.changes).map(|changes| match changes {
                Changes::Events { events, cursor, .. } => {
                    ReadOutcome::Changes { notifications: Arc::new(render::events(&events, &cursor)), cursor }
                }
                Changes::Gap { cursor } => ReadOutcome::Gap(cursor),
                // The store may get further kinds of changes; a gap is true of any.
                _ => ReadOutcome::Gap(view.cursor()),
            })
        }
        (ReadFrom::Cursor(cursor), _) => {
            let position = PagePosition { since: *cursor, last_key: None, after: None };
            read_page(view, filter, position, limits)
        }
        (ReadFrom::Page(position), _) => read_page(view, filter, position.clone(), limits),
        (ReadFrom::Entries(position), _) => read_part(view, filter, position.as_ref(), limits),
    };
    outcome.unwrap_or_else(|error| match error {
        Error::TooOld => ReadOutcome::TooOld { revision: view.cursor().revision().get() },
        error => {
            tracing::error!(%error, "subscriptions cannot read the store");
            ReadOutcome::Failed
        }
    })
}

fn read_page(
    view: &View,
    filter: &Filter,
    mut position: PagePosition,
    limits: EventLimits,
) -> Result<ReadOutcome, Error> {
    let page = view.changed_page(&position.since, filter, position.after.as_ref(), limits.changes)?;
    let Some(mut page) = page else { return Ok(ReadOutcome::Gap(view.cursor())) };
    let is_only = position.after.is_none() && position.last_key.is_none() && page.next.is_none();
    let notifications =
        if is_only { render::entries(&page.entries, &page.cursor) } else { render::page(&page, &position) };
    let notifications = Arc::new(notifications);
    Ok(match page.next.take() {
        None => ReadOutcome::Changes { notifications, cursor: page.cursor },
        next => {
            position.after = next;
            ReadOutcome::Page { notifications, next: position }
        }
    })
}

fn read_part(
    view: &View,
    filter: &Filter,
    position: Option<&EntryPosition>,
    limits: EventLimits,
) -> Result<ReadOutcome, Error> {
    let part = view.entry_part(filter, position.map(|(cursor, key)| (cursor, key)), limits.part)?;
    let Some(part) = part else { return Ok(ReadOutcome::Gap(view.cursor())) };
    // What is read at once is of one revision.
    let is_end = part.is_finished && position.is_none();
    let notifications = Arc::new(render::part(&part, is_end));
    Ok(match part.last {
        Some(last) if !is_end => {
            let revision = view.cursor().revision().get();
            ReadOutcome::Part { notifications, position: (part.cursor, last), is_last: part.is_finished, revision }
        }
        _ => ReadOutcome::Changes { notifications, cursor: part.cursor },
    })
}

#[cfg(test)]
mod tests {
    use store::StoreOptions;

    use super::*;

    #[tokio::test]
    async fn second_panic_of_a_read_is_its_outcome() {
        let store = StoreOptions::new("test").open_in_memory().expect("a store");
        let (epoch, permits) = (Arc::new(Epoch::new(store.view())), Arc::new(Semaphore::new(1)));
        let begin = || epoch.begin((1, None), &permits, || panic!("a test of a panic"));
        assert!(begin().outcome().await.is_none(), "the session reads again");
        assert!(matches!(begin().outcome().await, Some(ReadOutcome::Panicked)));
    }

    #[tokio::test]
    async fn retired_epoch_keeps_no_reads() {
        let store = StoreOptions::new("test").open_in_memory().expect("a store");
        let (epoch, permits) = (Arc::new(Epoch::new(store.view())), Arc::new(Semaphore::new(1)));
        let read = || epoch.begin((1, None), &permits, || ReadOutcome::Failed);
        assert!(read().outcome().await.is_some());
        assert_eq!(lock(&epoch.reads).by_key.len(), 1);
        epoch.retire();
        assert!(read().outcome().await.is_some());
        assert!(lock(&epoch.reads).by_key.is_empty());
    }
}
