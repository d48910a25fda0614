//! Clients that one thread interleaves, the same way for the same seed. A gate before the committer decides which
//! commits come in one group.

use history::{Anomaly, History, Observed, Operation, Outcome, Random, check, rounds, seed};
use store::{OpenError, PendingCommit, Store, Transaction};

use super::{append, outcome, read, read_all, scan};
use crate::{
    disk::Disk,
    support::{in_memory, options},
};

const CLIENTS: usize = 6;
const PREFIXES: usize = 2;
const KEYS: usize = 4;

struct Client {
    state: State,
    begin: u64,
    operations: Vec<Operation>,
}

enum State {
    Idle,
    Running(Box<Transaction>),
    Committing(PendingCommit),
}

struct Simulation<'store> {
    store: &'store Store,
    random: Random,
    clients: Vec<Client>,
    now: u64,
    next_element: u64,
    history: History,
}

/// The keys of all workloads: lists below prefixes, and registers.
pub(super) fn keys() -> Vec<String> {
    let lists = (0..PREFIXES).flat_map(|prefix| (0..KEYS).map(move |key| format!("l{prefix}/{key}")));
    lists.chain((0..KEYS).map(|key| format!("r/{key}"))).collect()
}

/// One random operation.
pub(super) fn operate(
    transaction: &mut Transaction,
    random: &mut Random,
    element: u64,
) -> Result<Vec<Operation>, store::Error> {
    let keys = keys();
    let key = &keys[random.below(keys.len())];
    match random.below(8) {
        0 | 1 => Ok(vec![read(transaction, key)?]),
        2 | 3 => {
            let limit = if random.one_in(2) { 1 + random.below(3) } else { 100 };
            Ok(vec![scan(transaction, &format!("l{}/", random.below(PREFIXES)), limit)?])
        }
        4 => {
            // What is rolled back is in no state, and its read counts.
            let savepoint = transaction.savepoint()?;
            let mut operations = append(transaction, key, element)?;
            transaction.roll_back(savepoint)?;
            operations.truncate(1);
            Ok(operations)
        }
        _ => append(transaction, key, element),
    }
}

impl<'store> Simulation<'store> {
    fn new(store: &'store Store, seed: u64) -> Self {
        let idle = || Client { state: State::Idle, begin: 0, operations: Vec::new() };
        let clients = (0..CLIENTS).map(|_| idle()).collect();
        Self { store, random: Random::new(seed), clients, now: 0, next_element: 1, history: History::new() }
    }

    fn step(&mut self) {
        self.now += 1;
        let index = self.random.below(CLIENTS);
        let client = &mut self.clients[index];
        match std::mem::replace(&mut client.state, State::Idle) {
            State::Idle => {
                client.begin = self.now;
                client.operations.clear();
                client.state = State::Running(Box::new(self.store.begin()));
            }
            State::Running(transaction) if self.random.one_in(3) => {
                client.state = State::Committing(transaction.commit());
            }
            State::Running(mut transaction) => {
                self.next_element += 1;
                let operations = operate(&mut transaction, &mut self.random, self.next_element);
                client.operations.extend(operations.expect("an operation within the limits"));
                client.state = State::Running(transaction);
            }
            committing @ State::Committing(_) => client.state = committing,
        }
        let is_committing = |client: &Client| matches!(client.state, State::Committing(_));
        let waiting = self.clients.iter().filter(|client| is_committing(client)).count();
        if waiting == CLIENTS || (waiting > 0 && self.random.one_in(8)) {
            self.commit_group();
        }
    }

    fn commit_group(&mut self) {
        self.store.resume();
        for client in &mut self.clients {
            match std::mem::replace(&mut client.state, State::Idle) {
                State::Committing(pending) => {
                    let outcome = outcome(&pending.wait());
                    self.now += 1;
                    self.history.push(Observed {
                        begin: client.begin,
                        end: self.now,
                        outcome,
                        operations: client.operations.clone(),
                    });
                }
                state => client.state = state,
            }
        }
        self.store.pause();
    }

