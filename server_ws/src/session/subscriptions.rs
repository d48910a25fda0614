//! The subscriptions of a session. The session reads for one of them at a time, and only while its outbox is empty: a
//! client that does not read makes its subscriptions fall behind, and costs nothing.

mod delivery;

use std::{future::poll_fn, sync::Arc};

use protocol::methods::MAX_SUBSCRIPTIONS;
use store::{Cursor, Filter};

use super::ticket::Ticket;
use crate::subscriptions::{
    EntryPosition, Epoch, EventHub, FeedMember, PagePosition, PendingRead, ReadFrom, ReadOutcome, SessionSignal,
    StalledSession,
};

/// The subscriptions of a session. A session without subscriptions holds one pointer.
#[derive(Debug, Default)]
pub(super) struct SessionSubscriptions(Option<Box<OpenSubscriptions>>);

#[derive(Debug, Default)]
struct OpenSubscriptions {
    signal: Arc<SessionSignal>,
    list: Vec<Subscription>,
    /// The number of subscriptions so far.
    opened: u64,
    /// The read that has begun, and the subscription that it is for.
    reading: Option<(u64, PendingRead)>,
    /// The subscription that read last. The next ones come first.
    last: u64,
    /// Counts the session while its client does not read.
    stalled: Option<StalledSession>,
}

#[derive(Debug)]
struct Subscription {
    number: u64,
    filter: Filter,
    member: FeedMember,
    position: Position,
}

/// Where a subscription is.
#[derive(Debug)]
enum Position {
    /// Before the answer to `subscribe`, which says whether something is lost after the cursor.
    Resuming(ReadFrom, Ticket),
    /// All entries are being sent. The epoch of the next part has at least this revision.
    Entries(Option<EntryPosition>, u64),
    /// Pages of changes are being sent.
    Pages(PagePosition, PageEpoch),
    /// What changed after a cursor.
    Changes(Cursor),
}

/// The epoch of the pages of a subscription.
#[derive(Debug)]
enum PageEpoch {
    /// The first page is of an epoch that has at least this revision.
    AtLeast(u64),
    /// The epoch of the page before. The store bounds how long it remembers it.
    Pinned(Arc<Epoch>),
}

/// The outcome of a read for a subscription.
#[derive(Debug)]
pub(super) struct SubscriptionRead {
    subscription: u64,
    outcome: ReadOutcome,
    /// The epoch that was read; none if the store has failed.
    epoch: Option<Arc<Epoch>>,
}

impl Subscription {
    /// Begins a read if something may follow the position.
    fn begin_read(&self, hub: &EventHub) -> Option<PendingRead> {
        let feed = &self.member.feed;
        match &self.position {
            Position::Resuming(since, _) => Some(hub.read_from(feed, since.clone(), hub.cursor().revision().get())),
            Position::Entries(position, revision) => {
                Some(hub.read_from(feed, ReadFrom::Entries(position.clone()), *revision))
            }
            Position::Pages(page, PageEpoch::AtLeast(revision)) => {
                Some(hub.read_from(feed, ReadFrom::Page(page.clone()), *revision))
            }
            Position::Pages(page, PageEpoch::Pinned(epoch)) => Some(hub.read_page(feed, page.clone(), epoch)),
            Position::Changes(cursor) if feed.has_news_since(cursor.revision().get()) => hub.read_ticked(feed, *cursor),
            Position::Changes(_) => None,
        }
    }
}

impl OpenSubscriptions {
    /// Begins the next read, in turn.
    fn begin_read(&mut self, hub: &EventHub) {
        // The numbers of the list increase.
        let first = self.list.partition_point(|subscription| subscription.number <= self.last);
        let (before, after) = self.list.split_at(first);
        let begun = after
            .iter()
            .chain(before)
            .find_map(|subscription| subscription.begin_read(hub).map(|read| (subscription.number, read)));
        if let Some((number, read)) = begun {
            self.last = number;
            self.reading = Some((number, read));
        }
    }

    fn get(&mut self, number: u64) -> Option<&mut Subscription> {
        self.list.iter_mut().find(|subscription| subscription.number == number)
    }
}

impl SessionSubscriptions {
    fn count(&self) -> usize {
        self.0.as_ref().map_or(0, |open| open.list.len())
    }

    pub(super) fn is_full(&self) -> bool {
        self.count() as u64 >= MAX_SUBSCRIPTIONS
    }

    /// Waits for the next read; never returns without subscriptions. Cancel safe.
    pub(super) async fn next_read(&mut self, hub: Option<&EventHub>) -> SubscriptionRead {
        let Some((open, hub)) = self.0.as_mut().zip(hub).filter(|(open, _)| !open.list.is_empty()) else {
            return std::future::pending().await;
        };
        loop {
            if hub.has_failed()
                && let Some(subscription) = open.list.first()
            {
                open.reading = None;
                let (subscription, outcome) = (subscription.number, ReadOutcome::Failed);
                return SubscriptionRead { subscription, outcome, epoch: None };
            }
            if open.reading.is_none() {
                open.begin_read(hub);
            }
            let Some((subscription, read)) = &mut open.reading else {
                poll_fn(|context| open.signal.poll(context)).await;
                continue;
            };
            let (subscription, outcome, epoch) = (*subscription, read.outcome().await, read.epoch().clone());
            open.reading = None;
            if let Some(outcome) = outcome {
                return SubscriptionRead { subscription, outcome, epoch: Some(epoch) };
            }
        }
    }

    /// Drops a read that has begun if the client does not read. It would keep the outcome in memory.
    pub(super) fn pause_unless(&mut self, can_send: bool, hub: Option<&EventHub>) {
        let Some((open, hub)) = self.0.as_mut().zip(hub) else { return };
        if can_send || open.list.is_empty() {
            open.stalled = None;
            return;
        }
        open.reading = None;
        open.stalled.get_or_insert_with(|| hub.counters().count_stalled());
    }

    /// Removes a subscription, and the space of the last one.
    fn remove(&mut self, number: u64) -> Option<Subscription> {
        let open = self.0.as_mut()?;
        let at = open.list.iter().position(|subscription| subscription.number == number)?;
        let removed = open.list.remove(at);
        open.reading = None;
        Some(removed)
    }
}
