use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
    mpsc,
};

use store::{Once, OnceError, OnceKey, Store};

use crate::{
    disk::Disk,
    support::{get, in_memory, options, put, with_limits},
};

const PARAMS: [u8; 32] = [1; 32];

fn key(caller: &str, number: usize) -> OnceKey {
    OnceKey::new(caller.as_bytes(), &format!("{number:022}")).expect("a once key")
}

fn claim(store: &Store, key: &OnceKey) -> store::OnceClaim {
    match store.once(key.clone(), PARAMS).expect("a once key that may run") {
        Once::Claimed(claim) => claim,
        once => panic!("{once:?}"),
    }
}

fn recorded(store: &Store, key: &OnceKey) -> store::Recorded {
    match store.once(key.clone(), PARAMS).expect("a record") {
        Once::Recorded(recorded) => recorded,
        once => panic!("{once:?}"),
    }
}

fn commit(store: &Store, key: &OnceKey, result: &[u8]) -> store::Revision {
    let mut transaction = store.begin();
    transaction.add("runs", 1).expect("a write");
    transaction.commit_once(&claim(store, key), result.to_vec()).wait().expect("a commit")
}

#[test]
fn recorded_result_survives_a_restart() {
    let disk = Disk::with_store();
    let open = || options().open_backend(Box::new(disk.clone())).expect("a store");
    let store = open();
    let revision = commit(&store, &key("alice", 1), b"result");
    for store in [store, open()] {
        let record = recorded(&store, &key("alice", 1));
        assert_eq!((record.revision, record.result.as_deref()), (revision, Some(&b"result"[..])));
        let error = store.once(key("alice", 1), [2; 32]).expect_err("other parameters");
        assert_eq!(error, OnceError::OtherParams);
        // Another caller has ids of its own.
        drop(claim(&store, &key("bob", 1)));
        store.close().expect("a closed store");
    }
}

#[test]
fn large_result_is_recorded_as_committed() {
    let store = in_memory();
    commit(&store, &key("alice", 1), &[0; 4096]);
    commit(&store, &key("alice", 2), &[0; 4097]);
    assert_eq!(recorded(&store, &key("alice", 1)).result, Some(vec![0; 4096]));
    assert_eq!(recorded(&store, &key("alice", 2)).result, None);
}

#[test]
fn transaction_that_only_reads_is_recorded_too() {
    let store = in_memory();
    let mut transaction = store.begin();
    transaction.get("a").expect("a read");
    let claim = claim(&store, &key("alice", 1));
    transaction.commit_once(&claim, b"nothing".to_vec()).wait().expect("a commit");
    drop(claim);
    assert_eq!(recorded(&store, &key("alice", 1)).result.as_deref(), Some(&b"nothing"[..]));
}

#[test]
fn second_request_waits_and_runs_if_the_first_does_not_commit() {
    let store = in_memory();
    let wait = |finished: mpsc::Sender<()>| match store.once(key("alice", 1), PARAMS).expect("a known key") {
        Once::InFlight(in_flight) => in_flight.on_finish(move || finished.send(()).expect("a receiver")),
        once => panic!("{once:?}"),
    };
    let (finished, receiver) = mpsc::channel();
    put(&store, "read", 0);
    let first = claim(&store, &key("alice", 1));
    wait(finished.clone());
    wait(finished.clone());
    assert_eq!(store.once(key("alice", 1), [2; 32]).expect_err("other parameters"), OnceError::OtherParams);
    let mut transaction = store.begin();
    transaction.get("read").expect("a read");
    put(&store, "read", 1);
    transaction.commit_once(&first, vec![]).wait().expect_err("a conflict");
    receiver.try_recv().expect_err("the first request may run again");
    drop(first);
    receiver.recv().expect("the end of the first request");
    receiver.recv().expect("the end of the first request");

    let second = claim(&store, &key("alice", 1));
    wait(finished);
    store.begin().commit_once(&second, b"second".to_vec()).wait().expect("a commit");
    drop(second);
    receiver.recv().expect("the end of the second request");
    assert_eq!(recorded(&store, &key("alice", 1)).result.as_deref(), Some(&b"second"[..]));
}

#[test]
fn records_of_a_caller_are_bounded_and_expire() {
    let now = Arc::new(AtomicU64::new(1_000_000_000));
    let clock = Arc::clone(&now);
    let store = with_limits(|limits| limits.once_per_caller = 3)
        .clock(move || clock.load(Ordering::Relaxed))
        .open_in_memory()
        .expect("a store");
    let empty = store.size();
    for number in 0..2 {
        commit(&store, &key("alice", number), b"result");
    }
    let running = claim(&store, &key("alice", 2));
    let error = store.once(key("alice", 3), PARAMS).expect_err("the fourth");
    assert_eq!(error, OnceError::TooMany { maximum: 3 });
    commit(&store, &key("alicea", 3), b"another caller");
    drop(running);

    now.fetch_add(24 * 3600 * 1000, Ordering::Relaxed);
    // Expired records are gone at once, and their space with the next commit.
    commit(&store, &key("alice", 0), b"again");
    assert_eq!(recorded(&store, &key("alice", 0)).result.as_deref(), Some(&b"again"[..]));
    let with_one = store.size();
    now.fetch_add(24 * 3600 * 1000 + 1, Ordering::Relaxed);
    let mut transaction = store.begin();
    transaction.delete("runs").expect("a write");
    transaction.commit().wait().expect("a commit");
    now.fetch_add(24 * 3600 * 1000 + 1, Ordering::Relaxed);
    put(&store, "x", 1);
    assert!(store.size() < with_one);
    let rest = store.size() - empty;
    assert!(rest < 200, "{rest} bytes of one entry and two log records");
    assert_eq!(get(&store, "runs"), None);
}

#[test]
fn all_records_have_a_bound() {
    let store = with_limits(|limits| limits.once_bytes = 1_000).open_in_memory().expect("a store");
    let error = (0..100).find_map(|number| match store.once(key("alice", number), PARAMS) {
        Ok(Once::Claimed(claim)) => {
            store.begin().commit_once(&claim, vec![]).wait().expect("a commit");
            None
        }
        Ok(once) => panic!("{once:?}"),
        Err(error) => Some((number, error)),
    });
    let (number, error) = error.expect("the bound");
    assert_eq!(error, OnceError::Full);
    assert!((2..10).contains(&number), "{number}");
}

#[test]
fn expired_records_leave_room_for_the_next_request() {
    let now = Arc::new(AtomicU64::new(1_000_000_000));
    let clock = Arc::clone(&now);
    let store = with_limits(|limits| limits.once_bytes = 1_000)
        .clock(move || clock.load(Ordering::Relaxed))
        .open_in_memory()
        .expect("a store");
    let fill = || {
        (0..100).find(|number| match store.once(key("alice", *number), PARAMS) {
            Ok(Once::Claimed(claim)) => {
                store.begin().commit_once(&claim, vec![]).wait().expect("a commit");
                false
            }
            Ok(once) => panic!("{once:?}"),
            Err(error) => error == OnceError::Full,
        })
    };
    let number = fill();
    assert!(number.is_some());
    now.fetch_add(25 * 3600 * 1000, Ordering::Relaxed);
    // Nothing else commits, and the expired records are in the tables until the next commit.
    assert_eq!(fill(), number);
}
