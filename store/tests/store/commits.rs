use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use store::{CommitError, Error, ListOptions, Prefix, Store, Value};

use crate::support::{get, in_memory, options, put, with_limits};

fn prefix(text: &str) -> Prefix {
    Prefix::new(text).expect("a prefix")
}

/// Holds two commits back, so that they are one group, and returns their outcomes.
fn group(store: &Store, first: store::Transaction, second: store::Transaction) -> [store::CommitResult; 2] {
    store.pause();
    let pending = [first.commit(), second.commit()];
    store.resume();
    pending.map(store::PendingCommit::wait)
}

fn conflict_key(result: &store::CommitResult) -> Option<&str> {
    match result {
        Err(CommitError::Conflict { key, .. }) => Some(key.as_str()),
        _ => None,
    }
}

/// A transaction that reads one thing and writes another, on a store with `a/1`.
fn reads_and_writes(store: &Store, read: impl Fn(&mut store::Transaction), write: &str) -> store::Transaction {
    let mut transaction = store.begin();
    read(&mut transaction);
    transaction.put(write, "written").expect("a write");
    transaction
}

#[test]
fn read_keys_conflict_in_a_group_and_across_groups() {
    let store = in_memory();
    put(&store, "k", 0);
    let rmw = || reads_and_writes(&store, |transaction| drop(transaction.get("k").expect("a read")), "k");
    let [first, second] = group(&store, rmw(), rmw());
    let revision = first.expect("the first of the group");
    assert_eq!(second, Err(CommitError::Conflict { key: store::Key::new("k").expect("a key"), scan: None, revision }));

    let late = rmw();
    put(&store, "k", 1);
    assert_eq!(conflict_key(&late.commit().wait()), Some("k"));
}

#[test]
fn absent_keys_conflict() {
    let store = in_memory();
    let absent = || reads_and_writes(&store, |transaction| drop(transaction.get("k").expect("a read")), "k");
    let [first, second] = group(&store, absent(), absent());
    first.expect("the first of the group");
    assert_eq!(conflict_key(&second), Some("k"));
}

#[test]
fn scanned_intervals_conflict_up_to_where_the_limit_stopped() {
    let list = |store: &Store, limit| {
        reads_and_writes(
            store,
            move |transaction| {
                let options = ListOptions { limit, ..ListOptions::default() };
                transaction.list(&prefix("a/"), &options).expect("a list");
            },
            "out",
        )
    };
    for (limit, changed, conflicts) in [
        (9, "a/0", true),
        (9, "a/9", true),
        (9, "a0", false),
        (9, "b/1", false),
        (2, "a/15", true),
        (2, "a/2", true),
        (2, "a/21", false),
        (2, "a/3", false),
    ] {
        let store = in_memory();
        for key in ["a/1", "a/2", "a/3", "b/1"] {
            put(&store, key, 0);
        }
        let late = list(&store, limit);
        put(&store, changed, 1);
        let result = late.commit().wait();
        assert_eq!(conflict_key(&result), conflicts.then_some(changed), "limit {limit}, {changed}");
    }
}

#[test]
fn empty_scans_conflict_with_phantoms() {
    let store = in_memory();
    let count = || reads_and_writes(&store, |transaction| drop(transaction.count(&prefix("a/"))), "a/x");
    let [first, second] = group(&store, count(), count());
    first.expect("the first of the group");
    assert_eq!(conflict_key(&second), Some("a/x"));
}

#[test]
fn additions_and_blind_writes_do_not_conflict() {
    let store = in_memory();
    store.pause();
    let pending: Vec<_> = (0..50)
        .map(|number| {
            let mut transaction = store.begin();
            transaction.add("counter", 2).expect("a write");
            transaction.put("last", number).expect("a write");
            transaction.commit()
        })
        .collect();
    store.resume();
    for pending in pending {
        pending.wait().expect("a commit without reads");
    }
    assert_eq!(get(&store, "counter"), Some(Value::Integer(100)));
    assert_eq!(get(&store, "last"), Some(Value::Integer(49)));
    assert_eq!(store.revision().get(), 50, "each commit has its revision");
}

