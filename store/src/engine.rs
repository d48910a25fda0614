//! The only part of the crate that knows the storage engine.
//!
//! What the engine does not do here, because its own audit lists faults: no savepoints, no renamed tables, no integrity
//! check while serving, and no access after an error: the first error latches the engine as failed.

mod file;
mod open_error;

use std::{
    fmt,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

use redb::{
    Builder, Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition,
};

pub(crate) use file::{Storage, create, free_disk_bytes};
use open_error::open_error;

use crate::{CommitEffect, OpenError, Value, key::Interval};

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
    const ALL: [Self; 6] = [Self::Data, Self::Log, Self::Once, Self::OnceResults, Self::OnceTimes, Self::Meta];

    const fn definition(self) -> TableDefinition<'static, Bytes, Bytes> {
        TableDefinition::new(match self {
            Self::Data => "data",
            Self::Log => "log",
            Self::Once => "once",
            Self::OnceResults => "once_results",
            Self::OnceTimes => "once_times",
            Self::Meta => "meta",
        })
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

/// The storage failed, now or earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: Arc<str>,
    pub(crate) happened: CommitEffect,
}

/// What all parts share: the first error, after which nothing touches the storage.
#[derive(Debug, Clone, Default)]
struct Latch(Arc<OnceLock<Arc<str>>>);

impl Latch {
    fn check(&self) -> Result<(), Failure> {
        match self.0.get() {
            None => Ok(()),
            Some(reason) => Err(Failure { reason: Arc::clone(reason), happened: CommitEffect::No }),
        }
    }

    /// Runs an operation of the engine. An error or a panic latches.
    fn run<T>(&self, operation: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Failure> {
        self.check()?;
        // A panic leaves nothing inconsistent that is used again: after it the latch keeps everyone out.
        let error = match catch_unwind(AssertUnwindSafe(operation)) {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error.to_string(),
            Err(panic) => panic_text(&*panic),
        };
        Err(self.fail(&error))
    }

    fn fail(&self, reason: &str) -> Failure {
        let reason = Arc::clone(self.0.get_or_init(|| reason.into()));
        Failure { reason, happened: CommitEffect::No }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic in the storage engine: {}", text.unwrap_or("without a text"))
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
    database: Database,
    latch: Latch,
}

impl Engine {
    /// Opens or creates the database. Blocks for a scan of the whole file after a crash.
    ///
    /// `verify` checks the checksum of every page, which the engine otherwise does only after a crash. The boolean says
    /// whether the database is new and has no tables yet.
    pub(crate) fn open(storage: Storage, verify: Verify) -> Result<(Self, bool), OpenError> {
        let backend = storage.into_backend()?;
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(verify == Verify::Always);
        let open = || builder.create_with_backend(Boxed(backend));
        let database = match catch_unwind(AssertUnwindSafe(open)) {
            Ok(database) => database.map_err(open_error)?,
            // The engine trusts a file that it closed, and panics if something else changed the file since.
            Err(panic) => return Err(OpenError::Corrupt(panic_text(&*panic))),
        };
        let engine = Self { database, latch: Latch::default() };
        let is_new = engine.is_new()?;
        Ok((engine, is_new))
    }

    fn is_new(&self) -> Result<bool, OpenError> {
        let tables = self.latch.run(|| {
            let transaction = self.database.begin_read()?;
            let names: Vec<String> = transaction.list_tables()?.map(|table| table_name(&table)).collect();
            let others = transaction.list_multimap_tables()?.count();
            Ok((names, others))
        });
        let (names, others) = tables.map_err(|failure| OpenError::Corrupt(failure.reason.to_string()))?;
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
            let table = self.database.begin_read()?.open_table(table.definition())?;
            Ok(ReadableTable::get(&table, key)?.map(|value| value.value().to_vec()))
        })
    }

    /// A snapshot of everything that is committed.
    pub(crate) fn snapshot(&self) -> Result<EngineSnapshot, Failure> {
        self.latch.run(|| {
            let transaction = self.database.begin_read()?;
            let mut tables = Vec::with_capacity(Table::ALL.len());
            for table in Table::ALL {
                tables.push(transaction.open_table(table.definition())?);
            }
            Ok(EngineSnapshot { tables, latch: self.latch.clone() })
        })
    }

    /// Writes a batch durably: after success the batch survives a power loss, after a failure all of it is there or
    /// nothing.
    pub(crate) fn apply(&self, batch: &[Change]) -> Result<(), Failure> {
        let transaction = self.latch.run(|| {
            let mut transaction = self.database.begin_write()?;
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
        })?;
        self.latch
            .run(|| Ok(transaction.commit()?))
            .map_err(|failure| Failure { happened: CommitEffect::Unknown, ..failure })
    }

    /// Latches the engine as failed, for an error that another part found.
    pub(crate) fn fail(&self, reason: &str) -> Failure {
        self.latch.fail(reason)
    }

    /// The first error, if there was one.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.latch.check()
    }

    /// Closes the file. Snapshots that still exist fail from here on.
    pub(crate) fn close(self) -> Result<(), Failure> {
        let Self { database, latch } = self;
        latch.run(|| Ok(database.close()?))?;
        latch.fail("the store is closed");
        Ok(())
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

/// The engine takes a type and not a box.
#[derive(Debug)]
struct Boxed(Box<dyn StorageBackend>);

impl StorageBackend for Boxed {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> std::io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, redb::BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, redb::BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), redb::BackendError> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), redb::BackendError> {
        self.0.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), redb::BackendError> {
        self.0.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, redb::BackendError> {
        self.0.query_lock_range(start, end)
    }
}
