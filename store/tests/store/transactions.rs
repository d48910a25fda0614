use store::{CommitError, Direction, Error, KeyError, Limit, ListOptions, Prefix, TransactionLimits, Value};

use crate::support::{get, in_memory, put};

fn prefix(text: &str) -> Prefix {
    Prefix::new(text).expect("a prefix")
}

#[test]
fn transaction_sees_its_own_writes() {
    let store = in_memory();
    put(&store, "a/1", "old");
    put(&store, "a/3", 3);
    let mut transaction = store.begin();
    transaction.put("a/1", "new").expect("a write");
    transaction.put("a/2", "two").expect("a write");
    transaction.add("a/3", 4).expect("a write");
    transaction.add("a/4", 4).expect("a write");
    transaction.delete("a/5").expect("a write");
    assert_eq!(transaction.get("a/1"), Ok(Some("new".into())));
    assert_eq!(transaction.get("a/3"), Ok(Some(7.into())));
    let keys = |entries: Vec<store::Entry>| entries.iter().map(|entry| entry.key.to_string()).collect::<Vec<_>>();
    let entries = transaction.list(&prefix("a/"), &ListOptions::default()).expect("a list");
    assert_eq!(entries[2].value, Value::Integer(7));
    assert_eq!(keys(entries), ["a/1", "a/2", "a/3", "a/4"]);
    let reverse =
        ListOptions { direction: Direction::Reverse, after: Some("a/4".into()), limit: 2, ..ListOptions::default() };
    assert_eq!(keys(transaction.list(&prefix("a/"), &reverse).expect("a list")), ["a/3", "a/2"]);
    assert_eq!(transaction.count(&prefix("a/")), Ok(4));
    assert_eq!(get(&store, "a/2"), None, "others see nothing before the commit");
    transaction.commit().wait().expect("a commit");
    assert_eq!(get(&store, "a/3"), Some(7.into()));
}

#[test]
fn dropped_transaction_leaves_nothing() {
    let store = in_memory();
    let mut transaction = store.begin();
    transaction.put("a", 1).expect("a write");
    drop(transaction);
    assert_eq!(get(&store, "a"), None);
    assert_eq!(store.revision().get(), 0);
}

#[test]
fn insert_refuses_an_existing_key() {
    let store = in_memory();
    let mut transaction = store.begin();
    transaction.insert("a", 1).expect("an absent key");
    assert!(matches!(transaction.insert("a", 2), Err(Error::Exists(_))));
    transaction.commit().wait().expect("a commit");
    let mut transaction = store.begin();
    assert!(matches!(transaction.insert("a", 2), Err(Error::Exists(_))));
    transaction.delete("a").expect("a write");
    transaction.insert("a", 3).expect("an absent key");
    transaction.commit().wait().expect("a commit");
    assert_eq!(get(&store, "a"), Some(3.into()));
}

#[test]
fn rollback_undoes_writes_and_events_and_keeps_reads() {
    let store = in_memory();
    put(&store, "read", 0);
    let mut transaction = store.begin();
    transaction.put("a", 1).expect("a write");
    let outer = transaction.savepoint().expect("a savepoint");
    transaction.put("a", 2).expect("a write");
    let inner = transaction.savepoint().expect("a savepoint");
    transaction.put("b", 1).expect("a write");
    transaction.publish("topic", "data").expect("an event");
    transaction.get("read").expect("a read");
    transaction.release(inner).expect("a savepoint");
    assert_eq!(transaction.get("a"), Ok(Some(2.into())));
    transaction.roll_back(outer).expect("a savepoint");
    assert_eq!(transaction.get("a"), Ok(Some(1.into())));
    assert_eq!(transaction.get("b"), Ok(None));
    put(&store, "read", 1);
    let error = transaction.commit().wait().expect_err("the read counts");
    assert!(matches!(error, CommitError::Conflict { key, .. } if key.as_str() == "read"));
}

