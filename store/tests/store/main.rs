//! Tests of the store through its public interface, and the proof of its promises.
//!
//! `CIRCLES_STORE_LONG=1` runs the proof at length, a larger number at that many times the length,
//! `CIRCLES_STORE_SEED` chooses its seed.

mod changes;
mod commits;
mod disk;
mod history;
mod hot_keys;
mod kill;
mod model;
mod once;
mod open;
mod power_loss;
mod support;
mod transactions;
