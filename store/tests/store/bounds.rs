//! Bounds of what a store keeps in memory and in its file.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use store::{CommitError, Error, Once, OnceKey, Store};

use crate::support::{get, put, with_limits};

#[test]
fn snapshot_that_pins_too_many_pages_is_too_old() {
    const PINNED: u64 = 8 << 20;
    let directory = tempfile::tempdir().expect("a directory");
    let open = with_limits(|limits| limits.snapshot_bytes = PINNED);
    let store = open.open(directory.path().join("a.store")).expect("a store");
    put(&store, "k", 0);
    let mut reader = store.begin();
    reader.get("k").expect("a read");
    let mut writer = store.begin();
    writer.get("k").expect("a read");
    writer.put("out", 1).expect("a write");
    for number in 0..1_000 {
        put(&store, &format!("n/{}", number % 10), number);
    }
    assert_eq!(reader.get("k"), Err(Error::TooOld));
    assert_eq!(writer.commit().wait(), Err(CommitError::TooOld));
    // Without the bound these puts pin about 57 KB each. The engine doubles the file.
    let file = store.stats().file_bytes;
    assert!(file <= 3 * PINNED, "{file} bytes");
    assert_eq!(store.stats().snapshots, 1);
}

#[test]
fn snapshot_is_too_old_by_age() {
    let open = |age| with_limits(|limits| limits.snapshot_age = age).open_in_memory().expect("a store");
    for (age, is_too_old) in [(Duration::ZERO, true), (Duration::MAX, false)] {
        let store = open(age);
        put(&store, "k", 0);
        let mut reader = store.begin();
        assert_eq!(reader.get("k"), Ok(Some(0.into())), "nothing was committed since");
        put(&store, "k", 1);
        assert_eq!(reader.get("k"), if is_too_old { Err(Error::TooOld) } else { Ok(Some(0.into())) });
        assert_eq!(get(&store, "k"), Some(1.into()));
    }
}

/// Puts values until the store refuses one, and returns their number and the error.
fn fill(store: &Store, prefix: &str, size: usize) -> (usize, CommitError) {
    let mut number = 0;
    loop {
        let mut transaction = store.begin();
        transaction.put(&format!("{prefix}/{number:05}"), vec![0; size]).expect("a write");
        match transaction.commit().wait() {
            Ok(_) => number += 1,
            Err(error) => return (number, error),
        }
    }
}

fn delete(store: &Store, key: &str) {
    let mut transaction = store.begin();
    transaction.delete(key).expect("a write");
    transaction.commit().wait().expect("a delete needs no room");
}

#[test]
fn full_store_takes_every_delete_of_a_small_entry() {
    // The log may have more bytes than the store, and a delete adds more to the log than it frees.
    let limits = |limits: &mut store::StoreLimits| (limits.bytes, limits.log_bytes) = (40_000, 1 << 30);
    let store = with_limits(limits).open_in_memory().expect("a store");
    let (number, error) = fill(&store, "k", 0);
    assert_eq!(error, CommitError::Full { maximum: 40_000 });
    assert!(number > 300, "the log leaves room for entries: {number}");
    for deleted in 0..number {
        delete(&store, &format!("k/{deleted:05}"));
    }
    assert_eq!(fill(&store, "k", 0).0, number);
}

#[test]
fn deletes_are_not_charged_for_their_log_records() {
    let store = with_limits(|limits| limits.bytes = 40_000).open_in_memory().expect("a store");
    put(&store, "large", vec![0; 39_000]);
    let (number, error) = fill(&store, "k", 0);
    assert_eq!(error, CommitError::Full { maximum: 40_000 });
    assert!(number > 4, "{number}");
    // The log has not reached its bound, and each delete adds more to it than it frees.
    for deleted in 0..number {
        delete(&store, &format!("k/{deleted:05}"));
    }
    assert!(store.size() > 40_000, "{:?}", store.stats());
}

#[test]
fn full_store_forgets_expired_records_without_a_commit() {
    let now = Arc::new(AtomicU64::new(1_000_000_000));
    let clock = Arc::clone(&now);
    let limits = |limits: &mut store::StoreLimits| {
        (limits.bytes, limits.log_bytes, limits.once_per_caller) = (1_000_000, 0, usize::MAX);
    };
    let store = with_limits(limits).clock(move || clock.load(Ordering::Relaxed)).open_in_memory().expect("a store");
    for number in 0..600 {
        let key = OnceKey::new(b"alice", &format!("{number:022}")).expect("a once key");
        let Ok(Once::Claimed(claim)) = store.once(key, [1; 32]) else { panic!("a new request") };
        store.begin().commit_once(&claim, vec![]).wait().expect("a commit");
    }
    fill(&store, "large", 10_000);
    fill(&store, "small", 0);
    let once_bytes = store.stats().once_bytes;
    now.fetch_add(25 * 3600 * 1000, Ordering::Relaxed);
    // The value needs the space of all records, which go in two groups. The first of them has no commit.
    let value = vec![0; usize::try_from(once_bytes).expect("a small number") - 200];
    let mut limits = store::TransactionLimits::default();
    limits.value_bytes = 1 << 20;
    let put_value = || {
        let mut transaction = store.begin_with_limits(limits.clone());
        transaction.put("value", value.clone()).expect("a write");
        transaction.commit().wait()
    };
    assert_eq!(put_value(), Err(CommitError::Full { maximum: 1_000_000 }));
    put_value().expect("room after two groups");
    assert_eq!(store.stats().once_bytes, 0);
}