    fn run(mut self, steps: usize) -> History {
        self.store.pause();
        for _ in 0..steps {
            self.step();
        }
        self.commit_group();
        self.store.resume();
        self.history
    }
}

/// Runs clients on a store, and reads everything at the end.
fn history(store: &Store, seed: u64, steps: usize) -> History {
    let mut history = Simulation::new(store, seed).run(steps);
    history.push(final_read(store, &history));
    history
}

fn final_read(store: &Store, history: &History) -> Observed {
    let now = history.iter().map(|observed| observed.end).max().unwrap_or(0) + 1;
    read_all(&mut store.begin(), &keys(), now)
}

const STEPS: usize = 600;

#[test]
fn simulated_clients_are_strictly_serializable() {
    let (mut committed, mut aborted) = (0, 0);
    for seed in seed()..seed() + rounds(1_000, 100_000) {
        let history = history(&in_memory(), seed, STEPS);
        let anomalies = check(&history);
        assert!(anomalies.is_empty(), "seed {seed}: {anomalies:?}");
        committed += history.iter().filter(|observed| observed.outcome == Outcome::Committed).count();
        aborted += history.iter().filter(|observed| observed.outcome == Outcome::Aborted).count();
    }
    println!("{committed} transactions committed, {aborted} aborted");
    assert!(committed > 0 && aborted > 0, "the workload has conflicts and commits");
}

/// The first anomaly that any of some seeds shows.
fn first_anomaly(open: impl Fn() -> Store) -> Option<Anomaly> {
    let mut seeds = seed()..seed() + 50;
    seeds.find_map(|seed| {
        let anomaly = check(&history(&open(), seed, STEPS)).into_iter().next();
        if let Some(anomaly) = &anomaly {
            println!("seed {seed}: {anomaly:?}");
        }
        anomaly
    })
}

#[test]
fn checker_finds_that_intervals_are_not_validated() {
    let anomaly = first_anomaly(|| options().skip_intervals().open_in_memory().expect("a store"));
    assert!(matches!(anomaly, Some(Anomaly::Cycle(_))), "{anomaly:?}");
}

#[test]
fn checker_finds_that_groups_are_not_validated() {
    let anomaly = first_anomaly(|| options().skip_group().open_in_memory().expect("a store"));
    assert!(matches!(anomaly, Some(Anomaly::LostUpdate(_))), "{anomaly:?}");
}

#[test]
fn checker_finds_that_the_cache_misses_commits() {
    let anomaly = first_anomaly(|| options().skip_cache().open_in_memory().expect("a store"));
    assert!(anomaly.is_some());
}

/// A history whose final read comes after a power loss; an error if the store does not open then.
fn history_with_power_loss(disk: &Disk, seed: u64) -> Result<History, OpenError> {
    let store = options().open_backend(Box::new(disk.clone()))?;
    let mut history = Simulation::new(&store, seed).run(STEPS);
    let image = disk.lose_power(&mut Random::new(seed));
    drop(store);
    let store = options().open_backend(Box::new(Disk::new(image)))?;
    history.push(final_read(&store, &history));
    Ok(history)
}

#[test]
fn acknowledged_commits_survive_a_power_loss() {
    for seed in seed()..seed() + rounds(200, 20_000) {
        let history = history_with_power_loss(&Disk::with_store(), seed).expect("a store that recovers");
        let anomalies = check(&history);
        assert!(anomalies.is_empty(), "seed {seed}: {anomalies:?}");
    }
}

#[test]
fn checker_finds_that_nothing_is_synced() {
    let mut found = Vec::new();
    let mut is_lost = false;
    for seed in seed()..seed() + 20 {
        let disk = Disk::with_store();
        disk.ignore_syncs();
        match history_with_power_loss(&disk, seed) {
            Err(error) => found.push(error.to_string()),
            Ok(history) => {
                let anomalies = check(&history);
                is_lost |= anomalies.iter().any(|anomaly| matches!(anomaly, Anomaly::LostWrite(_)));
                found.extend(anomalies.iter().next().map(|anomaly| format!("{anomaly:?}")));
            }
        }
    }
    println!("{found:#?}");
    assert!(is_lost, "no acknowledged write was lost: {found:?}");
}
