//! What a group of commits will write: each transaction is validated, and applied in memory, in turn.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use crate::{
    CommitError, CommitNotice, Key, Revision, StoreLimits,
    engine::{Change, EngineSnapshot, Failure, Table},
    log::encode_record,
    meta::{State, Tag},
    once::{self, OnceKey},
    request::{CommitRequest, OnceCommit},
    trim::Trimming,
    window::{Conflict, Window},
    writes::{AddError, Write},
};

/// Overhead that the bounds of a store count for each entry, in bytes.
pub const ENTRY_OVERHEAD: u64 = 32;

/// The part of the bound that a store that was full must have free before it counts as not full any more.
const FULL_MARGIN: u64 = 16;

/// Guarantees that tests turn off, to show that the proof notices.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Checks {
    pub(crate) skip_intervals: bool,
    pub(crate) skip_group: bool,
    pub(crate) skip_cache: bool,
}

/// Which transactions a group takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    All,
    /// Those that free space, because the file cannot grow.
    Smaller,
}

/// What commits of one group share.
pub(crate) struct Plan<'store> {
    limits: &'store StoreLimits,
    window: &'store Window,
    tables: Arc<EngineSnapshot>,
    state: State,
    tag: Tag,
    time: u64,
    checks: Checks,
    admission: Admission,
    trimming: Trimming,
    data: BTreeMap<Key, Option<Vec<u8>>>,
    records: Vec<(Revision, Vec<u8>)>,
    once: Vec<Change>,
    once_keys: HashSet<OnceKey>,
    notice: CommitNotice,
    /// The changes of the group, which the window gets once they are durable.
    group: Window,
    /// Whether a member does not make the data smaller.
    has_larger: bool,
}

/// What a group writes, and what it changed.
pub(crate) struct Batch {
    pub(crate) changes: Vec<Change>,
    pub(crate) state: State,
    pub(crate) notice: CommitNotice,
    pub(crate) group: Window,
    /// The store took a transaction that does not make the data smaller, and has space for more.
    pub(crate) shows_room: bool,
}

/// The reason why a transaction is not in the group.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: CommitError,
    /// Earlier members of the group, which are not durable yet, may be the reason for the error.
    pub(crate) depends_on_group: bool,
}

struct Resolved {
    changes: Vec<(Key, Option<Vec<u8>>, usize)>,
    data_bytes: u64,
    is_smaller: bool,
}

impl<'store> Plan<'store> {
    /// Begins a group, and trims the log and the `once` records before it counts what is there.
    pub(crate) fn new(
        limits: &'store StoreLimits,
        window: &'store Window,
        tables: Arc<EngineSnapshot>,
        mut state: State,
        (tag, time): (Tag, u64),
        checks: Checks,
        admission: Admission,
    ) -> Result<Self, Failure> {
        let mut trimming = Trimming::default();
        trimming.expire(&tables, &mut state, limits, time)?;
        Ok(Self {
            limits,
            window,
            tables,
            state,
            tag,
            time,
            checks,
            admission,
            trimming,
            data: BTreeMap::new(),
            records: Vec::new(),
            once: Vec::new(),
            once_keys: HashSet::new(),
            notice: CommitNotice::default(),
            group: Window::new(state.revision, usize::MAX),
            has_larger: false,
        })
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.trimming.is_empty()
    }

    /// Validates a transaction on top of those before, and adds it. After an error nothing of it is in the group.
    pub(crate) fn admit(&mut self, request: &CommitRequest) -> Result<Revision, Refusal> {
        self.validate(request)?;
        let resolved = self.resolve(&request.writes)?;
        if self.admission == Admission::Smaller && !resolved.is_smaller {
            return Err(CommitError::Full { maximum: self.limits.file_bytes() }.into());
        }
        let revision = self.state.revision.next();
        let record = encode_record(self.tag, self.time, request.writes.keys(), &request.events);
        let log_bytes = self.state.log_bytes + log_size(&record);
        let (once, once_bytes) = self.once_record(request.once.as_ref(), revision)?;
        // What makes the data smaller needs no room: the log and the once records have bounds of their own.
        if !resolved.is_smaller {
            self.check_size(resolved.data_bytes, log_bytes, once_bytes)?;
        }

        self.has_larger |= !resolved.is_smaller;
        self.notice.topics.extend(request.events.iter().map(|event| event.topic.clone()));
        self.notice.keys.extend(request.writes.keys().cloned());
        self.notice.revision = revision;
        self.state.revision = revision;
        self.state.tag = self.tag;
        self.state.data_bytes = resolved.data_bytes;
        self.state.log_bytes = log_bytes;
        self.state.once_bytes = once_bytes;
        self.records.push((revision, record));
        self.once.extend(once);
        self.once_keys.extend(request.once.as_ref().map(|once| once.claim.key().clone()));
        for (key, encoded, size) in resolved.changes {
            self.group.record(revision, key.clone(), size);
            self.data.insert(key, encoded);
        }
        Ok(revision)
    }

