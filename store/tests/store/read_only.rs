//! Stores that are open for reading only, exports and counters.

use std::{collections::BTreeMap, fs};

use store::{ChangesLimit, CommitError, ExportedEntry, OpenError, Store, StoreOptions, Value};

use crate::support::{get, in_memory, options, put};

fn export(store: &Store, entries: usize) -> Vec<ExportedEntry> {
    let mut reader = store.export();
    let mut all = Vec::new();
    while !reader.is_finished() {
        let part = reader.read(ChangesLimit { entries, bytes: usize::MAX }).expect("a part");
        assert!(part.len() <= entries.max(1));
        all.extend(part);
    }
    all
}

#[test]
fn read_only_store_writes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.store");
    let store = options().open(&path).expect("a store");
    for number in 0..100 {
        put(&store, &format!("k/{number:02}"), number);
    }
    // The copy is that of a crash: the store is open, and the file needs a recovery.
    let crashed = directory.path().join("crashed.store");
    fs::copy(&path, &crashed).expect("a copy");
    let expected = export(&store, 7);
    assert!(matches!(options().open_read_only(&path), Err(OpenError::Locked { .. })), "a writer has the file");
    drop(store);
    for path in [path, crashed] {
        let before = fs::read(&path).expect("a file");
        let mut permissions = path.metadata().expect("a file").permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).expect("permissions");
        let store = options().open_read_only(&path).expect("a store");
        let other = options().open_read_only(&path).expect("another reader");
        assert!(
            matches!(options().open(&path), Err(OpenError::Locked { .. } | OpenError::ReadOnly(_))),
            "readers have the file"
        );
        assert_eq!(get(&store, "k/42"), Some(42.into()));
        assert_eq!(export(&store, 1000), expected);
        let mut transaction = store.begin();
        transaction.put("a", 1).expect("a write");
        assert_eq!(transaction.commit().wait(), Err(CommitError::ReadOnly));
        store.close().expect("a closed store");
        drop(other);
        assert!(fs::read(&path).expect("a file") == before, "the file stays as it is");
    }
}

#[test]
fn read_only_opening_verifies_and_creates_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.store");
    assert!(matches!(options().open_read_only(&path), Err(OpenError::Io(_))));
    assert!(!path.exists());
    fs::write(&path, []).expect("a file");
    assert!(matches!(options().open_read_only(&path), Err(OpenError::EmptyFile)));
    assert_eq!(path.metadata().expect("a file").len(), 0);
    fs::remove_file(&path).expect("a file");
    let store = options().open(&path).expect("a store");
    for number in 0..100 {
        put(&store, &format!("k/{number:02}"), vec![0x5a; 500]);
    }
    drop(store);
    assert!(matches!(StoreOptions::new("other").open_read_only(&path), Err(OpenError::OtherOwner { .. })));
    let mut bytes = fs::read(&path).expect("a file");
    let value = bytes.windows(400).rposition(|window| window.iter().all(|byte| *byte == 0x5a)).expect("a value");
    bytes[value] ^= 1;
    fs::write(&path, &bytes).expect("a file");
    let opened = options().open_read_only(&path);
    // The last place may be of a page that no commit needs any more.
    if let Ok(store) = &opened {
        assert!((0..100).all(|number| get(store, &format!("k/{number:02}")) == Some(vec![0x5a; 500].into())));
    }
    for byte in &mut bytes {
        if *byte == 0x5a {
            *byte = 0x5b;
        }
    }
    drop(opened);
    fs::write(&path, &bytes).expect("a file");
    assert!(matches!(options().open_read_only(&path), Err(OpenError::Corrupt(_))));
}

#[test]
fn export_has_every_table_as_of_one_revision() {
    let store = in_memory();
    put(&store, "a", 1);
    put(&store, "b", "text");
    let mut reader = store.export();
    assert_eq!(reader.revision().get(), 2);
    put(&store, "a", 2);
    let mut data = BTreeMap::new();
    let mut tables = BTreeMap::<_, usize>::new();
    while !reader.is_finished() {
        for entry in reader.read(ChangesLimit { entries: 1, bytes: 0 }).expect("an entry") {
            *tables.entry(entry.table).or_default() += 1;
            if entry.table == "data" {
                data.insert(entry.key, Value::decode(&entry.value).expect("a value"));
            }
        }
    }
    assert_eq!(data, BTreeMap::from([(b"a".to_vec(), 1.into()), (b"b".to_vec(), "text".into())]));
    assert_eq!(tables, BTreeMap::from([("data", 2), ("log", 2), ("meta", 4)]));
    assert_eq!(reader.read(ChangesLimit::default()), Ok(vec![]));
}

#[test]
fn stats_count_bytes_and_snapshots() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.store");
    let store = options().open(&path).expect("a store");
    put(&store, "a", vec![0; 1000]);
    let mut reader = store.begin();
    reader.get("a").expect("a read");
    put(&store, "b", vec![0; 1000]);
    let stats = store.stats();
    assert_eq!((stats.revision.get(), stats.snapshots, stats.queued_commits), (2, 2, 0));
    assert_eq!(stats.data_bytes + stats.log_bytes + stats.once_bytes, store.size());
    assert!((2000..2200).contains(&stats.data_bytes), "{stats:?}");
    assert_eq!(stats.file_bytes, path.metadata().expect("a file").len());
    drop(reader);
    assert_eq!(store.stats().snapshots, 1);
    store.pause();
    let mut transaction = store.begin();
    transaction.put("c", 1).expect("a write");
    let pending = transaction.commit();
    assert_eq!(store.stats().queued_commits, 1);
    store.resume();
    pending.wait().expect("a commit");
}
