use std::{ops::Bound, sync::Arc};

use super::{ChangesLimit, Cursor, Filter};
use crate::{Direction, Entry, Error, Key, key::Interval, snapshot::Snapshot};

/// Reads the entries of one snapshot in parts. Nothing that commits in the meantime is in them.
#[derive(Debug)]
pub struct EntryReader {
    snapshot: Arc<Snapshot>,
    cursor: Cursor,
    /// What is left to read.
    rest: Option<Interval>,
}

impl EntryReader {
    pub(super) fn new(snapshot: Arc<Snapshot>, cursor: Cursor, filter: &Filter) -> Self {
        let rest = match filter {
            Filter::Prefix(prefix) => Some(prefix.interval()),
            Filter::Key(key) => {
                let key: Arc<str> = key.as_str().into();
                Some(Interval { lower: Bound::Included(Arc::clone(&key)), upper: Bound::Included(key) })
            }
            Filter::Topic(_) => None,
        };
        Self { snapshot, cursor, rest }
    }

    /// The cursor of the snapshot: [`Store::changes_since`](crate::Store::changes_since) continues the entries from
    /// here.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Leaves out the entries up to a key.
    pub(super) fn skip_to(&mut self, after: &Key) {
        if let Some(rest) = &mut self.rest {
            rest.lower = Bound::Excluded(after.as_str().into());
        }
    }

    /// Whether everything is read.
    pub fn is_finished(&self) -> bool {
        self.rest.is_none()
    }

    /// The next entries in the order of their keys, at least one unless none is left.
    ///
    /// # Errors
    ///
    /// [`Error::TooOld`] if more was committed since the reader began than the store remembers: begin again.
    /// [`Error::Failed`] and [`Error::Closed`]. After an error the reader is where it was before.
    pub fn read(&mut self, limit: ChangesLimit) -> Result<Vec<Entry>, Error> {
        let Some(rest) = self.rest.as_ref() else { return Ok(Vec::new()) };
        let tables = self.snapshot.tables().ok_or(Error::TooOld)?;
        let mut pairs = Vec::new();
        let (mut bytes, mut is_complete) = (0, true);
        tables.scan_data(rest, Direction::Forward, |key, encoded| {
            bytes += key.len() + encoded.len();
            is_complete = pairs.is_empty() || (pairs.len() < limit.entries && bytes <= limit.bytes);
            if is_complete {
                pairs.push((key.to_vec(), encoded.to_vec()));
            }
            is_complete
        })?;
        let mut entries = Vec::with_capacity(pairs.len());
        for (key, encoded) in pairs {
            let key = Key::from_bytes(&key).map_err(|_| tables.fail("a key is malformed"))?;
            entries.push(Entry { key, value: tables.decode(&encoded)? });
        }
        let last = entries.last().filter(|_| !is_complete);
        self.rest = last.map(|last| Interval { lower: Bound::Excluded(last.key.text()), upper: rest.upper.clone() });
        Ok(entries)
    }
}
