//! A semaphore that never waits: it returns a permit at once, or none.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

#[derive(Debug, Default)]
pub(super) struct Capacity {
    taken: AtomicU64,
    max: AtomicU64,
}

impl Capacity {
    pub(super) fn new(max: u64) -> Arc<Self> {
        Arc::new(Self { taken: AtomicU64::new(0), max: AtomicU64::new(max) })
    }

    pub(super) fn max(&self) -> u64 {
        self.max.load(Ordering::Relaxed)
    }

    /// Returns how many more permits there are.
    pub(super) fn free(&self) -> u64 {
        self.max().saturating_sub(self.taken.load(Ordering::Relaxed))
    }

    /// Sets the bound for later permits. Permits beyond a lower bound stay valid until they are dropped.
    pub(super) fn set_max(&self, max: u64) {
        self.max.store(max, Ordering::Relaxed);
    }

    pub(super) fn acquire(self: &Arc<Self>) -> Option<Permit> {
        let one_more = |taken: u64| (taken < self.max()).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Permit(self.clone()))
    }
}

/// One unit of the capacity; dropping the permit releases it.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Capacity>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
