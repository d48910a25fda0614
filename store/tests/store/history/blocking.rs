//! Clients with every operation in threads, on a file: transactions, `once` requests that wait for each other, and
//! [`Store::run`] with its turns.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use store::{Error, Once, OnceClaim, Store};

use super::{
    replay::{Answer, Claim, End, Journal, Trace, check, result_of},
    workload::{Client, KINDS, Occurrences, Recorder, contents, end, once_key},
};
use crate::support::{Random, rounds, seed, with_limits};

const THREADS: u64 = 8;
const TRANSACTIONS: u64 = 100;
/// Longer than any test.
const TIMEOUT: Duration = Duration::from_mins(10);

/// What all threads share.
struct Shared<'store> {
    store: &'store Store,
    clock: AtomicU64,
    requests: AtomicU64,
    occurrences: Mutex<Occurrences>,
}

struct Thread<'shared> {
    shared: &'shared Shared<'shared>,
    random: Random,
    element: i64,
    journal: Journal,
}

impl Thread<'_> {
    fn now(&self) -> u64 {
        self.shared.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn note(&mut self, begin: u64, recorder: Recorder, has_writes: bool, request: Option<u64>, outcome: End) {
        let end = self.now();
        self.journal.traces.push(Trace { begin, end, steps: recorder.steps, has_writes, request, outcome });
    }

    fn occurred(&self, kind: &'static str) {
        self.shared.occurrences.lock().unwrap_or_else(PoisonError::into_inner).add(kind);
    }

    /// Runs one transaction. Returns whether it committed.
    fn transact(&mut self, claim: Option<&(u64, OnceClaim)>) -> bool {
        let begin = self.now();
        let request = claim.map(|(request, _)| *request);
        let mut client = Client::new(self.shared.store);
        for _ in 0..=self.random.below(6) {
            self.element += 1;
            match client.operate(&mut self.random, self.element) {
                Ok(()) => {}
                Err(Error::TooOld) => {
                    self.note(begin, client.recorder, false, request, End::TooOld);
                    return false;
                }
                Err(error) => panic!("an operation within the limits: {error}"),
            }
        }
        let Client { transaction, recorder } = client;
        if self.random.one_in(10) {
            self.note(begin, recorder, false, request, End::Dropped);
            return false;
        }
        let has_writes = transaction.has_writes();
        let pending = match claim {
            None => transaction.commit(),
            Some((request, claim)) => transaction.commit_once(claim, result_of(*request)),
        };
        let outcome = end(pending.wait());
        let is_committed = matches!(outcome, End::Committed(_));
        self.note(begin, recorder, has_writes, request, outcome);
        is_committed
    }

    /// Sends a `once` request until it has committed, here or in another thread.
    fn request(&mut self) {
        let last = self.shared.requests.fetch_add(u64::from(self.random.one_in(3)), Ordering::SeqCst);
        let request = last.saturating_sub(self.random.below(3) as u64);
        loop {
            let begin = self.now();
            let once = self.shared.store.once(once_key(request), [0; 32]).expect("a request that may run");
            let mut note = |answer| self.journal.claims.push(Claim { begin, request, answer });
            match once {
                Once::Recorded(recorded) => {
                    return note(Answer::Recorded { revision: recorded.revision.get(), result: recorded.result });
                }
                Once::InFlight(in_flight) => {
                    note(Answer::InFlight);
                    let (finished, receiver) = mpsc::channel();
                    in_flight.on_finish(move || finished.send(()).expect("a thread that waits"));
                    receiver.recv().expect("the end of the other request");
                }
                Once::Claimed(claim) => {
                    note(Answer::Claimed);
                    // After an abort the claim goes, and another thread may have the request.
                    self.transact(Some(&(request, claim)));
                }
            }
        }
    }

    /// Runs a transaction until it has committed.
    fn run(&mut self) {
        let store = self.shared.store;
        let mut last: Option<(u64, Recorder)> = None;
        let mut attempts = 0_u64;
        let ran = store.run(TIMEOUT, |transaction| {
            attempts += 1;
            if let Some((begin, recorder)) = last.take() {
                self.note(begin, recorder, false, None, End::Dropped);
            }
            let (_, recorder) = last.insert((self.now(), Recorder::default()));
            for _ in 0..=self.random.below(6) {
                self.element += 1;
                recorder.operate(transaction, &mut self.random, self.element)?;
            }
            Ok::<bool, Error>(transaction.has_writes())
        });
        let (has_writes, revision) = ran.expect("a run without a visible conflict");
        let (begin, recorder) = last.expect("an attempt");
        self.note(begin, recorder, has_writes, None, End::Committed(revision.get()));
        self.occurred("run");
        if attempts > 1 {
            self.occurred("rerun");
        }
    }

    fn work(mut self) -> Journal {
        for _ in 0..TRANSACTIONS {
            match self.random.below(3) {
                0 => drop(self.transact(None)),
                1 => self.request(),
                _ => self.run(),
            }
        }
        self.journal
    }
}

#[test]
fn every_operation_in_threads_is_strictly_serializable() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut occurrences = Occurrences::default();
    for round in 0..rounds(4, 400) {
        let options = with_limits(|limits| limits.window_bytes = 3_000);
        let store = options.open(directory.path().join(format!("{round}.store"))).expect("a store");
        let shared = Shared {
            store: &store,
            clock: AtomicU64::new(1),
            requests: AtomicU64::new(0),
            occurrences: Mutex::new(occurrences),
        };
        let mut journal = Journal::default();
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|number| {
                    let thread = Thread {
                        shared: &shared,
                        random: Random::new((seed() + round) * THREADS + number),
                        element: i64::try_from(number << 40).expect("a small number"),
                        journal: Journal::default(),
                    };
                    scope.spawn(move || thread.work())
                })
                .collect();
            for thread in threads {
                let part = thread.join().expect("a thread");
                journal.traces.extend(part.traces);
                journal.claims.extend(part.claims);
            }
        });
        journal.last = contents(&store);
        occurrences = shared.occurrences.into_inner().unwrap_or_else(PoisonError::into_inner);
        let faults = check(&journal);
        assert!(faults.is_empty(), "round {round}: {:#?}", &faults[..1]);
        occurrences.add_journal(&journal);
    }
    let kinds = KINDS.iter().filter(|kind| **kind != "too old");
    occurrences.assert_all(&kinds.chain(&["run", "rerun"]).copied().collect::<Vec<_>>());
}
