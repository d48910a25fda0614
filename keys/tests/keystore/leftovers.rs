//! The temporary files of interrupted writes.

use std::fs;
use std::path::{Path, PathBuf};

use keys::KeyPair;
use keys::keystore::{Keystore, KeystoreError};

use super::{QUICK, add, files, fresh, name};

type ChangeFn<'a> = &'a dyn Fn() -> Result<(), KeystoreError>;

/// Creates the files that a process leaves if it is killed during a write: a complete encrypted key, and a part of one.
fn create_leftovers(store: &Keystore) -> Vec<PathBuf> {
    let leftovers = [".new-AbCdEf", ".new-x1Y2z3"].map(|file| store.dir().join(file));
    fs::copy(store.dir().join("alice.json"), &leftovers[0]).expect("copied");
    fs::write(&leftovers[1], "{").expect("written");
    leftovers.into()
}

fn assert_gone(store: &Keystore, after: &str) {
    assert_eq!(store.leftovers().expect("looked"), Vec::<PathBuf>::new(), "{after}");
    let staged: Vec<_> = files(store).into_iter().filter(|file| file.starts_with('.')).collect();
    assert!(staged.is_empty(), "{after}: {staged:?}");
}

#[test]
fn leftovers_are_listed_and_hide_nothing() {
    let (_root, store) = fresh();
    assert_eq!(store.leftovers().expect("looked"), Vec::<PathBuf>::new());
    assert!(!store.dir().exists());
    add(&store, "alice");
    let leftovers = create_leftovers(&store);
    assert_eq!(store.leftovers().expect("looked"), leftovers);
    let listing = store.list().expect("listed");
    assert_eq!((listing.entries.len(), listing.damaged.len()), (1, 0));
    // Listing removes nothing.
    assert!(leftovers.iter().all(|file| file.exists()));
}

#[test]
fn change_removes_leftovers() {
    let (_root, store) = fresh();
    let (alice, _) = add(&store, "alice");
    add(&store, "bob");
    let text = store.export(&name("bob")).expect("exported");
    let other = KeyPair::generate().expect("random bytes");
    let changes: [(&str, ChangeFn); 6] = [
        ("change_passphrase", &|| store.change_passphrase(&name("alice"), &alice, "x", QUICK).map(drop)),
        ("set_default", &|| store.set_default(&name("bob"))),
        ("create", &|| store.create(&name("carol"), &other, "x", QUICK).map(drop)),
        ("import", &|| store.import(&name("dave"), &text, Path::new("the text")).map(drop)),
        ("rename", &|| store.rename(&name("dave"), &name("eve")).map(drop)),
        ("remove", &|| store.remove(&name("carol"))),
    ];
    for (what, change) in changes {
        create_leftovers(&store);
        change().expect(what);
        assert_gone(&store, what);
    }
    assert_eq!(files(&store), ["alice.json", "bob.json", "default", "eve.json"]);
}

#[test]
fn removed_key_leaves_no_file() {
    let (_root, store) = fresh();
    add(&store, "alice");
    create_leftovers(&store);
    store.remove(&name("alice")).expect("removed");
    assert_eq!(files(&store), Vec::<String>::new());
}

/// The process that holds the lock may be about to rename such a file.
#[test]
fn leftovers_stay_while_another_process_holds_the_lock() {
    let (_root, store) = fresh();
    add(&store, "alice");
    let leftovers = create_leftovers(&store);
    let lock = fs::File::open(store.dir().join(".lock")).expect("it is there");
    lock.try_lock().expect("it is free");
    assert!(matches!(store.set_default(&name("alice")), Err(KeystoreError::Busy { .. })));
    assert_eq!(store.leftovers().expect("looked"), leftovers);
    drop(lock);
    store.set_default(&name("alice")).expect("set");
    assert_gone(&store, "set_default");
}

#[test]
fn leftovers_are_staged_files_only() {
    let (_root, store) = fresh();
    add(&store, "alice");
    fs::create_dir(store.dir().join(".new-folder")).expect("made");
    for file in [".newer", "new-AbCdEf", "notes.txt"] {
        fs::write(store.dir().join(file), "").expect("written");
    }
    store.set_default(&name("alice")).expect("set");
    assert_eq!(files(&store), [".new-folder", ".newer", "alice.json", "default", "new-AbCdEf", "notes.txt"]);
}
