//! Clients with every operation, `once` requests and a small window, which one thread interleaves.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use store::{Once, OnceClaim, PendingCommit, Store, StoreOptions};

use super::{
    replay::{Answer, Claim, End, Fault, Journal, Trace, check, result_of},
    workload::{Client, KINDS, Occurrences, Recorder, contents, end, once_key},
};
use crate::support::{Random, options, rounds, seed, with_limits};

const CLIENTS: usize = 6;
const STEPS: usize = 600;
/// Window of few enough changes that some transactions are too old.
const SMALL_WINDOW: usize = 1_000;

#[derive(Default)]
struct Slot {
    state: State,
    begin: u64,
    /// The `once` request with its claim.
    claim: Option<(u64, OnceClaim)>,
}

#[derive(Default)]
enum State {
    #[default]
    Idle,
    Running(Box<Client>),
    Committing(PendingCommit, Recorder, bool),
}

struct Simulation {
    store: Store,
    random: Random,
    slots: Vec<Slot>,
    now: u64,
    element: i64,
    requests: u64,
    journal: Journal,
    /// Requests in flight that have ended.
    finished: Arc<AtomicU64>,
}

impl Simulation {
    fn new(options: StoreOptions, seed: u64) -> Self {
        Self {
            store: options.open_in_memory().expect("a store"),
            random: Random::new(seed),
            slots: (0..CLIENTS).map(|_| Slot::default()).collect(),
            now: 0,
            element: 0,
            requests: 0,
            journal: Journal::default(),
            finished: Arc::default(),
        }
    }

    fn step(&mut self) {
        self.now += 1;
        let index = self.random.below(CLIENTS);
        let mut slot = std::mem::take(&mut self.slots[index]);
        match std::mem::take(&mut slot.state) {
            State::Idle => self.begin(&mut slot),
            State::Running(client) if self.random.one_in(4) => self.finish(&mut slot, *client),
            State::Running(client) => self.operate(&mut slot, client),
            committing @ State::Committing(..) => slot.state = committing,
        }
        self.slots[index] = slot;
        let waiting = self.slots.iter().filter(|slot| matches!(slot.state, State::Committing(..))).count();
        if waiting == CLIENTS || (waiting > 0 && self.random.one_in(8)) {
            self.commit_group();
        }
    }

    fn begin(&mut self, slot: &mut Slot) {
        slot.begin = self.now;
        if self.random.one_in(3) {
            slot.claim = self.claim();
            if slot.claim.is_none() {
                return;
            }
        }
        slot.state = State::Running(Box::new(Client::new(&self.store)));
    }

    /// Sends a `once` request, a new one or one of the last. Returns its claim if the request may run.
    fn claim(&mut self) -> Option<(u64, OnceClaim)> {
        let repeat = 1 + self.random.below(6) as u64;
        let request = if self.random.one_in(2) { self.requests.saturating_sub(repeat) } else { self.requests };
        self.requests = self.requests.max(request + 1);
        let (claim, answer) = match self.store.once(once_key(request), [0; 32]).expect("a request that may run") {
            Once::Recorded(recorded) => {
                (None, Answer::Recorded { revision: recorded.revision.get(), result: recorded.result })
            }
            Once::InFlight(in_flight) => {
                let finished = Arc::clone(&self.finished);
                in_flight.on_finish(move || {
                    finished.fetch_add(1, Ordering::SeqCst);
                });
                (None, Answer::InFlight)
            }
            Once::Claimed(claim) => (Some((request, claim)), Answer::Claimed),
        };
        self.journal.claims.push(Claim { begin: self.now, request, answer });
        claim
    }

    fn operate(&mut self, slot: &mut Slot, mut client: Box<Client>) {
        self.element += 1;
        match client.operate(&mut self.random, self.element) {
            Ok(()) => slot.state = State::Running(client),
            Err(store::Error::TooOld) => self.note(slot, client.recorder, false, End::TooOld),
            Err(error) => panic!("an operation within the limits: {error}"),
        }
    }

