//! A second checker, for all operations: it executes the committed transactions again, one after another in the order
//! of their revisions, and compares what each of them read.

use std::collections::{BTreeMap, BTreeSet};

use store::Value;

use super::execution::{Execution, Step, covers};

pub(crate) type Contents = BTreeMap<String, Value>;

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// With a revision of its own, or without writes that of its snapshot.
    Committed(u64),
    /// The store says that the transaction read the key, which the revision changed.
    Conflict {
        key: String,
        revision: u64,
    },
    TooOld,
    /// The client dropped the transaction, or does not know the reason of the abort.
    Dropped,
}

/// A transaction as its client saw it.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    /// Time before the transaction began, and after the client had its outcome.
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) steps: Vec<Step>,
    pub(crate) has_writes: bool,
    /// The `once` request that the transaction handles.
    pub(crate) request: Option<u64>,
    pub(crate) outcome: End,
}

/// An answer of [`store::Store::once`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Recorded { revision: u64, result: Option<Vec<u8>> },
    InFlight,
    Claimed,
}

/// A `once` request as its client saw it.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) begin: u64,
    pub(crate) request: u64,
    pub(crate) answer: Answer,
}

/// All that the clients of a store saw, from its first commit to its last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal {
    pub(crate) traces: Vec<Trace>,
    pub(crate) claims: Vec<Claim>,
    /// What the store had after all commits.
    pub(crate) last: Contents,
}

/// Something that no serial execution in the order of the revisions and of real time shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A revision of two transactions, or of none.
    Revision(String),
    /// A transaction has an older revision than one that ended before it began.
    RealTime(String),
    /// A committed transaction read what is not the state at its revision.
    Read(String),
    /// An aborted transaction read what is no single state.
    Snapshot(String),
    /// A conflict on a key that the transaction did not read, or that the revision did not change.
    Conflict(String),
    /// A request ran twice, or its record is not that of its commit.
    Once(String),
    /// The store ended with other contents.
    LastState(String),
}

/// The recorded result of a request.
pub(crate) fn result_of(request: u64) -> Vec<u8> {
    request.to_be_bytes().to_vec()
}

struct Replay<'journal> {
    journal: &'journal Journal,
    /// The contents at each revision, and the keys that the revision wrote.
    states: Vec<(Contents, BTreeSet<String>)>,
    /// Ends of committed transactions with the highest revision up to each end.
    ends: Vec<(u64, u64)>,
    faults: Vec<Fault>,
}

/// The faults of a journal.
pub(crate) fn check(journal: &Journal) -> Vec<Fault> {
    let mut replay = Replay { journal, states: vec![Default::default()], ends: Vec::new(), faults: Vec::new() };
    replay.execute();
    replay.note_ends();
    for trace in &journal.traces {
        replay.check_trace(trace);
    }
    replay.check_claims();
    let last = &replay.states.last().expect("the first state").0;
    if *last != journal.last {
        replay.faults.push(Fault::LastState(format!("{last:?}, but the store has {:?}", journal.last)));
    }
    replay.faults
}

impl Trace {
    fn revision(&self) -> Option<u64> {
        match self.outcome {
            End::Committed(revision) => Some(revision),
            _ => None,
        }
    }

    /// Whether a commit has a revision of its own.
    fn is_recorded(&self) -> bool {
        self.has_writes || self.request.is_some()
    }
}

