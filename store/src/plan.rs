//! What a group of commits will write: each transaction is validated, and applied in memory, in turn.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use crate::{
    CommitEffect, CommitError, CommitNotice, Direction, Key, Revision, StoreLimits,
    engine::{Change, EngineSnapshot, Failure, Table},
    log::LogRecord,
    meta::{State, Tag},
    once,
    reads::ReadSet,
    request::{CommitRequest, OnceCommit},
    window::Window,
    writes::{AddError, Write},
};

/// Overhead that the bounds of a store count for each entry, in bytes.
pub const ENTRY_OVERHEAD: u64 = 32;

/// Expired records that one group removes, more than one group adds.
const EXPIRED_RECORDS: usize = 512;

/// Guarantees that tests turn off, to show that the proof notices.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Checks {
    pub(crate) skip_intervals: bool,
    pub(crate) skip_group: bool,
}

/// What commits of one group share.
pub(crate) struct Plan<'store> {
    limits: &'store StoreLimits,
    window: &'store mut Window,
    tables: Arc<EngineSnapshot>,
    state: State,
    first: Revision,
    tag: Tag,
    time: u64,
    checks: Checks,
    data: BTreeMap<Key, Option<Vec<u8>>>,
    records: Vec<(Revision, Vec<u8>)>,
    once: Vec<Change>,
    notice: CommitNotice,
    /// With the check of the group turned off, the window gets the changes at the end.
    late: Vec<(Revision, Key, usize)>,
}

/// What a group writes, and what it changed.
pub(crate) struct Batch {
    pub(crate) changes: Vec<Change>,
    pub(crate) state: State,
    pub(crate) notice: CommitNotice,
}

struct Resolved {
    changes: Vec<(Key, Option<Vec<u8>>, usize)>,
    data_bytes: u64,
    is_smaller: bool,
}

impl<'store> Plan<'store> {
    pub(crate) fn new(
        limits: &'store StoreLimits,
        window: &'store mut Window,
        tables: Arc<EngineSnapshot>,
        state: State,
        tag: Tag,
        time: u64,
        checks: Checks,
    ) -> Self {
        Self {
            limits,
            window,
            tables,
            state,
            first: state.revision.next(),
            tag,
            time,
            checks,
            data: BTreeMap::new(),
            records: Vec::new(),
            once: Vec::new(),
            notice: CommitNotice::default(),
            late: Vec::new(),
        }
    }

    /// Validates a transaction on top of those before, and adds it. After an error nothing of it is in the group.
    pub(crate) fn admit(&mut self, request: &mut CommitRequest) -> Result<Revision, CommitError> {
        if let Some(snapshot) = &request.snapshot {
            self.validate(&mut request.reads, snapshot.revision())?;
        }
        let resolved = self.resolve(&request.writes)?;
        let revision = self.state.revision.next();
        let record = LogRecord {
            tag: self.tag,
            time: self.time,
            keys: request.writes.keys().cloned().collect(),
            events: std::mem::take(&mut request.events),
        };
        let topics: Vec<String> = record.events.iter().map(|event| event.topic.clone()).collect();
        let record = record.encode();
        let log_bytes = self.state.log_bytes + log_size(&record);
        let (once, once_bytes) = match request.once.take() {
            None => (Vec::new(), 0),
            Some(OnceCommit { claim, result }) => {
                let result = (result.len() <= self.limits.once_result_bytes).then_some(result);
                once::record(&claim, result, revision, self.time)
            }
        };
        let once_bytes = self.state.once_bytes + once_bytes;
        self.check_size(resolved.data_bytes, log_bytes, once_bytes, resolved.is_smaller)?;

        self.notice.topics.extend(topics);
        self.notice.keys.extend(request.writes.keys().cloned());
        self.notice.revision = revision;
        self.state.revision = revision;
        self.state.tag = self.tag;
        self.state.data_bytes = resolved.data_bytes;
        self.state.log_bytes = log_bytes;
        self.state.once_bytes = once_bytes;
        self.records.push((revision, record));
        self.once.extend(once);
        for (key, encoded, size) in resolved.changes {
            if self.checks.skip_group {
                self.late.push((revision, key.clone(), size));
            } else {
                self.window.record(revision, key.clone(), size);
            }
            self.data.insert(key, encoded);
        }
        Ok(revision)
    }

    fn validate(&self, reads: &mut ReadSet, snapshot: Revision) -> Result<(), CommitError> {
        if self.checks.skip_intervals {
            reads.forget_intervals();
        }
        if snapshot < self.window.floor() {
            return Err(CommitError::TooOld);
        }
        match self.window.conflict(reads, snapshot) {
            None => Ok(()),
            Some((key, revision)) => Err(CommitError::Conflict { key, revision }),
        }
    }

