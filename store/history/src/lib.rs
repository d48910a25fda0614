//! Histories of transactions, and a checker for strict serializability.
//!
//! Every write appends a number that no other write has to the list of a key, so a read shows which writes came before.
//! From the lists the checker derives the order of the writes of each key, and from this order a graph of transactions:
//! an edge leads from a transaction to one that must come later. A cycle is an anomaly. The method is that of Adya
//! (Weak Consistency, 1999) and of Elle (Kingsbury and Alvaro, VLDB 2020).
//!
//! The crate knows neither the store nor circles: the tests of both record histories.
#![forbid(unsafe_code)]

mod checker;
mod graph;
#[cfg(test)]
mod hand_made;
mod random;

use std::collections::BTreeMap;

pub use checker::{Anomaly, check};
pub use random::{Random, rounds, seed};

/// One operation of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// The list of a key was read.
    Read {
        /// The key.
        key: String,
        /// The list.
        list: Vec<u64>,
    },
    /// An element was appended to the list of a key.
    Append {
        /// The key.
        key: String,
        /// The element.
        element: u64,
    },
    /// The register of a key had the element `before`, and has `element` now. Registers show only their last write.
    Set {
        /// The key.
        key: String,
        /// The element before; `None` if there was none.
        before: Option<u64>,
        /// The element.
        element: u64,
    },
    /// The register of a key had an element.
    Get {
        /// The key.
        key: String,
        /// The element; `None` if there was none.
        element: Option<u64>,
    },
    /// The lists of the keys with a prefix were read.
    Scan {
        /// The prefix.
        prefix: String,
        /// Where the scan stopped; `None` if it passed all keys of the prefix.
        until: Option<String>,
        /// The lists.
        found: BTreeMap<String, Vec<u64>>,
    },
}

/// The end of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of its effects exist.
    Committed,
    /// None of its effects exists.
    Aborted,
    /// All of its effects exist, or none: its client did not learn which.
    Unknown,
}

/// A transaction as its client saw it. One whose reads the client did not learn may have its writes alone.
#[derive(Debug, Clone)]
pub struct Observed {
    /// Time before the transaction began.
    pub begin: u64,
    /// Time after the client had the outcome.
    pub end: u64,
    /// The outcome.
    pub outcome: Outcome,
    /// The operations in their order.
    pub operations: Vec<Operation>,
}

/// Transactions in any order, of which the last ones read every key.
pub type History = Vec<Observed>;
