//! The process that is killed: it handles requests in many threads, and acknowledges each on its standard output.

use std::{
    env,
    fs::OpenOptions,
    io::{self, Read, Write},
    path::Path,
    process,
    sync::{
        atomic::{AtomicI64, Ordering},
        mpsc,
    },
    thread,
};

use redb::backends::FileBackend;
use store::{
    CommitError, Error, Once, OnceClaim, OnceKey, Revision, Store, StoreOptions, Transaction, Value,
    faults::StorageBackend,
};

use crate::support::{Random, with_limits};

/// The file of the store, the first request of each caller, the number of requests to the storage before the process
/// stops, and the seed.
pub(super) const FILE: &str = "CIRCLES_STORE_KILL_FILE";
pub(super) const FIRST: &str = "CIRCLES_STORE_KILL_FIRST";
pub(super) const STOP: &str = "CIRCLES_STORE_KILL_STOP";
pub(super) const SEED: &str = "CIRCLES_STORE_KILL_SEED";

pub(super) const NAME: &str = "kill::child::process_handles_requests_until_it_is_killed";
pub(super) const CALLERS: usize = 16;
pub(super) const ACCOUNTS: usize = 64;

pub(super) fn store_options() -> StoreOptions {
    with_limits(|limits| limits.once_per_caller = 1_000_000)
}

/// Not a test of its own: the process that the other tests kill.
#[test]
fn process_handles_requests_until_it_is_killed() {
    let Some(path) = env::var_os(FILE) else { return };
    say("started");
    let store = open(Path::new(&path));
    say("open");
    let first = env::var(FIRST).expect("the first requests");
    let seed: u64 = env::var(SEED).expect("a seed").parse().expect("a number");
    thread::scope(|scope| {
        for (caller, first) in first.split(',').enumerate() {
            // Each request comes twice at the same time.
            for twin in 0..2 {
                let (store, first) = (&store, first.parse().expect("a number"));
                let mut random = Random::new(seed + 2 * caller as u64 + twin);
                scope.spawn(move || {
                    for request in first.. {
                        handle(store, caller, request, &mut random);
                    }
                });
            }
        }
    });
}

fn open(path: &Path) -> Store {
    let Ok(stop) = env::var(STOP) else { return store_options().open(path).expect("a store that recovers") };
    let file = OpenOptions::new().read(true).write(true).open(path).expect("the file of a store");
    let backend = FileBackend::new(file).expect("a file that no process has");
    let left = AtomicI64::new(stop.parse().expect("a number"));
    store_options().open_backend(Box::new(Stopping { backend, left })).expect("a store that recovers")
}

/// Writes one line in one piece.
fn say(line: &str) {
    let line = format!("\n{line}\n");
    let mut output = io::stdout().lock();
    output.write_all(line.as_bytes()).and_then(|()| output.flush()).expect("the pipe of the parent");
}

/// A file that stops the process before one of its requests, until the parent kills the process.
#[derive(Debug)]
struct Stopping {
    backend: FileBackend,
    left: AtomicI64,
}

impl Stopping {
    fn count(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            say("stopped");
            // Ends with the parent.
            drop(io::stdin().read(&mut [0]));
            process::exit(1);
        }
    }
}

impl StorageBackend for Stopping {
    fn len(&self) -> io::Result<u64> {
        self.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.backend.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.count();
        self.backend.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.count();
        self.backend.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.count();
        self.backend.write(offset, data)
    }
}

pub(super) fn once_key(caller: usize, request: i64) -> OnceKey {
    OnceKey::new(&[b'c', u8::try_from(caller).expect("a few callers")], &format!("{request:022}")).expect("a once key")
}

pub(super) fn result_of(request: i64) -> Vec<u8> {
    request.to_be_bytes().to_vec()
}

/// Handles a request with a `once` key, and acknowledges it with its revision.
fn handle(store: &Store, caller: usize, request: i64, random: &mut Random) {
    let revision = loop {
        match store.once(once_key(caller, request), [0; 32]).expect("a request that may run") {
            Once::Recorded(recorded) => {
                assert_eq!(recorded.result, Some(result_of(request)));
                break recorded.revision;
            }
            Once::InFlight(in_flight) => {
                let (finished, receiver) = mpsc::channel();
                in_flight.on_finish(move || finished.send(()).expect("a thread that waits"));
                receiver.recv().expect("the end of the other request");
            }
            Once::Claimed(claim) => break run(store, &claim, caller, request, random),
        }
    };
    say(&format!("acknowledged {caller} {request} {revision}"));
}

fn number(transaction: &mut Transaction, key: &str) -> Result<i64, Error> {
    match transaction.get(key)? {
        None => Ok(0),
        Some(Value::Integer(number)) => Ok(number),
        Some(value) => panic!("{value:?} is no integer"),
    }
}

fn run(store: &Store, claim: &OnceClaim, caller: usize, request: i64, random: &mut Random) -> Revision {
    loop {
        let mut transaction = store.begin();
        let accounts = [random.below(ACCOUNTS), random.below(ACCOUNTS)];
        transfer(&mut transaction, accounts, caller, request).expect("operations within the limits");
        match transaction.commit_once(claim, result_of(request)).wait() {
            Ok(revision) => return revision,
            Err(CommitError::Conflict { revision, .. }) => {
                store.wait_for(revision, std::time::Duration::from_mins(10));
            }
            Err(error) => panic!("the store has no reason to refuse the commit: {error}"),
        }
    }
}

/// Moves 1 between accounts. A request that runs twice inserts twice.
fn transfer(transaction: &mut Transaction, accounts: [usize; 2], caller: usize, request: i64) -> Result<(), Error> {
    for (account, change) in accounts.into_iter().zip([-1, 1]) {
        let key = format!("account/{account}");
        let balance = number(transaction, &key)?;
        transaction.put(&key, balance + change)?;
    }
    transaction.put(&format!("next/{caller}"), request)?;
    transaction.insert(&format!("entry/{caller:02}/{request:010}"), request)?;
    transaction.add("total", 1)
}
