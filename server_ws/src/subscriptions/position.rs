//! Positions of subscriptions, and their texts: the cursors of clients.

use std::{fmt, str::FromStr};

use store::{Cursor, Filter, Key};

/// Separates the cursor of the store and the key within a text. The cursor is hexadecimal digits.
const SEPARATOR: char = '.';

/// Where the last part of all entries ended: the cursor of the first part, and the key after which the next part begins.
pub(crate) type EntryPosition = (Cursor, Key);

/// The position within the pages of what changed after a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PagePosition {
    /// The cursor.
    pub(crate) since: Cursor,
    /// The last key of all entries, if the pages complete them.
    pub(crate) last_key: Option<Key>,
    /// The key after which the page begins; `None` for the first page.
    pub(crate) after: Option<Key>,
}

/// The position from which a session reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ReadFrom {
    /// What changed after a cursor.
    Cursor(Cursor),
    /// All entries, after those of the part before.
    Entries(Option<EntryPosition>),
    /// A page of changes. All pages are as of one epoch.
    Page(PagePosition),
}

/// The text is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor: use a cursor as the circle sent it, or subscribe without 'since'")]
pub(crate) struct ParsePositionError;

impl ReadFrom {
    /// Whether a subscription with this filter can have the position.
    pub(crate) fn is_of(&self, filter: &Filter) -> bool {
        match (self, filter) {
            (Self::Cursor(_) | Self::Entries(None), _) => true,
            (Self::Entries(Some((_, key))), Filter::Prefix(prefix)) => prefix.contains(key),
            (Self::Entries(Some((_, key))), Filter::Key(single)) => key == single,
            // Nobody sends the position of a page: its text is that of a cursor or of a part.
            (Self::Entries(Some(_)), Filter::Topic(_)) | (Self::Page(_), _) => false,
        }
    }
}

/// Returns the text of a position within all entries.
pub(super) fn entry_position(cursor: &Cursor, next: &Key) -> String {
    format!("{cursor}{SEPARATOR}{next}")
}

/// The position from which a client resumes: the pages then begin anew, as of another epoch.
impl fmt::Display for PagePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.last_key {
            Some(key) => f.write_str(&entry_position(&self.since, key)),
            None => self.since.fmt(f),
        }
    }
}

impl fmt::Display for ReadFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cursor(cursor) => cursor.fmt(f),
            Self::Entries(Some((cursor, key))) => f.write_str(&entry_position(cursor, key)),
            Self::Page(page) => page.fmt(f),
            // Nobody sends this position: a subscription without a cursor has it.
            Self::Entries(None) => Ok(()),
        }
    }
}

impl FromStr for ReadFrom {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, ParsePositionError> {
        let (cursor, key) = match text.split_once(SEPARATOR) {
            Some((cursor, key)) => (cursor, Some(Key::new(key).map_err(|_| ParsePositionError)?)),
            None => (text, None),
        };
        let cursor = cursor.parse().map_err(|_| ParsePositionError)?;
        Ok(key.map_or(Self::Cursor(cursor), |key| Self::Entries(Some((cursor, key)))))
    }
}

#[cfg(test)]
mod tests {
    use store::{Prefix, StoreOptions};

    use super::*;

    #[test]
    fn positions_survive_their_text() {
        let cursor = StoreOptions::new("test").open_in_memory().expect("a store").cursor();
        let key = Key::new("a/b.c").expect("a key");
        for position in [ReadFrom::Cursor(cursor), ReadFrom::Entries(Some((cursor, key)))] {
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        for text in
            [String::new(), ".".into(), format!("{cursor}."), format!("{cursor}.{}", "x".repeat(513)), "g".into()]
        {
            assert_eq!(text.parse::<ReadFrom>(), Err(ParsePositionError), "{text}");
        }
    }

    #[test]
    fn position_within_entries_is_of_its_keys_only() {
        let cursor = StoreOptions::new("test").open_in_memory().expect("a store").cursor();
        let position = ReadFrom::Entries(Some((cursor, Key::new("a/b").expect("a key"))));
        let prefix = |text| Filter::Prefix(Prefix::new(text).expect("a prefix"));
        assert!(position.is_of(&prefix("a/")));
        assert!(!position.is_of(&prefix("b/")) && !position.is_of(&Filter::Topic("a/b".into())));
    }
}