impl Replay<'_> {
    /// The states after each transaction with a revision of its own.
    fn execute(&mut self) {
        let mut writers: Vec<(u64, &Trace)> = Vec::new();
        for trace in self.journal.traces.iter().filter(|trace| trace.is_recorded()) {
            writers.extend(trace.revision().map(|revision| (revision, trace)));
        }
        writers.sort_by_key(|(revision, _)| *revision);
        for (revision, trace) in writers {
            if revision != self.states.len() as u64 {
                let fault = format!("{revision} comes after {}: {trace:?}", self.states.len() - 1);
                self.faults.push(Fault::Revision(fault));
            }
            let mut execution = Execution::new(self.states.last().expect("the first state").0.clone());
            if let Err(mismatch) = execution.run(&trace.steps) {
                self.faults.push(Fault::Read(format!("at revision {revision}: {mismatch}: {trace:?}")));
            }
            self.states.push(execution.into_parts());
        }
    }

    fn note_ends(&mut self) {
        let traces = self.journal.traces.iter();
        self.ends = traces.filter_map(|trace| Some((trace.end, trace.revision()?))).collect();
        self.ends.sort_unstable();
        let mut highest = 0;
        for (_, revision) in &mut self.ends {
            highest = highest.max(*revision);
            *revision = highest;
        }
    }

    /// The highest revision of a transaction that ended before a time.
    fn revision_before(&self, time: u64) -> u64 {
        let ended = self.ends.partition_point(|(end, _)| *end < time);
        ended.checked_sub(1).map_or(0, |last| self.ends[last].1)
    }

    fn check_trace(&mut self, trace: &Trace) {
        let oldest = self.revision_before(trace.begin);
        match &trace.outcome {
            End::Committed(revision) => {
                let first = oldest + u64::from(trace.is_recorded());
                if *revision < first {
                    self.faults.push(Fault::RealTime(format!("after revision {oldest}: {trace:?}")));
                }
                if !trace.is_recorded() {
                    self.check_reader(trace, *revision);
                }
                return;
            }
            End::Conflict { key, revision } => self.check_conflict(trace, key, *revision, oldest),
            End::TooOld | End::Dropped => {}
        }
        let from = usize::try_from(oldest).expect("a small revision").min(self.states.len() - 1);
        let is_consistent =
            self.states[from..].iter().any(|(state, _)| Execution::new(state.clone()).run(&trace.steps).is_ok());
        if !is_consistent {
            self.faults.push(Fault::Snapshot(format!("from revision {oldest} on: {trace:?}")));
        }
    }

    fn check_reader(&mut self, trace: &Trace, revision: u64) {
        let state = usize::try_from(revision).ok().and_then(|revision| self.states.get(revision));
        let Some((state, _)) = state else {
            self.faults.push(Fault::Revision(format!("{revision} does not exist: {trace:?}")));
            return;
        };
        if let Err(mismatch) = Execution::new(state.clone()).run(&trace.steps) {
            self.faults.push(Fault::Read(format!("at revision {revision}: {mismatch}: {trace:?}")));
        }
    }

    fn check_conflict(&mut self, trace: &Trace, key: &str, revision: u64, oldest: u64) {
        let state = usize::try_from(revision).ok().and_then(|revision| self.states.get(revision));
        let is_changed = revision > oldest && state.is_some_and(|(_, written)| written.contains(key));
        if !is_changed || !covers(&trace.steps, key) {
            self.faults.push(Fault::Conflict(format!("changed: {is_changed}: {trace:?}")));
        }
    }

    fn check_claims(&mut self) {
        let mut commits: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for trace in &self.journal.traces {
            if let (Some(request), Some(revision)) = (trace.request, trace.revision())
                && let Some((first, _)) = commits.insert(request, (revision, trace.end))
            {
                self.faults.push(Fault::Once(format!("request {request} has revisions {first} and {revision}")));
            }
        }
        for claim in &self.journal.claims {
            let commit = commits.get(&claim.request).copied();
            let is_right = match &claim.answer {
                Answer::Recorded { revision, result } => {
                    commit.is_some_and(|(commit, _)| commit == *revision) && *result == Some(result_of(claim.request))
                }
                // A client keeps its claim for a while after it knows the outcome.
                Answer::InFlight => true,
                Answer::Claimed => commit.is_none_or(|(_, end)| end >= claim.begin),
            };
            if !is_right {
                self.faults.push(Fault::Once(format!("{claim:?} of the commit {commit:?}")));
            }
        }
    }
}
