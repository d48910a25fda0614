//! What to subscribe to.

use protocol::methods::SubscribeParams;

/// A subscription that is not opened yet. [`CircleWsClient::subscribe`](crate::CircleWsClient::subscribe) opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a subscription begins when the client opens it"]
pub struct SubscribeRequest {
    subject: Subject,
    pub(super) since: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    Keys(String),
    Topic(String),
}

impl SubscribeRequest {
    /// Follows the keys with a prefix that ends in `/`, or one key. The subscription begins with all entries.
    pub fn keys(keys: impl Into<String>) -> Self {
        Self { subject: Subject::Keys(keys.into()), since: None }
    }

    /// Follows the events of a topic. The subscription begins with the next event.
    pub fn topic(topic: impl Into<String>) -> Self {
        Self { subject: Subject::Topic(topic.into()), since: None }
    }

    /// Sets the cursor after which the subscription goes on, as
    /// [`Subscription::cursor`](crate::Subscription::cursor) returned it for the same keys or topic.
    pub fn since(mut self, cursor: impl Into<String>) -> Self {
        self.since = Some(cursor.into());
        self
    }

    pub(super) fn params(&self) -> SubscribeParams {
        let since = self.since.clone();
        match &self.subject {
            Subject::Keys(keys) => SubscribeParams { keys: Some(keys.clone()), topic: None, since },
            Subject::Topic(topic) => SubscribeParams { keys: None, topic: Some(topic.clone()), since },
        }
    }
}
