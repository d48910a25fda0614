//! What a session does with its subscriptions: it opens and ends them, and sends their events.

use std::time::Duration;

use protocol::{
    RpcError,
    methods::{SubscribeResult, SubscriptionEnd},
};
use store::Filter;
use tokio::time::{Instant, timeout_at};

use super::{
    super::{Session, ticket::Ticket},
    PageEpoch, Position, Subscription, SubscriptionRead,
};
use crate::{
    rights,
    subscriptions::{self, EventHub, PagePosition, PendingRead, ReadFrom, ReadOutcome, SubscriptionCounters},
};

/// The size of the messages that wait for the client, in bytes, beyond which an answer waits for no further events.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// The time in which an answer waits for the events of its commit to be read.
const EVENTS_TIMEOUT: Duration = Duration::from_secs(1);

impl Session {
    /// Whether the session has as many subscriptions as it may have.
    pub(crate) fn has_all_subscriptions(&self) -> bool {
        self.subscriptions.is_full()
    }

    /// Opens a subscription. The reply to the request comes before its events.
    pub(crate) fn subscribe(&mut self, ticket: Ticket, filter: Filter, since: Option<ReadFrom>) {
        // Nobody would know the number of the subscription.
        if ticket.is_notification() {
            return;
        }
        let circle = self.circle.clone();
        let Some(store) = &circle.store else { return self.reply_error(&ticket, &RpcError::Internal) };
        let hub = &store.events;
        let open = self.subscriptions.0.get_or_insert_default();
        let member = match hub.join(&filter, open.signal.clone()) {
            Ok(member) => member,
            Err(error) => {
                tracing::error!(%error, "cannot start the thread of the subscriptions");
                return self.reply_error(&ticket, &RpcError::Internal);
            }
        };
        open.opened += 1;
        let number = open.opened;
        // After joining: later commits are matches of the feed.
        let newest = hub.cursor();
        let (position, reply) = match (since, &filter) {
            (Some(since), _) => (Position::Resuming(since, ticket), None),
            (None, Filter::Topic(_)) => (Position::Changes(newest), Some((ticket, Some(newest.to_string())))),
            (None, _) => (Position::Entries(None, newest.revision().get()), Some((ticket, None))),
        };
        open.list.push(Subscription { number, filter, member, position });
        if let Some((ticket, cursor)) = reply {
            self.reply(&ticket, &subscribed(number, cursor, false));
        }
    }

    /// Ends a subscription. Returns false if there is none with this number.
    pub(crate) fn unsubscribe(&mut self, number: u64) -> bool {
        let is_open = self.subscriptions.0.as_mut().and_then(|open| open.get(number));
        // The client does not know a number before the answer to `subscribe`.
        if is_open.is_none_or(|subscription| matches!(subscription.position, Position::Resuming(..))) {
            return false;
        }
        self.subscriptions.remove(number).is_some()
    }

    /// Ends the subscriptions that the rights of the caller do not grant any more.
    pub(in crate::session) fn check_subscriptions(&mut self) {
        let Some(open) = &self.subscriptions.0 else { return };
        let key = self.auth.identity();
        let refused: Vec<u64> = open
            .list
            .iter()
            .filter(|subscription| !rights::may_subscribe(&self.rights, key.as_ref(), &subscription.filter))
            .map(|subscription| subscription.number)
            .collect();
        for number in refused {
            self.end_subscription(number, SubscriptionEnd::Forbidden);
        }
    }

    fn end_subscription(&mut self, number: u64, reason: SubscriptionEnd) {
        let Some(subscription) = self.subscriptions.remove(number) else { return };
        if let Position::Resuming(since, ticket) = &subscription.position {
            self.reply(ticket, &subscribed(number, Some(since.to_string()), false));
        }
        self.send(subscriptions::ended(number, reason));
    }

