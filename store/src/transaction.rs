mod scan;

use std::{sync::Arc, time::Instant};

pub use scan::{Entry, ListOptions, MAX_LIST_ENTRIES};

use crate::{
    CommitError, Error, Event, Key, Limit, OnceClaim, PendingCommit, Savepoint, TransactionLimits, Value,
    engine::{EngineSnapshot, Failure, Table},
    key::KEY_BYTES,
    reads::ReadSet,
    request::{CommitRequest, OnceCommit},
    snapshot::Snapshot,
    store::Shared,
    turns::{Turn, TurnKey, Turns},
    value_cache::CachedValue,
    waiters::block_on,
    writes::{Write, Writes},
};

/// Size of a value up to which a copy takes no time that matters, in bytes.
const SMALL_VALUE: usize = 256 * 1024;

/// A transaction: reads from one snapshot, and writes that exist for nobody else before the commit.
///
/// The snapshot is taken at the first read. Dropping a transaction undoes it. An operation that fails has no effect,
/// and the transaction goes on; what the operation read still counts at the commit.
///
/// Reads may wait for the disk, unless [`Transaction::is_in_memory`] says otherwise.
#[derive(Debug)]
pub struct Transaction {
    shared: Arc<Shared>,
    limits: TransactionLimits,
    snapshot: Option<Arc<Snapshot>>,
    /// What the cache had for the key of [`Transaction::is_in_memory`].
    cached: Option<(Key, CachedValue)>,
    reads: ReadSet,
    read_entries: usize,
    read_bytes: usize,
    writes: Writes,
    is_too_old: bool,
    /// The deadline of a run that waits for turns on hot keys.
    turn_deadline: Option<Instant>,
    turn: Option<Arc<Turn>>,
}

impl Transaction {
    pub(crate) fn new(shared: Arc<Shared>, limits: TransactionLimits) -> Self {
        Self {
            shared,
            limits,
            snapshot: None,
            cached: None,
            reads: ReadSet::default(),
            read_entries: 0,
            read_bytes: 0,
            writes: Writes::default(),
            is_too_old: false,
            turn_deadline: None,
            turn: None,
        }
    }

    /// The value of a key, or nothing if the key is absent.
    ///
    /// # Errors
    ///
    /// [`Error::Key`], [`Error::Limit`] of reads, [`Error::TooOld`], [`Error::Failed`], and those of
    /// [`Transaction::add`] if the transaction has added to the key.
    pub fn get(&mut self, key: &str) -> Result<Option<Value>, Error> {
        let key = Key::new(key)?;
        match self.writes.get(&key).cloned() {
            Some(Write::Put(value)) => {
                // The copies of own writes are memory, too.
                self.count_read_bytes(key.as_str().len() + value.size())?;
                Ok(Some(value))
            }
            Some(Write::Delete) => Ok(None),
            Some(add @ Write::Add(_)) => {
                let base = self.read(&key)?;
                Ok(add.apply(&key, base.as_ref())?)
            }
            None => self.read(&key),
        }
    }

    /// Whether [`Transaction::get`], [`Transaction::has`] and [`Transaction::insert`] of a key, called next, return at once:
    /// without waiting for the disk, and without the copy of a value of more than 256 KiB. Takes the snapshot, but does not count as reading the key.
    pub fn is_in_memory(&mut self, key: &str) -> bool {
        if self.turn_deadline.is_some() && self.snapshot.is_none() {
            // The first read may wait for a turn.
            return false;
        }
        let Ok(key) = Key::new(key) else { return true };
        match self.writes.get(&key) {
            Some(Write::Put(value)) => return value.size() <= SMALL_VALUE,
            Some(Write::Delete) => return true,
            Some(Write::Add(_)) | None => {}
        }
        // Without tables, the read fails at once.
        let (Ok(_), Some(snapshot)) = (self.tables(), &self.snapshot) else { return true };
        let found = self.shared.cache.find(&key, snapshot.revision());
        let small = found.filter(|value| value.as_ref().is_none_or(|value| value.len() <= SMALL_VALUE));
        self.cached = small.map(|value| (key, value));
        self.cached.is_some()
    }

