use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use store::{Changes, ChangesLimit, Cursor, Filter, Key, Prefix, Store, StoreLimits, Value};

use crate::{
    disk::Disk,
    support::{Random, in_memory, options, put, seed, with_limits},
};

fn prefix(text: &str) -> Filter {
    Filter::Prefix(Prefix::new(text).expect("a prefix"))
}

fn topic(name: &str) -> Filter {
    Filter::Topic(name.to_owned())
}

/// The changed keys with their values, and the next cursor.
fn entries(store: &Store, since: &Cursor, filter: &Filter) -> (Vec<(String, Option<Value>)>, Cursor) {
    match store.changes_since(since, filter, ChangesLimit::default()).expect("the changes") {
        Changes::Entries { entries, cursor } => {
            (entries.into_iter().map(|entry| (entry.key.to_string(), entry.value)).collect(), cursor)
        }
        changes => panic!("{changes:?}"),
    }
}

fn is_gap(store: &Store, since: &Cursor, filter: &Filter) -> bool {
    let changes = store.changes_since(since, filter, ChangesLimit::default()).expect("the changes");
    matches!(changes, Changes::Gap { cursor } if cursor == store.cursor())
}

fn publish(store: &Store, name: &str, data: &[&str]) {
    let mut transaction = store.begin();
    for data in data {
        transaction.publish(name, *data).expect("an event");
    }
    transaction.commit().wait().expect("a commit");
}

#[test]
fn changed_keys_have_their_newest_value_once() {
    let store = in_memory();
    put(&store, "a/0", 0);
    let start = store.cursor();
    assert_eq!(entries(&store, &start, &prefix("a/")), (vec![], start));
    for number in 1..4 {
        put(&store, "a/1", number);
    }
    put(&store, "b/1", 1);
    let mut transaction = store.begin();
    transaction.delete("a/0").expect("a write");
    transaction.commit().wait().expect("a commit");
    let (changed, cursor) = entries(&store, &start, &prefix("a/"));
    assert_eq!(changed, [("a/0".to_owned(), None), ("a/1".to_owned(), Some(3.into()))]);
    assert_eq!(cursor, store.cursor());
    let key = Filter::Key(Key::new("b/1").expect("a key"));
    assert_eq!(entries(&store, &start, &key).0, [("b/1".to_owned(), Some(1.into()))]);
    assert_eq!(entries(&store, &cursor, &prefix("a/")).0, []);
}

#[test]
fn events_come_in_order_and_commits_are_not_divided() {
    let store = in_memory();
    let mut cursor = store.cursor();
    publish(&store, "t", &["1", "2"]);
    publish(&store, "other", &["x"]);
    publish(&store, "t", &["3", "4", "5"]);
    publish(&store, "t", &["6"]);
    let limit = ChangesLimit { entries: 2, bytes: 1000 };
    let mut parts = Vec::new();
    loop {
        match store.changes_since(&cursor, &topic("t"), limit).expect("the changes") {
            Changes::Events { events, cursor: next, has_more } => {
                parts.push(
                    events.iter().map(|event| String::from_utf8_lossy(&event.data).into_owned()).collect::<String>(),
                );
                cursor = next;
                if !has_more {
                    break;
                }
            }
            changes => panic!("{changes:?}"),
        }
    }
    assert_eq!(parts, ["12", "345", "6"]);
    assert_eq!(cursor, store.cursor());
}

#[test]
fn foreign_old_and_future_cursors_are_gaps() {
    let limits = |limits: &mut StoreLimits| limits.log_bytes = 2_000;
    let store = with_limits(limits).open_in_memory().expect("a store");
    let old = store.cursor();
    put(&store, "a/1", 0);
    assert!(!is_gap(&store, &old, &prefix("a/")));
    for number in 0..100 {
        put(&store, "a/1", number);
    }
    for filter in [prefix("a/"), topic("t")] {
        assert!(is_gap(&store, &old, &filter), "the log does not reach back");
        let other = in_memory();
        assert!(is_gap(&other, &store.cursor(), &filter), "a cursor of another store");
        assert!(is_gap(&store, &other.cursor(), &filter), "a cursor of another store");
        assert!(!is_gap(&store, &store.cursor(), &filter));
    }
    assert!(store.size() < 3_000, "the log is bounded: {}", store.size());
}

#[test]
fn log_records_expire() {
    let now = Arc::new(AtomicU64::new(1 << 40));
    let clock = Arc::clone(&now);
    let store = options().clock(move || clock.load(Ordering::Relaxed)).open_in_memory().expect("a store");
    let old = store.cursor();
    put(&store, "a/1", 0);
    now.fetch_add(25 * 3600 * 1000, Ordering::Relaxed);
    assert!(!is_gap(&store, &old, &prefix("a/")));
    put(&store, "a/1", 1);
    assert!(is_gap(&store, &old, &prefix("a/")));
}