    /// Sends what was read for a subscription, and moves its position.
    pub(in crate::session) fn deliver(&mut self, read: SubscriptionRead) {
        let SubscriptionRead { subscription: number, outcome, epoch } = read;
        match &outcome {
            ReadOutcome::TooOld { revision } => {
                if let Some(hub) = self.circle.event_hub() {
                    hub.forget(*revision);
                }
                return self.restart_pages(number);
            }
            ReadOutcome::Failed => {
                if let Some(hub) = self.circle.event_hub() {
                    hub.note_failure();
                }
                return self.end_subscription(number, SubscriptionEnd::Closed);
            }
            ReadOutcome::Panicked => return self.end_subscription(number, SubscriptionEnd::Closed),
            _ => {}
        }
        let Some(subscription) = self.subscriptions.0.as_mut().and_then(|open| open.get(number)) else { return };
        let position = match &outcome {
            ReadOutcome::Changes { cursor, .. } => Position::Changes(*cursor),
            ReadOutcome::Part { position, is_last: false, revision, .. } => {
                Position::Entries(Some(position.clone()), *revision)
            }
            ReadOutcome::Part { position: (cursor, last), is_last: true, revision, .. } => {
                let page = PagePosition { since: *cursor, last_key: Some(last.clone()), after: None };
                Position::Pages(page, PageEpoch::AtLeast(*revision))
            }
            ReadOutcome::Page { next, .. } => {
                let epoch = epoch.map_or(PageEpoch::AtLeast(0), PageEpoch::Pinned);
                Position::Pages(next.clone(), epoch)
            }
            ReadOutcome::Gap(cursor) if matches!(subscription.filter, Filter::Topic(_)) => Position::Changes(*cursor),
            ReadOutcome::Gap(cursor) => Position::Entries(None, cursor.revision().get()),
            ReadOutcome::TooOld { .. } | ReadOutcome::Failed | ReadOutcome::Panicked => return,
        };
        // After a gap, the client resumes a topic here, and keys from the beginning.
        let resumes = if let Position::Changes(cursor) = &position { Some(cursor.to_string()) } else { None };
        let before = std::mem::replace(&mut subscription.position, position);
        let is_gap = matches!(outcome, ReadOutcome::Gap(_));
        match before {
            Position::Resuming(since, ticket) => {
                let cursor = if is_gap { resumes } else { Some(since.to_string()) };
                self.reply(&ticket, &subscribed(number, cursor, is_gap));
            }
            _ if is_gap => {
                self.send(subscriptions::gap(number, resumes));
                self.count_sent(SubscriptionCounters::count_gap);
            }
            _ => {}
        }
        if let ReadOutcome::Changes { notifications, .. }
        | ReadOutcome::Part { notifications, .. }
        | ReadOutcome::Page { notifications, .. } = &outcome
        {
            let mut sent = 0;
            for text in notifications.texts(number) {
                self.send(text);
                sent += 1;
            }
            self.count_sent(|counters| counters.count_events(sent));
        }
    }

    fn count_sent(&self, count: impl FnOnce(&SubscriptionCounters)) {
        if let Some(hub) = self.circle.event_hub() {
            count(hub.counters());
        }
    }

    /// Begins with the first page of a newer epoch, if the subscription is within the pages of one.
    fn restart_pages(&mut self, number: u64) {
        let subscription = self.subscriptions.0.as_mut().and_then(|open| open.get(number));
        if let Some(Position::Pages(page, epoch)) = subscription.map(|subscription| &mut subscription.position)
            && let PageEpoch::Pinned(old) = epoch
        {
            page.after = None;
            *epoch = PageEpoch::AtLeast(old.revision());
        }
    }

    /// Sends the events of the commit of the play that has just finished.
    pub(in crate::session) async fn send_committed_events(&mut self) {
        if let Some(revision) = self.player.take_committed() {
            self.events_before_reply(revision.get()).await;
        }
    }

    /// Sends the events of the commits up to a durable revision for which the session has subscriptions, before the
    /// session answers the play or call that committed. Waits for the disk, at most for a second. Subscriptions that
    /// still get all entries, or more changes than one event has, come later. If the client does not read, the others
    /// come later, too.
    pub(in crate::session) async fn events_before_reply(&mut self, revision: u64) {
        let numbers: Vec<u64> = match &self.subscriptions.0 {
            None => return,
            Some(open) => open.list.iter().map(|subscription| subscription.number).collect(),
        };
        let circle = self.circle.clone();
        let Some(store) = &circle.store else { return };
        let deadline = Instant::now() + EVENTS_TIMEOUT;
        for number in numbers {
            loop {
                if self.outbox.bytes() > MAX_EVENT_BYTES {
                    return;
                }
                let Some(mut read) = self.read_before_reply(&store.events, number, revision) else { break };
                match timeout_at(deadline, read.outcome()).await {
                    Err(_) => return tracing::warn!(revision, "events of a commit are later than its answer"),
                    // The thread that read has ended; the next read comes with the next commit.
                    Ok(None) => break,
                    Ok(Some(outcome)) => {
                        let epoch = Some(read.epoch().clone());
                        self.deliver(SubscriptionRead { subscription: number, outcome, epoch });
                    }
                }
            }
        }
    }

    /// Begins a read for a subscription that is behind a revision.
    fn read_before_reply(&mut self, hub: &EventHub, number: u64, revision: u64) -> Option<PendingRead> {
        let open = self.subscriptions.0.as_mut()?;
        let subscription = open.get(number)?;
        let Position::Changes(cursor) = subscription.position else { return None };
        let feed = &subscription.member.feed;
        let position = cursor.revision().get();
        if position >= revision || !feed.has_news_since(position) {
            return None;
        }
        let read = hub.read_until(feed, cursor, revision);
        // Its outcome would be from another position.
        open.reading = None;
        Some(read)
    }
}

fn subscribed(subscription: u64, cursor: Option<String>, gap: bool) -> SubscribeResult {
    SubscribeResult { subscription, cursor, gap }
}