    fn refuse(&self, error: CommitError) -> Refusal {
        Refusal { error, depends_on_group: !self.records.is_empty() }
    }

    fn validate(&self, request: &CommitRequest) -> Result<(), Refusal> {
        let Some(snapshot) = &request.snapshot else { return Ok(()) };
        let snapshot = snapshot.revision();
        if snapshot < self.window.floor() {
            return Err(CommitError::TooOld.into());
        }
        if let Some(conflict) = self.window.conflict(&request.reads, snapshot) {
            return Err(CommitError::from(conflict).into());
        }
        let in_group = (!self.checks.skip_group).then(|| self.group.conflict(&request.reads, snapshot)).flatten();
        in_group.map_or(Ok(()), |conflict| Err(self.refuse(conflict.into())))
    }

    /// The values that a transaction writes, with additions applied to what earlier members of the group wrote.
    fn resolve(&self, writes: &BTreeMap<Key, Write>) -> Result<Resolved, Refusal> {
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
            let after = write.apply(key, base.as_ref()).map_err(|error| self.refuse(error.into()))?;
            let after = after.map(|value| value.encode());
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

    /// The `once` record of a transaction, and the size of all records with it.
    fn once_record(&self, once: Option<&OnceCommit>, revision: Revision) -> Result<(Vec<Change>, u64), Refusal> {
        let Some(OnceCommit { claim, result }) = once else { return Ok((Vec::new(), self.state.once_bytes)) };
        if self.once_keys.contains(claim.key()) {
            return Err(self.refuse(CommitError::OnceCommitted));
        }
        if once::is_recorded(&self.tables, claim.key(), once::expiry(self.time, self.limits))? {
            return Err(CommitError::OnceCommitted.into());
        }
        let result = (result.len() <= self.limits.once_result_bytes).then(|| result.clone());
        let (changes, bytes) = once::record(claim, result, revision, self.time);
        let bytes = self.state.once_bytes + bytes;
        if bytes > self.limits.once_bytes {
            return Err(self.refuse(CommitError::OnceFull));
        }
        Ok((changes, bytes))
    }

    fn check_size(&self, data: u64, log: u64, once: u64) -> Result<(), Refusal> {
        // The end of the group shortens the log to its bound.
        let total = data.saturating_add(log.min(self.limits.log_bytes)).saturating_add(once);
        if total > self.limits.bytes {
            return Err(self.refuse(CommitError::Full { maximum: self.limits.bytes }));
        }
        Ok(())
    }

    /// The changes of the group, in the order in which the engine has to apply them.
    pub(crate) fn finish(mut self) -> Result<Batch, Failure> {
        self.trimming.shorten_log(&self.tables, &mut self.state, self.limits.log_bytes)?;
        let mut changes = self.trimming.into_changes();
        changes.append(&mut self.once);
        let records = self.records.into_iter();
        changes.extend(records.map(|(revision, record)| Change::put(Table::Log, log_key(revision), record)));
        let data = self.data.into_iter();
        changes.extend(data.map(|(key, value)| Change { table: Table::Data, key: key.as_bytes().to_vec(), value }));
        changes.push(self.state.change());
        let used = self.state.data_bytes.saturating_add(self.state.log_bytes).saturating_add(self.state.once_bytes);
        let shows_room = self.has_larger && used <= self.limits.bytes - self.limits.bytes / FULL_MARGIN;
        Ok(Batch { changes, state: self.state, notice: self.notice, group: self.group, shows_room })
    }
}

/// The key of a log record.
pub(crate) fn log_key(revision: Revision) -> [u8; 8] {
    revision.get().to_be_bytes()
}

pub(crate) fn log_revision(key: &[u8]) -> Option<Revision> {
    Some(Revision::new(u64::from_be_bytes(key.try_into().ok()?)))
}

pub(crate) fn log_size(record: &[u8]) -> u64 {
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

impl From<Conflict> for CommitError {
    fn from(Conflict { key, revision, scan }: Conflict) -> Self {
        Self::Conflict { key, scan, revision }
    }
}

/// An error that does not depend on the group.
impl From<CommitError> for Refusal {
    fn from(error: CommitError) -> Self {
        Self { error, depends_on_group: false }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        CommitError::from(failure).into()
    }
}

impl From<Failure> for CommitError {
    fn from(Failure { reason, happened, is_closed }: Failure) -> Self {
        if is_closed { Self::Closed } else { Self::Failed { happened, reason } }
    }
}
