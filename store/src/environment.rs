//! What the store asks the system for, and tests replace.

use std::{
    fs::File,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

type Source<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// The clocks of the system.
#[derive(Clone)]
pub(crate) struct Clock {
    /// Milliseconds since the Unix epoch. It may jump.
    wall: Source<u64>,
    /// Time since some moment. It does not jump.
    elapsed: Source<Duration>,
}

impl Clock {
    pub(crate) fn system() -> Self {
        let start = Instant::now();
        let wall = || {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
        };
        Self { wall: Arc::new(wall), elapsed: Arc::new(move || start.elapsed()) }
    }

    /// A clock that does not jump.
    #[cfg(any(test, feature = "faults"))]
    pub(crate) fn new(now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        let wall: Source<u64> = Arc::new(now);
        let elapsed = Arc::clone(&wall);
        Self { wall, elapsed: Arc::new(move || Duration::from_millis(elapsed())) }
    }

    /// The same clock with another wall clock.
    #[cfg(any(test, feature = "faults"))]
    pub(crate) fn with_wall(self, now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { wall: Arc::new(now), ..self }
    }

    /// Starts the clock of a store whose last record is of some time.
    pub(crate) fn start(&self, last: u64) -> StoreClock {
        StoreClock { start: (self.wall)().max(last), started: (self.elapsed)(), elapsed: Arc::clone(&self.elapsed) }
    }
}

/// The clock of log records and `once` records. It starts with the wall clock, and neither jumps with it nor goes back
/// behind the last record.
pub(crate) struct StoreClock {
    start: u64,
    started: Duration,
    elapsed: Source<Duration>,
}

impl StoreClock {
    /// Milliseconds since the Unix epoch.
    pub(crate) fn now(&self) -> u64 {
        let elapsed = (self.elapsed)().saturating_sub(self.started);
        self.start.saturating_add(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The disk that has the file.
#[derive(Clone)]
pub(crate) struct Disk(Source<Option<u64>>);

impl Disk {
    /// The disk of an open file, whatever becomes of its path.
    pub(crate) fn of_file(file: File) -> Self {
        Self(Arc::new(move || free_bytes(&file)))
    }

    pub(crate) fn unbounded() -> Self {
        Self(Arc::new(|| None))
    }

    #[cfg(any(test, feature = "faults"))]
    pub(crate) fn new(free_bytes: impl Fn() -> Option<u64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(free_bytes))
    }

    /// Free bytes for a user without privileges, or nothing if nothing bounds the storage or the system does not say
    /// it.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        (self.0)()
    }
}

#[cfg(unix)]
fn free_bytes(file: &File) -> Option<u64> {
    let disk = rustix::fs::fstatvfs(file).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_: &File) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn clock_of_a_store_does_not_jump_with_the_wall_clock() {
        let elapsed = Arc::new(AtomicU64::new(0));
        let source = Arc::clone(&elapsed);
        let wall = Arc::new(AtomicU64::new(1_000));
        let shown = Arc::clone(&wall);
        let clock = Clock::new(move || source.load(Ordering::Relaxed)).with_wall(move || shown.load(Ordering::Relaxed));
        let store = clock.start(500);
        wall.store(1_000_000, Ordering::Relaxed);
        assert_eq!(store.now(), 1_000);
        wall.store(0, Ordering::Relaxed);
        elapsed.store(5, Ordering::Relaxed);
        assert_eq!(store.now(), 1_005);
        // After a restart the wall clock counts, unless it is behind the records.
        assert_eq!(clock.start(1_005).now(), 1_005);
        wall.store(2_000, Ordering::Relaxed);
        assert_eq!(clock.start(1_005).now(), 2_000);
    }
}
