//! The operations of a transaction, and their execution on a map.

use std::collections::BTreeSet;

use store::{Direction, ListOptions, Value};

use super::replay::Contents;

/// One operation of a transaction, with what it returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Get { key: String, value: Option<Value> },
    List { prefix: String, options: ListOptions, entries: Vec<(String, Value)> },
    Count { prefix: String, count: usize },
    Put { key: String, value: Value },
    Insert { key: String, value: Value, is_inserted: bool },
    Delete { key: String },
    Add { key: String, integer: i64 },
    Savepoint,
    RollBack,
    Release,
}

/// A transaction on a map.
#[derive(Debug, Default)]
pub(crate) struct Execution {
    contents: Contents,
    written: BTreeSet<String>,
    savepoints: Vec<(Contents, BTreeSet<String>)>,
}

impl Execution {
    pub(crate) fn new(contents: Contents) -> Self {
        Self { contents, ..Self::default() }
    }

    /// The contents after the transaction, and the keys that the transaction wrote.
    pub(crate) fn into_parts(self) -> (Contents, BTreeSet<String>) {
        (self.contents, self.written)
    }

    /// Executes all steps.
    ///
    /// # Errors
    ///
    /// The first difference between a step and the map. The steps after the difference are executed, too.
    pub(crate) fn run(&mut self, steps: &[Step]) -> Result<(), String> {
        let mut outcome = Ok(());
        for step in steps {
            let here = self.execute(step);
            outcome = outcome.and(here);
        }
        outcome
    }

    fn execute(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Get { key, value } => expect(&self.contents.get(key).cloned(), value, key),
            Step::List { prefix, options, entries } => expect(&self.list(prefix, options), entries, prefix),
            Step::Count { prefix, count } => {
                expect(&self.contents.keys().filter(|key| key.starts_with(prefix)).count(), count, prefix)
            }
            Step::Put { key, value } => {
                self.write(key, Some(value.clone()));
                Ok(())
            }
            Step::Insert { key, value, is_inserted } => {
                let is_absent = !self.contents.contains_key(key);
                if *is_inserted {
                    self.write(key, Some(value.clone()));
                }
                expect(&is_absent, is_inserted, key)
            }
            Step::Delete { key } => {
                self.write(key, None);
                Ok(())
            }
            Step::Add { key, integer } => {
                let base = match self.contents.get(key) {
                    None => 0,
                    Some(Value::Integer(base)) => *base,
                    Some(Value::Bytes(_)) => return Err(format!("{key} has bytes")),
                };
                self.write(key, Some((base + integer).into()));
                Ok(())
            }
            Step::Savepoint => {
                self.savepoints.push((self.contents.clone(), self.written.clone()));
                Ok(())
            }
            Step::RollBack => {
                let savepoint = self.savepoints.pop().ok_or("no savepoint")?;
                (self.contents, self.written) = savepoint;
                Ok(())
            }
            Step::Release => self.savepoints.pop().map(drop).ok_or_else(|| "no savepoint".to_owned()),
        }
    }

    fn write(&mut self, key: &str, value: Option<Value>) {
        self.written.insert(key.to_owned());
        match value {
            Some(value) => self.contents.insert(key.to_owned(), value),
            None => self.contents.remove(key),
        };
    }

    fn list(&self, prefix: &str, options: &ListOptions) -> Vec<(String, Value)> {
        let found = self.contents.iter().filter(|(key, _)| is_in_range(key, prefix, options));
        let mut entries: Vec<_> = found.map(|(key, value)| (key.clone(), value.clone())).collect();
        if options.direction == Direction::Reverse {
            entries.reverse();
        }
        entries.truncate(options.limit);
        entries
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(expected: &T, actual: &T, key: &str) -> Result<(), String> {
    if expected == actual { Ok(()) } else { Err(format!("{key} is {expected:?} and not {actual:?}")) }
}

fn is_in_range(key: &str, prefix: &str, options: &ListOptions) -> bool {
    let is_after = match (&options.after, options.direction) {
        (None, _) => true,
        (Some(after), Direction::Forward) => key > after.as_str(),
        (Some(after), Direction::Reverse) => key < after.as_str(),
    };
    key.starts_with(prefix) && is_after
}

/// What a transaction has written to one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    Nothing,
    /// A value that does not depend on the one before.
    Value,
    Addition,
}

/// Whether a transaction read a key of the store, alone or in a scan up to where the limit of the scan stopped. A read
/// of a value that the transaction itself has put does not count.
pub(crate) fn covers(steps: &[Step], key: &str) -> bool {
    let mut own = Own::Nothing;
    let mut savepoints = Vec::new();
    for step in steps {
        match step {
            Step::Get { key: read, .. } if read == key && own != Own::Value => return true,
            Step::Insert { key: read, is_inserted, .. } if read == key => {
                if own != Own::Value {
                    return true;
                }
                own = if *is_inserted { Own::Value } else { own };
            }
            Step::List { prefix, options, entries } => {
                let last = entries.last().filter(|_| entries.len() == options.limit);
                let is_before_stop = last.is_none_or(|(last, _)| match options.direction {
                    Direction::Forward => key <= last.as_str(),
                    Direction::Reverse => key >= last.as_str(),
                });
                if is_in_range(key, prefix, options) && is_before_stop {
                    return true;
                }
            }
            Step::Count { prefix, .. } if key.starts_with(prefix.as_str()) => return true,
            Step::Put { key: written, .. } | Step::Delete { key: written } if written == key => own = Own::Value,
            Step::Add { key: written, .. } if written == key && own == Own::Nothing => own = Own::Addition,
            Step::Savepoint => savepoints.push(own),
            Step::RollBack => own = savepoints.pop().unwrap_or(own),
            Step::Release => drop(savepoints.pop()),
            _ => {}
        }
    }
    false
}