#[test]
fn savepoints_end_once() {
    let store = in_memory();
    let mut transaction = store.begin();
    let outer = transaction.savepoint().expect("a savepoint");
    let inner = transaction.savepoint().expect("a savepoint");
    transaction.roll_back(outer).expect("a savepoint");
    assert_eq!(transaction.release(inner), Err(Error::Savepoint));
    let limits = TransactionLimits::default();
    for _ in 0..limits.savepoints {
        drop(transaction.savepoint().expect("a savepoint"));
    }
    assert_eq!(transaction.savepoint(), Err(Error::Limit { limit: Limit::Savepoints, maximum: limits.savepoints }));
}

#[test]
fn limits_refuse_one_operation_and_the_transaction_goes_on() {
    let store = in_memory();
    for number in 0..4 {
        put(&store, &format!("k/{number}"), vec![0; 10]);
    }
    let mut limits = TransactionLimits::default();
    (limits.reads, limits.writes, limits.value_bytes, limits.write_bytes, limits.events) = (3, 2, 100, 150, 1);
    let limit = |limit, maximum| Error::Limit { limit, maximum };

    let mut transaction = store.begin_with_limits(limits.clone());
    assert_eq!(transaction.count(&prefix("k/")), Err(limit(Limit::Reads, 3)));
    let mut transaction = store.begin_with_limits(limits.clone());
    for _ in 0..9 {
        transaction.get("k/0").expect("the same key counts once");
    }
    transaction.get("k/1").expect("a read");
    transaction.get("x").expect("a read");
    assert_eq!(transaction.get("k/2"), Err(limit(Limit::Reads, 3)));
    assert_eq!(transaction.put("a", vec![0; 99]), Err(limit(Limit::ValueBytes, 100)));
    transaction.put("a", vec![0; 98]).expect("a write");
    assert_eq!(transaction.put("b", vec![0; 98]), Err(limit(Limit::WriteBytes, 150)));
    transaction.publish("t", vec![0; 9]).expect("an event");
    assert_eq!(transaction.publish("t", vec![]), Err(limit(Limit::Events, 1)));
    transaction.put("b", 1).expect("a write");
    assert_eq!(transaction.add("c", 1), Err(limit(Limit::Writes, 2)));
    transaction.commit().wait().expect("what was within the limits");
    assert_eq!(get(&store, "b"), Some(1.into()));

    limits.read_bytes = 20;
    let mut transaction = store.begin_with_limits(limits);
    assert_eq!(transaction.list(&prefix("k/"), &ListOptions::default()), Err(limit(Limit::ReadBytes, 20)));
}

#[test]
fn malformed_keys_and_topics_are_refused() {
    let store = in_memory();
    let mut transaction = store.begin();
    assert_eq!(transaction.get(""), Err(KeyError::Empty.into()));
    assert_eq!(transaction.put(&"x".repeat(513), 1), Err(KeyError::TooLong(513).into()));
    assert_eq!(transaction.publish("", ""), Err(Error::Topic(0)));
    let options = ListOptions { limit: 1001, ..ListOptions::default() };
    let error = Error::Limit { limit: Limit::ListEntries, maximum: 1000 };
    assert_eq!(transaction.list(&Prefix::all(), &options), Err(error));
    let options = ListOptions { after: Some("x".repeat(513)), ..ListOptions::default() };
    assert_eq!(transaction.list(&Prefix::all(), &options), Err(KeyError::TooLong(513).into()));
}

