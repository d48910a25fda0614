//! Subscriptions: keys of a circle's store, or a topic, as streams that survive a reconnection.

mod opening;
mod queue;
mod request;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{Stream, future};
use protocol::methods::{Event, EventEntry, SnapshotPart, SubscriptionEnd};

use crate::{ClientError, PlayValue, client::Shared, transport::BoxFuture};
use opening::{OpenSubscription, Opening};

pub(crate) use queue::SubscriptionSender;
pub use request::SubscribeRequest;

/// An event of a subscription.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SubscriptionEvent {
    /// A part of entries. A subscription to keys that begins without a cursor, or after a gap, begins with all entries in
    /// parts. Later changes come in parts, too, if they are more than one event has.
    Snapshot {
        /// The entries of this part. A key may occur again in a later part, with a newer value or deleted.
        entries: Vec<EventEntry>,
        /// Whether this is the last part. Now the entries are those of one revision of the store. After a reconnection
        /// within the parts of later changes, [`Changes`](Self::Changes) may come in place of the last part.
        is_complete: bool,
    },
    /// Changed entries, all as of one revision of the store.
    Changes {
        /// The entries with their newest values.
        entries: Vec<EventEntry>,
    },
    /// An event of the topic.
    Published {
        /// The data of the event.
        data: PlayValue,
    },
    /// Changes or events in between are lost. For keys, forget all entries: a snapshot follows.
    Gap,
    /// The circle ended the subscription. Nothing follows.
    Ended {
        /// The reason.
        reason: SubscriptionEnd,
    },
}

/// A subscription: a stream of events that goes on after a reconnection, without a loss and without events twice.
///
/// The client keeps up to 4 MiB of events that the program does not take. Beyond that, it leaves the subscription until
/// the program has taken them, and then subscribes again where they end. So a slow program gets the newest value of each
/// key, and neither its memory nor the answers to other requests depend on it. Dropping the subscription ends it.
pub struct Subscription {
    shared: Arc<Shared>,
    request: SubscribeRequest,
    state: State,
    /// Whether an event was returned, so that entries without a cursor would come twice.
    has_news: bool,
    /// Whether the last connection ended because of a message over the limit, and no event came since.
    was_over_limit: bool,
    /// Whether to return the gap that the circle reported when it opened the subscription.
    has_gap: bool,
}

enum State {
    Opening(BoxFuture<'static, Result<Opening, ClientError>>),
    Open(OpenSubscription),
    Ended,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("request", &self.request).finish_non_exhaustive()
    }
}

impl Subscription {
    /// Opens a subscription.
    pub(crate) async fn open(shared: Arc<Shared>, request: SubscribeRequest) -> Result<Self, ClientError> {
        let opening = opening::open(shared.clone(), request.clone()).await?;
        let mut subscription =
            Self { shared, request, state: State::Ended, has_news: false, was_over_limit: false, has_gap: false };
        subscription.begin(opening);
        Ok(subscription)
    }

    /// The cursor after the last event that was returned, for [`SubscribeRequest::since`]; `None` if a subscription
    /// would begin anew there.
    pub fn cursor(&self) -> Option<&str> {
        self.request.since.as_deref()
    }

    /// Waits for the next event; `None` after the end of the subscription. Cancel safe.
    ///
    /// # Errors
    ///
    /// Returns the reason why the connection ended, unless the client
    /// [reconnects](crate::CircleWsClientBuilder::reconnect), or [`ClientError::Rpc`] if the circle refuses to go on with
    /// the subscription. [`ClientError::ConnectionLost`] also for a client that reconnects, if two connections in turn
    /// end at this position because a message is over the limit of the client. Nothing follows an error.
    pub async fn next(&mut self) -> Option<Result<SubscriptionEvent, ClientError>> {
        future::poll_fn(|context| self.poll_event(context)).await
    }

    /// Takes an opened subscription.
    fn begin(&mut self, opening: Opening) {
        let Opening { open, cursor, gap } = opening;
        let begins_anew = self.request.since.is_none() && self.has_news;
        self.has_gap = gap || begins_anew;
        self.has_news = self.has_news && !self.has_gap;
        if cursor.is_some() || gap {
            self.request.since = cursor;
        }
        self.state = State::Open(open);
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<SubscriptionEvent, ClientError>>> {
        loop {
            if std::mem::take(&mut self.has_gap) {
                return Poll::Ready(Some(Ok(SubscriptionEvent::Gap)));
            }
            match &mut self.state {
                State::Ended => return Poll::Ready(None),
                State::Opening(opening) => {
                    let Poll::Ready(opened) = opening.as_mut().poll(context) else { return Poll::Pending };
                    match opened {
                        Ok(opening) => self.begin(opening),
                        Err(error) => {
                            self.state = State::Ended;
                            return Poll::Ready(Some(Err(error)));
                        }
                    }
                }
                State::Open(open) => match open.poll_event(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(event)) => {
                        self.was_over_limit = false;
                        if let Some(event) = self.take(event) {
                            return Poll::Ready(Some(Ok(event)));
                        }
                    }
                    // Dropping the open subscription leaves it.
                    Poll::Ready(None) => {
                        let error = open.message_limit_error();
                        let was_over_limit = std::mem::replace(&mut self.was_over_limit, error.is_some());
                        // The same message would end every further connection.
                        if let Some(error) = error.filter(|_| was_over_limit) {
                            self.state = State::Ended;
                            return Poll::Ready(Some(Err(error)));
                        }
                        self.state = State::Opening(Box::pin(opening::open(self.shared.clone(), self.request.clone())));
                    }
                },
            }
        }
    }

    /// Moves the cursor, and returns the event for the program. A client ignores events of unknown kinds.
    fn take(&mut self, event: Event) -> Option<SubscriptionEvent> {
        let Event { cursor, entries, snapshot, data, gap, ended, .. } = event;
        if cursor.is_some() || gap {
            self.request.since = cursor;
        }
        // After a gap, all entries come, so that those before do not come twice.
        self.has_news = !gap;
        if let Some(reason) = ended {
            self.state = State::Ended;
            return Some(SubscriptionEvent::Ended { reason });
        }
        if gap {
            return Some(SubscriptionEvent::Gap);
        }
        match (entries, snapshot, data) {
            (Some(entries), None, _) => Some(SubscriptionEvent::Changes { entries }),
            (Some(entries), Some(part), _) => {
                Some(SubscriptionEvent::Snapshot { entries, is_complete: part == SnapshotPart::End })
            }
            (None, _, Some(data)) => Some(SubscriptionEvent::Published { data: data.into() }),
            (None, _, None) => None,
        }
    }
}

impl Stream for Subscription {
    type Item = Result<SubscriptionEvent, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_event(context)
    }
}
