//! For tests alone: a storage backend of a test, a gate before the committer, and guarantees turned off.

pub use redb::{BackendError, StorageBackend};

use crate::{
    OpenError, Store, StoreOptions,
    engine::Storage,
    environment::{Clock, Disk},
};

impl StoreOptions {
    /// Opens a store on a backend.
    pub fn open_backend(self, backend: Box<dyn StorageBackend>) -> Result<Store, OpenError> {
        self.open_storage(Storage::Backend(backend))
    }

    /// Validates keys only, and no scanned intervals.
    #[must_use]
    pub fn skip_intervals(mut self) -> Self {
        self.checks.skip_intervals = true;
        self
    }

    /// Validates each commit without the earlier members of its group.
    #[must_use]
    pub fn skip_group(mut self) -> Self {
        self.checks.skip_group = true;
        self
    }

    /// Does not tell the cache of values about commits.
    #[must_use]
    pub fn skip_cache(mut self) -> Self {
        self.checks.skip_cache = true;
        self
    }

    /// Sets the clock, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn clock(mut self, now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(now);
        self
    }

    /// Sets the wall clock alone, which may jump, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn wall_clock(mut self, now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.clock = self.clock.with_wall(now);
        self
    }

    /// Sets the free disk space in bytes.
    #[must_use]
    pub fn free_disk(mut self, free_bytes: impl Fn() -> Option<u64> + Send + Sync + 'static) -> Self {
        self.disk = Some(Disk::new(free_bytes));
        self
    }
}

impl Store {
    /// Holds commits back, so that they come in one group.
    pub fn pause(&self) {
        self.shared().queue.set_paused(true);
    }

    /// Lets the committer go on.
    pub fn resume(&self) {
        self.shared().queue.set_paused(false);
    }
}
