//! The only part of the crate that knows the storage engine.
//!
//! What the engine does not do here, because its own audit lists faults: no savepoints, no renamed tables, no integrity
//! check while serving, and no access after an error: the first error latches the engine as failed.

mod backend;
mod file;
mod latch;
mod open_error;
mod overlay;
mod recovery;

use std::{
    fmt,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use redb::{
    Builder, Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};

use backend::CountingBackend;
pub(crate) use backend::FileCounters;
use file::OpenStorage;
pub(crate) use file::{Storage, create};
use latch::panic_text;
pub(crate) use latch::{Failure, Latch};
use open_error::open_error;
pub(crate) use open_error::open_failure;
pub(crate) use recovery::OnRecovery;
use recovery::RecoveryProgress;

use crate::{CommitEffect, OpenError, Value, environment::Disk, key::Interval};

/// Size of the page cache. The default of the engine is 1 GiB.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// The tables of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    /// Keys and encoded values.
    Data,
    /// Revision → log record.
    Log,
    /// `once` key → record.
    Once,
    /// `once` key → result.
    OnceResults,
    /// Time and `once` key → nothing, to find expired records.
    OnceTimes,
    /// Header and counters.
    Meta,
}

type Bytes = &'static [u8];

impl Table {
    pub(crate) const ALL: [Self; 6] =
        [Self::Data, Self::Log, Self::Once, Self::OnceResults, Self::OnceTimes, Self::Meta];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Log => "log",
            Self::Once => "once",
            Self::OnceResults => "once_results",
            Self::OnceTimes => "once_times",
            Self::Meta => "meta",
        }
    }

    const fn definition(self) -> TableDefinition<'static, Bytes, Bytes> {
        TableDefinition::new(self.name())
    }
}

/// One change of a batch: nothing as value removes the key.
pub(crate) struct Change {
    pub(crate) table: Table,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

impl Change {
    pub(crate) fn put(table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { table, key: key.into(), value: Some(value.into()) }
    }

    pub(crate) fn remove(table: Table, key: impl Into<Vec<u8>>) -> Self {
        Self { table, key: key.into(), value: None }
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    Durable,
    /// Nothing is written, because the file would be longer than allowed.
    TooLong,
}

/// When opening verifies the checksums of all pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Verify {
    #[default]
    AfterCrash,
    Always,
}

/// An open database: one writer, and readers that block nobody.
pub(crate) struct Engine {
    /// Present until the engine is closed or dropped.
    database: Option<Database>,
    latch: Latch,
    counters: Arc<FileCounters>,
    disk: Disk,
}

impl Engine {
    /// Opens or creates the database. Blocks for a scan of the whole file after a crash.
    ///
    /// `verify` checks the checksum of every page, which the engine otherwise does only after a crash. The boolean says
    /// whether the database is new and has no tables yet. `on_recovery` gets the progress of this scan.
    pub(crate) fn open(
        storage: Storage,
        verify: Verify,
        on_recovery: Option<OnRecovery>,
    ) -> Result<(Self, bool), OpenError> {
        let OpenStorage { backend, disk, may_initialize } = storage.open()?;
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(verify == Verify::Always);
        let (counters, progress) = (Arc::<FileCounters>::default(), Arc::new(RecoveryProgress::new(on_recovery)));
        builder.set_repair_callback({
            let progress = Arc::clone(&progress);
            move |repair| progress.note_scan(repair.progress())
        });
        let backend = CountingBackend::new(backend, Arc::clone(&counters), Arc::clone(&progress));
        let open = || builder.create_with_backend(backend);
        let database = match catch_unwind(AssertUnwindSafe(open)) {
            Ok(database) => database.map_err(open_error)?,
            // The engine trusts a file that it closed, and panics if something else changed the file since.
            Err(panic) => return Err(OpenError::Corrupt(panic_text(&*panic))),
        };
        progress.finish();
        let engine = Self { database: Some(database), latch: Latch::default(), counters, disk };
        let is_new = engine.is_new()?;
        // Another program may have made an empty database.
        if is_new && !may_initialize { Err(OpenError::NotAStore) } else { Ok((engine, is_new)) }
    }

    fn is_new(&self) -> Result<bool, OpenError> {
        let tables = self.latch.run(|| {
            let transaction = self.database().begin_read()?;
            let names: Vec<String> = transaction.list_tables()?.map(|table| table_name(&table)).collect();
            let others = transaction.list_multimap_tables()?.count();
            Ok((names, others))
        });
        let (names, others) = tables.map_err(|failure| open_failure(&failure))?;
        if names.is_empty() && others == 0 {
            return Ok(true);
        }
        // Another version may have other tables, but has this one.
        let meta = table_name(&Table::Meta.definition());
        if names.contains(&meta) { Ok(false) } else { Err(OpenError::NotAStore) }
    }

