//! What changed since a cursor.

mod cursor;
mod reader;

use std::{collections::BTreeSet, ops::Bound, sync::Arc};

pub use cursor::{Cursor, ParseCursorError};
pub use reader::EntryReader;

use crate::{
    Direction, Error, Key, Prefix, Revision, Store, Value,
    engine::{EngineSnapshot, Table},
    log::LogRecord,
    meta::{State, Tag},
    plan::{log_key, log_revision},
    snapshot::Snapshot,
};

/// Part of the log that one call reads.
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
        let snapshot = self.shared().snapshot();
        self.cursor_of(snapshot.state())
    }

    fn cursor_of(&self, state: &State) -> Cursor {
        Cursor::new(self.id(), state.revision, state.tag)
    }

    /// Reads all entries of a prefix or key as of one revision, in parts. A topic has no entries.
    pub fn read_entries(&self, filter: &Filter) -> EntryReader {
        let snapshot = self.shared().snapshot();
        let cursor = self.cursor_of(snapshot.state());
        EntryReader::new(snapshot, cursor, filter)
    }

    /// What changed after a cursor, up to the newest durable commit. May wait for the disk.
    ///
    /// # Errors
    ///
    /// [`Error::TooOld`] if more was committed during the call than the store remembers: call again. [`Error::Failed`]
    /// and
    /// [`Error::Closed`].
    pub fn changes_since(&self, cursor: &Cursor, filter: &Filter, limit: ChangesLimit) -> Result<Changes, Error> {
        if self.shared().is_closed() {
            return Err(Error::Closed);
        }
        let snapshot = self.shared().snapshot();
        let tables = snapshot.tables().ok_or(Error::TooOld)?;
        if !self.is_known(cursor, &snapshot, &tables)? {
            return Ok(Changes::Gap { cursor: self.cursor_of(snapshot.state()) });
        }
        let search = Search { store: self, snapshot: &snapshot, tables, since: cursor.revision(), limit };
        match filter {
            Filter::Topic(topic) => search.events(topic),
            Filter::Prefix(_) | Filter::Key(_) => search.entries(filter),
        }
    }

    /// Whether the log has everything after the cursor.
    fn is_known(&self, cursor: &Cursor, snapshot: &Snapshot, tables: &EngineSnapshot) -> Result<bool, Error> {
        let (state, revision) = (snapshot.state(), cursor.revision());
        if cursor.store() != self.id() || revision > state.revision || revision < state.log_floor {
            return Ok(false);
        }
        let tag = if revision == state.revision {
            Some(state.tag)
        } else if revision == state.log_floor {
            Some(state.log_floor_tag)
        } else {
            let record = tables.get(Table::Log, &log_key(revision))?;
            record.and_then(|record| LogRecord::decode_head(&record)).map(|(tag, _)| tag)
        };
        Ok(tag == Some(cursor.tag()))
    }
}

struct Search<'store> {
    store: &'store Store,
    snapshot: &'store Arc<Snapshot>,
    tables: Arc<EngineSnapshot>,
    since: Revision,
    limit: ChangesLimit,
}

impl Search<'_> {
    /// Passes the log records after the cursor while `visit` returns true. Returns whether it passed all of them.
    fn records(&self, mut visit: impl FnMut(Revision, Tag, LogRecord) -> bool) -> Result<bool, Error> {
        let bounds = (Bound::Excluded(&log_key(self.since)[..]), Bound::Unbounded);
        let (mut bytes, mut is_complete, mut is_malformed) = (0, true, false);
        self.tables.scan(Table::Log, bounds, Direction::Forward, |key, encoded| {
            let (Some(revision), Some(record)) = (log_revision(key), LogRecord::decode(encoded)) else {
                is_malformed = true;
                return false;
            };
            bytes += encoded.len();
            is_complete = bytes <= SCAN_BYTES && visit(revision, record.tag, record);
            is_complete
        })?;
        if is_malformed {
            return Err(self.tables.fail("a log record has an unknown encoding").into());
        }
        Ok(is_complete)
    }

    fn entries(&self, filter: &Filter) -> Result<Changes, Error> {
        let cursor = self.store.cursor_of(self.snapshot.state());
        let mut keys = BTreeSet::new();
        let is_complete = self.records(|_, _, record| {
            keys.extend(record.keys.into_iter().filter(|key| filter.contains_key(key)));
            keys.len() <= self.limit.entries
        })?;
        if !is_complete {
            return Ok(Changes::Gap { cursor });
        }
        let (mut entries, mut bytes) = (Vec::with_capacity(keys.len()), 0);
        for key in keys {
            let encoded = self.tables.get(Table::Data, key.as_bytes())?;
            bytes += key.as_str().len() + encoded.as_ref().map_or(0, Vec::len);
            if bytes > self.limit.bytes {
                return Ok(Changes::Gap { cursor });
            }
            let value = match encoded {
                None => None,
                Some(encoded) => Some(self.tables.decode(&encoded)?),
            };
            entries.push(ChangedEntry { key, value });
        }
        Ok(Changes::Entries { entries, cursor })
    }

    fn events(&self, topic: &str) -> Result<Changes, Error> {
        let (mut events, mut bytes) = (Vec::new(), 0);
        let mut last = None;
        let is_complete = self.records(|revision, tag, record| {
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
            Some((revision, tag)) if !is_complete => Cursor::new(self.store.id(), revision, tag),
            _ => self.store.cursor_of(self.snapshot.state()),
        };
        Ok(Changes::Events { events, cursor, has_more: !is_complete })
    }
}