#[test]
fn additions_are_checked_where_the_base_is_known() {
    let store = in_memory();
    put(&store, "text", "text");
    put(&store, "max", i64::MAX);
    let mut transaction = store.begin();
    transaction.put("own", "text").expect("a write");
    assert!(matches!(transaction.add("own", 1), Err(Error::NotAnInteger(_))));
    transaction.put("own", i64::MAX).expect("a write");
    assert!(matches!(transaction.add("own", 1), Err(Error::Overflow(_))));
    transaction.delete("own").expect("a write");
    transaction.add("own", 1).expect("an absent key counts as 0");
    assert_eq!(transaction.get("own"), Ok(Some(1.into())));
    // An intermediate sum may be beyond the range.
    transaction.add("max", 1).expect("a write");
    transaction.add("max", -2).expect("a write");
    transaction.commit().wait().expect("a commit");
    assert_eq!(get(&store, "max"), Some((i64::MAX - 1).into()));

    for (key, expected) in [("text", "not an integer"), ("max", "beyond")] {
        let mut transaction = store.begin();
        transaction.put("other", 1).expect("a write");
        transaction.add(key, 2).expect("a write");
        let error = transaction.commit().wait().expect_err("a failed addition");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(get(&store, "other"), None, "nothing happened");
    }
}

#[test]
fn reads_need_no_commit() {
    let store = in_memory();
    let mut transaction = store.begin();
    assert!(!transaction.has_read());
    assert_eq!(transaction.get_all(["a", "b"], 0), Ok(vec![None, None]));
    assert!(transaction.has_read() && !transaction.has_writes());
    assert_eq!(transaction.commit().wait().map(store::Revision::get), Ok(0));
}

#[test]
fn copies_of_own_writes_and_long_lists_are_bounded() {
    let store = in_memory();
    let mut transaction = store.begin();
    let value = vec![7; 60_000];
    transaction.put("a/1", value.clone()).expect("written");
    transaction.put("a/2", value).expect("written");
    let too_long = Error::Limit { limit: Limit::ListBytes, maximum: 100_000 };
    let many = || std::iter::repeat_n("a/1", 10_000);
    assert_eq!(transaction.get_all(many(), 100_000), Err(too_long.clone()));
    assert!(matches!(transaction.get_all(many(), usize::MAX), Err(Error::Limit { limit: Limit::ReadBytes, .. })));
    let prefix = Prefix::new("a/").expect("a prefix");
    let options = |max_bytes| ListOptions { max_bytes, ..ListOptions::default() };
    assert_eq!(transaction.list(&prefix, &options(100_000)), Err(too_long));
    assert_eq!(transaction.list(&prefix, &options(200_000)).map(|list| list.len()), Ok(2));
}

#[test]
fn read_values_stay_in_memory() {
    let store = in_memory();
    put(&store, "a", 1);
    let mut old = store.begin();
    assert!(!old.is_in_memory("a"), "nobody has read it");
    assert_eq!(old.get("a"), Ok(Some(1.into())));
    assert_eq!(old.get("absent"), Ok(None));
    let mut other = store.begin();
    assert!(other.is_in_memory("a") && other.is_in_memory("absent") && !other.is_in_memory("b"));
    assert_eq!((other.get("a"), other.get("absent")), (Ok(Some(1.into())), Ok(None)));
    put(&store, "a", 2);
    assert!(!old.is_in_memory("a"), "the value in memory is newer than the snapshot");
    assert_eq!(old.get("a"), Ok(Some(1.into())));
    let mut new = store.begin();
    assert!(new.is_in_memory("a"));
    assert_eq!(new.get("a"), Ok(Some(2.into())));
    new.put("b", 3).expect("a write");
    new.delete("c").expect("a write");
    assert!(new.is_in_memory("b") && new.is_in_memory("c") && new.is_in_memory(""));
    assert_eq!(new.get(""), Err(Error::Key(KeyError::Empty)));
}

#[test]
fn question_about_memory_is_no_read() {
    let store = in_memory();
    put(&store, "a", 1);
    assert_eq!(get(&store, "a"), Some(1.into()));
    let mut transaction = store.begin();
    assert!(transaction.is_in_memory("a"));
    transaction.put("b", 1).expect("a write");
    put(&store, "a", 2);
    transaction.commit().wait().expect("no conflict on a key that was not read");
}
