//! Random transactions with every operation, and the count of what occurred.

use std::collections::{BTreeMap, BTreeSet};

use store::{CommitError, CommitResult, Direction, Error, ListOptions, OnceKey, Prefix, Savepoint, Store, Transaction};

use super::{
    execution::Step,
    replay::{Answer, Contents, End, Journal, Trace},
};
use crate::support::Random;

/// Prefixes of the keys, one inside of another.
const PREFIXES: [&str; 3] = ["a/", "a/b/", "c/"];
const KEYS: usize = 4;

fn key(random: &mut Random) -> String {
    format!("{}{}", PREFIXES[random.below(PREFIXES.len())], random.below(KEYS))
}

/// A transaction, and what it did.
pub(crate) struct Client {
    pub(crate) transaction: Transaction,
    pub(crate) recorder: Recorder,
}

/// What a transaction did.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) steps: Vec<Step>,
    savepoints: Vec<Savepoint>,
    written: Vec<String>,
}

impl Client {
    pub(crate) fn new(store: &Store) -> Self {
        Self { transaction: store.begin(), recorder: Recorder::default() }
    }

    pub(crate) fn operate(&mut self, random: &mut Random, element: i64) -> Result<(), Error> {
        self.recorder.operate(&mut self.transaction, random, element)
    }
}

impl Recorder {
    /// One random operation. All values are integers: `element`, which no other operation has, or sums of such.
    pub(crate) fn operate(
        &mut self,
        transaction: &mut Transaction,
        random: &mut Random,
        element: i64,
    ) -> Result<(), Error> {
        let mut key = key(random);
        let step = match random.below(18) {
            0..3 => {
                if random.one_in(2) && !self.written.is_empty() {
                    key.clone_from(&self.written[random.below(self.written.len())]);
                }
                Step::Get { value: transaction.get(&key)?, key }
            }
            3..6 => list(transaction, random)?,
            6 => {
                let prefix = PREFIXES[random.below(PREFIXES.len())];
                let count = transaction.count(&Prefix::new(prefix).expect("a prefix"))?;
                Step::Count { prefix: prefix.to_owned(), count }
            }
            7..9 => {
                transaction.put(&key, element)?;
                Step::Put { key, value: element.into() }
            }
            9 => {
                let is_inserted = match transaction.insert(&key, element) {
                    Ok(()) => true,
                    Err(Error::Exists(_)) => false,
                    Err(error) => return Err(error),
                };
                Step::Insert { key, value: element.into(), is_inserted }
            }
            10..12 => {
                transaction.delete(&key)?;
                Step::Delete { key }
            }
            12..14 => {
                transaction.add(&key, element)?;
                Step::Add { key, integer: element }
            }
            14..16 => {
                self.savepoints.push(transaction.savepoint()?);
                Step::Savepoint
            }
            _ => match self.savepoints.pop() {
                None => return Ok(()),
                Some(savepoint) if random.one_in(3) => {
                    transaction.release(savepoint)?;
                    Step::Release
                }
                Some(savepoint) => {
                    transaction.roll_back(savepoint)?;
                    Step::RollBack
                }
            },
        };
        if let Step::Put { key, .. } | Step::Insert { key, .. } | Step::Delete { key } | Step::Add { key, .. } = &step {
            self.written.push(key.clone());
        }
        self.steps.push(step);
        Ok(())
    }
}

fn list(transaction: &mut Transaction, random: &mut Random) -> Result<Step, Error> {
    let prefix = PREFIXES[random.below(PREFIXES.len())].to_owned();
    let options = ListOptions {
        max_bytes: usize::MAX,
        after: random.one_in(2).then(|| key(random)),
        limit: if random.one_in(2) { 1 + random.below(3) } else { 100 },
        direction: if random.one_in(2) { Direction::Forward } else { Direction::Reverse },
    };
    let entries = transaction.list(&Prefix::new(&prefix).expect("a prefix"), &options)?;
    let entries = entries.into_iter().map(|entry| (entry.key.to_string(), entry.value)).collect();
    Ok(Step::List { prefix, options, entries })
}

/// How a commit of a store without faults ended.
pub(crate) fn end(result: CommitResult) -> End {
    match result {
        Ok(revision) => End::Committed(revision.get()),
        Err(CommitError::Conflict { key, revision, .. }) => {
            End::Conflict { key: key.to_string(), revision: revision.get() }
        }
        Err(CommitError::TooOld) => End::TooOld,
        Err(error) => panic!("the store has no reason to refuse the commit: {error}"),
    }
}