#[test]
fn failed_addition_takes_nobody_along() {
    let store = in_memory();
    put(&store, "text", "text");
    let mut bad = store.begin();
    bad.add("text", 1).expect("a write");
    bad.put("bad", 1).expect("a write");
    let mut good = store.begin();
    good.put("good", 1).expect("a write");
    let [bad, good] = group(&store, bad, good);
    assert!(matches!(bad, Err(CommitError::NotAnInteger(_))));
    good.expect("a commit of its own");
    assert_eq!((get(&store, "bad"), get(&store, "good")), (None, Some(1.into())));
}

#[test]
fn snapshot_does_not_move() {
    let store = in_memory();
    put(&store, "a/1", 1);
    let mut reader = store.begin();
    assert_eq!(reader.get("a/1"), Ok(Some(1.into())));
    put(&store, "a/1", 2);
    put(&store, "a/2", 2);
    assert_eq!(reader.count(&prefix("a/")), Ok(1));
    assert_eq!(reader.get("a/2"), Ok(None));
    // A transaction that only read needs no validation.
    assert_eq!(reader.commit().wait().map(store::Revision::get), Ok(1));
}

#[test]
fn canceled_commit_has_no_effect_and_a_late_cancel_says_so() {
    let store = in_memory();
    store.pause();
    let mut transaction = store.begin();
    transaction.put("a", 1).expect("a write");
    let pending = transaction.commit();
    assert!(pending.cancel());
    store.resume();
    assert_eq!(pending.wait(), Err(CommitError::Canceled));
    put(&store, "b", 1);
    assert_eq!(get(&store, "a"), None);

    let mut transaction = store.begin();
    transaction.put("c", 1).expect("a write");
    let pending = transaction.commit();
    assert!(store.wait_for(store.revision(), Duration::ZERO));
    let canceled = pending.cancel();
    let outcome = pending.wait();
    assert_eq!(canceled, outcome == Err(CommitError::Canceled));
    assert_eq!(get(&store, "c").is_some(), !canceled);
}

#[test]
fn old_snapshots_are_too_old_beyond_the_window() {
    let store = with_limits(|limits| limits.window_bytes = 4096).open_in_memory().expect("a store");
    put(&store, "k", 0);
    let mut old = store.begin();
    old.get("k").expect("a read");
    let mut waiting = store.begin();
    waiting.get("k").expect("a read");
    waiting.put("out", 1).expect("a write");
    for number in 0..40 {
        put(&store, &format!("n/{number}"), number);
    }
    assert_eq!(old.get("k"), Err(Error::TooOld), "the store has dropped the snapshot");
    old.put("out", 1).expect("a write");
    assert_eq!(old.commit().wait(), Err(CommitError::TooOld));
    assert_eq!(waiting.commit().wait(), Err(CommitError::TooOld));
    assert_eq!(get(&store, "out"), None);
}

