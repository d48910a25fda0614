//! What several tests need.

use std::env;

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

/// How many rounds a test runs: `normal`, or with `CIRCLES_STORE_LONG=N` N times `long`.
pub(crate) fn rounds(normal: u64, long: u64) -> u64 {
    let factor = env::var("CIRCLES_STORE_LONG").ok().and_then(|factor| factor.parse::<u64>().ok()).unwrap_or(0);
    if factor == 0 { normal } else { long * factor }
}

/// The seed of random tests: `CIRCLES_STORE_SEED`, or always the same, so that a failure repeats.
pub(crate) fn seed() -> u64 {
    env::var("CIRCLES_STORE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// A small generator of random numbers (`SplitMix64`), the same on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }

    /// True in one of `count` cases.
    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}
