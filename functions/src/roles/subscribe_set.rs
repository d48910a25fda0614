//! Patterns in `subscribe`, and sets of them.

use std::{collections::BTreeSet, str::FromStr};

use super::{
    patterns::shorten,
    text_pattern::{CallerPlaceholders, TextPattern, remove_covered},
};

/// What the patterns of prefixes begin with.
const KEYS: &str = "keys:";

/// What the patterns of topics begin with.
const TOPIC: &str = "topic:";

/// A pattern in `subscribe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SubscribePattern {
    All,
    /// The keys with a prefix.
    Keys(TextPattern),
    /// The events of a topic.
    Topic(TextPattern),
}

impl FromStr for SubscribePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = if text == "*" {
            Ok(Self::All)
        } else if let Some(prefix) = text.strip_prefix(KEYS) {
            TextPattern::prefix(prefix).map(Self::Keys)
        } else if let Some(topic) = text.strip_prefix(TOPIC) {
            TextPattern::topic(topic).map(Self::Topic)
        } else {
            Err("is not a pattern of subscriptions: write \"keys:orders/\" for the keys with a prefix, \"topic:orders\" for \
                 the events of a topic, or \"*\" for all keys and topics"
                .to_owned())
        };
        parsed.map_err(|reason| format!("'{}' {reason}", shorten(text)))
    }
}

/// The keys and topics to which a role may subscribe. No pattern in it is part of another one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SubscribeSet {
    has_all: bool,
    prefixes: BTreeSet<TextPattern>,
    topics: BTreeSet<TextPattern>,
}

impl SubscribeSet {
    pub(super) fn all() -> Self {
        Self { has_all: true, ..Self::default() }
    }

    /// Makes the set of what matches any of the patterns.
    pub(super) fn new(patterns: impl IntoIterator<Item = SubscribePattern>) -> Self {
        let mut set = Self::default();
        for pattern in patterns {
            match pattern {
                SubscribePattern::All => return Self::all(),
                SubscribePattern::Keys(prefix) => _ = set.prefixes.insert(prefix),
                SubscribePattern::Topic(topic) => _ = set.topics.insert(topic),
            }
        }
        remove_covered(&mut set.prefixes);
        set
    }

    /// Returns whether a key, or all keys with a prefix, are in the set.
    pub(super) fn contains_keys(&self, prefix_or_key: &str, caller: &CallerPlaceholders) -> bool {
        self.has_all || self.prefixes.iter().any(|prefix| prefix.is_prefix_of(prefix_or_key, caller))
    }

    pub(super) fn contains_topic(&self, topic: &str, caller: &CallerPlaceholders) -> bool {
        self.has_all || self.topics.iter().any(|pattern| pattern.is(topic, caller))
    }

    /// Returns the patterns in alphabetical order.
    pub(super) fn patterns(&self) -> Vec<String> {
        let all = self.has_all.then(|| "*".to_owned());
        let prefixes = self.prefixes.iter().map(|prefix| format!("{KEYS}{}", prefix.as_str()));
        let topics = self.topics.iter().map(|topic| format!("{TOPIC}{}", topic.as_str()));
        all.into_iter().chain(prefixes).chain(topics).collect()
    }
}