#[test]
fn full_store_takes_deletes_only() {
    let limits = |limits: &mut store::StoreLimits| {
        (limits.bytes, limits.log_bytes) = (40_000, 4_000);
    };
    let store = with_limits(limits).open_in_memory().expect("a store");
    let mut number = 0;
    let error = loop {
        let mut transaction = store.begin();
        transaction.put(&format!("k/{number:03}"), vec![0; 1000]).expect("a write");
        match transaction.commit().wait() {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, CommitError::Full { maximum: 40_000 });
    assert!((30..40).contains(&number), "{number}");
    for deleted in 0..number {
        let mut transaction = store.begin();
        transaction.delete(&format!("k/{deleted:03}")).expect("a write");
        transaction.commit().wait().expect("a delete from the reserve");
    }
    put(&store, "again", 1);
}

#[test]
fn full_disk_refuses_writes_before_the_engine() {
    let free = Arc::new(AtomicU64::new(1 << 40));
    let shown = Arc::clone(&free);
    let store = options().free_disk(move || Some(shown.load(Ordering::Relaxed))).open_in_memory().expect("a store");
    put(&store, "a", 1);
    free.store(1 << 20, Ordering::Relaxed);
    let mut transaction = store.begin();
    transaction.put("a", 2).expect("a write");
    assert_eq!(transaction.commit().wait(), Err(CommitError::DiskFull { minimum: 64 << 20 }));
    free.store(1 << 40, Ordering::Relaxed);
    put(&store, "b", 1);
    assert_eq!(get(&store, "a"), Some(1.into()));
}

#[test]
fn queue_is_bounded() {
    let store = with_limits(|limits| limits.queued_commits = 2).open_in_memory().expect("a store");
    store.pause();
    let commit = || {
        let mut transaction = store.begin();
        transaction.add("n", 1).expect("a write");
        transaction.commit()
    };
    let pending = [commit(), commit(), commit()];
    store.resume();
    let outcomes = pending.map(store::PendingCommit::wait);
    assert!(matches!(outcomes, [Ok(_), Ok(_), Err(CommitError::Busy)]), "{outcomes:?}");
    assert_eq!(get(&store, "n"), Some(Value::Integer(2)));
}

#[test]
fn close_ends_the_commits_that_wait() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.store");
    let store = options().open(&path).expect("a store");
    let mut reader = store.begin();
    reader.get("a").expect("a read");
    store.pause();
    let mut transaction = store.begin();
    transaction.put("a", 1).expect("a write");
    let pending = transaction.commit();
    store.close().expect("a closed store");
    pending.wait().expect("a commit that was waiting");
    assert_eq!(reader.get("a"), Err(Error::Closed));
    reader.put("b", 1).expect("a write");
    assert_eq!(reader.commit().wait(), Err(CommitError::Closed));
    let store = options().open(&path).expect("the file is free again");
    assert_eq!(get(&store, "a"), Some(1.into()));
}

#[test]
fn groups_are_bounded() {
    let store = in_memory();
    let groups = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&groups);
    let _listener = store.on_commit(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let mut expected = 0;
    // Each of these would be one group without a bound: of commits, of keys, and of bytes.
    for (commits, keys, bytes, groups) in [(600, 1, 1, 3), (20, 900, 1, 5), (20, 15, 60_000, 3)] {
        store.pause();
        let pending: Vec<_> = (0..commits)
            .map(|_| {
                let mut transaction = store.begin();
                for key in 0..keys {
                    transaction.put(&format!("k/{key}"), vec![0; bytes]).expect("a write");
                }
                transaction.commit()
            })
            .collect();
        store.resume();
        for pending in pending {
            pending.wait().expect("a commit");
        }
        expected += groups;
    }
    assert_eq!(groups.load(Ordering::Relaxed), expected);
}

#[test]
fn panic_of_a_callback_harms_nobody() {
    let store = in_memory();
    let listener = store.on_commit(|_| panic!("a listener of the test"));
    store.pause();
    let commit = || {
        let mut transaction = store.begin();
        transaction.add("n", 1).expect("a write");
        transaction.commit()
    };
    commit().on_finish(|_| panic!("a callback of the test"));
    let second = commit();
    store.resume();
    second.wait().expect("a commit of its own");
    drop(listener);
    commit().wait().expect("the store works");
    assert_eq!(get(&store, "n"), Some(Value::Integer(3)));
}

#[test]
fn handles_and_transactions_go_to_other_threads() {
    fn check_send<T: Send>() {}
    fn check_sync<T: Sync>() {}
    check_send::<store::Transaction>();
    check_send::<store::PendingCommit>();
    check_send::<store::OnceClaim>();
    check_send::<store::EntryReader>();
    check_send::<Store>();
    check_sync::<Store>();
}

#[test]
fn last_handle_may_drop_in_a_callback() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.store");
    let store = options().open(&path).expect("a store");
    let mut transaction = store.begin();
    transaction.put("a", 1).expect("a write");
    store.pause();
    let pending = transaction.commit();
    let (sender, receiver) = std::sync::mpsc::channel();
    let gate = store.clone();
    pending.on_finish(move |result| {
        drop(store);
        sender.send(result).expect("a receiver");
    });
    gate.resume();
    drop(gate);
    receiver.recv().expect("an outcome").expect("a commit");
    // The committer closes the file after the callback.
    let store = loop {
        match options().open(&path) {
            Err(store::OpenError::Locked { .. }) => std::thread::yield_now(),
            opened => break opened.expect("a store"),
        }
    };
    assert_eq!(get(&store, "a"), Some(1.into()));
}
