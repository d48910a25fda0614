use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak},
    time::{Duration, Instant},
};

use crate::{Revision, StoreLimits, engine::EngineSnapshot, meta::State};

/// A snapshot that transactions share. There is one for each group of commits, taken after the group was durable, so no
/// transaction reads what a power loss can take away.
pub(crate) struct Snapshot {
    state: State,
    /// When the next snapshot replaced this one.
    replaced: OnceLock<Instant>,
    /// What the engine had written to the file at that time, in bytes.
    written: u64,
    /// Absent once the snapshot is too old. A snapshot pins pages of the file, so the committer takes the tables away.
    tables: RwLock<Option<Arc<EngineSnapshot>>>,
}

impl Snapshot {
    pub(crate) fn new(state: State, tables: EngineSnapshot, written: u64) -> Self {
        Self { state, replaced: OnceLock::new(), written, tables: RwLock::new(Some(Arc::new(tables))) }
    }

    /// The next snapshot replaces this one. Until then, the snapshot pins nothing, however long it is the newest.
    pub(crate) fn note_replaced(&self) {
        self.replaced.get_or_init(Instant::now);
    }

    /// Whether the snapshot pins too much of the file, or is too old. Each page that was written since may have
    /// replaced one that the snapshot pins.
    pub(crate) fn is_beyond(&self, limits: &StoreLimits, written: u64) -> bool {
        written.saturating_sub(self.written) > limits.snapshot_bytes
            || self.replaced.get().is_some_and(|replaced| replaced.elapsed() >= limits.snapshot_age)
    }

    /// Time since the next snapshot replaced this one; nothing for the newest.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.replaced.get().map(Instant::elapsed)
    }

    pub(crate) fn revision(&self) -> Revision {
        self.state.revision
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    fn is_expired(&self) -> bool {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The tables, or nothing if the snapshot is too old.
    pub(crate) fn tables(&self) -> Option<Arc<EngineSnapshot>> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the tables away. Operations that run now end first.
    pub(crate) fn expire(&self) {
        self.tables.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Snapshot").field("state", &self.state).finish_non_exhaustive()
    }
}

/// The snapshots that transactions may still read, the oldest first.
#[derive(Default)]
pub(crate) struct LiveSnapshots(Mutex<VecDeque<Weak<Snapshot>>>);

impl LiveSnapshots {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Weak<Snapshot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, snapshot: &Arc<Snapshot>) {
        self.lock().push_back(Arc::downgrade(snapshot));
    }

    /// The snapshots that are neither dropped nor too old.
    pub(crate) fn list(&self) -> Vec<Arc<Snapshot>> {
        // A snapshot that is dropped locks the engine, so the list drops them after the lock.
        let snapshots: Vec<Arc<Snapshot>> = {
            let mut live = self.lock();
            live.retain(|snapshot| snapshot.strong_count() > 0);
            live.iter().filter_map(Weak::upgrade).collect()
        };
        snapshots.into_iter().filter(|snapshot| !snapshot.is_expired()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreOptions;

    #[test]
    fn newest_snapshot_does_not_age() {
        let store = StoreOptions::new("test").open_in_memory().expect("a store");
        let limits = StoreLimits { snapshot_age: Duration::ZERO, ..StoreLimits::default() };
        let newest = store.shared().snapshot();
        assert!(!newest.is_beyond(&limits, 0), "nothing has replaced it, however long ago it was taken");
        let mut transaction = store.begin();
        transaction.put("k", 1).expect("a write");
        transaction.commit().wait().expect("committed");
        assert!(newest.is_beyond(&limits, 0));
    }
}
