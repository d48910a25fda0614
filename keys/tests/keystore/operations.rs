//! Export, import, change of passphrase, rename and removal of keys.

use std::fs;
use std::path::Path;
use std::thread;

use keys::KeyPair;
use keys::keystore::{Keystore, KeystoreError};

use super::{QUICK, add, edit, files, fresh, mode, name, with_work_factor};

const SOURCE: &str = "the text";

fn default(store: &Keystore) -> Option<String> {
    store.default_key().expect("looked").map(|key| key.to_string())
}

fn import(store: &Keystore, text: &str) -> Result<keys::keystore::KeyEntry, KeystoreError> {
    store.import(&name("bob"), text, Path::new(SOURCE))
}

#[test]
fn exported_key_keeps_secret_and_passphrase() {
    let (_root, store) = fresh();
    let (pair, _) = add(&store, "alice");
    let text = store.export(&name("alice")).expect("exported");
    assert_eq!(text, fs::read_to_string(store.dir().join("alice.json")).expect("read"));

    let (_root, elsewhere) = fresh();
    let entry = import(&elsewhere, &text).expect("imported");
    assert_eq!((entry.public_key, entry.default), (pair.public_key(), true));
    assert_eq!(
        (files(&elsewhere), mode(&elsewhere.dir().join("bob.json"))),
        (vec!["bob.json".into(), "default".into()], 0o600)
    );
    let unlocked = elsewhere.unlock(&name("bob"), "open sesame").expect("unlocked");
    assert_eq!(unlocked.secret_hex(), pair.secret_hex());

    // An import never replaces another key, whatever the case of its name.
    let refused = elsewhere.import(&name("BOB"), &text, Path::new(SOURCE)).expect_err("taken");
    assert!(matches!(refused, KeystoreError::Exists { name: ref taken } if taken.as_str() == "bob"));
}

#[test]
fn unusable_key_is_neither_exported_nor_imported() {
    let (_root, store) = fresh();
    add(&store, "alice");
    let whole = store.export(&name("alice")).expect("exported");
    let without_key = {
        let mut recipient = age::scrypt::Recipient::new(age::secrecy::SecretString::from("open sesame"));
        recipient.set_work_factor(2);
        let sealed = age::encrypt_and_armor(&recipient, b"40 + 2").expect("sealed");
        let mut json: serde_json::Value = serde_json::from_str(&whole).expect("JSON");
        json["secret"] = sealed.into();
        json.to_string()
    };
    let cases = [
        (String::new(), "it is not JSON"),
        ("{}".into(), "a field is missing"),
        (whole.replace("\"version\":1", "\"version\":2"), "was written by a newer version of circles"),
        (whole.replace("\"public_key\":\"0", "\"public_key\":\"9"), "`public_key`: "),
        (whole.replace("\\n-----END AGE ENCRYPTED FILE-----", ""), "not a complete age file"),
        (whole.replace("-----BEGIN AGE", "-----BEGIN PGP"), "not a complete age file"),
        (with_work_factor(&whole, 23), "a scrypt work factor of 23; the maximum is 22"),
        (without_key, "not as long as a secret key"),
    ];
    let (_root, elsewhere) = fresh();
    for (text, expected) in &cases {
        assert_ne!(*text, whole);
        let refused = import(&elsewhere, text).expect_err(expected);
        let message = refused.to_string();
        assert!(message.starts_with(SOURCE) && message.contains(expected), "{message}");
        assert!(!elsewhere.dir().exists(), "{expected}");
        edit(&store, "alice.json", |_| text.clone());
        store.export(&name("alice")).expect_err(expected);
    }
}

#[test]
fn passphrase_change_replaces_old_passphrase() {
    let (_root, store) = fresh();
    let (pair, before) = add(&store, "alice");
    let unlocked = store.unlock(&name("alice"), "open sesame").expect("unlocked");
    let after = store.change_passphrase(&name("alice"), &unlocked, "open barley", QUICK).expect("changed");
    assert_eq!(after, before);
    let again = store.unlock(&name("alice"), "open barley").expect("unlocked");
    assert_eq!(again.secret_hex(), pair.secret_hex());
    let refused = store.unlock(&name("alice"), "open sesame").expect_err("it was changed");
    assert!(matches!(refused, KeystoreError::WrongPassphrase { .. }));
    assert_eq!(
        (files(&store), mode(&store.dir().join("alice.json"))),
        (vec!["alice.json".into(), "default".into()], 0o600)
    );
}