pub(crate) fn once_key(request: u64) -> OnceKey {
    OnceKey::new(b"caller", &format!("{request:022}")).expect("a once key")
}

/// All entries of a store.
pub(crate) fn contents(store: &Store) -> Contents {
    let options = ListOptions { max_bytes: usize::MAX, limit: 1000, ..ListOptions::default() };
    let entries = store.begin().list(&Prefix::all(), &options).expect("a list");
    entries.into_iter().map(|entry| (entry.key.to_string(), entry.value)).collect()
}

/// How often each kind of operation and outcome occurred, in transactions that committed unless it is an abort.
#[derive(Debug, Default)]
pub(crate) struct Occurrences(BTreeMap<&'static str, u64>);

impl Occurrences {
    pub(crate) fn add(&mut self, kind: &'static str) {
        *self.0.entry(kind).or_default() += 1;
    }

    pub(crate) fn get(&self, kind: &str) -> u64 {
        self.0.get(kind).copied().unwrap_or(0)
    }

    pub(crate) fn add_journal(&mut self, journal: &Journal) {
        journal.traces.iter().for_each(|trace| self.add_trace(trace));
        let mut in_flight = BTreeSet::new();
        for claim in &journal.claims {
            match claim.answer {
                Answer::Recorded { .. } => self.add("once recorded"),
                Answer::InFlight => {
                    in_flight.insert(claim.request);
                    self.add("once in flight");
                }
                Answer::Claimed => self.add(if in_flight.contains(&claim.request) {
                    "once claimed after another ended without a commit"
                } else {
                    "once claimed"
                }),
            }
        }
    }

    fn add_trace(&mut self, trace: &Trace) {
        match trace.outcome {
            End::Committed(_) if trace.has_writes => self.add("commit"),
            End::Committed(_) => return self.add("commit without writes"),
            End::Conflict { .. } => return self.add("conflict"),
            End::TooOld => return self.add("too old"),
            End::Dropped => return self.add("dropped"),
        }
        let (mut own, mut seen) = (BTreeMap::<String, &str>::new(), BTreeSet::new());
        for step in &trace.steps {
            match step {
                Step::Get { key, .. } => {
                    match own.get(key).copied() {
                        Some("add") => self.add("read of an own addition"),
                        Some(_) => self.add("read of an own write"),
                        None => {}
                    }
                    seen.insert(key);
                }
                Step::List { options, entries, .. } => {
                    if options.direction == Direction::Reverse {
                        self.add("reverse list");
                    }
                    if options.after.is_some() {
                        self.add("list after a key");
                    }
                    if entries.len() == options.limit {
                        self.add("list that the limit stopped");
                    }
                }
                Step::Count { .. } => self.add("count"),
                Step::Put { key, .. } => {
                    if !seen.contains(key) {
                        self.add("blind put");
                    }
                    own.insert(key.clone(), "put");
                }
                Step::Insert { key, is_inserted, .. } => {
                    self.add(if *is_inserted { "insert" } else { "refused insert" });
                    seen.insert(key);
                    own.insert(key.clone(), "insert");
                }
                Step::Delete { key } => {
                    self.add("delete");
                    own.insert(key.clone(), "delete");
                }
                Step::Add { key, .. } => {
                    self.add("addition");
                    own.entry(key.clone()).or_insert("add");
                }
                Step::Savepoint => {}
                Step::RollBack => self.add("roll back"),
                Step::Release => self.add("release"),
            }
        }
    }

    /// # Panics
    ///
    /// If one of some kinds did not occur.
    pub(crate) fn assert_all(&self, kinds: &[&str]) {
        println!("{:#?}", self.0);
        for kind in kinds {
            assert!(self.get(kind) > 0, "the workload has no '{kind}'");
        }
    }
}

/// The kinds that every workload of this module has.
pub(crate) const KINDS: &[&str] = &[
    "addition",
    "blind put",
    "commit",
    "commit without writes",
    "conflict",
    "count",
    "delete",
    "dropped",
    "insert",
    "list after a key",
    "list that the limit stopped",
    "once claimed",
    "once in flight",
    "once recorded",
    "read of an own addition",
    "read of an own write",
    "refused insert",
    "release",
    "reverse list",
    "roll back",
    "too old",
];
