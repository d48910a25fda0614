//! Clients that send random requests to a circle while its processes are killed, and the history that they see.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use client_ws::KeyPair;
use history::{History, Observed, Outcome, Random};
use serde_json::Value;
use tokio::{runtime::Builder, select, sync::watch, task::JoinSet};

use super::{
    client::Client,
    request::Request,
    steps::{Predecessors, additions, note_predecessors, operations, reads_of_all, sum_of_counters, writes},
    victims::Victims,
};

/// The clients: the number of their key, and the number of their connections.
const CLIENTS: [(usize, usize); 10] = [(0, 2), (0, 1), (1, 2), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1)];

/// Keys that one read has at the end.
const KEYS_OF_A_READ: usize = 200;

/// Requests from one kill of a worker to the next, and the number of these kills for each kill of the circle.
const REQUESTS_PER_KILL: usize = 30;
const WORKER_KILLS_PER_CIRCLE: usize = 12;

/// A request with what its client saw.
pub(super) struct Recorded {
    pub(super) request: Request,
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) outcome: Outcome,
    pub(super) results: Option<Vec<Value>>,
}

/// How often things happened.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals(BTreeMap<&'static str, usize>);

impl Totals {
    pub(super) fn count(&mut self, kind: &'static str) {
        *self.0.entry(kind).or_default() += 1;
    }

    pub(super) fn get(&self, kind: &str) -> usize {
        self.0.get(kind).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (kind, count) in &other.0 {
            *self.0.entry(kind).or_default() += count;
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals: Vec<String> = self.0.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        formatter.write_str(&totals.join(", "))
    }
}

pub(super) struct Workload {
    pub(super) url: String,
    /// Requests that the clients send, not counting those that are sent again.
    requests: usize,
    started: AtomicUsize,
    finished: watch::Sender<usize>,
    clock: AtomicU64,
    elements: AtomicU64,
    recorded: Mutex<Vec<Recorded>>,
    totals: Mutex<Totals>,
}

impl Workload {
    pub(super) fn new(url: String, requests: usize) -> Arc<Self> {
        Arc::new(Self {
            url,
            requests,
            started: AtomicUsize::new(0),
            finished: watch::Sender::new(0),
            clock: AtomicU64::new(0),
            elements: AtomicU64::new(1),
            recorded: Mutex::default(),
            totals: Mutex::default(),
        })
    }

    /// The time, which is different at each call.
    pub(super) fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// An element that no other write has.
    pub(super) fn next_element(&self) -> u64 {
        self.elements.fetch_add(1, Ordering::SeqCst)
    }

    /// The number of the next request, until there are enough.
    pub(super) fn next_request(&self) -> Option<usize> {
        Some(self.started.fetch_add(1, Ordering::SeqCst)).filter(|number| *number < self.requests)
    }

    pub(super) fn record(&self, recorded: Recorded) {
        self.count(match recorded.outcome {
            Outcome::Committed => "committed",
            Outcome::Aborted => "without an effect",
            Outcome::Unknown => "unknown",
        });
        self.recorded.lock().expect("no panic").push(recorded);
        self.finished.send_modify(|finished| *finished += 1);
    }

    pub(super) fn count(&self, kind: &'static str) {
        self.totals.lock().expect("no panic").count(kind);
    }

    /// Runs the workload, and reads everything at the end.
    pub(super) fn run(self: &Arc<Self>, victims: &impl Victims, random: &mut Random) -> (History, Totals) {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let keys: Vec<_> = CLIENTS.iter().map(|_| Arc::new(KeyPair::generate().expect("a key"))).collect();
            let client =
                |number: usize, connections, random| Client::new(self.clone(), &keys[number], connections, random);
            let mut clients = JoinSet::new();
            for (key, connections) in CLIENTS {
                clients.spawn(client(key, connections, Random::new(random.next())).run());
            }
            let (mut finished, mut next_kill) = (self.finished.subscribe(), random.below(2 * REQUESTS_PER_KILL));
            loop {
                select! {
                    ended = clients.join_next() => match ended {
                        Some(ended) => ended.expect("a client that does not fail"),
                        None => break,
                    },
                    _ = finished.wait_for(|finished| *finished >= next_kill) => {
                        next_kill += 1 + random.below(2 * REQUESTS_PER_KILL);
                        tokio::task::block_in_place(|| self.kill(victims, random));
                    }
                }
            }
            let reader = client(0, 1, Random::new(0));
            for keys in reads_of_all(self.requests).chunks(KEYS_OF_A_READ) {
                let read = reader.read(&Request::call(keys.to_vec())).await;
                self.recorded.lock().expect("no panic").push(read);
            }
            let sum = reader.integer(&sum_of_counters()).await;
            self.check_additions(sum);
        });
        (self.history(), self.totals.lock().expect("no panic").clone())
    }

    fn kill(&self, victims: &impl Victims, random: &mut Random) {
        if random.one_in(WORKER_KILLS_PER_CIRCLE) && victims.kill_circle() {
            self.count("kills of the circle");
        } else if victims.kill_worker(random) {
            self.count("kills of workers");
        }
    }

    /// Each addition that was acknowledged happened once, and none happened twice.
    fn check_additions(&self, sum: u64) {
        let recorded = self.recorded.lock().expect("no panic");
        let of = |outcome| {
            let requests = recorded.iter().filter(move |recorded| recorded.outcome == outcome);
            requests.map(|recorded| additions(&recorded.request.steps())).sum::<u64>()
        };
        let (committed, unknown) = (of(Outcome::Committed), of(Outcome::Unknown));
        assert!((committed..=committed + unknown).contains(&sum), "{sum} after {committed} and perhaps {unknown}");
    }

    fn history(&self) -> History {
        let recorded = self.recorded.lock().expect("no panic");
        let mut predecessors = Predecessors::new();
        for Recorded { request, results, .. } in recorded.iter() {
            note_predecessors(&request.steps(), results.as_deref().unwrap_or_default(), &mut predecessors);
        }
        let mut history = History::new();
        for Recorded { request, begin, end, outcome, results } in recorded.iter() {
            let steps = request.steps();
            let operations = match results {
                Some(results) => operations(&steps, results),
                None => writes(&steps, &predecessors),
            };
            let (begin, end) = (*begin, *end);
            // What a play has caught, and undone, is a transaction without an effect.
            let undone = writes(&request.undone, &predecessors);
            if !undone.is_empty() {
                history.push(Observed { begin, end, outcome: Outcome::Aborted, operations: undone });
            }
            history.push(Observed { begin, end, outcome: *outcome, operations });
        }
        history
    }
}