#[test]
fn refused_passphrase_change_keeps_file() {
    let (_root, store) = fresh();
    let (pair, _) = add(&store, "alice");
    let other = KeyPair::generate().expect("random bytes");
    let before = fs::read(store.dir().join("alice.json")).expect("read");
    let change = |key: &str, pair, passphrase| store.change_passphrase(&name(key), pair, passphrase, QUICK);
    assert!(matches!(change("alice", &pair, ""), Err(KeystoreError::EmptyPassphrase)));
    // Another key has this name now, which the change would overwrite.
    assert!(matches!(change("alice", &other, "x"), Err(KeystoreError::Altered { .. })));
    assert!(matches!(change("bob", &pair, "x"), Err(KeystoreError::NoSuchKey { .. })));
    assert_eq!(fs::read(store.dir().join("alice.json")).expect("read"), before);
    assert_eq!(files(&store), ["alice.json", "default"]);
}

#[test]
fn renamed_key_keeps_passphrase_and_default() {
    let (_root, store) = fresh();
    let (alice, _) = add(&store, "alice");
    add(&store, "bob");
    let entry = store.rename(&name("alice"), &name("carol")).expect("renamed");
    assert_eq!((entry.name, entry.public_key, entry.default), (name("carol"), alice.public_key(), true));
    assert_eq!(files(&store), ["bob.json", "carol.json", "default"]);
    assert_eq!(default(&store).as_deref(), Some("carol"));
    store.unlock(&name("carol"), "open sesame").expect("unlocked");
    assert!(!store.rename(&name("bob"), &name("dave")).expect("renamed").default);
    assert_eq!(default(&store).as_deref(), Some("carol"));
    // A rename may change only the case.
    store.rename(&name("carol"), &name("Carol")).expect("renamed");
    assert_eq!(files(&store), ["Carol.json", "dave.json", "default"]);
    assert_eq!(default(&store).as_deref(), Some("Carol"));
}

#[test]
fn rename_does_not_replace_other_key() {
    let (_root, store) = fresh();
    let (alice, _) = add(&store, "alice");
    let (bob, _) = add(&store, "bob");
    for taken in ["bob", "BOB", "alice"] {
        let refused = store.rename(&name("alice"), &name(taken)).expect_err("taken");
        assert!(matches!(refused, KeystoreError::Exists { .. }), "{taken}: {refused}");
    }
    assert!(matches!(store.rename(&name("carol"), &name("dave")), Err(KeystoreError::NoSuchKey { .. })));
    assert_eq!(store.show(&name("alice")).expect("shown").public_key, alice.public_key());
    assert_eq!(store.show(&name("bob")).expect("shown").public_key, bob.public_key());
    assert_eq!(default(&store).as_deref(), Some("alice"));
}

#[test]
fn removed_default_key_leaves_no_default() {
    let (_root, store) = fresh();
    for key in ["alice", "bob", "carol"] {
        add(&store, key);
    }
    store.remove(&name("bob")).expect("removed");
    assert_eq!(default(&store).as_deref(), Some("alice"));
    store.remove(&name("alice")).expect("removed");
    assert_eq!((files(&store), default(&store)), (vec!["carol.json".into()], None));
    assert!(matches!(store.remove(&name("alice")), Err(KeystoreError::NoSuchKey { .. })));
    // A new key of the same name is not the key that the user chose as the default.
    assert!(!add(&store, "alice").1.default);
}

#[test]
fn damaged_key_can_be_removed() {
    let (_root, store) = fresh();
    add(&store, "alice");
    edit(&store, "alice.json", |_| "{".into());
    edit(&store, "default", |_| "../alice\n".into());
    store.remove(&name("alice")).expect("removed");
    assert_eq!(files(&store), ["default"]);
}