#[test]
fn file_is_bounded_and_a_full_one_takes_deletes() {
    let directory = tempfile::tempdir().expect("a directory");
    let limits = |limits: &mut store::StoreLimits| (limits.file_factor, limits.snapshot_bytes) = (0, 2 << 20);
    let store = with_limits(limits).open(directory.path().join("a.store")).expect("a store");
    let maximum = 4 << 20;
    put(&store, "k", 0);
    let mut reader = store.begin();
    reader.get("k").expect("a read");
    let (number, error) = fill(&store, "k", 60_000);
    assert_eq!(error, CommitError::Full { maximum });
    assert!(number > 10, "{number}");
    assert!(store.stats().file_bytes <= maximum, "{:?}", store.stats());
    assert_eq!(reader.get("k"), Err(Error::TooOld), "a full store takes snapshots away");
    assert_eq!(store.revision().get(), number as u64 + 1, "nothing of the refused commits is there");
    for deleted in 0..number {
        assert!(get(&store, &format!("k/{deleted:05}")).is_some());
        delete(&store, &format!("k/{deleted:05}"));
    }
    let (again, _) = fill(&store, "k", 60_000);
    assert!(again > number / 2, "{again} of {number}");
    assert!(store.stats().file_bytes <= 2 * maximum, "{:?}", store.stats());
}

#[test]
fn queue_is_bounded_by_what_commits_read_and_write() {
    let store = with_limits(|limits| limits.queued_bytes = 10_000).open_in_memory().expect("a store");
    let write = |size: usize| {
        let mut transaction = store.begin();
        transaction.put("a", vec![0; size]).expect("a write");
        transaction.commit()
    };
    let read = || {
        let mut transaction = store.begin();
        for number in 0..100 {
            transaction.get(&format!("{number:050}")).expect("a read");
        }
        transaction.put("b", 1).expect("a write");
        transaction.commit()
    };
    store.pause();
    let outcomes = [write(6_000), write(6_000), read(), write(100)];
    store.resume();
    let outcomes = outcomes.map(store::PendingCommit::wait);
    assert!(matches!(outcomes, [Ok(_), Err(CommitError::Busy), Err(CommitError::Busy), Ok(_)]), "{outcomes:?}");
    write(60_000).wait().expect("a large commit in an empty queue");
}

#[test]
fn largest_limits_do_not_overflow() {
    let limits = |limits: &mut store::StoreLimits| {
        limits.bytes = u64::MAX;
        limits.file_factor = u64::MAX;
        limits.snapshot_bytes = u64::MAX;
        limits.snapshot_age = Duration::MAX;
        limits.log_bytes = u64::MAX;
        limits.log_age = Duration::MAX;
        limits.window_bytes = usize::MAX;
        limits.queued_commits = usize::MAX;
        limits.queued_bytes = usize::MAX;
        limits.once_per_caller = usize::MAX;
        limits.once_bytes = u64::MAX;
        limits.once_result_bytes = usize::MAX;
        limits.once_age = Duration::MAX;
    };
    let mut of_transactions = store::TransactionLimits::default();
    of_transactions.reads = usize::MAX;
    of_transactions.read_bytes = usize::MAX;
    of_transactions.writes = usize::MAX;
    of_transactions.write_bytes = usize::MAX;
    of_transactions.value_bytes = usize::MAX;
    of_transactions.events = usize::MAX;
    of_transactions.savepoints = usize::MAX;
    let options = with_limits(limits).transaction_limits(of_transactions);
    let store = options.open_in_memory().expect("a store");
    let start = store.cursor();
    let key = OnceKey::new(b"alice", &"a".repeat(22)).expect("a once key");
    for _ in 0..2 {
        let ran = store.run_once(Duration::MAX, &key, [1; 32], |transaction| {
            transaction.count(&store::Prefix::all())?;
            transaction.publish("topic", "data")?;
            transaction.add("n", 1)?;
            Ok::<_, Error>(b"result".to_vec())
        });
        assert_eq!(ran.expect("a run").result.as_deref(), Some(&b"result"[..]));
    }
    assert!(store.wait_for(store.revision(), Duration::MAX));
    let limit = store::ChangesLimit { entries: usize::MAX, bytes: usize::MAX };
    let changes = store.changes_since(&start, &store::Filter::Topic("topic".to_owned()), limit).expect("changes");
    assert!(matches!(changes, store::Changes::Events { events, .. } if events.len() == 1));
    assert_eq!(get(&store, "n"), Some(1.into()));
}

#[test]
fn event_larger_than_a_part_of_the_log_is_not_skipped() {
    let mut limits = store::TransactionLimits::default();
    (limits.write_bytes, limits.value_bytes) = (32 << 20, 32 << 20);
    let options = with_limits(|limits| limits.log_bytes = 200 << 20).transaction_limits(limits);
    let store = options.open_in_memory().expect("a store");
    let mut cursor = store.cursor();
    for _ in 0..2 {
        let mut transaction = store.begin();
        transaction.publish("topic", vec![7; 17 << 20]).expect("an event");
        transaction.commit().wait().expect("a commit");
    }
    let (filter, mut found) = (store::Filter::Topic("topic".to_owned()), 0);
    loop {
        match store.changes_since(&cursor, &filter, store::ChangesLimit::default()).expect("events") {
            store::Changes::Events { events, cursor: next, has_more } => {
                found += events.len();
                cursor = next;
                if !has_more {
                    break;
                }
            }
            changes => panic!("{changes:?}"),
        }
    }
    assert_eq!(found, 2);
}
