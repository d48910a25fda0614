//! What the store asks the system for, and tests replace.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::engine::free_disk_bytes;

type Source<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// The clock of log records and `once` records.
#[derive(Clone)]
pub(crate) struct Clock(Source<u64>);

impl Clock {
    pub(crate) fn system() -> Self {
        Self::new(|| {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
        })
    }

    pub(crate) fn new(now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn now(&self) -> u64 {
        (self.0)()
    }
}

/// The disk that has the file.
#[derive(Clone)]
pub(crate) struct Disk(Source<Option<u64>>);

impl Disk {
    pub(crate) fn of_file(path: PathBuf) -> Self {
        Self(Arc::new(move || free_disk_bytes(&path)))
    }

    pub(crate) fn unbounded() -> Self {
        Self(Arc::new(|| None))
    }

    #[cfg(any(test, feature = "faults"))]
    pub(crate) fn new(free_bytes: impl Fn() -> Option<u64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(free_bytes))
    }

    /// Free bytes, or nothing if nothing bounds the storage or the system does not say it.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        (self.0)()
    }
}
