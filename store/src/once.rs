//! Idempotency keys: a transaction records its result under a `once` key in its own commit, so that the same request,
//! sent again, gets the result and nothing runs.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use thiserror::Error;

use crate::{
    Direction, Error, Revision,
    engine::{Change, EngineSnapshot, Failure, Table},
    outcome::call,
    store::Shared,
};

/// Overhead of the three entries of a record.
const RECORD_OVERHEAD: u64 = 3 * crate::ENTRY_OVERHEAD;
const VERSION: u8 = 1;

/// Identifies a request of a caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OnceKey {
    caller: Vec<u8>,
    id: String,
}

/// A hash of what the request asks for, such as the SHA-256 of its parameters.
pub type ParamsHash = [u8; 32];

/// The reason why a request cannot run under its `once` key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OnceError {
    /// The identity of the caller has no bytes or more than 255.
    #[error("the caller's identity has {0} bytes: use 1 to 255")]
    Caller(usize),
    /// The id is too short, too long, or has other characters.
    #[error("the once id is not 22 to 64 letters, digits, '-' and '_': draw a random one for each request")]
    Id,
    /// The same id was sent with other parameters.
    #[error("the once id was used with other parameters: draw a random id for each request")]
    OtherParams,
    /// The caller has too many records.
    #[error("the caller has {maximum} once records, which expire with time: send the request later or without once")]
    TooMany {
        /// The limit.
        maximum: usize,
    },
    /// The records of all callers reached their bound.
    #[error("the store has no space for once records, which expire with time: send the request later or without once")]
    Full,
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] Error),
}

impl OnceKey {
    /// A `once` key.
    ///
    /// # Errors
    ///
    /// [`OnceError::Caller`] and [`OnceError::Id`].
    pub fn new(caller: &[u8], id: &str) -> Result<Self, OnceError> {
        if caller.is_empty() || caller.len() > usize::from(u8::MAX) {
            return Err(OnceError::Caller(caller.len()));
        }
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(22..=64).contains(&id.len()) || !id.bytes().all(is_known) {
            return Err(OnceError::Id);
        }
        Ok(Self { caller: caller.to_vec(), id: id.to_owned() })
    }

    /// The length of the caller comes first, so that no caller is a prefix of another.
    fn caller_prefix(&self) -> Vec<u8> {
        let length = u8::try_from(self.caller.len()).expect("at most 255 bytes");
        [&[length], &*self.caller].concat()
    }

    fn encode(&self) -> Vec<u8> {
        [&*self.caller_prefix(), self.id.as_bytes()].concat()
    }
}

/// A committed request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// The revision of its commit.
    pub revision: Revision,
    /// Its result, unless that was larger than
    /// [`StoreLimits::once_result_bytes`](crate::StoreLimits::once_result_bytes).
    pub result: Option<Vec<u8>>,
}

/// What to do with a request that has a `once` key.
#[derive(Debug)]
pub enum Once {
    /// The request committed before: answer its result.
    Recorded(Recorded),
    /// The request runs now: wait, then look again.
    InFlight(InFlight),
    /// The request is new: run it, and commit with the claim.
    Claimed(OnceClaim),
}

/// The right to run a request. Others with the same key wait until all clones of the claim are dropped.
#[derive(Clone)]
pub struct OnceClaim(Arc<Claim>);

struct Claim {
    shared: Weak<Shared>,
    key: OnceKey,
    params: ParamsHash,
}

impl fmt::Debug for OnceClaim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("OnceClaim").field(&self.0.key).finish()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            let running = shared.claims.lock().remove(&self.key);
            for callback in running.into_iter().flat_map(|running| running.callbacks) {
                call(callback);
            }
        }
    }
}

/// A request with the same `once` key that runs now.
pub struct InFlight {
    shared: Arc<Shared>,
    key: OnceKey,
}

impl fmt::Debug for InFlight {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("InFlight").field(&self.key).finish()
    }
}

impl InFlight {
    /// Calls a function when the running request has ended: at once, or later on another thread, where the function
    /// must not block. Then call [`Store::once`](crate::Store::once) again: the request runs if the other did not
    /// commit.
    pub fn on_finish(self, callback: impl FnOnce() + Send + 'static) {
        let mut claims = self.shared.claims.lock();
        if let Some(running) = claims.get_mut(&self.key) {
            running.callbacks.push(Box::new(callback));
        } else {
            drop(claims);
            callback();
        }
    }
}

