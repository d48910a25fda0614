//! Idempotency keys: a transaction records its result under a `once` key in its own commit, so that the same request,
//! sent again, gets the result and nothing runs.

mod record;

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Instant,
};

use thiserror::Error;

pub(crate) use record::{EXPIRED_RECORDS, expire, expiry, is_recorded, last_time, millis, record};
use record::{Record, count_records, has_room};

use crate::{Error, Revision, engine::Table, outcome::call, store::Shared, waiters::Waiters};

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

impl OnceClaim {
    pub(crate) fn key(&self) -> &OnceKey {
        &self.0.key
    }
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
            shared.claims.ended.wake_all();
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

    /// Waits until no request with the key runs, or until a deadline, which returns false. Then call
    /// [`Store::once`](crate::Store::once) again. Needs no runtime.
    pub async fn wait(self, deadline: Instant) -> bool {
        let (claims, key) = (&self.shared.claims, &self.key);
        claims.ended.wait(&self.shared.timer, deadline, || !claims.lock().contains_key(key)).await
    }
}

struct Running {
    params: ParamsHash,
    callbacks: Vec<Box<dyn FnOnce() + Send>>,
}

/// The requests with a `once` key that run now.
#[derive(Default)]
pub(crate) struct Claims {
    running: Mutex<HashMap<OnceKey, Running>>,
    /// Tasks that wait for the end of a claim.
    ended: Waiters,
}

impl Claims {
    fn lock(&self) -> MutexGuard<'_, HashMap<OnceKey, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The disk is read while the claim exists and no lock is held: meanwhile others with the same key wait.
pub(crate) fn begin(shared: &Arc<Shared>, key: OnceKey, params: ParamsHash) -> Result<Once, OnceError> {
    let (claim, running_of_caller) = match claim(shared, key, params)? {
        Ok(claimed) => claimed,
        Err(in_flight) => return Ok(Once::InFlight(in_flight)),
    };
    let key = claim.key();
    // A claim ends after its commit is in the current snapshot, so the snapshot comes second.
    let snapshot = shared.snapshot();
    let tables = snapshot.tables().ok_or(Error::TooOld)?;
    let expiry = expiry(shared.clock.now(), &shared.limits);
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
    // A request that committed in between counts twice, so that the records are never more.
    let records = count_records(&tables, key, expiry, maximum).map_err(Error::from)?;
    if running_of_caller.saturating_add(records) > maximum {
        return Err(OnceError::TooMany { maximum });
    }
    let (once_bytes, maximum) = (snapshot.state().once_bytes, shared.limits.once_bytes);
    if !has_room(&tables, once_bytes, &encoded_key, expiry, maximum).map_err(Error::from)? {
        return Err(OnceError::Full);
    }
    Ok(Once::Claimed(claim))
}

/// Claims a key that no other request has, and counts the running requests of the caller, this one included.
fn claim(
    shared: &Arc<Shared>,
    key: OnceKey,
    params: ParamsHash,
) -> Result<Result<(OnceClaim, usize), InFlight>, OnceError> {
    let mut claims = shared.claims.lock();
    match claims.entry(key.clone()) {
        Entry::Occupied(running) if running.get().params != params => return Err(OnceError::OtherParams),
        Entry::Occupied(_) => return Ok(Err(InFlight { shared: Arc::clone(shared), key })),
        Entry::Vacant(vacant) => drop(vacant.insert(Running { params, callbacks: Vec::new() })),
    }
    let running_of_caller = claims.keys().filter(|running| running.caller == key.caller).count();
    Ok(Ok((OnceClaim(Arc::new(Claim { shared: Arc::downgrade(shared), key, params })), running_of_caller)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_ids_are_random_enough_to_be_unique() {
        assert!(OnceKey::new(b"caller", &"a".repeat(22)).is_ok());
        for id in ["short", &"a".repeat(65), "aaaaaaaaaaaaaaaaaaaaaaaaa b"] {
            assert_eq!(OnceKey::new(b"caller", id).expect_err("an error"), OnceError::Id);
        }
        assert_eq!(OnceKey::new(b"", &"a".repeat(22)).expect_err("an error"), OnceError::Caller(0));
    }
}
