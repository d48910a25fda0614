//! What a user watches in a circle's store, and the events as lines.

use client_ws::{EventEntry, Notice, SubscribeRequest, SubscriptionEnd, SubscriptionEvent};
use frontend::{
    text::{Style, StyledLine},
    visible::visible,
};

use crate::truncate;

/// What to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchSubject {
    /// The keys with a prefix that ends in `/`, or one key.
    Keys(String),
    /// The events of a topic.
    Topic(String),
}

impl WatchSubject {
    /// Parses `keys KEYS` or `topic TOPIC`.
    pub(crate) fn parse(kind: &str, name: &str) -> Option<Self> {
        match (kind, name) {
            (_, "") => None,
            ("keys", keys) => Some(Self::Keys(keys.to_owned())),
            ("topic", topic) => Some(Self::Topic(topic.to_owned())),
            _ => None,
        }
    }

    /// Returns the request of the subscription.
    pub fn request(&self) -> SubscribeRequest {
        match self {
            Self::Keys(keys) => SubscribeRequest::keys(keys),
            Self::Topic(topic) => SubscribeRequest::topic(topic),
        }
    }
}

/// Returns the lines of an event, none wider than `width` columns.
pub fn event_lines(event: &SubscriptionEvent, width: usize) -> Vec<StyledLine> {
    let note = |text: &str| StyledLine::of(Style::Dim, text);
    let lines = match event {
        SubscriptionEvent::Snapshot { entries, is_complete } => {
            let mut lines: Vec<_> = entries.iter().map(entry_line).collect();
            if *is_complete {
                lines.push(note("the entries are complete; changes follow"));
            }
            lines
        }
        SubscriptionEvent::Changes { entries } => entries.iter().map(entry_line).collect(),
        SubscriptionEvent::Published { data } => vec![StyledLine::of(Style::Plain, &visible(data.as_json()))],
        SubscriptionEvent::Gap => vec![note("changes in between are lost")],
        SubscriptionEvent::Ended { reason } => vec![note(end_text(*reason))],
        // Events of a later version.
        _ => Vec::new(),
    };
    lines.into_iter().map(|line| truncate::fit_line(line, width)).collect()
}

fn entry_line(entry: &EventEntry) -> StyledLine {
    let key = visible(&entry.key);
    match &entry.value {
        Some(value) if !entry.deleted => {
            StyledLine::of(Style::Strong, &key).with(Style::Plain, &format!(" = {}", visible(value.get())))
        }
        _ => StyledLine::of(Style::Strong, &key).with(Style::Dim, " deleted"),
    }
}

fn end_text(reason: SubscriptionEnd) -> &'static str {
    match reason {
        SubscriptionEnd::Forbidden => "the circle ended the watch: your role does not grant it any more",
        SubscriptionEnd::Closed => "the circle ended the watch: its store is closed or has failed",
        _ => "the circle ended the watch",
    }
}

/// Returns what to tell a user about a connection that is replaced while a watch goes on.
pub fn connection_note(notice: &Notice) -> Option<String> {
    match notice {
        Notice::ConnectionLost { reason, .. } => Some(format!("note: connection lost ({reason}); connecting again")),
        Notice::Reconnected { .. } => Some("note: connected again".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use client_ws::RawValue;

    use super::*;

    fn entry(key: &str, value: Option<&str>) -> EventEntry {
        let value = value.map(|value| RawValue::from_string(value.into()).expect("JSON"));
        EventEntry { key: key.into(), deleted: value.is_none(), value }
    }

    fn text(event: &SubscriptionEvent, width: usize) -> Vec<String> {
        event_lines(event, width).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn events_are_lines() {
        let entries = vec![entry("stock/tea", Some(r#"{"left":5}"#)), entry("stock/\u{202e}x", None)];
        let changes = SubscriptionEvent::Changes { entries: entries.clone() };
        let lines = text(&changes, 80);
        assert_eq!(lines[0], r#"stock/tea = {"left":5}"#);
        assert!(lines[1].ends_with(" deleted") && !lines[1].contains('\u{202e}'), "{}", lines[1]);
        let all = SubscriptionEvent::Snapshot { entries, is_complete: true };
        assert_eq!(text(&all, 80).len(), 3);
        assert!(text(&changes, 10).iter().all(|line| line.chars().count() <= 10));
        assert_eq!(text(&SubscriptionEvent::Gap, 80), ["changes in between are lost"]);
    }

    #[test]
    fn subject_needs_a_kind_and_a_name() {
        assert_eq!(WatchSubject::parse("keys", "a/"), Some(WatchSubject::Keys("a/".into())));
        assert_eq!(WatchSubject::parse("topic", "a b"), Some(WatchSubject::Topic("a b".into())));
        assert!(WatchSubject::parse("keys", "").is_none() && WatchSubject::parse("a/", "b").is_none());
    }
}