struct Running {
    params: ParamsHash,
    callbacks: Vec<Box<dyn FnOnce() + Send>>,
}

/// The requests with a `once` key that run now.
#[derive(Default)]
pub(crate) struct Claims(Mutex<HashMap<OnceKey, Running>>);

impl Claims {
    fn lock(&self) -> MutexGuard<'_, HashMap<OnceKey, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn begin(shared: &Arc<Shared>, key: OnceKey, params: ParamsHash) -> Result<Once, OnceError> {
    let mut claims = shared.claims.lock();
    let running_of_caller = claims.keys().filter(|running| running.caller == key.caller).count();
    // A claim goes after its commit is in the current snapshot, so the snapshot comes second.
    let snapshot = shared.snapshot();
    let tables = snapshot.tables().ok_or(Error::TooOld)?;
    let vacant = match claims.entry(key.clone()) {
        Entry::Occupied(running) if running.get().params != params => return Err(OnceError::OtherParams),
        Entry::Occupied(_) => return Ok(Once::InFlight(InFlight { shared: Arc::clone(shared), key })),
        Entry::Vacant(vacant) => vacant,
    };
    let expiry = shared.clock.now().saturating_sub(millis(shared.limits.once_age));
    let encoded_key = key.encode();
    let record = Record::read(&tables, &encoded_key).map_err(Error::from)?;
    if let Some(record) = record.filter(|record| record.time > expiry) {
        if record.params != params {
            return Err(OnceError::OtherParams);
        }
        let result = tables.get(Table::OnceResults, &encoded_key).map_err(Error::from)?;
        return Ok(Once::Recorded(Recorded { revision: record.revision, result }));
    }
    let maximum = shared.limits.once_per_caller;
    if running_of_caller + count_records(&tables, &key, expiry, maximum).map_err(Error::from)? >= maximum {
        return Err(OnceError::TooMany { maximum });
    }
    if snapshot.state().once_bytes >= shared.limits.once_bytes {
        return Err(OnceError::Full);
    }
    vacant.insert(Running { params, callbacks: Vec::new() });
    Ok(Once::Claimed(OnceClaim(Arc::new(Claim { shared: Arc::downgrade(shared), key, params }))))
}

pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Records of a caller that have not expired, counted up to a maximum.
fn count_records(tables: &EngineSnapshot, key: &OnceKey, expiry: u64, maximum: usize) -> Result<usize, Failure> {
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
struct Record {
    time: u64,
    revision: Revision,
    params: ParamsHash,
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

    fn read(tables: &EngineSnapshot, key: &[u8]) -> Result<Option<Self>, Failure> {
        let Some(encoded) = tables.get(Table::Once, key)? else { return Ok(None) };
        Self::decode(&encoded).map(Some).ok_or_else(|| tables.fail("a once record has an unknown encoding"))
    }
}

/// The entries of a record, and their size with overhead.
pub(crate) fn record(claim: &OnceClaim, result: Option<Vec<u8>>, revision: Revision, time: u64) -> (Vec<Change>, u64) {
    let key = claim.0.key.encode();
    let record = Record { time, revision, params: claim.0.params }.encode();
    let times_key = [&time.to_be_bytes()[..], &key].concat();
    let bytes = 3 * key.len() + 2 * size_of::<u64>() + record.len() + result.as_ref().map_or(0, Vec::len);
    let size = bytes as u64 + RECORD_OVERHEAD;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_encoding() {
        let record = Record { time: 1, revision: Revision::new(2), params: [3; 32] };
        assert_eq!(Record::decode(&record.encode()), Some(record));
        assert_eq!(Record::decode(&[VERSION; 20]), None);
    }

    #[test]
    fn once_ids_are_random_enough_to_be_unique() {
        assert!(OnceKey::new(b"caller", &"a".repeat(22)).is_ok());
        for id in ["short", &"a".repeat(65), "aaaaaaaaaaaaaaaaaaaaaaaaa b"] {
            assert_eq!(OnceKey::new(b"caller", id).expect_err("an error"), OnceError::Id);
        }
        assert_eq!(OnceKey::new(b"", &"a".repeat(22)).expect_err("an error"), OnceError::Caller(0));
    }
}
