//! What several tests need.

pub(crate) use history::{Random, rounds, seed};
use store::{Store, StoreLimits, StoreOptions, Value};

/// The owner of all stores of the tests.
pub(crate) const OWNER: &str = "test";

pub(crate) fn options() -> StoreOptions {
    StoreOptions::new(OWNER)
}

pub(crate) fn in_memory() -> Store {
    options().open_in_memory().expect("a store in memory")
}

pub(crate) fn with_limits(change: impl FnOnce(&mut StoreLimits)) -> StoreOptions {
    let mut limits = StoreLimits::default();
    change(&mut limits);
    options().limits(limits)
}

/// Commits one put.
pub(crate) fn put(store: &Store, key: &str, value: impl Into<Value>) {
    let mut transaction = store.begin();
    transaction.put(key, value).expect("a valid write");
    transaction.commit().wait().expect("a commit without conflicts");
}

/// The value of a key in a transaction of its own.
pub(crate) fn get(store: &Store, key: &str) -> Option<Value> {
    store.begin().get(key).expect("a read")
}