    /// The values of several keys, in their order; of at most `max_bytes` together.
    ///
    /// # Errors
    ///
    /// Those of [`Transaction::get`], and [`Error::Limit`] of the bytes of a list.
    pub fn get_all<'key>(
        &mut self,
        keys: impl IntoIterator<Item = &'key str>,
        max_bytes: usize,
    ) -> Result<Vec<Option<Value>>, Error> {
        let (mut values, mut bytes) = (Vec::new(), 0);
        for key in keys {
            let value = self.get(key)?;
            bytes += value.as_ref().map_or(0, Value::size);
            if bytes > max_bytes {
                return Err(Error::Limit { limit: Limit::ListBytes, maximum: max_bytes });
            }
            values.push(value);
        }
        Ok(values)
    }

    /// Whether a key has a value.
    ///
    /// # Errors
    ///
    /// Those of [`Transaction::get`].
    pub fn has(&mut self, key: &str) -> Result<bool, Error> {
        Ok(self.get(key)?.is_some())
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] and [`Error::Limit`] of writes and values.
    pub fn put(&mut self, key: &str, value: impl Into<Value>) -> Result<(), Error> {
        self.writes.set(Key::new(key)?, Write::Put(value.into()), &self.limits)
    }

    /// Sets the value of a key that is absent.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`], and those of [`Transaction::get`] and [`Transaction::put`].
    pub fn insert(&mut self, key: &str, value: impl Into<Value>) -> Result<(), Error> {
        if self.has(key)? {
            return Err(Error::Exists(Key::new(key)?));
        }
        self.put(key, value)
    }

    /// Removes a key, which may be absent. The transaction does not read the key.
    ///
    /// # Errors
    ///
    /// Those of [`Transaction::put`].
    pub fn delete(&mut self, key: &str) -> Result<(), Error> {
        self.writes.set(Key::new(key)?, Write::Delete, &self.limits)
    }

    /// Adds an integer to the value of a key at the commit, without reading it: additions do not conflict with each
    /// other. An absent key counts as 0.
    ///
    /// # Errors
    ///
    /// Those of [`Transaction::put`]; [`Error::NotAnInteger`] or [`Error::Overflow`] if the transaction itself has put
    /// the value before. Otherwise the commit fails in these cases.
    pub fn add(&mut self, key: &str, integer: i64) -> Result<(), Error> {
        let key = Key::new(key)?;
        let add = Write::Add(i128::from(integer));
        let write = match self.writes.get(&key) {
            None => add,
            // A sum of additions that are all of 64 bits stays far below 128 bits.
            Some(Write::Add(sum)) => Write::Add(sum + i128::from(integer)),
            Some(Write::Put(base)) => known_sum(&key, &add, Some(base))?,
            Some(Write::Delete) => known_sum(&key, &add, None)?,
        };
        self.writes.set(key, write, &self.limits)
    }

    /// Publishes an event, which subscribers see after the commit.
    ///
    /// # Errors
    ///
    /// [`Error::Topic`] and [`Error::Limit`] of events and writes.
    pub fn publish(&mut self, topic: &str, data: impl Into<Vec<u8>>) -> Result<(), Error> {
        if topic.is_empty() || topic.len() > KEY_BYTES {
            return Err(Error::Topic(topic.len()));
        }
        self.writes.publish(Event { topic: topic.to_owned(), data: data.into() }, &self.limits)
    }

    /// Marks a point to which writes and events can return. Savepoints nest.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] of nested savepoints.
    pub fn savepoint(&mut self) -> Result<Savepoint, Error> {
        self.writes.savepoint(&self.limits)
    }

    /// Undoes the writes and events since a savepoint, and ends it and those inside it. Reads still count at the
    /// commit.
    ///
    /// # Errors
    ///
    /// [`Error::Savepoint`].
    #[expect(clippy::needless_pass_by_value, reason = "a savepoint is used once")]
    pub fn roll_back(&mut self, savepoint: Savepoint) -> Result<(), Error> {
        self.writes.roll_back(&savepoint)
    }

    /// Ends a savepoint and those inside it, and keeps the writes and events.
    ///
    /// # Errors
    ///
    /// [`Error::Savepoint`].
    #[expect(clippy::needless_pass_by_value, reason = "a savepoint is used once")]
    pub fn release(&mut self, savepoint: Savepoint) -> Result<(), Error> {
        self.writes.release(&savepoint)
    }

    /// Whether the transaction has writes or events.
    pub fn has_writes(&self) -> bool {
        !self.writes.is_empty()
    }

    /// Whether the transaction has taken its snapshot.
    pub fn has_read(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Hands the transaction to the committer, and returns at once.
    ///
    /// A transaction without writes and events has nothing to commit: its reads were of one snapshot. If one of them
    /// failed because the snapshot is too old, the outcome is [`CommitError::TooOld`].
    pub fn commit(self) -> PendingCommit {
        self.commit_in_turn(None, None)
    }

    /// Hands the transaction to the committer, which records the result under the `once` key in the same commit.
    ///
    /// A transaction without writes commits, too, so that the record is durable.
    pub fn commit_once(self, claim: &OnceClaim, result: Vec<u8>) -> PendingCommit {
        self.commit_in_turn(Some((claim, result)), None)
    }

    pub(crate) fn commit_in_turn(self, once: Option<(&OnceClaim, Vec<u8>)>, turn: Option<Arc<Turn>>) -> PendingCommit {
        let Self { shared, snapshot, reads, writes, is_too_old, .. } = self;
        if writes.is_empty() && once.is_none() {
            if let Some(turn) = turn {
                turn.end();
            }
            if is_too_old {
                return PendingCommit::finished(Err(CommitError::TooOld));
            }
            let revision = snapshot.map_or_else(|| shared.snapshot().revision(), |snapshot| snapshot.revision());
            return PendingCommit::finished(Ok(revision));
        }
        let once = once.map(|(claim, result)| OnceCommit { claim: claim.clone(), result });
        let bytes = writes.bytes() + once.as_ref().map_or(0, |once| once.result.len());
        let (writes, events) = writes.into_parts();
        if let Some(turn) = &turn {
            turn.commit();
        }
        shared.submit(turn, |responder| CommitRequest { snapshot, reads, writes, events, once, bytes, responder })
    }

    /// The tables of the snapshot. The first call takes it.
    fn tables(&mut self) -> Result<Arc<EngineSnapshot>, Error> {
        if self.shared.is_closed() {
            return Err(Error::Closed);
        }
        let shared = &self.shared;
        let tables = self.snapshot.get_or_insert_with(|| shared.snapshot()).tables();
        self.is_too_old = tables.is_none();
        tables.ok_or(Error::TooOld)
    }

    /// Whether a read failed because the snapshot is too old.
    pub(crate) fn is_too_old(&self) -> bool {
        self.is_too_old
    }

    /// The transaction has a turn, or waits for one if its first read is of a hot key.
    pub(crate) fn wait_for_turns(&mut self, turn: Option<Arc<Turn>>, deadline: Instant) {
        self.turn = turn;
        self.turn_deadline = Some(deadline);
    }

    pub(crate) fn take_turn(&mut self) -> Option<Arc<Turn>> {
        self.turn.take()
    }

    /// Waits for a turn on a hot key or prefix, as long as the transaction has read nothing and has no turn.
    fn wait_for_turn(&mut self, key: impl FnOnce() -> TurnKey) {
        if let Some(deadline) = self.turn_deadline
            && self.snapshot.is_none()
            && self.turn.is_none()
        {
            self.turn = block_on(Turns::join(&self.shared, key(), 0, deadline)).map(Arc::new);
        }
    }

    /// Reads a key from the snapshot, and remembers that the transaction read it.
    fn read(&mut self, key: &Key) -> Result<Option<Value>, Error> {
        if !self.reads.contains_key(key) {
            self.count_reads(1)?;
        }
        self.wait_for_turn(|| TurnKey::Key(key.clone()));
        let tables = self.tables()?;
        self.reads.add_key(key.clone());
        let Some(encoded) = self.find(&tables, key)? else { return Ok(None) };
        self.count_read_bytes(key.as_str().len() + encoded.len())?;
        Ok(Some(tables.decode(&encoded)?))
    }

    /// Finds what the snapshot has for a key, in memory or on the disk.
    fn find(&mut self, tables: &EngineSnapshot, key: &Key) -> Result<CachedValue, Error> {
        let snapshot = self.snapshot.as_ref().expect("the tables are those of the snapshot").revision();
        let cache = &self.shared.cache;
        let cached = self.cached.take().filter(|(cached, _)| cached == key).map(|(_, value)| value);
        if let Some(value) = cached.or_else(|| cache.find(key, snapshot)) {
            // After a failure, nothing is read any more.
            tables.check()?;
            return Ok(value);
        }
        let value: CachedValue = tables.get(Table::Data, key.as_bytes())?.map(Arc::from);
        cache.add(key, snapshot, value.clone());
        Ok(value)
    }

    fn count_reads(&mut self, entries: usize) -> Result<(), Error> {
        let total = self.read_entries + entries;
        if total > self.limits.reads {
            return Err(Error::Limit { limit: Limit::Reads, maximum: self.limits.reads });
        }
        self.read_entries = total;
        Ok(())
    }

    fn count_read_bytes(&mut self, bytes: usize) -> Result<(), Error> {
        let total = self.read_bytes + bytes;
        if total > self.limits.read_bytes {
            return Err(Error::Limit { limit: Limit::ReadBytes, maximum: self.limits.read_bytes });
        }
        self.read_bytes = total;
        Ok(())
    }
}

fn known_sum(key: &Key, add: &Write, base: Option<&Value>) -> Result<Write, Error> {
    let sum = add.apply(key, base)?.expect("an addition has a value");
    Ok(Write::Put(sum))
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        if failure.is_closed { Self::Closed } else { Self::Failed(failure.reason) }
    }
}
