use std::{ops::Bound, sync::Arc};

use crate::{ChangesLimit, Direction, Error, Revision, Store, engine::Table, snapshot::Snapshot};

/// An entry of a table, as it is in the file: the data, the change log, the `once` records and the counters.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportedEntry {
    /// Name of the table: `data`, `log`, `once`, `once_results`, `once_times` or `meta`.
    pub table: &'static str,
    /// The key. In `data` it is the text of a [`Key`](crate::Key).
    pub key: Vec<u8>,
    /// The value. In `data` it is the encoding of a [`Value`](crate::Value), which [`Value::decode`] reads.
    ///
    /// [`Value::decode`]: crate::Value::decode
    pub value: Vec<u8>,
}

/// Reads the entries of all tables as of one revision, in parts.
#[derive(Debug)]
pub struct ExportReader {
    snapshot: Arc<Snapshot>,
    /// The table to read, as an index, and the last key of it that was read.
    table: usize,
    last: Option<Vec<u8>>,
}

impl Store {
    /// Reads everything in the store as of one revision.
    pub fn export(&self) -> ExportReader {
        ExportReader { snapshot: self.shared().snapshot(), table: 0, last: None }
    }
}

impl ExportReader {
    /// The revision of the export.
    pub fn revision(&self) -> Revision {
        self.snapshot.revision()
    }

    /// Whether everything is read.
    pub fn is_finished(&self) -> bool {
        self.table >= Table::ALL.len()
    }

    /// The next entries of one table in the order of their keys, at least one unless none is left in all tables.
    ///
    /// # Errors
    ///
    /// [`Error::TooOld`] if more was committed since the reader began than the store remembers, or the reader is too
    /// old: begin again. [`Error::Failed`]. After an error the reader is where it was before.
    pub fn read(&mut self, limit: ChangesLimit) -> Result<Vec<ExportedEntry>, Error> {
        while let Some(table) = Table::ALL.get(self.table).copied() {
            let tables = self.snapshot.tables().ok_or(Error::TooOld)?;
            let lower = self.last.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let (mut entries, mut bytes, mut is_complete) = (Vec::new(), 0, true);
            tables.scan(table, (lower, Bound::Unbounded), Direction::Forward, |key, value| {
                bytes += key.len() + value.len();
                is_complete = entries.is_empty() || (entries.len() < limit.entries && bytes <= limit.bytes);
                if is_complete {
                    entries.push(ExportedEntry { table: table.name(), key: key.to_vec(), value: value.to_vec() });
                }
                is_complete
            })?;
            if is_complete {
                self.table += 1;
                self.last = None;
            } else {
                self.last = entries.last().map(|entry| entry.key.clone());
            }
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
        Ok(Vec::new())
    }
}
