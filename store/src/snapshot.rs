use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{Revision, engine::EngineSnapshot, meta::State};

/// A snapshot that transactions share. There is one for each group of commits, taken after the group was durable, so no
/// transaction reads what a power loss can take away.
pub(crate) struct Snapshot {
    state: State,
    /// Absent once the snapshot is too old. A snapshot pins pages of the file, so the committer takes the tables away.
    tables: RwLock<Option<Arc<EngineSnapshot>>>,
}

impl Snapshot {
    pub(crate) fn new(state: State, tables: EngineSnapshot) -> Self {
        Self { state, tables: RwLock::new(Some(Arc::new(tables))) }
    }

    pub(crate) fn revision(&self) -> Revision {
        self.state.revision
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
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
