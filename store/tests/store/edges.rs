//! Misuse, callbacks and wakers that do what they should not, and the end of a store.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use store::{
    ChangesLimit, CommitError, Error, Filter, Once, OnceError, OnceKey, Prefix, Recorded, RunError, RunOnceError,
    Store, faults::StorageBackend,
};

use crate::{
    disk::Disk,
    support::{get, in_memory, options, put, with_limits},
};

fn once_key(caller: &str, number: usize) -> OnceKey {
    OnceKey::new(caller.as_bytes(), &format!("{number:022}")).expect("a once key")
}

#[test]
fn callback_that_owns_handles_and_listeners_may_be_dropped() {
    let store = in_memory();
    let inner = store.on_commit(|_| {});
    let owned = store.clone();
    let outer = store.on_commit(move |_| {
        let _captured = (&owned, &inner);
    });
    put(&store, "a", 1);
    drop(store);
    drop(outer);
}

#[test]
fn callback_may_drop_its_own_listener() {
    let store = in_memory();
    let slot = Arc::new(Mutex::new(None));
    let own = Arc::clone(&slot);
    let count = Arc::new(AtomicU64::new(0));
    let calls = Arc::clone(&count);
    let listener = store.on_commit(move |_| {
        calls.fetch_add(1, Ordering::Relaxed);
        drop(own.lock().expect("a slot").take());
    });
    *slot.lock().expect("a slot") = Some(listener);
    put(&store, "a", 1);
    put(&store, "a", 2);
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("a waker of the test");
    }
}

#[test]
fn waker_that_panics_harms_nobody() {
    let store = in_memory();
    store.pause();
    let commit = || {
        let mut transaction = store.begin();
        transaction.add("n", 1).expect("a write");
        transaction.commit()
    };
    let (mut first, second) = (commit(), commit());
    let waker = Waker::from(Arc::new(Panicking));
    assert!(Pin::new(&mut first).poll(&mut Context::from_waker(&waker)).is_pending());
    store.resume();
    second.wait().expect("a commit of its own");
    first.wait().expect("a commit");
    commit().wait().expect("the store works");
}

#[test]
fn transaction_whose_read_was_too_old_does_not_commit() {
    let store = with_limits(|limits| limits.snapshot_age = Duration::ZERO).open_in_memory().expect("a store");
    put(&store, "k", 0);
    let mut transaction = store.begin();
    transaction.get("k").expect("a read");
    put(&store, "k", 1);
    assert_eq!(transaction.get("other"), Err(Error::TooOld));
    assert_eq!(transaction.commit().wait(), Err(CommitError::TooOld));
}

#[test]
fn savepoint_of_another_transaction_is_refused() {
    let store = in_memory();
    let (mut first, mut second) = (store.begin(), store.begin());
    let of_first = first.savepoint().expect("a savepoint");
    let of_second = second.savepoint().expect("a savepoint");
    second.put("a", 1).expect("a write");
    assert_eq!(second.roll_back(of_first), Err(Error::Savepoint));
    assert_eq!(second.get("a"), Ok(Some(1.into())));
    second.release(of_second).expect("a savepoint");
}

#[test]
fn reader_is_not_finished_after_an_error() {
    let store = with_limits(|limits| limits.snapshot_age = Duration::ZERO).open_in_memory().expect("a store");
    put(&store, "k", 0);
    let mut reader = store.read_entries(&Filter::Prefix(Prefix::all()));
    let mut export = store.export();
    put(&store, "k", 1);
    for _ in 0..2 {
        assert_eq!(reader.read(ChangesLimit::default()), Err(Error::TooOld));
        assert_eq!(export.read(ChangesLimit::default()), Err(Error::TooOld));
        assert!(!reader.is_finished() && !export.is_finished());
    }
}

#[test]
fn readers_of_a_closed_store_say_so() {
    let store = in_memory();
    put(&store, "k", 0);
    let mut reader = store.read_entries(&Filter::Prefix(Prefix::all()));
    let mut export = store.export();
    let cursor = store.cursor();
    let other = store.clone();
    store.close().expect("a closed store");
    assert_eq!(reader.read(ChangesLimit::default()), Err(Error::Closed));
    assert_eq!(export.read(ChangesLimit::default()), Err(Error::Closed));
    assert_eq!(
        other.changes_since(&cursor, &Filter::Topic("t".to_owned()), ChangesLimit::default()),
        Err(Error::Closed)
    );
}

#[test]
fn failure_ends_the_wait_for_a_revision() {
    let disk = Disk::with_store();
    let store = options().open_backend(Box::new(disk.clone())).expect("a store");
    let newer = in_memory();
    put(&newer, "a", 1);
    thread::scope(|scope| {
        // The wait may begin before the failure or after it.
        let waiter = scope.spawn(|| store.wait_for(newer.revision(), Duration::MAX));
        let mut transaction = store.begin();
        transaction.put("a", 1).expect("a write");
        disk.fail_after(0, io::ErrorKind::Other);
        transaction.commit().wait().expect_err("a failure");
        assert!(!waiter.join().expect("a thread"));
    });
    assert!(!store.wait_for(newer.revision(), Duration::MAX));
}

