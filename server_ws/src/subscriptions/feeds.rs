//! The feeds: which filters have subscriptions, and up to which revision commits match them.

use std::{
    collections::{BTreeMap, HashMap, VecDeque, btree_map},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;
use store::{CommitNotice, Cursor, Filter};

use super::counters::SubscriptionCounters;

/// Wakes a session that has subscriptions.
#[derive(Debug, Default)]
pub(crate) struct SessionSignal {
    waker: AtomicWaker,
    is_set: AtomicBool,
}

impl SessionSignal {
    pub(super) fn set(&self) {
        self.is_set.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Is ready once the signal has been set, and clears it.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        if self.is_set.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// What the subscriptions with one filter have in common.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(super) number: u64,
    pub(super) filter: Filter,
    /// The revision of the newest group of commits that matches.
    newest: AtomicU64,
    matches: Mutex<Matches>,
    members: Mutex<HashMap<u64, Arc<SessionSignal>>>,
}

/// Where the commits that match a feed are. Revisions count up, and a group of commits has an interval of them.
#[derive(Debug, Default)]
struct Matches {
    /// The revision of the last epoch that was taken for this feed. Matches that were reported before are not above it.
    epoch: u64,
    /// The revision below the first match that was reported since that epoch.
    unread: Option<u64>,
    shared: Option<SharedPositions>,
}

/// The positions from which the changes up to an epoch are the same, because no commit in between matches.
#[derive(Debug, Clone, Copy)]
struct SharedPositions {
    epoch: u64,
    lowest: u64,
    highest: u64,
    /// A recent cursor among these positions. The log of the store may not reach back to the lowest.
    recent: Option<Cursor>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Feed {
    /// Whether a commit above a revision matches, as far as the store has reported.
    pub(crate) fn has_news_since(&self, revision: u64) -> bool {
        self.newest.load(Ordering::Acquire) > revision
    }

    /// Returns the position from which a session at `cursor` reads an epoch, and whether all sessions at such positions
    /// share the read.
    pub(super) fn position_in(&self, epoch: u64, cursor: Cursor) -> (Cursor, bool) {
        let revision = cursor.revision().get();
        match lock(&self.matches).shared {
            Some(shared) if shared.epoch == epoch && (shared.lowest..=shared.highest).contains(&revision) => {
                (shared.recent.unwrap_or(cursor), true)
            }
            _ => (cursor, false),
        }
    }

    /// Returns a newer position that has the same changes after it, if one of the recent cursors is such a position.
    pub(super) fn advance(&self, cursor: Cursor, recent: &VecDeque<Cursor>) -> Cursor {
        let matches = lock(&self.matches);
        let (revision, highest) = (cursor.revision().get(), matches.unread.unwrap_or(matches.epoch));
        if revision < matches.epoch {
            return cursor;
        }
        latest_within(recent, revision, highest).unwrap_or(cursor)
    }

    fn note_match(&self, before: u64, revision: u64) -> bool {
        let mut matches = lock(&self.matches);
        self.newest.store(revision, Ordering::Release);
        let is_first = matches.unread.is_none();
        matches.unread.get_or_insert(before);
        is_first
    }

    /// Notes the epoch that was taken for the matches so far.
    fn note_epoch(&self, epoch: u64, recent: &VecDeque<Cursor>, unread: u64) {
        let mut matches = lock(&self.matches);
        let lowest = std::mem::replace(&mut matches.epoch, epoch);
        let recent = latest_within(recent, lowest, unread);
        matches.shared = Some(SharedPositions { epoch, lowest, highest: unread, recent });
    }

    fn take_unread(&self) -> Option<u64> {
        lock(&self.matches).unread.take()
    }

    fn wake_members(&self) {
        for signal in lock(&self.members).values() {
            signal.set();
        }
    }
}

fn latest_within(recent: &VecDeque<Cursor>, lowest: u64, highest: u64) -> Option<Cursor> {
    recent.iter().rev().find(|cursor| (lowest..=highest).contains(&cursor.revision().get())).copied()
}

/// All feeds of a circle.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    table: Mutex<FeedTable>,
    /// The table has a new commit, or is closed.
    changed: Condvar,
    counters: Arc<SubscriptionCounters>,
    joined: AtomicU64,
}

#[derive(Debug, Default)]
struct FeedTable {
    /// By prefix, which ends in `/`, or by key.
    keys: HashMap<Arc<str>, Arc<Feed>>,
    /// The number of these texts by their length in bytes.
    key_lengths: BTreeMap<usize, usize>,
    topics: HashMap<Arc<str>, Arc<Feed>>,
    /// The feeds with matches for which no epoch was taken.
    marked: Vec<Arc<Feed>>,
    /// The revision of the last group of commits.
    revision: u64,
    has_new_commit: bool,
    is_closed: bool,
}

/// The membership of a subscription in its feed, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct FeedMember {
    feeds: Arc<Feeds>,
    pub(crate) feed: Arc<Feed>,
    number: u64,
}

impl Feeds {
    /// Returns the number of subscriptions.
    pub(super) fn subscriptions(&self) -> u64 {
        self.counters.open()
    }

    pub(super) fn counters(&self) -> &Arc<SubscriptionCounters> {
        &self.counters
    }

    /// Joins the feed of a filter. Later matches wake the session.
    pub(super) fn join(self: &Arc<Self>, filter: &Filter, signal: Arc<SessionSignal>) -> FeedMember {
        let number = self.joined.fetch_add(1, Ordering::Relaxed);
        let mut table = lock(&self.table);
        let revision = table.revision;
        let feed = table.get_or_insert(filter, || {
            let matches = Matches { epoch: revision, ..Matches::default() };
            let (filter, newest, members) = (filter.clone(), AtomicU64::new(0), Mutex::default());
            Arc::new(Feed { number, filter, newest, matches: Mutex::new(matches), members })
        });
        // Under the lock of the table, which `leave` takes before it removes an empty feed.
        lock(&feed.members).insert(number, signal);
        drop(table);
        self.counters.add_subscription();
        FeedMember { feeds: self.clone(), feed, number }
    }

    fn leave(&self, feed: &Arc<Feed>, number: u64) {
        let mut table = lock(&self.table);
        let is_empty = {
            let mut members = lock(&feed.members);
            members.remove(&number);
            members.is_empty()
        };
        if is_empty {
            table.remove(feed);
        }
        drop(table);
        self.counters.remove_subscription();
    }

    /// Marks the feeds that a group of commits matches. The committer of the store waits meanwhile.
    pub(super) fn note_commits(&self, notice: &CommitNotice) {
        let mut table = lock(&self.table);
        let before = std::mem::replace(&mut table.revision, notice.revision.get());
        if table.keys.is_empty() && table.topics.is_empty() {
            return;
        }
        let FeedTable { keys, key_lengths, topics, marked, .. } = &mut *table;
        let mut note = |feed: Option<&Arc<Feed>>| {
            if let Some(feed) = feed.filter(|feed| feed.note_match(before, notice.revision.get())) {
                marked.push(feed.clone());
            }
        };
        for key in notice.keys.iter().map(store::Key::as_str) {
            // A lookup of each prefix would hash a key of many `/` as often.
            for &length in key_lengths.range(..=key.len()).map(|(length, _)| length) {
                if length == key.len() || key.as_bytes().get(length.wrapping_sub(1)) == Some(&b'/') {
                    note(keys.get(&key[..length]));
                }
            }
        }
        for topic in &notice.topics {
            note(topics.get(topic.as_str()));
        }
        table.has_new_commit = true;
        self.changed.notify_one();
    }

    /// Waits for a commit after the last call, at most for `timeout`. Returns whether there is one, or `None` once the
    /// feeds are closed.
    pub(super) fn wait_for_commit(&self, timeout: Duration) -> Option<bool> {
        let deadline = Instant::now() + timeout;
        let mut table = lock(&self.table);
        loop {
            if table.is_closed {
                return None;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if table.has_new_commit || left.is_zero() {
                return Some(std::mem::take(&mut table.has_new_commit));
            }
            table = self.changed.wait_timeout(table, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a time, or until the feeds are closed.
    pub(super) fn pause(&self, time: Duration) {
        let deadline = Instant::now() + time;
        let mut table = lock(&self.table);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if table.is_closed || left.is_zero() {
                return;
            }
            table = self.changed.wait_timeout(table, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes the marked feeds, each with the revision below its first unread match.
    pub(super) fn take_marked(&self) -> Vec<(Arc<Feed>, u64)> {
        let marked = std::mem::take(&mut lock(&self.table).marked);
        marked.into_iter().filter_map(|feed| feed.take_unread().map(|unread| (feed, unread))).collect()
    }

    /// Notes the epoch that was taken for marked feeds.
    pub(super) fn note_epoch(marked: &[(Arc<Feed>, u64)], epoch: u64, recent: &VecDeque<Cursor>) {
        for (feed, unread) in marked {
            feed.note_epoch(epoch, recent, *unread);
        }
    }

    /// Wakes the sessions of marked feeds.
    pub(super) fn wake(marked: &[(Arc<Feed>, u64)]) {
        for (feed, _) in marked {
            feed.wake_members();
        }
    }

    /// Wakes all sessions.
    pub(super) fn wake_all(&self) {
        let feeds: Vec<_> = {
            let table = lock(&self.table);
            table.keys.values().chain(table.topics.values()).cloned().collect()
        };
        for feed in feeds {
            feed.wake_members();
        }
    }

    pub(super) fn close(&self) {
        lock(&self.table).is_closed = true;
        self.changed.notify_all();
    }
}

impl FeedTable {
    fn get_or_insert(&mut self, filter: &Filter, feed: impl FnOnce() -> Arc<Feed>) -> Arc<Feed> {
        let (map, text) = match filter {
            Filter::Topic(topic) => (&mut self.topics, topic.as_str()),
            filter => (&mut self.keys, key_text(filter)),
        };
        if let Some(feed) = map.get(text) {
            return feed.clone();
        }
        let feed = feed();
        map.insert(text.into(), feed.clone());
        if !matches!(filter, Filter::Topic(_)) {
            *self.key_lengths.entry(text.len()).or_default() += 1;
        }
        feed
    }

    fn remove(&mut self, feed: &Arc<Feed>) {
        let (map, text) = match &feed.filter {
            Filter::Topic(topic) => (&mut self.topics, topic.as_str()),
            filter => (&mut self.keys, key_text(filter)),
        };
        if map.get(text).is_some_and(|current| Arc::ptr_eq(current, feed)) {
            map.remove(text);
            if !matches!(feed.filter, Filter::Topic(_))
                && let btree_map::Entry::Occupied(mut count) = self.key_lengths.entry(text.len())
            {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
    }
}

fn key_text(filter: &Filter) -> &str {
    match filter {
        Filter::Prefix(prefix) => prefix.as_str(),
        Filter::Key(key) => key.as_str(),
        Filter::Topic(topic) => topic,
    }
}

impl Drop for FeedMember {
    fn drop(&mut self) {
        self.feeds.leave(&self.feed, self.number);
    }
}

#[cfg(test)]
mod tests;
