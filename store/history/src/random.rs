//! Random numbers, and the length of random tests.

use std::env;

/// Returns the number of rounds of a test: `normal`, or with `CIRCLES_STORE_LONG=N` N times `long`.
pub fn rounds(normal: u64, long: u64) -> u64 {
    let factor = env::var("CIRCLES_STORE_LONG").ok().and_then(|factor| factor.parse::<u64>().ok()).unwrap_or(0);
    if factor == 0 { normal } else { long * factor }
}

/// The seed of random tests: `CIRCLES_STORE_SEED`, or always the same, so that a failure repeats.
pub fn seed() -> u64 {
    env::var("CIRCLES_STORE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// A small generator of random numbers (`SplitMix64`), the same on every machine.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Makes a generator with a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    #[expect(clippy::should_implement_trait, reason = "the numbers have no end")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }

    /// Returns true in one of `count` cases.
    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}
