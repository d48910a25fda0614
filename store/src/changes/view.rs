//! What a store has at one revision, and what changed before it.

use std::{fmt, sync::Arc};

use super::{ChangedEntry, Changes, ChangesLimit, Cursor, EntryReader, Filter, Search};
use crate::{
    Error, Key, Store,
    engine::{EngineSnapshot, Table},
    log::LogRecord,
    plan::log_key,
    snapshot::Snapshot,
    store::Shared,
};

/// One revision of a store, for subscribers: everything that a view reads is as of this revision. Clones share it.
///
/// A view does not keep the store open. It pins pages of the file until it is dropped or too old.
#[derive(Clone)]
pub struct View {
    shared: Arc<Shared>,
    pub(super) snapshot: Arc<Snapshot>,
}

impl fmt::Debug for View {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("View").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

/// A part of all entries of a filter, as [`View::entry_part`] reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryPart {
    /// The next entries in the order of their keys.
    pub entries: Vec<ChangedEntry>,
    /// The cursor of the first part, which is the cursor of all parts. Each entry is as of this cursor or later.
    pub cursor: Cursor,
    /// The last key of this part, or of the part before if there are no more entries.
    pub last: Option<Key>,
    /// Whether all entries are read.
    pub is_finished: bool,
}

/// A page of what changed after a cursor, as [`View::changed_page`] reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedPage {
    /// The next changed entries in the order of their keys.
    pub entries: Vec<ChangedEntry>,
    /// The cursor of the view. The entries of all pages are as of this cursor.
    pub cursor: Cursor,
    /// The key after which the next page begins; `None` if this is the last page.
    pub next: Option<Key>,
}

impl ChangedPage {
    /// The changes, which are beyond the limits if they are more than one page.
    fn into_changes(self) -> Changes {
        let Self { entries, cursor, next } = self;
        if next.is_some() { Changes::Gap { cursor } } else { Changes::Entries { entries, cursor } }
    }
}

impl Store {
    /// A view of the newest durable commit. Does not wait for the disk.
    pub fn view(&self) -> View {
        View { shared: Arc::clone(self.shared()), snapshot: self.shared().snapshot() }
    }
}

impl View {
    /// The cursor of the view.
    pub fn cursor(&self) -> Cursor {
        let state = self.snapshot.state();
        Cursor::new(self.shared.id, state.revision, state.tag)
    }

    fn tables(&self) -> Result<Arc<EngineSnapshot>, Error> {
        if self.shared.is_closed() {
            return Err(Error::Closed);
        }
        self.snapshot.tables().ok_or(Error::TooOld)
    }

    /// What changed after a cursor, up to this revision. May wait for the disk.
    ///
    /// # Errors
    ///
    /// [`Error::TooOld`] if more was committed since the view than the store remembers: take a new view.
    /// [`Error::Failed`] and [`Error::Closed`].
    pub fn changes_since(&self, cursor: &Cursor, filter: &Filter, limit: ChangesLimit) -> Result<Changes, Error> {
        let tables = self.tables()?;
        if !self.is_known(cursor, &tables)? {
            return Ok(Changes::Gap { cursor: self.cursor() });
        }
        let search = Search { view: self, tables, since: cursor.revision(), limit };
        match filter {
            Filter::Topic(topic) => search.events(topic),
            Filter::Prefix(_) | Filter::Key(_) => search.entries(filter, None).map(ChangedPage::into_changes),
        }
    }

    /// Reads what changed after a cursor in pages, which all are as of this view. A transaction may be in several pages:
    /// only the entries of all pages are those of one revision. A topic has no entries. May wait for the disk.
    ///
    /// `after` is the `next` of the page before. Returns `None` if the log does not reach back to the cursor, or the
    /// cursor is of another store: begin with all entries. `limit` bounds a page, which has at least one entry.
    ///
    /// # Errors
    ///
    /// As for [`changes_since`](Self::changes_since). After [`Error::TooOld`], begin with the first page of a new view.
    pub fn changed_page(
        &self,
        cursor: &Cursor,
        filter: &Filter,
        after: Option<&Key>,
        limit: ChangesLimit,
    ) -> Result<Option<ChangedPage>, Error> {
        let tables = self.tables()?;
        if !self.is_known(cursor, &tables)? {
            return Ok(None);
        }
        let search = Search { view: self, tables, since: cursor.revision(), limit };
        search.entries(filter, after).map(Some)
    }

    /// Reads all entries of a prefix or key in parts, each from a newer view if there is one, so that no snapshot stays
    /// pinned while a slow subscriber reads. The entries are those of one revision only with what changed since the
    /// cursor of the parts ([`changed_page`](Self::changed_page) of the last view or a later one), unless there is one
    /// part. A topic has no entries. May wait for the disk.
    ///
    /// `previous` is the cursor and the `last` of the part before. Returns `None` if the log does not reach back to the
    /// cursor any more: begin again. `limit` bounds the entries.
    ///
    /// # Errors
    ///
    /// As for [`changes_since`](Self::changes_since).
    pub fn entry_part(
        &self,
        filter: &Filter,
        previous: Option<(&Cursor, &Key)>,
        limit: ChangesLimit,
    ) -> Result<Option<EntryPart>, Error> {
        let mut reader = EntryReader::new(Arc::clone(&self.snapshot), self.cursor(), filter);
        if let Some((cursor, after)) = previous {
            if !self.is_known(cursor, &*self.tables()?)? {
                return Ok(None);
            }
            reader.skip_to(after);
        }
        let entries = reader.read(limit)?;
        let last = entries.last().map(|entry| &entry.key).or(previous.map(|(_, after)| after)).cloned();
        let cursor = previous.map_or_else(|| self.cursor(), |(cursor, _)| *cursor);
        let entries = entries.into_iter().map(|entry| ChangedEntry { key: entry.key, value: Some(entry.value) });
        Ok(Some(EntryPart { entries: entries.collect(), cursor, last, is_finished: reader.is_finished() }))
    }

    /// Whether the log has everything after the cursor.
    fn is_known(&self, cursor: &Cursor, tables: &EngineSnapshot) -> Result<bool, Error> {
        let (state, revision) = (self.snapshot.state(), cursor.revision());
        if cursor.store() != self.shared.id || revision > state.revision || revision < state.log_floor {
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
