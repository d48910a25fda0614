//! Members of one group that depend on each other, and on what becomes of the group.

use std::io;

use store::{CommitEffect, CommitError, CommitResult, Once, OnceKey, Prefix, Store};

use crate::{
    disk::Disk,
    support::{get, in_memory, options, put, with_limits},
};

fn claim(store: &Store, number: usize) -> store::OnceClaim {
    let key = OnceKey::new(b"alice", &format!("{number:022}")).expect("a once key");
    match store.once(key, [1; 32]) {
        Ok(Once::Claimed(claim)) => claim,
        once => panic!("{once:?}"),
    }
}

fn assert_failed(results: &[CommitResult]) {
    let [first, rest @ ..] = results else { panic!("no results") };
    assert!(matches!(first, Err(CommitError::Failed { .. })), "{first:?}");
    for result in rest {
        let error = result.as_ref().expect_err("the disk failed");
        assert!(matches!(error, CommitError::Failed { happened: CommitEffect::No, .. }), "{error}");
    }
}

#[test]
fn errors_that_depend_on_the_group_wait_until_it_is_durable() {
    let start = {
        let disk = Disk::with_store();
        let store = options().open_backend(Box::new(disk.clone())).expect("a store");
        for key in ["read", "number"] {
            put(&store, key, 0);
        }
        drop(store);
        disk.image()
    };
    for is_failing in [false, true] {
        let disk = Disk::new(start.clone());
        let store = options().open_backend(Box::new(disk.clone())).expect("a store");
        let mut first = store.begin();
        first.put("read", 1).expect("a write");
        first.put("number", i64::MAX).expect("a write");
        first.put("text", "text").expect("a write");
        let mut reader = store.begin();
        reader.get("read").expect("a read");
        reader.put("out", 1).expect("a write");
        let mut scanner = store.begin();
        scanner.count(&Prefix::all()).expect("a count");
        scanner.put("out", 1).expect("a write");
        let mut adder = store.begin();
        adder.add("number", 1).expect("a write");
        let mut other = store.begin();
        other.add("text", 1).expect("a write");
        store.pause();
        let pending = [first, reader, scanner, adder, other].map(store::Transaction::commit);
        if is_failing {
            disk.fail_after(0, io::ErrorKind::Other);
        }
        store.resume();
        let results = pending.map(store::PendingCommit::wait);
        if is_failing {
            assert_failed(&results);
            continue;
        }
        let [first, rest @ ..] = results;
        let revision = first.expect("a commit");
        let [reader, scanner, adder, other] = rest.map(|result| result.expect_err("an error"));
        assert!(matches!(reader, CommitError::Conflict { revision: found, scan: None, .. } if found == revision));
        assert!(matches!(scanner, CommitError::Conflict { revision: found, scan: Some(_), .. } if found == revision));
        assert!(matches!(adder, CommitError::Overflow(_)));
        assert!(matches!(other, CommitError::NotAnInteger(_)));
    }
}

#[test]
fn full_store_is_an_answer_only_once_the_group_is_durable() {
    let disk = Disk::with_store();
    let limited = with_limits(|limits| limits.bytes = 40_000);
    let store = limited.open_backend(Box::new(disk.clone())).expect("a store");
    let value = |key: &str| {
        let mut transaction = store.begin();
        transaction.put(key, vec![0; 25_000]).expect("a write");
        transaction
    };
    let transactions = [value("a"), value("b")];
    store.pause();
    let pending = transactions.map(store::Transaction::commit);
    disk.fail_after(0, io::ErrorKind::Other);
    store.resume();
    assert_failed(&pending.map(store::PendingCommit::wait));
}

#[test]
fn claim_commits_once() {
    let store = in_memory();
    let claim = claim(&store, 1);
    let commit = || {
        let mut transaction = store.begin();
        transaction.add("runs", 1).expect("a write");
        transaction.commit_once(&claim, vec![])
    };
    store.pause();
    let pending = [commit(), commit()];
    store.resume();
    let results = pending.map(store::PendingCommit::wait);
    assert!(matches!(results, [Ok(_), Err(CommitError::OnceCommitted)]), "{results:?}");
    assert_eq!(commit().wait(), Err(CommitError::OnceCommitted));
    assert_eq!(get(&store, "runs"), Some(1.into()));
}

#[test]
fn records_of_claims_that_run_have_a_bound() {
    let store = with_limits(|limits| limits.once_bytes = 500).open_in_memory().expect("a store");
    let claims: Vec<_> = (0..10).map(|number| claim(&store, number)).collect();
    store.pause();
    let pending: Vec<_> = claims.iter().map(|claim| store.begin().commit_once(claim, vec![])).collect();
    store.resume();
    let results: Vec<_> = pending.into_iter().map(store::PendingCommit::wait).collect();
    assert!(results.contains(&Err(CommitError::OnceFull)), "{results:?}");
    assert!(results[0].is_ok() && store.stats().once_bytes <= 500);
}