    fn finish(&mut self, slot: &mut Slot, client: Client) {
        let Client { transaction, recorder } = client;
        if self.random.one_in(8) {
            return self.note(slot, recorder, false, End::Dropped);
        }
        let has_writes = transaction.has_writes();
        let pending = match &slot.claim {
            None => transaction.commit(),
            Some((request, claim)) => transaction.commit_once(claim, result_of(*request)),
        };
        slot.state = State::Committing(pending, recorder, has_writes);
    }

    fn note(&mut self, slot: &mut Slot, recorder: Recorder, has_writes: bool, outcome: End) {
        self.now += 1;
        self.journal.traces.push(Trace {
            begin: slot.begin,
            end: self.now,
            steps: recorder.steps,
            has_writes,
            request: slot.claim.take().map(|(request, _)| request),
            outcome,
        });
    }

    fn commit_group(&mut self) {
        self.store.resume();
        for index in 0..CLIENTS {
            let mut slot = std::mem::take(&mut self.slots[index]);
            match std::mem::take(&mut slot.state) {
                State::Committing(pending, recorder, has_writes) => {
                    let outcome = end(pending.wait());
                    self.note(&mut slot, recorder, has_writes, outcome);
                }
                state => slot.state = state,
            }
            self.slots[index] = slot;
        }
        self.store.pause();
    }

    fn run(mut self, steps: usize) -> Journal {
        self.store.pause();
        for _ in 0..steps {
            self.step();
        }
        self.commit_group();
        self.store.resume();
        self.journal.last = contents(&self.store);
        self.slots.clear();
        self.store.close().expect("a closed store");
        let is_in_flight = |claim: &&Claim| claim.answer == Answer::InFlight;
        let in_flight = self.journal.claims.iter().filter(is_in_flight).count() as u64;
        assert_eq!(self.finished.load(Ordering::SeqCst), in_flight, "each request in flight ends once");
        self.journal
    }
}

/// Bytes of a cache that has space for few values.
const SMALL_CACHE: usize = 1024;

fn small_bounds() -> StoreOptions {
    with_limits(|limits| {
        limits.window_bytes = SMALL_WINDOW;
        limits.cached_bytes = SMALL_CACHE;
    })
}

#[test]
fn every_operation_is_strictly_serializable() {
    let mut occurrences = Occurrences::default();
    for seed in seed()..seed() + rounds(600, 60_000) {
        let is_small = seed % 2 == 0;
        let journal = Simulation::new(if is_small { small_bounds() } else { options() }, seed).run(STEPS);
        let faults = check(&journal);
        assert!(faults.is_empty(), "seed {seed}: {:#?}", &faults[..1]);
        let is_too_old = journal.traces.iter().any(|trace| trace.outcome == End::TooOld);
        assert!(is_small || !is_too_old, "seed {seed}: the window has space for all changes");
        occurrences.add_journal(&journal);
    }
    occurrences.assert_all(&[KINDS, &["once claimed after another ended without a commit"]].concat());
}

/// The first fault that any of some seeds shows.
fn first_fault(options: impl Fn() -> StoreOptions) -> Option<Fault> {
    let mut seeds = seed()..seed() + 50;
    seeds.find_map(|seed| check(&Simulation::new(options(), seed).run(STEPS)).into_iter().next())
}

#[test]
fn replay_finds_that_intervals_are_not_validated() {
    let fault = first_fault(|| options().skip_intervals());
    assert!(matches!(fault, Some(Fault::Read(_))), "{fault:?}");
}

#[test]
fn replay_finds_that_groups_are_not_validated() {
    let fault = first_fault(|| options().skip_group());
    assert!(matches!(fault, Some(Fault::Read(_))), "{fault:?}");
}

#[test]
fn replay_finds_that_the_cache_misses_commits() {
    let fault = first_fault(|| options().skip_cache());
    assert!(fault.is_some());
}
