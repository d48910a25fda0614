//! Tests of the store through its public interface, and the proof of its promises.
//!
//! `CIRCLES_STORE_LONG=1` runs the proof at length, a larger number at that many times the length,
//! `CIRCLES_STORE_SEED` chooses its seed.

mod attempts;
mod bounds;
mod changes;
mod commits;
mod creation;
mod disk;
mod edges;
mod failures;
mod groups;
mod history;
mod hot_keys;
mod kill;
mod large;
mod model;
mod once;
mod open;
mod power_loss;
mod read_only;
mod shipped;
mod stats;
mod support;
mod transactions;
mod view;
