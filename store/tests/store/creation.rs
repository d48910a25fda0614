//! Files that are created, refused and moved.

use std::fs;

use store::{CommitError, OpenError};

use crate::support::{get, options, put, with_limits};

#[test]
fn empty_file_is_refused_and_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.store");
    fs::write(&path, []).expect("a file");
    let error = options().open(&path).expect_err("an empty file");
    assert!(matches!(error, OpenError::EmptyFile), "{error}");
    assert_eq!(path.metadata().expect("a file").len(), 0);
    fs::remove_file(&path).expect("a file");
    options().open(&path).expect("a new store");
}

#[test]
fn empty_database_of_another_program_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("other.redb");
    drop(redb::Database::create(&path).expect("a database"));
    assert!(matches!(options().open(&path), Err(OpenError::NotAStore)));
    let database = redb::Database::create(&path).expect("a database");
    let transaction = redb::ReadableDatabase::begin_read(&database).expect("a transaction");
    assert_eq!(transaction.list_tables().expect("tables").count(), 0, "the database stays empty");
}

#[test]
fn file_is_watched_for_free_space_wherever_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.store");
    let store = with_limits(|limits| limits.free_disk_bytes = u64::MAX).open(&path).expect("a store");
    fs::rename(&path, directory.path().join("b.store")).expect("another name");
    let mut transaction = store.begin();
    transaction.put("a", 1).expect("a write");
    assert_eq!(transaction.commit().wait(), Err(CommitError::DiskFull { minimum: u64::MAX }));
}

#[test]
fn closed_store_is_free_while_a_transaction_still_exists() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.store");
    let store = options().open(&path).expect("a store");
    put(&store, "a", 1);
    let transaction = store.begin();
    store.close().expect("a closed store");
    let store = options().open(&path).expect("a free file");
    assert_eq!(get(&store, "a"), Some(1.into()));
    drop(transaction);
}
