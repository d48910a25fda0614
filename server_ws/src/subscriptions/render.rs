//! The notifications of subscriptions. All sessions share the text after the number of their subscription.

use protocol::{
    message,
    methods::{Event, EventEntry, Notification, SnapshotPart, SubscriptionEnd},
};
use serde_json::value::RawValue;
use store::{ChangedEntry, ChangedPage, Cursor, EntryPart, PublishedEvent};

use super::position::{PagePosition, entry_position};
use crate::{blobs::unwrap_blobs, stored_value};

/// The notifications of one read, in order.
#[derive(Debug, Default)]
pub(crate) struct Notifications {
    /// The members of each after `subscription`.
    members: Vec<String>,
}

impl Notifications {
    pub(super) fn bytes(&self) -> usize {
        self.members.iter().map(String::len).sum()
    }

    /// Returns the texts for a subscription.
    pub(crate) fn texts(&self, subscription: u64) -> impl Iterator<Item = String> {
        let head = head(subscription);
        self.members.iter().map(move |members| [&head, members.as_str()].concat())
    }

    fn push(&mut self, event: Event) {
        let text = message::notification(Event::NAME, &Event { subscription: 0, ..event });
        let members = text.strip_prefix(&head(0)).expect("a notification begins with its subscription");
        self.members.push(members.into());
    }
}

/// Returns the text of a notification up to the number of the subscription.
fn head(subscription: u64) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{}","params":{{"subscription":{subscription}"#, Event::NAME)
}

fn notification(event: &Event) -> String {
    message::notification(Event::NAME, event)
}

/// Returns the notification of a gap. A topic goes on from the cursor.
pub(crate) fn gap(subscription: u64, cursor: Option<String>) -> String {
    notification(&Event { subscription, cursor, gap: true, ..Event::default() })
}

/// Returns the last notification of a subscription.
pub(crate) fn ended(subscription: u64, reason: SubscriptionEnd) -> String {
    notification(&Event { subscription, ended: Some(reason), ..Event::default() })
}

/// Makes the notification of changed entries; none without entries.
pub(super) fn entries(entries: &[ChangedEntry], cursor: &Cursor) -> Notifications {
    let mut notifications = Notifications::default();
    if !entries.is_empty() {
        let entries = Some(entries.iter().map(entry).collect());
        notifications.push(Event { cursor: Some(cursor.to_string()), entries, ..Event::default() });
    }
    notifications
}

/// Makes the notification of a part of all entries. `is_end` says that they are complete.
pub(super) fn part(part: &EntryPart, is_end: bool) -> Notifications {
    let cursor = match &part.last {
        Some(last) if !is_end => entry_position(&part.cursor, last),
        _ => part.cursor.to_string(),
    };
    snapshot(&part.entries, cursor, is_end)
}

/// Makes the notification of a page of changes.
pub(super) fn page(page: &ChangedPage, position: &PagePosition) -> Notifications {
    let is_end = page.next.is_none();
    let cursor = if is_end { page.cursor.to_string() } else { position.to_string() };
    snapshot(&page.entries, cursor, is_end)
}

fn snapshot(entries: &[ChangedEntry], cursor: String, is_end: bool) -> Notifications {
    let mut notifications = Notifications::default();
    notifications.push(Event {
        cursor: Some(cursor),
        entries: Some(entries.iter().map(entry).collect()),
        snapshot: Some(if is_end { SnapshotPart::End } else { SnapshotPart::Part }),
        ..Event::default()
    });
    notifications
}

/// Makes the notifications of published events. Only the last one has a cursor, because the events of one commit share
/// its revision.
pub(super) fn events(events: &[PublishedEvent], cursor: &Cursor) -> Notifications {
    let mut notifications = Notifications::default();
    for (index, event) in events.iter().enumerate() {
        let cursor = (index + 1 == events.len()).then(|| cursor.to_string());
        let data = std::str::from_utf8(&event.data).ok().and_then(|data| RawValue::from_string(data.into()).ok());
        notifications.push(Event { cursor, data: Some(wire_json(data)), ..Event::default() });
    }
    notifications
}

fn entry(entry: &ChangedEntry) -> EventEntry {
    let key = entry.key.as_str().to_owned();
    match &entry.value {
        None => EventEntry { key, value: None, deleted: true },
        Some(value) => EventEntry { key, value: Some(wire_json(stored_value::to_json(value))), deleted: false },
    }
}

/// Returns stored JSON as on the wire; null for an encoding of a later version.
fn wire_json(stored: Option<Box<RawValue>>) -> Box<RawValue> {
    let unwrapped = stored.and_then(|json| RawValue::from_string(unwrap_blobs(json.get()).ok()?.into_owned()).ok());
    unwrapped.unwrap_or_else(|| RawValue::NULL.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_values_are_shown_as_the_results_of_plays() {
        let shown = |json: &str| wire_json(RawValue::from_string(json.into()).ok());
        assert_eq!(shown(r#"[1.0,{"$circles::blob":"AAE="}]"#).get(), r#"[1.0,"AAE="]"#);
        assert_eq!(wire_json(None).get(), "null");
    }

    #[test]
    fn sessions_share_the_text_of_a_notification() {
        let mut notifications = Notifications::default();
        notifications.push(Event { gap: true, ..Event::default() });
        let texts: Vec<_> = notifications.texts(7).collect();
        assert_eq!(texts, [gap(7, None)]);
    }
}
