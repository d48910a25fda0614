//! Subscriptions: the keys of the store or the topic that a session follows, and the notifications about them.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::Notification;
use crate::{Params, RpcError, method::ParamValues};

/// Maximum number of subscriptions of one session.
pub const MAX_SUBSCRIPTIONS: u64 = 16;

params! {
    /// Parameters of `subscribe`: exactly one of `keys` and `topic`.
    SubscribeParams {
        /// The keys to follow: a prefix that ends in `/`, or one key.
        #[serde(skip_serializing_if = "Option::is_none")]
        keys: Option<String>,
        /// The topic to follow.
        #[serde(skip_serializing_if = "Option::is_none")]
        topic: Option<String>,
        /// The cursor after which the subscription goes on. Without it, a subscription to keys begins with all entries,
        /// and one to a topic with the next event.
        #[serde(skip_serializing_if = "Option::is_none")]
        since: Option<String>,
    }

    /// Parameters of `unsubscribe`.
    UnsubscribeParams {
        /// The number of the subscription.
        subscription: u64,
    }
}

results! {
    /// Result of `subscribe`.
    SubscribeResult {
        /// The number of the subscription in this connection.
        subscription: u64,
        /// The cursor from which the subscription goes on; absent if it goes on with all entries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<String>,
        /// Whether changes after `since` are lost. For keys, all entries follow.
        gap: bool,
    }

    /// Result of `unsubscribe`.
    UnsubscribeResult {
        /// Whether the session had the subscription. No event of the subscription follows.
        unsubscribed: bool,
    }

    /// News of a subscription. Each has `entries`, `data`, `gap` or `ended`.
    #[derive(Default)]
    Event {
        /// The number of the subscription.
        subscription: u64,
        /// The cursor after this event, for the `since` of a later subscription. Absent for all but the last event of a
        /// topic that the circle sends at once, and where a gap begins all entries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<String>,
        /// Entries of the keys, all as of one revision, in the order of their keys.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entries: Option<Vec<EventEntry>>,
        /// Whether the entries are a part of all entries or of many changes, or the last part.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        snapshot: Option<SnapshotPart>,
        /// The data of an event of the topic.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "deserialize_present")]
        #[cfg_attr(feature = "schema", schemars(with = "serde_json::Value"))]
        data: Option<Box<RawValue>>,
        /// Whether changes or events before this event are lost. For keys, the client forgets what it knows, and all
        /// entries follow.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        gap: bool,
        /// Why the circle ended the subscription. No event of the subscription follows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ended: Option<SubscriptionEnd>,
    }

    /// A key with its value, or a key that was deleted.
    EventEntry {
        /// The key.
        key: String,
        /// The value as JSON.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "deserialize_present")]
        #[cfg_attr(feature = "schema", schemars(with = "serde_json::Value"))]
        value: Option<Box<RawValue>>,
        /// Whether the key is absent.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        deleted: bool,
    }
}

impl Notification for Event {
    const NAME: &'static str = "event";
}

/// Whether more parts follow of all entries, or of changes that are more than one event has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SnapshotPart {
    /// More entries follow.
    Part,
    /// These are the last entries. Now all entries are those of one revision.
    End,
}

/// The reason why a circle ended a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SubscriptionEnd {
    /// The role of the caller does not grant the subscription any more.
    Forbidden,
    /// The store has failed or is closed.
    Closed,
    /// A reason of a later version of the protocol.
    #[serde(other)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

impl SubscriptionEnd {
    /// Returns the reason as on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
        }
    }
}

/// Distinguishes `null` from a missing member, which `Option` alone does not.
fn deserialize_present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_the_wire() {
        for text in [
            r#"{"subscription":1,"cursor":"01","entries":[{"key":"a/b","value":{"n":1}},{"key":"a/c","deleted":true}]}"#,
            r#"{"subscription":1,"entries":[],"snapshot":"part"}"#,
            r#"{"subscription":1,"cursor":"01","entries":[],"snapshot":"end"}"#,
            r#"{"subscription":2,"cursor":"01","data":null}"#,
            r#"{"subscription":2,"gap":true}"#,
            r#"{"subscription":2,"ended":"forbidden"}"#,
        ] {
            let event: Event = serde_json::from_str(text).expect("an event");
            assert_eq!(serde_json::to_string(&event).expect("serialises"), text);
        }
    }

    #[test]
    fn reason_of_a_later_version_is_kept() {
        let event: Event = serde_json::from_str(r#"{"subscription":2,"ended":"moved","later":1}"#).expect("an event");
        assert_eq!(event.ended, Some(SubscriptionEnd::Unknown));
    }
}