#[test]
fn changing_a_missing_keystore_creates_nothing() {
    let (root, store) = fresh();
    let pair = KeyPair::generate().expect("random bytes");
    let missing = [
        store.export(&name("a")).map(drop),
        store.change_passphrase(&name("a"), &pair, "x", QUICK).map(drop),
        store.rename(&name("a"), &name("b")).map(drop),
        store.remove(&name("a")),
    ];
    assert!(missing.iter().all(|done| matches!(done, Err(KeystoreError::NoSuchKey { .. }))), "{missing:?}");
    assert_eq!(fs::read_dir(root.path()).expect("listed").count(), 0);
}

/// A lock file that cannot be opened stands for every obstacle to writing, and is one for root, too.
#[test]
fn failed_change_keeps_keystore() {
    let (_root, store) = fresh();
    add(&store, "alice");
    let before = fs::read(store.dir().join("alice.json")).expect("read");
    let unlocked = store.unlock(&name("alice"), "open sesame").expect("unlocked");
    fs::remove_file(store.dir().join(".lock")).expect("removed");
    fs::create_dir(store.dir().join(".lock")).expect("made");
    let refused = [
        store.change_passphrase(&name("alice"), &unlocked, "x", QUICK).map(drop),
        store.rename(&name("alice"), &name("bob")).map(drop),
        store.remove(&name("alice")),
        store.create(&name("carol"), &unlocked, "x", QUICK).map(drop),
        store.set_default(&name("alice")),
    ];
    assert!(refused.iter().all(|done| matches!(done, Err(KeystoreError::Io { .. }))), "{refused:?}");
    assert_eq!(fs::read(store.dir().join("alice.json")).expect("read"), before);
    assert_eq!(
        (files(&store), default(&store).as_deref()),
        (vec!["alice.json".into(), "default".into()], Some("alice"))
    );
}

#[test]
fn unremovable_key_stays_default() {
    let (_root, store) = fresh();
    add(&store, "alice");
    let path = store.dir().join("alice.json");
    // A directory cannot be removed as a file, not even by root.
    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("made");
    assert!(matches!(store.remove(&name("alice")), Err(KeystoreError::Io { .. })));
    assert_eq!(
        (files(&store), default(&store).as_deref()),
        (vec!["alice.json".into(), "default".into()], Some("alice"))
    );
}

/// Simulates a crash between the two steps of a rename.
#[test]
fn key_with_name_of_dangling_default_is_not_default() {
    let crashed = || {
        let (root, store) = fresh();
        add(&store, "alice");
        fs::rename(store.dir().join("alice.json"), store.dir().join("carol.json")).expect("renamed");
        assert_eq!(default(&store), None);
        (root, store)
    };
    let (_root, store) = crashed();
    assert!(!add(&store, "alice").1.default);
    assert_eq!((default(&store), files(&store)), (None, vec!["alice.json".into(), "carol.json".into()]));
    let (_root, store) = crashed();
    let text = store.export(&name("carol")).expect("exported");
    assert!(!store.import(&name("alice"), &text, Path::new(SOURCE)).expect("imported").default);
    assert_eq!(default(&store), None);
    let (_root, store) = crashed();
    assert!(!store.rename(&name("carol"), &name("alice")).expect("renamed").default);
    assert_eq!(default(&store), None);
}

/// Each of two concurrent changes succeeds or fails as a whole.
#[test]
fn concurrent_changes_do_not_overwrite_each_other() {
    for _ in 0..20 {
        let (_root, store) = fresh();
        let (alice, _) = add(&store, "alice");
        let (bob, _) = add(&store, "bob");
        let key = store.unlock(&name("alice"), "open sesame").expect("unlocked");
        let renamed = thread::scope(|scope| {
            let renaming = ["alice", "bob"].map(|old| scope.spawn(|| store.rename(&name(old), &name("carol")).is_ok()));
            let changing = scope.spawn(|| store.change_passphrase(&name("alice"), &key, "x", QUICK).is_ok());
            let _fails_after_rename = changing.join().expect("no panic");
            renaming.map(|one| one.join().expect("no panic"))
        });
        assert_eq!(renamed.iter().filter(|done| **done).count(), 1);
        let listing = store.list().expect("listed");
        assert!(listing.damaged.is_empty());
        let mut found: Vec<_> = listing.entries.iter().map(|entry| entry.public_key.to_hex()).collect();
        let mut expected = [alice, bob].map(|pair| pair.public_key().to_hex());
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }
}
