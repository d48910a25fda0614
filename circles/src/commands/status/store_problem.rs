//! What is wrong with the store of a running circle, for `circles status` and `circles doctor`.

use std::fmt;

use frontend::{error::restart_after_store_failure, quantity};
use launcher::{CircleStatus, StoreState};

/// What is wrong with a store, and what to do about it.
#[derive(Debug)]
pub(crate) struct StoreProblem {
    pub(crate) what: String,
    pub(crate) fix: String,
    /// Whether the store works no more; otherwise it refuses what makes it larger.
    pub(crate) is_failure: bool,
}

impl StoreProblem {
    pub(crate) fn find(circle: &CircleStatus) -> Option<Self> {
        let store = circle.store.as_ref()?;
        match store.state {
            StoreState::Full => Some(Self {
                what: format!(
                    "the store is full ({} of {}, in a file of {})",
                    quantity::size(store.bytes),
                    quantity::size(store.max_bytes),
                    quantity::size(store.file_bytes)
                ),
                fix: "delete entries, raise store_mib in circles.json, or free disk space".to_owned(),
                is_failure: false,
            }),
            StoreState::Failed => Some(Self {
                what: "the store has failed".to_owned(),
                fix: restart_after_store_failure(&circle.name, ""),
                is_failure: true,
            }),
            _ => None,
        }
    }
}

impl fmt::Display for StoreProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.what, self.fix)
    }
}
