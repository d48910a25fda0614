//! `once` records in the tables.

use std::{ops::Bound, time::Duration};

use super::{OnceClaim, OnceKey, ParamsHash};
use crate::{
    Direction, Revision, StoreLimits,
    engine::{Change, EngineSnapshot, Failure, Table},
};

/// Overhead of the three entries of a record.
const RECORD_OVERHEAD: u64 = 3 * crate::ENTRY_OVERHEAD;
const VERSION: u8 = 1;

/// Size of an encoded record: version, time, revision and parameters.
const RECORD_BYTES: usize = 1 + 8 + 8 + 32;

/// Expired records that one group removes, more than one group adds.
pub(crate) const EXPIRED_RECORDS: usize = 512;

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Records of this time and of earlier ones have expired.
pub(crate) fn expiry(time: u64, limits: &StoreLimits) -> u64 {
    time.saturating_sub(millis(limits.once_age))
}

/// Whether a request has committed, and its record has not expired.
pub(crate) fn is_recorded(tables: &EngineSnapshot, key: &OnceKey, expiry: u64) -> Result<bool, Failure> {
    Ok(Record::read(tables, &key.encode())?.is_some_and(|record| record.time > expiry))
}

/// Records of a caller that have not expired, counted up to a maximum.
pub(super) fn count_records(
    tables: &EngineSnapshot,
    key: &OnceKey,
    expiry: u64,
    maximum: usize,
) -> Result<usize, Failure> {
    let prefix = key.caller_prefix();
    let mut count = 0;
    tables.scan(Table::Once, (Bound::Included(&*prefix), Bound::Unbounded), Direction::Forward, |key, record| {
        let is_of_caller = key.starts_with(&prefix);
        let is_live = Record::decode(record).is_some_and(|record| record.time > expiry);
        count += usize::from(is_of_caller && is_live);
        is_of_caller && count < maximum
    })?;
    Ok(count)
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) time: u64,
    pub(super) revision: Revision,
    pub(super) params: ParamsHash,
}

impl Record {
    fn encode(&self) -> Vec<u8> {
        [&[VERSION][..], &self.time.to_be_bytes(), &self.revision.get().to_be_bytes(), &self.params].concat()
    }

    fn decode(encoded: &[u8]) -> Option<Self> {
        let (version, rest) = encoded.split_first()?;
        let (time, rest) = rest.split_first_chunk()?;
        let (revision, params) = rest.split_first_chunk()?;
        (*version == VERSION).then_some(())?;
        Some(Self {
            time: u64::from_be_bytes(*time),
            revision: Revision::new(u64::from_be_bytes(*revision)),
            params: params.try_into().ok()?,
        })
    }

    pub(super) fn read(tables: &EngineSnapshot, key: &[u8]) -> Result<Option<Self>, Failure> {
        let Some(encoded) = tables.get(Table::Once, key)? else { return Ok(None) };
        Self::decode(&encoded).map(Some).ok_or_else(|| tables.fail("a once record has an unknown encoding"))
    }
}

/// Size of a record with overhead, in bytes.
pub(super) fn record_size(key: usize, result: usize) -> u64 {
    (3 * key + 2 * size_of::<u64>() + RECORD_BYTES + result) as u64 + RECORD_OVERHEAD
}

/// Whether the records that have not expired leave room for another one.
pub(super) fn has_room(
    tables: &EngineSnapshot,
    once_bytes: u64,
    key: &[u8],
    expiry: u64,
    maximum: u64,
) -> Result<bool, Failure> {
    let needed = once_bytes + record_size(key.len(), 0);
    if needed <= maximum {
        return Ok(true);
    }
    // The next group removes them before it counts.
    let (_, expired) = expire(tables, expiry, EXPIRED_RECORDS)?;
    Ok(needed.saturating_sub(expired) <= maximum)
}

/// The entries of a record, and their size with overhead.
pub(crate) fn record(claim: &OnceClaim, result: Option<Vec<u8>>, revision: Revision, time: u64) -> (Vec<Change>, u64) {
    let key = claim.0.key.encode();
    let record = Record { time, revision, params: claim.0.params }.encode();
    let times_key = [&time.to_be_bytes()[..], &key].concat();
    let size = record_size(key.len(), result.as_ref().map_or(0, Vec::len));
    let changes = vec![
        Change::put(Table::Once, key.clone(), record),
        Change::put(Table::OnceTimes, times_key, size.to_be_bytes()),
        // An expired record of the same key may have a result.
        Change { table: Table::OnceResults, key, value: result },
    ];
    (changes, size)
}

/// Removals of expired records, and their size with overhead.
pub(crate) fn expire(tables: &EngineSnapshot, expiry: u64, maximum: usize) -> Result<(Vec<Change>, u64), Failure> {
    let mut expired = Vec::new();
    let until = expiry.saturating_add(1).to_be_bytes();
    let bounds = (Bound::Unbounded, Bound::Excluded(&until[..]));
    tables.scan(Table::OnceTimes, bounds, Direction::Forward, |times_key, size| {
        expired.push((times_key.to_vec(), size.try_into().map_or(0, u64::from_be_bytes)));
        expired.len() < maximum
    })?;
    let (mut changes, mut total) = (Vec::new(), 0);
    for (times_key, size) in expired {
        let (time, key) = times_key.split_at_checked(size_of::<u64>()).unwrap_or_default();
        // The record is a newer one if the key was used again after it had expired.
        let is_same = Record::read(tables, key)?.is_some_and(|record| record.time.to_be_bytes() == time);
        if is_same {
            changes.push(Change::remove(Table::Once, key));
            changes.push(Change::remove(Table::OnceResults, key));
        }
        changes.push(Change::remove(Table::OnceTimes, times_key));
        total += size;
    }
    Ok((changes, total))
}

/// The time of the newest record, in milliseconds since the Unix epoch; 0 if there is none.
pub(crate) fn last_time(tables: &EngineSnapshot) -> Result<u64, Failure> {
    let mut time = 0;
    tables.scan(Table::OnceTimes, (Bound::Unbounded, Bound::Unbounded), Direction::Reverse, |key, _| {
        time = key.first_chunk().map_or(0, |time| u64::from_be_bytes(*time));
        false
    })?;
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_encoding() {
        let record = Record { time: 1, revision: Revision::new(2), params: [3; 32] };
        assert_eq!(record.encode().len(), RECORD_BYTES);
        assert_eq!(Record::decode(&record.encode()), Some(record));
        assert_eq!(Record::decode(&[VERSION; 20]), None);
    }
}