#[test]
fn request_with_a_once_key_runs_once() {
    let store = in_memory();
    put(&store, "runs", 0);
    let run = |store: &Store| {
        store.run_once(Duration::from_mins(10), &once_key("alice", 1), [1; 32], |transaction| {
            let Some(store::Value::Integer(runs)) = transaction.get("runs")? else { panic!("no number") };
            transaction.put("runs", runs + 1)?;
            Ok::<_, Error>(b"result".to_vec())
        })
    };
    let results: Vec<Recorded> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| run(&store).expect("a result"))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread")).collect()
    });
    assert!(results.iter().all(|recorded| *recorded == results[0]), "{results:?}");
    assert_eq!(results[0].result.as_deref(), Some(&b"result"[..]));
    assert_eq!(get(&store, "runs"), Some(1.into()));

    let failed = store.run_once(Duration::MAX, &once_key("alice", 2), [1; 32], |_| Err("sold out"));
    assert_eq!(failed, Err(RunOnceError::Run(RunError::Function("sold out"))));
    let other = store.run_once(Duration::MAX, &once_key("alice", 1), [2; 32], |_| Err("not called"));
    assert_eq!(other, Err(RunOnceError::Once(OnceError::OtherParams)));
    let _claim = store.once(once_key("alice", 2), [1; 32]).expect("a claim");
    let waiting = store.run_once(Duration::ZERO, &once_key("alice", 2), [1; 32], |_| Err("not called"));
    assert_eq!(waiting, Err(RunOnceError::InFlight));
}

#[test]
fn records_of_once_do_not_expire_when_the_clock_jumps() {
    let wall = Arc::new(AtomicU64::new(1_000_000_000));
    let disk = Disk::with_store();
    let open = || {
        let shown = Arc::clone(&wall);
        options()
            .wall_clock(move || shown.load(Ordering::Relaxed))
            .open_backend(Box::new(disk.clone()))
            .expect("a store")
    };
    let store = open();
    let key = once_key("alice", 1);
    store.run_once(Duration::MAX, &key, [1; 32], |_| Ok::<_, Error>(vec![])).expect("a commit");
    // Forwards while the store is open, and backwards while it is closed.
    wall.fetch_add(1_000_000_000, Ordering::Relaxed);
    put(&store, "a", 1);
    assert!(matches!(store.once(key.clone(), [1; 32]), Ok(Once::Recorded(_))));
    drop(store);
    wall.store(0, Ordering::Relaxed);
    let store = open();
    let second = once_key("alice", 2);
    store.run_once(Duration::MAX, &second, [1; 32], |_| Ok::<_, Error>(vec![])).expect("a commit");
    drop(store);
    // The second is not older than the first, and a day has not passed since.
    wall.store(1_000_000_000 + 23 * 3600 * 1000, Ordering::Relaxed);
    let store = open();
    for key in [key.clone(), second.clone()] {
        assert!(matches!(store.once(key, [1; 32]), Ok(Once::Recorded(_))));
    }
    drop(store);
    // The time of the records has not gone back, so the second expires a day after the first at most.
    wall.store(1_000_000_000 + 24 * 3600 * 1000 + 60_000, Ordering::Relaxed);
    let store = open();
    for key in [key, second] {
        assert!(matches!(store.once(key, [1; 32]), Ok(Once::Claimed(_))));
    }
}

/// A disk whose reads wait, and which may panic when it is closed.
#[derive(Debug, Clone)]
struct Gate(Disk, Arc<(Mutex<GateState>, Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    is_closed: bool,
    waiting: usize,
    panics_on_close: bool,
}

impl Gate {
    fn new(image: Vec<u8>) -> Self {
        Self(Disk::new(image), Arc::default())
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.1.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_closed(&self, is_closed: bool) {
        self.lock().is_closed = is_closed;
        self.1.1.notify_all();
    }

    fn wait_for_reader(&self) {
        let mut state = self.lock();
        while state.waiting == 0 {
            state = self.1.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl StorageBackend for Gate {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.lock();
        state.waiting += 1;
        self.1.1.notify_all();
        while state.is_closed {
            state = self.1.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting -= 1;
        drop(state);
        self.0.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        let panics = std::mem::take(&mut self.lock().panics_on_close);
        assert!(!panics, "a panic of the test");
        self.0.close()
    }
}

#[test]
fn once_holds_no_lock_while_it_reads_the_disk() {
    let disk = Disk::with_store();
    let store = options().open_backend(Box::new(disk.clone())).expect("a store");
    for number in 0..300 {
        let run = store.run_once(Duration::MAX, &once_key("alice", number), [1; 32], |_| Ok::<_, Error>(vec![0; 500]));
        run.expect("a commit");
    }
    drop(store);
    let gate = Gate::new(disk.image());
    let store = options().open_backend(Box::new(gate.clone())).expect("a store");
    let bob = store.once(once_key("bob", 1), [1; 32]).expect("a claim");
    gate.set_closed(true);
    thread::scope(|scope| {
        let alice = scope.spawn(|| store.once(once_key("alice", 299), [1; 32]));
        gate.wait_for_reader();
        // Ending a claim takes the lock of the claims.
        drop(bob);
        gate.set_closed(false);
        assert!(matches!(alice.join().expect("a thread"), Ok(Once::Recorded(_))));
    });
}

#[test]
fn panic_of_the_engine_on_closing_a_refused_file_stays_inside() {
    let gate = Gate::new(Disk::with_store().image());
    gate.lock().panics_on_close = true;
    let error = store::StoreOptions::new("other").open_backend(Box::new(gate)).expect_err("another owner");
    assert!(matches!(error, store::OpenError::OtherOwner { .. }), "{error}");
}