    /// The value of a key, as of now. Unlike a snapshot it needs no other table.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        self.latch.run(|| {
            let table = self.database().begin_read()?.open_table(table.definition())?;
            Ok(ReadableTable::get(&table, key)?.map(|value| value.value().to_vec()))
        })
    }

    /// A snapshot of everything that is committed.
    pub(crate) fn snapshot(&self) -> Result<EngineSnapshot, Failure> {
        self.latch.run(|| {
            let transaction = self.database().begin_read()?;
            let mut tables = Vec::with_capacity(Table::ALL.len());
            for table in Table::ALL {
                tables.push(transaction.open_table(table.definition())?);
            }
            Ok(EngineSnapshot { tables, latch: self.latch.clone() })
        })
    }

    /// Writes a batch durably: after success the batch survives a power loss, after a failure all of it is there or
    /// nothing. A batch that needs a longer file than `maximum` bytes is not written.
    pub(crate) fn apply(&self, batch: &[Change], maximum: u64) -> Result<Applied, Failure> {
        self.counters.forget_longest();
        let transaction = self.latch.run(|| self.write(batch))?;
        if self.counters.longest() > maximum {
            self.latch.run(|| Ok(transaction.abort()?))?;
            return Ok(Applied::TooLong);
        }
        self.commit(transaction)?;
        Ok(Applied::Durable)
    }

    fn write(&self, batch: &[Change]) -> Result<WriteTransaction, redb::Error> {
        let mut transaction = self.database().begin_write()?;
        transaction
            .set_durability(Durability::Immediate)
            .map_err(|error| redb::Error::Corrupted(format!("the engine refuses durable transactions: {error}")))?;
        transaction.set_two_phase_commit(true);
        transaction.set_quick_repair(false);
        for table in Table::ALL {
            let mut opened = transaction.open_table(table.definition())?;
            for change in batch.iter().filter(|change| change.table == table) {
                match &change.value {
                    Some(value) => drop(opened.insert(&*change.key, &**value)?),
                    None => drop(opened.remove(&*change.key)?),
                }
            }
        }
        Ok(transaction)
    }

    fn commit(&self, transaction: WriteTransaction) -> Result<(), Failure> {
        // What failed before the commit leaves no doubt about it.
        self.latch.check()?;
        self.latch
            .attempt(|| Ok(transaction.commit()?))
            .map_err(|failure| Failure { happened: CommitEffect::Unknown, ..failure })
    }

    fn database(&self) -> &Database {
        self.database.as_ref().expect("closing takes the engine")
    }

    /// Latches the engine as failed, for an error that another part found.
    pub(crate) fn fail(&self, reason: &str) -> Failure {
        self.latch.fail(reason)
    }

    /// The disk that has the file.
    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    pub(crate) fn counters(&self) -> &Arc<FileCounters> {
        &self.counters
    }

    pub(crate) fn latch(&self) -> &Latch {
        &self.latch
    }

    /// The first error, if there was one.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.latch.check()
    }

    /// Closes the file. Snapshots that still exist fail from here on.
    pub(crate) fn close(mut self) -> Result<(), Failure> {
        let Some(database) = self.database.take() else { return Ok(()) };
        self.latch.run(|| Ok(database.close()?))?;
        self.latch.close();
        Ok(())
    }
}

impl Drop for Engine {
    /// The engine may panic when it closes a damaged file.
    fn drop(&mut self) {
        let database = self.database.take();
        drop(catch_unwind(AssertUnwindSafe(|| drop(database))));
    }
}

fn table_name(table: &impl redb::TableHandle) -> String {
    table.name().to_owned()
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").field("latch", &self.latch).finish_non_exhaustive()
    }
}

/// A consistent view of all tables.
pub(crate) struct EngineSnapshot {
    tables: Vec<ReadOnlyTable<Bytes, Bytes>>,
    latch: Latch,
}

impl EngineSnapshot {
    /// Latches the engine as failed, because a snapshot has what no commit wrote.
    pub(crate) fn fail(&self, reason: &str) -> Failure {
        self.latch.fail(reason)
    }

    /// The first error, if there was one.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.latch.check()
    }

    /// The value of an encoding that a snapshot has.
    pub(crate) fn decode(&self, encoded: &[u8]) -> Result<Value, Failure> {
        Value::decode(encoded).ok_or_else(|| self.fail("a value has an unknown encoding"))
    }

    fn table(&self, table: Table) -> &ReadOnlyTable<Bytes, Bytes> {
        &self.tables[table as usize]
    }

    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        self.latch.run(|| Ok(ReadableTable::get(self.table(table), key)?.map(|value| value.value().to_vec())))
    }

    /// Passes pairs in the order of their keys, or in the reverse order, while `visit` returns true.
    pub(crate) fn scan(
        &self,
        table: Table,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
        mut visit: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Failure> {
        self.latch.run(|| {
            let mut range = self.table(table).range::<&[u8]>(bounds)?;
            loop {
                let pair = match direction {
                    Direction::Forward => range.next(),
                    Direction::Reverse => range.next_back(),
                };
                let Some(pair) = pair else { return Ok(()) };
                let (key, value) = pair?;
                if !visit(key.value(), value.value()) {
                    return Ok(());
                }
            }
        })
    }

    /// Scans the keys of an interval in the table of the data.
    pub(crate) fn scan_data(
        &self,
        interval: &Interval,
        direction: Direction,
        visit: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Failure> {
        if interval.is_empty() {
            return self.latch.check();
        }
        self.scan(Table::Data, interval.as_byte_bounds(), direction, visit)
    }
}

/// The order of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// From the smallest key to the largest.
    #[default]
    Forward,
    /// From the largest key to the smallest.
    Reverse,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_after_another_failure_has_no_effect_for_certain() {
        let (engine, _) = Engine::open(Storage::Memory, Verify::AfterCrash, None).expect("an engine");
        let transaction = engine.latch.run(|| engine.write(&[Change::put(Table::Data, b"a", b"b")])).expect("a write");
        // A reader finds an error between the write and the commit.
        engine.fail("an error of a reader");
        assert_eq!(engine.commit(transaction).expect_err("an error").happened, CommitEffect::No);
    }
}