    /// The values that a transaction writes, with additions applied to what earlier members of the group wrote.
    fn resolve(&self, writes: &BTreeMap<Key, Write>) -> Result<Resolved, CommitError> {
        let mut resolved = Resolved {
            changes: Vec::with_capacity(writes.len()),
            data_bytes: self.state.data_bytes,
            is_smaller: false,
        };
        for (key, write) in writes {
            let before = match self.data.get(key) {
                Some(encoded) => encoded.clone(),
                None => self.tables.get(Table::Data, key.as_bytes())?,
            };
            let base = match (write, &before) {
                (Write::Add(_), Some(encoded)) => Some(self.tables.decode(encoded)?),
                _ => None,
            };
            let after = write.apply(key, base.as_ref())?.map(|value| value.encode());
            let bytes = |encoded: &Option<Vec<u8>>| encoded.as_ref().map_or(0, |encoded| entry_size(key, encoded));
            // The counter cannot be below the sum of what is stored.
            resolved.data_bytes = (resolved.data_bytes + bytes(&after)).saturating_sub(bytes(&before));
            let size = key.as_str().len()
                + [&before, &after].map(|encoded| encoded.as_ref().map_or(0, Vec::len)).iter().sum::<usize>();
            resolved.changes.push((key.clone(), after, size));
        }
        let only_deletes = !writes.is_empty() && writes.values().all(|write| *write == Write::Delete);
        resolved.is_smaller = only_deletes || resolved.data_bytes < self.state.data_bytes;
        Ok(resolved)
    }

    fn check_size(&self, data: u64, log: u64, once: u64, is_smaller: bool) -> Result<(), CommitError> {
        // The end of the group shortens the log to its bound.
        let total = data + log.min(self.limits.log_bytes) + once;
        let reserve = if is_smaller { self.limits.delete_reserve_bytes } else { 0 };
        if total > self.limits.bytes + reserve {
            return Err(CommitError::Full { maximum: self.limits.bytes });
        }
        Ok(())
    }

    /// The changes of the group, in the order in which the engine has to apply them.
    pub(crate) fn finish(mut self) -> Result<Batch, Failure> {
        for (revision, key, size) in self.late.drain(..) {
            self.window.record(revision, key, size);
        }
        let expiry = self.time.saturating_sub(once::millis(self.limits.once_age));
        let (mut changes, expired) = once::expire(&self.tables, expiry, EXPIRED_RECORDS)?;
        self.state.once_bytes = self.state.once_bytes.saturating_sub(expired);
        changes.append(&mut self.once);
        self.shorten_log(&mut changes)?;
        let records = self.records.into_iter();
        changes.extend(records.map(|(revision, record)| Change::put(Table::Log, log_key(revision), record)));
        let data = self.data.into_iter();
        changes.extend(data.map(|(key, value)| Change { table: Table::Data, key: key.as_bytes().to_vec(), value }));
        changes.push(self.state.change());
        Ok(Batch { changes, state: self.state, notice: self.notice })
    }

    /// Removes the oldest records beyond the bound and beyond the age. Records of this group stay.
    fn shorten_log(&mut self, changes: &mut Vec<Change>) -> Result<(), Failure> {
        let oldest = self.time.saturating_sub(once::millis(self.limits.log_age));
        let mut expired = 0;
        let (mut state, maximum) = (self.state, self.limits.log_bytes);
        let mut outcome = Ok(());
        let bounds = (Bound::Unbounded, Bound::Excluded(&log_key(self.first)[..]));
        self.tables.scan(Table::Log, bounds, Direction::Forward, |key, record| {
            let (Some(revision), Some((tag, time))) = (log_revision(key), LogRecord::decode_head(record)) else {
                outcome = Err(());
                return false;
            };
            let is_expired = time < oldest && expired < EXPIRED_RECORDS;
            if state.log_bytes <= maximum && !is_expired {
                return false;
            }
            expired += usize::from(is_expired);
            state.log_bytes = state.log_bytes.saturating_sub(log_size(record));
            (state.log_floor, state.log_floor_tag) = (revision, tag);
            changes.push(Change::remove(Table::Log, key));
            true
        })?;
        outcome.map_err(|()| self.tables.fail("a log record has an unknown encoding"))?;
        self.state = state;
        Ok(())
    }
}

/// The key of a log record.
pub(crate) fn log_key(revision: Revision) -> [u8; 8] {
    revision.get().to_be_bytes()
}

pub(crate) fn log_revision(key: &[u8]) -> Option<Revision> {
    Some(Revision::new(u64::from_be_bytes(key.try_into().ok()?)))
}

fn log_size(record: &[u8]) -> u64 {
    record.len() as u64 + size_of::<u64>() as u64 + ENTRY_OVERHEAD
}

fn entry_size(key: &Key, encoded: &[u8]) -> u64 {
    key.as_str().len() as u64 + encoded.len() as u64 + ENTRY_OVERHEAD
}

impl From<AddError> for CommitError {
    fn from(error: AddError) -> Self {
        match error {
            AddError::NotAnInteger(key) => Self::NotAnInteger(key),
            AddError::Overflow(key) => Self::Overflow(key),
        }
    }
}

impl From<Failure> for CommitError {
    fn from(Failure { reason, happened }: Failure) -> Self {
        debug_assert_eq!(happened, CommitEffect::No);
        Self::Failed { happened, reason }
    }
}
