use std::collections::BTreeMap;

use store::{ChangedEntry, Changes, ChangesLimit, Cursor, EntryPart, Filter, Key, Prefix, Store, Value};

use crate::support::{Random, in_memory, put, seed};

const LIMIT: ChangesLimit = ChangesLimit { entries: 3, bytes: 1 << 20 };
const CHANGES: ChangesLimit = ChangesLimit { entries: 100, bytes: 1 << 20 };

fn keys() -> Filter {
    Filter::Prefix(Prefix::new("a/").expect("a prefix"))
}

fn next_part(store: &Store, previous: Option<&EntryPart>) -> Option<EntryPart> {
    let position = previous.map(|part| (&part.cursor, part.last.as_ref().expect("a key")));
    store.view().entry_part(&keys(), position, LIMIT).expect("a part")
}

fn apply(known: &mut BTreeMap<Key, Value>, entries: &[ChangedEntry]) {
    for entry in entries {
        match &entry.value {
            Some(value) => known.insert(entry.key.clone(), value.clone()),
            None => known.remove(&entry.key),
        };
    }
}

fn stored(store: &Store) -> BTreeMap<Key, Value> {
    let entries = store.read_entries(&keys()).read(ChangesLimit::default()).expect("entries");
    entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
}

#[test]
fn view_is_of_one_revision() {
    let store = in_memory();
    put(&store, "a/1", 1);
    let (view, cursor) = (store.view(), store.cursor());
    put(&store, "a/1", 2);
    assert_eq!(view.cursor(), cursor);
    let part = view.entry_part(&keys(), None, LIMIT).expect("a part").expect("no gap");
    assert_eq!((part.cursor, part.is_finished), (cursor, true));
    assert_eq!(part.entries[0].value, Some(Value::Integer(1)));
    // A cursor of a later revision is unknown to the view.
    let changes = view.changes_since(&store.cursor(), &keys(), CHANGES).expect("changes");
    assert_eq!(changes, Changes::Gap { cursor });
}

#[test]
fn parts_and_pages_of_changes_are_all_entries_of_one_revision() {
    for round in 0..50 {
        let (store, mut random) = (in_memory(), Random::new(seed() + round));
        let change = |store: &Store, random: &mut Random| {
            let key = format!("a/{}", random.next() % 20);
            if random.next().is_multiple_of(3) {
                let mut transaction = store.begin();
                transaction.delete(&key).expect("a write");
                transaction.commit().wait().expect("a commit");
            } else {
                put(store, &key, i64::try_from(random.next() >> 1).expect("63 bits"));
            }
            put(store, "b/other", 1);
        };
        for _ in 0..20 {
            change(&store, &mut random);
        }
        let mut known = BTreeMap::new();
        let mut part = next_part(&store, None).expect("no gap");
        apply(&mut known, &part.entries);
        while !part.is_finished {
            for _ in 0..random.next() % 3 {
                change(&store, &mut random);
            }
            part = next_part(&store, Some(&part)).expect("no gap");
            apply(&mut known, &part.entries);
        }
        let (view, expected, mut after) = (store.view(), stored(&store), None);
        loop {
            let page = view.changed_page(&part.cursor, &keys(), after.as_ref(), LIMIT).expect("a page");
            let page = page.expect("no gap");
            apply(&mut known, &page.entries);
            // No page has what follows.
            change(&store, &mut random);
            after = page.next;
            if after.is_none() {
                assert_eq!(page.cursor, view.cursor());
                break;
            }
        }
        assert_eq!(known, expected);
    }
}

#[test]
fn pages_have_each_changed_key_once() {
    let store = in_memory();
    let start = store.cursor();
    for number in (0..10).chain(5..8) {
        put(&store, &format!("a/{number}"), number);
    }
    let (view, mut after, mut sizes, mut found) = (store.view(), None, Vec::new(), Vec::new());
    loop {
        let page = view.changed_page(&start, &keys(), after.as_ref(), LIMIT).expect("a page").expect("no gap");
        sizes.push(page.entries.len());
        found.extend(page.entries.into_iter().map(|entry| entry.key.as_str().to_owned()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [3, 3, 3, 1]);
    assert_eq!(found, (0..10).map(|number| format!("a/{number}")).collect::<Vec<_>>());
    let tiny = ChangesLimit { entries: 100, bytes: 1 };
    let page = view.changed_page(&start, &keys(), None, tiny).expect("a page").expect("no gap");
    assert_eq!((page.entries.len(), page.next.is_some()), (1, true), "every call makes progress");
}

#[test]
fn parts_of_another_store_begin_again() {
    let store = in_memory();
    for number in 0..10 {
        put(&store, &format!("a/{number}"), number);
    }
    let part = next_part(&store, None).expect("no gap");
    let (view, foreign): (_, Cursor) = (store.view(), in_memory().cursor());
    let position = Some((&foreign, part.last.as_ref().expect("a key")));
    assert_eq!(view.entry_part(&keys(), position, LIMIT).expect("a part"), None);
    assert_eq!(view.changed_page(&foreign, &keys(), None, LIMIT).expect("a page"), None);
}
