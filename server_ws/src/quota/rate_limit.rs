//! The rate limit of each caller's requests: a token bucket that holds the requests of one minute. Pure: the time is an
//! argument.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use protocol::{Limits, RpcError};
use tokio::time::Instant;

use super::caller::Caller;

/// Requests per minute of all strangers at one address, in addition to the free requests of each of their connections.
const STRANGERS_PER_MINUTE: u64 = 600;

/// The time after which an empty bucket is full again.
const REFILL_TIME: Duration = Duration::from_mins(1);

/// The maximum number of buckets. Further callers have no limit: with this many callers, the rate of a single one is
/// not the problem.
const MAX_BUCKETS: usize = 1 << 16;

/// With fewer buckets than this, full ones are removed only once in [`REFILL_TIME`].
const MIN_SWEPT: usize = 64;

/// The minimum interval between two sweeps, because each visits all buckets.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The buckets of all callers.
#[derive(Debug)]
pub(crate) struct RateLimit {
    per_minute: AtomicU64,
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    /// The time at which each bucket will be full again.
    full_at: HashMap<Caller, Instant>,
    last_sweep: Option<Instant>,
    /// The number of buckets at which a sweep is due before [`REFILL_TIME`] is over.
    sweep_at: usize,
}

impl RateLimit {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { per_minute: AtomicU64::new(per_minute(limits)), buckets: Mutex::default() }
    }

    /// Applies a new limit to later requests.
    pub(crate) fn apply(&self, limits: &Limits) {
        self.per_minute.store(per_minute(limits), Ordering::Relaxed);
    }

    /// Whether callers have no limit.
    pub(crate) fn is_unlimited(&self, is_stranger: bool) -> bool {
        self.limit(is_stranger) == u64::MAX
    }

    fn limit(&self, is_stranger: bool) -> u64 {
        let limit = self.per_minute.load(Ordering::Relaxed);
        if is_stranger { limit.min(STRANGERS_PER_MINUTE) } else { limit }
    }

    /// Takes a token from the caller's bucket.
    ///
    /// # Errors
    ///
    /// The bucket is empty.
    pub(crate) fn take(&self, caller: Caller, is_stranger: bool, now: Instant) -> Result<(), RpcError> {
        match self.limit(is_stranger) {
            u64::MAX => Ok(()),
            limit => self.take_of(caller, limit, now),
        }
    }

    /// Takes a token from the caller's bucket of this many tokens per minute.
    ///
    /// # Errors
    ///
    /// The bucket is empty.
    pub(crate) fn take_of(&self, caller: Caller, limit: u64, now: Instant) -> Result<(), RpcError> {
        let taken = self.buckets.lock().unwrap_or_else(PoisonError::into_inner).take(caller, limit, now);
        taken.map_err(|wait| RpcError::RateLimited { retry_after_ms: whole_ms(wait) })
    }
}

impl Buckets {
    /// Takes a token. The error is the time until the bucket has one.
    fn take(&mut self, caller: Caller, per_minute: u64, now: Instant) -> Result<(), Duration> {
        self.sweep(now);
        let interval = REFILL_TIME / u32::try_from(per_minute).unwrap_or(u32::MAX).max(1);
        let full_at = self.full_at.get(&caller).map_or(now, |full_at| now.max(*full_at)) + interval;
        let wait = full_at.saturating_duration_since(now + REFILL_TIME);
        if !wait.is_zero() {
            return Err(wait);
        }
        if self.full_at.len() < MAX_BUCKETS || self.full_at.contains_key(&caller) {
            self.full_at.insert(caller, full_at);
        }
        Ok(())
    }

    /// Removes the buckets that are full again, if a sweep is due.
    fn sweep(&mut self, now: Instant) {
        let since = now.saturating_duration_since(*self.last_sweep.get_or_insert(now));
        let are_many = self.full_at.len() >= self.sweep_at.max(MIN_SWEPT) && since >= SWEEP_INTERVAL;
        if are_many || since >= REFILL_TIME {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.sweep_at = 2 * self.full_at.len();
            self.full_at.shrink_to(self.sweep_at.max(MIN_SWEPT));
            self.last_sweep = Some(now);
        }
    }
}

/// Returns the limit as a number; without a limit, the maximum.
fn per_minute(limits: &Limits) -> u64 {
    limits.per_minute.unwrap_or(u64::MAX)
}

/// Returns whole milliseconds, rounded up, so that a client that waits this long is not early.
fn whole_ms(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(number: u32) -> Caller {
        Caller::anonymous(std::net::Ipv4Addr::from_bits((10 << 24) | number).into())
    }

    fn limit(per_minute: Option<u64>) -> RateLimit {
        RateLimit::new(&Limits { per_minute, ..Limits::default() })
    }

    /// Returns how long a caller has to wait; `None` if its request is accepted.
    fn wait_ms(limit: &RateLimit, number: u32, now: Instant) -> Option<u64> {
        match limit.take(caller(number), false, now) {
            Ok(()) => None,
            Err(RpcError::RateLimited { retry_after_ms }) => Some(retry_after_ms),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn caller_may_burst_one_minute_of_requests() {
        let (limit, now) = (limit(Some(3)), Instant::now());
        let taken = |count| std::iter::repeat_n(None, count).collect::<Vec<_>>();
        assert_eq!((0..3).map(|_| wait_ms(&limit, 1, now)).collect::<Vec<_>>(), taken(3));
        assert_eq!(wait_ms(&limit, 1, now), Some(20_000));
        assert_eq!(wait_ms(&limit, 1, now + Duration::from_micros(5_000_500)), Some(15_000), "rounded up");
        assert_eq!(wait_ms(&limit, 2, now), None, "another caller has another bucket");
        assert_eq!(wait_ms(&limit, 1, now + Duration::from_secs(20)), None, "refused requests cost nothing");
        assert_eq!(wait_ms(&limit, 1, now + Duration::from_secs(20)), Some(20_000));
        let later = now + Duration::from_mins(5);
        assert_eq!((0..4).map(|_| wait_ms(&limit, 1, later)).collect::<Vec<_>>()[2..], [None, Some(20_000)]);
        limit.apply(&Limits { per_minute: None, ..Limits::default() });
        assert_eq!(wait_ms(&limit, 1, later), None);
    }

    #[test]
    fn strangers_are_always_limited() {
        let now = Instant::now();
        for (limit, max) in [(limit(None), STRANGERS_PER_MINUTE), (limit(Some(2)), 2), (limit(Some(u64::MAX - 1)), 600)]
        {
            let taken = (0..2000).take_while(|_| limit.take(caller(1), true, now).is_ok()).count();
            assert_eq!(taken as u64, max);
        }
    }

    #[test]
    fn full_buckets_are_removed_and_count_is_bounded() {
        let (limit, now) = (limit(Some(60)), Instant::now());
        let kept = || limit.buckets.lock().expect("not poisoned").full_at.len();
        (0..100_000).for_each(|number| assert_eq!(wait_ms(&limit, number, now), None));
        assert_eq!(kept(), MAX_BUCKETS);
        // Each of them is full again after a second.
        assert_eq!(wait_ms(&limit, 200_000, now + SWEEP_INTERVAL), None);
        assert_eq!(kept(), 1);
        assert!(limit.buckets.lock().expect("not poisoned").full_at.capacity() < 1000);
        assert_eq!(wait_ms(&limit, 1, now + 2 * REFILL_TIME), None);
        assert_eq!(kept(), 1);
    }
}
