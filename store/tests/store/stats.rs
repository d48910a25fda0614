//! Counters of a store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use store::CommitError;

use crate::support::{get, options, put, with_limits};

#[test]
fn outcomes_of_commits_are_counted() {
    let store = options().open_in_memory().expect("a store");
    put(&store, "k", 1);
    let mut loser = store.begin();
    loser.get("k").expect("a read");
    loser.put("other", 1).expect("a write");
    let before = store.stats();
    assert_eq!((before.snapshots, before.oldest_snapshot_age), (1, Duration::ZERO));
    put(&store, "k", "text");
    let stats = store.stats();
    assert_eq!(stats.snapshots, 2);
    assert!(stats.window_bytes > 0);
    assert!(loser.commit().wait().is_err_and(|error| error.is_conflict()));
    let mut invalid = store.begin();
    invalid.add("k", 1).expect("a write");
    assert!(matches!(invalid.commit().wait(), Err(CommitError::NotAnInteger(_))));
    store.begin().commit().wait().expect("a transaction that only reads");
    let stats = store.stats();
    let commits = stats.commits;
    assert_eq!((commits.committed, commits.conflicts, commits.invalid, stats.groups), (2, 1, 1, 2));
    assert_eq!((commits.too_old, commits.full, commits.busy, commits.failed), (0, 0, 0, 0));
    assert_eq!((stats.revision, stats.has_failed), (store.revision(), false));
}

#[test]
fn reruns_are_counted() {
    let store = options().open_in_memory().expect("a store");
    let mut attempts = 0;
    let ran = store.run(Duration::from_mins(1), |transaction| {
        attempts += 1;
        let value = transaction.get("k")?;
        if attempts == 1 {
            put(&store, "k", 1);
        }
        transaction.put("copy", value.unwrap_or_else(|| 0.into()))
    });
    ran.expect("a commit");
    assert_eq!((attempts, store.stats().reruns, store.stats().commits.conflicts), (2, 1, 1));
    drop(store.attempts(Instant::now()));
    assert_eq!(store.stats().reruns, 1);
}

#[test]
fn store_is_full_until_it_shows_room() {
    let free = Arc::new(AtomicU64::new(1 << 40));
    let shown = Arc::clone(&free);
    let options = with_limits(|limits| limits.bytes = 40_000);
    let store = options.free_disk(move || Some(shown.load(Ordering::Relaxed))).open_in_memory().expect("a store");
    put(&store, "large", vec![0; 30_000]);
    assert!(!store.stats().is_full);
    let put_more = |size| {
        let mut transaction = store.begin();
        transaction.put("more", vec![0; size]).expect("a write");
        transaction.commit().wait()
    };
    put_more(20_000).expect_err("a full store");
    assert!(store.stats().is_full);
    put(&store, "large", vec![0; 1_000]);
    assert!(store.stats().is_full, "a smaller value is always taken");
    put_more(20_000).expect("room");
    assert!(!store.stats().is_full);
    free.store(0, Ordering::Relaxed);
    assert!(matches!(put_more(1), Err(CommitError::DiskFull { .. })));
    assert!(store.stats().is_full);
    assert_eq!((store.stats().commits.full, store.stats().max_bytes), (2, 40_000));
    free.store(1 << 40, Ordering::Relaxed);
    put(&store, "large", vec![1; 1_000]);
    assert!(!store.stats().is_full, "it takes a value of the same size, and there is room for more");
}

#[test]
fn observer_does_not_keep_the_store_open() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.store");
    let store = options().open(&path).expect("a store");
    put(&store, "k", 1);
    let observer = store.observer();
    assert_eq!(observer.stats(), Some(store.stats()));
    drop(store);
    assert_eq!(observer.stats(), None);
    let again = options().open(&path).expect("a store that is closed");
    assert_eq!(get(&again, "k"), Some(1.into()));
}
