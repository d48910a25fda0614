//! Removals of old records from the log and of expired `once` records.

use std::{mem, ops::Bound};

use crate::{
    Direction, StoreLimits,
    engine::{Change, EngineSnapshot, Failure, Table},
    log::LogRecord,
    meta::State,
    once,
    plan::{log_key, log_revision, log_size},
};

/// What a group removes.
#[derive(Default)]
pub(crate) struct Trimming(Vec<Change>);

impl Trimming {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.0
    }

    /// Removes expired records of both kinds, some at a time.
    pub(crate) fn expire(
        &mut self,
        tables: &EngineSnapshot,
        state: &mut State,
        limits: &StoreLimits,
        time: u64,
    ) -> Result<(), Failure> {
        let (mut changes, expired) = once::expire(tables, once::expiry(time, limits), once::EXPIRED_RECORDS)?;
        state.once_bytes = state.once_bytes.saturating_sub(expired);
        self.0.append(&mut changes);
        let oldest = time.saturating_sub(once::millis(limits.log_age));
        let mut expired = 0;
        self.remove_records(tables, state, |_, time| {
            expired += 1;
            time < oldest && expired <= once::EXPIRED_RECORDS
        })
    }

    /// Removes the oldest log records beyond a bound. Records that are not in the tables yet stay.
    pub(crate) fn shorten_log(
        &mut self,
        tables: &EngineSnapshot,
        state: &mut State,
        maximum: u64,
    ) -> Result<(), Failure> {
        self.remove_records(tables, state, |state, _| state.log_bytes > maximum)
    }

    /// Removes the oldest log records while a condition on the state and the time of the record is true.
    fn remove_records(
        &mut self,
        tables: &EngineSnapshot,
        state: &mut State,
        mut is_removed: impl FnMut(&State, u64) -> bool,
    ) -> Result<(), Failure> {
        let mut outcome = Ok(());
        let mut changes = mem::take(&mut self.0);
        let bounds = (Bound::Excluded(&log_key(state.log_floor)[..]), Bound::Unbounded);
        tables.scan(Table::Log, bounds, Direction::Forward, |key, record| {
            let (Some(revision), Some((tag, time))) = (log_revision(key), LogRecord::decode_head(record)) else {
                outcome = Err(());
                return false;
            };
            if !is_removed(state, time) {
                return false;
            }
            state.log_bytes = state.log_bytes.saturating_sub(log_size(record));
            (state.log_floor, state.log_floor_tag) = (revision, tag);
            changes.push(Change::remove(Table::Log, key));
            true
        })?;
        self.0 = changes;
        outcome.map_err(|()| tables.fail("a log record has an unknown encoding"))
    }
}

/// The time of the newest record in the log or of `once`, in milliseconds since the Unix epoch; 0 if there is none.
pub(crate) fn last_time(tables: &EngineSnapshot, state: &State) -> Result<u64, Failure> {
    let record = tables.get(Table::Log, &log_key(state.revision))?;
    let of_log = record.and_then(|record| LogRecord::decode_head(&record)).map_or(0, |(_, time)| time);
    Ok(once::last_time(tables)?.max(of_log))
}