#[test]
fn cursors_from_before_a_restored_backup_are_gaps() {
    let disk = Disk::with_store();
    let open = |disk: &Disk| options().open_backend(Box::new(disk.clone())).expect("a store");
    let store = open(&disk);
    put(&store, "a/1", 1);
    let before_backup = store.cursor();
    store.close().expect("a closed store");
    let backup = disk.image();
    let store = open(&disk);
    put(&store, "a/1", 2);
    let replaced = store.cursor();
    put(&store, "a/1", 3);
    store.close().expect("a closed store");

    let store = open(&Disk::new(backup));
    assert!(is_gap(&store, &replaced, &prefix("a/")), "a cursor of the future");
    for number in 7..10 {
        put(&store, "a/1", number);
        assert!(is_gap(&store, &replaced, &prefix("a/")), "a cursor of another history");
    }
    assert_eq!(entries(&store, &before_backup, &prefix("a/")).0, [("a/1".to_owned(), Some(9.into()))]);
}

#[test]
fn too_many_changes_are_a_gap_and_entries_are_read_in_parts() {
    let store = in_memory();
    let start = store.cursor();
    for number in 0..10 {
        put(&store, &format!("a/{number}"), number);
    }
    put(&store, "b/1", 1);
    let limit = ChangesLimit { entries: 9, bytes: 1000 };
    let changes = store.changes_since(&start, &prefix("a/"), limit).expect("the changes");
    assert!(matches!(changes, Changes::Gap { .. }));
    let bytes = ChangesLimit { entries: 100, bytes: 50 };
    let changes = store.changes_since(&start, &prefix("a/"), bytes).expect("the changes");
    assert!(matches!(changes, Changes::Gap { .. }));

    let mut reader = store.read_entries(&prefix("a/"));
    put(&store, "a/late", 1);
    let mut sizes = Vec::new();
    while !reader.is_finished() {
        sizes.push(reader.read(ChangesLimit { entries: 4, bytes: 1000 }).expect("entries").len());
    }
    assert_eq!(sizes, [4, 4, 2]);
    assert_eq!(entries(&store, &reader.cursor(), &prefix("a/")).0, [("a/late".to_owned(), Some(1.into()))]);
    let single = Filter::Key(Key::new("a/3").expect("a key"));
    let entries = store.read_entries(&single).read(ChangesLimit { entries: 4, bytes: 1 }).expect("entries");
    assert_eq!(entries.len(), 1, "at least one entry, whatever its size");
}

#[test]
fn listeners_hear_of_a_commit_before_its_caller() {
    let store = in_memory();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notices = Arc::clone(&heard);
    let listener = store.on_commit(move |notice| notices.lock().expect("the notices").push(notice.clone()));
    let mut transaction = store.begin();
    transaction.put("a", 1).expect("a write");
    transaction.publish("t", "data").expect("an event");
    let revision = transaction.commit().wait().expect("a commit");
    let notice = heard.lock().expect("the notices").pop().expect("a notice before the answer");
    assert_eq!(notice.revision, revision);
    assert!(notice.keys.contains("a") && notice.topics.contains("t"));
    drop(listener);
    put(&store, "a", 2);
    assert!(heard.lock().expect("the notices").is_empty());
}

fn read_in_parts(store: &Store, filter: &Filter) -> (BTreeMap<Key, Option<Value>>, Cursor) {
    let mut reader = store.read_entries(filter);
    let mut map = BTreeMap::new();
    while !reader.is_finished() {
        let entries = reader.read(ChangesLimit { entries: 5, bytes: 1000 }).expect("entries");
        map.extend(entries.into_iter().map(|entry| (entry.key, Some(entry.value))));
    }
    (map, reader.cursor())
}

/// A reader that follows a prefix, sometimes falls behind, and starts over after a gap, has what the store has.
#[test]
fn followed_map_equals_the_store() {
    let mut gaps = 0;
    for seed in seed()..seed() + 20 {
        let mut random = Random::new(seed);
        let store = with_limits(|limits| limits.log_bytes = 4_000).open_in_memory().expect("a store");
        let filter = prefix("a/");
        let (mut cursor, mut map) = (store.cursor(), BTreeMap::new());
        for number in 0..400 {
            let mut transaction = store.begin();
            // Both keys of a pair change together.
            let pair = random.below(9);
            let (x, y) = (format!("a/{pair}x"), format!("a/{pair}y"));
            let is_deleted = random.one_in(4);
            for key in [x, y] {
                if is_deleted {
                    transaction.delete(&key).expect("a write");
                } else {
                    transaction.put(&key, number).expect("a write");
                }
            }
            transaction.commit().wait().expect("a commit");
            if random.one_in(if number < 200 { 4 } else { 60 }) {
                let changes = store.changes_since(&cursor, &filter, ChangesLimit::default()).expect("the changes");
                if let Changes::Entries { entries, cursor: next } = changes {
                    map.extend(entries.into_iter().map(|entry| (entry.key, entry.value)));
                    cursor = next;
                } else {
                    gaps += 1;
                    (map, cursor) = read_in_parts(&store, &filter);
                }
                for pair in 0..9 {
                    let value = |side: &str| map.get(format!("a/{pair}{side}").as_str()).cloned().flatten();
                    assert_eq!(value("x"), value("y"), "half a transaction");
                }
                let mut transaction = store.begin();
                for (key, value) in &map {
                    assert_eq!(transaction.get(key.as_str()).as_ref(), Ok(value));
                }
            }
        }
    }
    assert!(gaps > 0, "the reader fell behind");
}
