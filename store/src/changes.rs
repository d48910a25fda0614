//! What changed since a cursor.

mod cursor;
mod reader;
mod view;

use std::{collections::BTreeSet, ops::Bound, sync::Arc};

pub use cursor::{Cursor, ParseCursorError};
pub use reader::EntryReader;
pub use view::{ChangedPage, EntryPart, View};

use crate::{
    Direction, Error, Key, Prefix, Revision, Store, Value,
    engine::{EngineSnapshot, Table},
    log::LogRecord,
    meta::Tag,
    plan::{log_key, log_revision},
};

/// Part of the log that one call reads for events, or one record.
const SCAN_BYTES: usize = 16 * 1024 * 1024;

/// What a subscriber follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// The keys with a prefix.
    Prefix(Prefix),
    /// One key.
    Key(Key),
    /// The events of a topic.
    Topic(String),
}

impl Filter {
    fn contains_key(&self, key: &Key) -> bool {
        match self {
            Self::Prefix(prefix) => prefix.contains(key),
            Self::Key(single) => single == key,
            Self::Topic(_) => false,
        }
    }
}

/// How much one call of [`Store::changes_since`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangesLimit {
    /// Number of entries or events.
    pub entries: usize,
    /// Size of their keys and values, or of their data, in bytes.
    pub bytes: usize,
}

impl Default for ChangesLimit {
    fn default() -> Self {
        Self { entries: 1_000, bytes: 1024 * 1024 }
    }
}

/// A key that changed, with its value as of the cursor of the answer; no value if the key is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedEntry {
    /// The key.
    pub key: Key,
    /// The value.
    pub value: Option<Value>,
}

/// An event with the revision of its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedEvent {
    /// Revision of the commit.
    pub revision: Revision,
    /// Data of the event.
    pub data: Vec<u8>,
}

/// What changed since a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Changes {
    /// The changed entries of a prefix or key, in the order of their keys, all as of the new cursor. A key that changed
    /// several times is there once.
    Entries {
        /// The entries.
        entries: Vec<ChangedEntry>,
        /// Where to go on.
        cursor: Cursor,
    },
    /// The events of a topic in their order. Those of one commit are never divided.
    Events {
        /// The events.
        events: Vec<PublishedEvent>,
        /// Where to go on.
        cursor: Cursor,
        /// Whether more events may follow now.
        has_more: bool,
    },
    /// Something in between is lost: the log does not reach back to the cursor, the cursor is of another store or of a
    /// history that a restored backup has replaced, or (for keys) the changes are beyond the limits.
    ///
    /// For keys, read all entries with [`Store::read_entries`]. For a topic, go on from the cursor.
    Gap {
        /// The newest cursor.
        cursor: Cursor,
    },
}

impl Store {
    /// The cursor of the newest durable commit.
    pub fn cursor(&self) -> Cursor {
        self.view().cursor()
    }

    /// Reads all entries of a prefix or key as of one revision, in parts. A topic has no entries.
    pub fn read_entries(&self, filter: &Filter) -> EntryReader {
        let view = self.view();
        EntryReader::new(Arc::clone(&view.snapshot), view.cursor(), filter)
    }

    /// What changed after a cursor, up to the newest durable commit. May wait for the disk.
    ///
    /// # Errors
    ///
    /// [`Error::TooOld`] if more was committed during the call than the store remembers: call again. [`Error::Failed`]
    /// and
    /// [`Error::Closed`].
    pub fn changes_since(&self, cursor: &Cursor, filter: &Filter, limit: ChangesLimit) -> Result<Changes, Error> {
        self.view().changes_since(cursor, filter, limit)
    }
}

struct Search<'view> {
    view: &'view View,
    tables: Arc<EngineSnapshot>,
    since: Revision,
    limit: ChangesLimit,
}

impl Search<'_> {
    /// Passes the log records after the cursor while `visit` returns true, up to a number of bytes. Returns whether it
    /// passed all of them.
    fn records(
        &self,
        max_bytes: usize,
        mut visit: impl FnMut(Revision, Tag, LogRecord) -> bool,
    ) -> Result<bool, Error> {
        let bounds = (Bound::Excluded(&log_key(self.since)[..]), Bound::Unbounded);
        let (mut bytes, mut is_complete, mut is_malformed) = (0, true, false);
        self.tables.scan(Table::Log, bounds, Direction::Forward, |key, encoded| {
            let (Some(revision), Some(record)) = (log_revision(key), LogRecord::decode(encoded)) else {
                is_malformed = true;
                return false;
            };
            // A record may be larger, and is passed nevertheless, so that every call makes progress.
            let is_within = bytes == 0 || bytes + encoded.len() <= max_bytes;
            bytes += encoded.len();
            is_complete = is_within && visit(revision, record.tag, record);
            is_complete
        })?;
        if is_malformed {
            return Err(self.tables.fail("a log record has an unknown encoding").into());
        }
        Ok(is_complete)
    }

    /// The next changed entries in the order of their keys, after a key if there is one. At least one unless none is
    /// left, so that every call makes progress. Reads the log to its end, because any record may have the next key.
    fn entries(&self, filter: &Filter, after: Option<&Key>) -> Result<ChangedPage, Error> {
        let max_keys = self.limit.entries.max(1);
        let mut keys = BTreeSet::new();
        let mut has_more = false;
        self.records(usize::MAX, |_, _, record| {
            for key in record.keys {
                let is_wanted = filter.contains_key(&key) && after.is_none_or(|after| &key > after);
                if is_wanted && keys.insert(key) && keys.len() > max_keys {
                    keys.pop_last();
                    has_more = true;
                }
            }
            true
        })?;
        let (mut entries, mut bytes) = (Vec::with_capacity(keys.len()), 0);
        for key in keys {
            let encoded = self.tables.get(Table::Data, key.as_bytes())?;
            bytes += key.as_str().len() + encoded.as_ref().map_or(0, Vec::len);
            if bytes > self.limit.bytes && !entries.is_empty() {
                has_more = true;
                break;
            }
            let value = match encoded {
                None => None,
                Some(encoded) => Some(self.tables.decode(&encoded)?),
            };
            entries.push(ChangedEntry { key, value });
        }
        let next = entries.last().filter(|_| has_more).map(|entry| entry.key.clone());
        Ok(ChangedPage { entries, cursor: self.view.cursor(), next })
    }

    fn events(&self, topic: &str) -> Result<Changes, Error> {
        let (mut events, mut bytes) = (Vec::new(), 0);
        let mut last = None;
        let is_complete = self.records(SCAN_BYTES, |revision, tag, record| {
            let of_topic = record.events.into_iter().filter(|event| event.topic == topic);
            let more: Vec<PublishedEvent> =
                of_topic.map(|event| PublishedEvent { revision, data: event.data }).collect();
            let more_bytes: usize = more.iter().map(|event| event.data.len()).sum();
            let is_within = events.len() + more.len() <= self.limit.entries && bytes + more_bytes <= self.limit.bytes;
            // One commit is taken whatever its size, so that every call makes progress.
            if !is_within && !events.is_empty() {
                return false;
            }
            bytes += more_bytes;
            events.extend(more);
            last = Some((revision, tag));
            true
        })?;
        let cursor = match last {
            Some((revision, tag)) if !is_complete => Cursor::new(self.view.cursor().store(), revision, tag),
            _ => self.view.cursor(),
        };
        Ok(Changes::Events { events, cursor, has_more: !is_complete })
    }
}
