//! Clients in threads, on a file.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use history::{History, Observed, Outcome, Random, check, rounds, seed};
use store::Store;

use super::{
    outcome, read_all,
    simulation::{keys, operate},
};
use crate::support::options;

const THREADS: u64 = 8;

fn client(store: &Store, clock: &AtomicU64, mut random: Random, transactions: u64, number: u64) -> History {
    let mut history = History::new();
    for transaction_number in 0..transactions {
        let begin = clock.fetch_add(1, Ordering::SeqCst);
        let mut transaction = store.begin();
        let mut operations = Vec::new();
        for operation in 0..=random.below(4) {
            let element = (number << 40) + (transaction_number << 8) + operation as u64 + 1;
            operations.extend(operate(&mut transaction, &mut random, element).expect("an operation"));
        }
        let result = transaction.commit().wait();
        let end = clock.fetch_add(1, Ordering::SeqCst);
        history.push(Observed { begin, end, outcome: outcome(&result), operations });
    }
    history
}

#[test]
fn threads_on_a_file_are_strictly_serializable() {
    let directory = tempfile::tempdir().expect("a directory");
    for round in 0..rounds(4, 500) {
        let store = options().open(directory.path().join(format!("{round}.store"))).expect("a store");
        let clock = AtomicU64::new(0);
        let mut history: History = thread::scope(|scope| {
            let clients: Vec<_> = (0..THREADS)
                .map(|number| {
                    let random = Random::new((seed() + round) * THREADS + number);
                    let (store, clock) = (&store, &clock);
                    scope.spawn(move || client(store, clock, random, 150, number))
                })
                .collect();
            clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
        });
        history.push(read_all(&mut store.begin(), &keys(), clock.into_inner() + 1));
        let anomalies = check(&history);
        assert!(anomalies.is_empty(), "round {round}: {anomalies:?}");
        let committed = history.iter().filter(|observed| observed.outcome == Outcome::Committed).count();
        println!("{committed} of {} transactions committed", history.len());
    }
}
