//! Histories of transactions, and a checker for strict serializability.
//!
//! Every write appends a number that no other write has to the list of a key, so a read shows which writes came before.
//! From the lists the checker derives the order of the writes of each key, and from this order a graph of transactions:
//! an edge leads from a transaction to one that must come later. A cycle is an anomaly. The method is that of Adya
//! (Weak Consistency, 1999) and of Elle (Kingsbury and Alvaro, VLDB 2020).

mod blocking;
mod checker;
mod execution;
mod graph;
mod hand_made;
mod interleaved;
mod replay;
mod replay_by_hand;
mod simulation;
mod threads;
mod workload;

use std::collections::BTreeMap;

pub(crate) use checker::check;
use store::{CommitEffect, CommitResult, Error, ListOptions, Prefix, Transaction, Value};

/// One operation of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operation {
    Read {
        key: String,
        list: Vec<u64>,
    },
    Append {
        key: String,
        element: u64,
    },
    /// The register of a key had the element `before`, and has `element` now. Registers show only their last write.
    Set {
        key: String,
        before: Option<u64>,
        element: u64,
    },
    /// The register of a key had an element.
    Get {
        key: String,
        element: Option<u64>,
    },
    Scan {
        prefix: String,
        /// Where the scan stopped; nothing if it passed all keys of the prefix.
        until: Option<String>,
        found: BTreeMap<String, Vec<u64>>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Committed,
    Aborted,
    Unknown,
}

impl From<&CommitResult> for Outcome {
    fn from(result: &CommitResult) -> Self {
        match result {
            Ok(_) => Self::Committed,
            Err(error) if error.happened() == CommitEffect::Unknown => Self::Unknown,
            Err(_) => Self::Aborted,
        }
    }
}

/// A transaction as its client saw it.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    /// Time before the transaction began, and after the client had its outcome.
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) outcome: Outcome,
    pub(crate) operations: Vec<Operation>,
}

pub(crate) type History = Vec<Observed>;

fn decode(value: Option<Value>) -> Vec<u64> {
    let Some(Value::Bytes(bytes)) = value else { return Vec::new() };
    bytes.chunks_exact(8).map(|chunk| u64::from_be_bytes(chunk.try_into().expect("eight bytes"))).collect()
}

fn encode(list: &[u64]) -> Value {
    list.iter().flat_map(|element| element.to_be_bytes()).collect::<Vec<u8>>().into()
}

/// Keys that start so are registers.
const REGISTERS: &str = "r/";

/// Reads a key, and says so.
pub(crate) fn read(transaction: &mut Transaction, key: &str) -> Result<Operation, Error> {
    let list = decode(transaction.get(key)?);
    let key = key.to_owned();
    Ok(if key.starts_with(REGISTERS) {
        Operation::Get { key, element: list.last().copied() }
    } else {
        Operation::Read { key, list }
    })
}

/// Reads a key and appends to its list, or sets its register.
pub(crate) fn append(transaction: &mut Transaction, key: &str, element: u64) -> Result<Vec<Operation>, Error> {
    let read = read(transaction, key)?;
    let (list, write) = match &read {
        Operation::Read { key, list } => {
            ([&**list, &[element]].concat(), Operation::Append { key: key.clone(), element })
        }
        Operation::Get { key, element: before } => {
            (vec![element], Operation::Set { key: key.clone(), before: *before, element })
        }
        operation => panic!("a read of one key is no {operation:?}"),
    };
    transaction.put(key, encode(&list))?;
    Ok(vec![read, write])
}

/// Scans a prefix of lists for at most `limit` entries.
pub(crate) fn scan(transaction: &mut Transaction, prefix: &str, limit: usize) -> Result<Operation, Error> {
    let options = ListOptions { limit, ..ListOptions::default() };
    let entries = transaction.list(&Prefix::new(prefix).expect("a prefix"), &options)?;
    let until = entries.last().filter(|_| entries.len() == limit).map(|entry| entry.key.to_string());
    let found = entries.into_iter().map(|entry| (entry.key.to_string(), decode(Some(entry.value)))).collect();
    Ok(Operation::Scan { prefix: prefix.to_owned(), until, found })
}

/// The last transaction of a history: it reads all keys.
pub(crate) fn read_all(transaction: &mut Transaction, keys: &[String], now: u64) -> Observed {
    let operations = keys.iter().map(|key| read(transaction, key).expect("a read")).collect();
    Observed { begin: now, end: now + 1, outcome: Outcome::Committed, operations }
}
