//! Histories of transactions of the store, for the checker of strict serializability.

mod blocking;
mod execution;
mod interleaved;
mod replay;
mod replay_by_hand;
mod simulation;
mod threads;
mod workload;

use history::{Observed, Operation, Outcome};
use store::{CommitEffect, CommitResult, Error, ListOptions, Prefix, Transaction, Value};

fn outcome(result: &CommitResult) -> Outcome {
    match result {
        Ok(_) => Outcome::Committed,
        Err(error) if error.happened() == CommitEffect::Unknown => Outcome::Unknown,
        Err(_) => Outcome::Aborted,
    }
}

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
