//! `circles store`, and stores in circles.json.

mod import;
mod plays;
mod running;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use store::{ChangesLimit, Filter, Prefix, Store, StoreOptions};

use crate::support::Home;

/// A home with the circles `a` and `b`, whose stores are `data/a.redb` and `data/b.redb`.
fn home() -> Home {
    let home = Home::new();
    fs::create_dir(home.path().join("data")).expect("made");
    let circle = |name: &str| json!({ "name": name, "port": 0, "store": format!("data/{name}.redb") });
    let config = json!({ "circles": [{ "name": "none", "port": 0 }, circle("a"), circle("b")] });
    fs::write(home.path().join("circles.json"), config.to_string()).expect("written");
    home
}

fn store_file(home: &Home, circle: &str) -> PathBuf {
    home.path().join(format!("data/{circle}.redb"))
}

fn open(home: &Home, circle: &str) -> Store {
    StoreOptions::new(circle).open(store_file(home, circle)).expect("a store")
}

fn put(store: &Store, key: &str, value: impl Into<store::Value>) {
    let mut transaction = store.begin();
    transaction.put(key, value.into()).expect("a write");
    transaction.commit().wait().expect("a commit");
}

/// A value that is no integer, as a circle stores it.
fn json_value(text: &str) -> store::Value {
    [b"\x01", text.as_bytes()].concat().into()
}

/// All entries of a circle's store.
fn entries(home: &Home, circle: &str) -> Vec<(String, store::Value)> {
    let store = StoreOptions::new(circle).open_read_only(store_file(home, circle)).expect("a store");
    let mut reader = store.read_entries(&Filter::Prefix(Prefix::all()));
    let all = reader.read(ChangesLimit { entries: 100_000, bytes: usize::MAX }).expect("entries");
    all.into_iter().map(|entry| (entry.key.as_str().to_owned(), entry.value)).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

#[test]
fn check_counts_entries_and_changes_nothing() {
    let home = home();
    let none = home.run(&["store", "check", "--circle", "a"]);
    assert_eq!(none.code, Some(2), "{none:?}");
    assert!(none.stderr.contains("the first start of the circle creates the store: circles up a"), "{none:?}");
    assert!(!store_file(&home, "a").exists());
    let store = open(&home, "a");
    put(&store, "a", 1);
    put(&store, "b", json_value("1.5"));
    drop(store);
    let before = fs::read(store_file(&home, "a")).expect("a file");
    let checked = home.run(&["store", "check", "--circle", "a", "--json"]);
    let report: Value = serde_json::from_str(&checked.stdout).expect("JSON");
    assert_eq!((&report["circle"], &report["entries"], &report["revision"]), (&json!("a"), &json!(2), &json!(2)));
    assert_eq!(report["file_bytes"], before.len());
    let text = home.run(&["store", "check", "--circle", "a"]);
    assert!(
        text.code == Some(0) && text.stdout.starts_with("a: 2 entries of ") && text.stdout.contains("is sound"),
        "{text:?}"
    );
    assert!(fs::read(store_file(&home, "a")).expect("a file") == before, "the file stays as it is");
    // Another version may write values that this one cannot read.
    let store = open(&home, "a");
    put(&store, "c\"", vec![9]);
    drop(store);
    for command in ["check", "export"] {
        let ran = home.run(&["store", command, "--circle", "a"]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(
            ran.stderr.contains("cannot read the value of \"c\\\"\"") && ran.stderr.contains("update circles"),
            "{ran:?}"
        );
    }
}

#[test]
fn circle_of_a_store_command_is_named_or_the_only_one() {
    let home = home();
    for (args, expected) in [
        (&["store", "check"][..], "several in circles.json have a store: a, b"),
        (&["store", "check", "--circle", "none"], "circles.json does not set \"store\""),
        (&["store", "check", "--circle", "c"], "there is no circle 'c'"),
        (&["store", "get", "k"], "several in circles.json have a store: a, b"),
        (&["store", "put", "k", "tea", "--circle", "a"], "--text takes the value as a string"),
        (&["store", "put", "k", "-0", "--circle", "a"], "write 0, or -0.0"),
        (&["store", "put", "k", "18446744073709551616", "--circle", "a"], "beyond an integer of 64 bits"),
        (&["store", "put", "k", "null", "--circle", "a"], "circles store delete"),
    ] {
        let ran = home.run(args);
        assert!(ran.code == Some(2) && ran.stderr.contains(expected), "{args:?}: {ran:?}");
    }
    let config = json!({ "circles": [{ "name": "a", "port": 0, "store": ":memory:" }] });
    fs::write(home.path().join("circles.json"), config.to_string()).expect("written");
    let ran = home.run(&["store", "export"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("it is in memory, until the circle ends"), "{ran:?}");
}

#[test]
fn check_of_circles_json_knows_the_files() {
    let home = home();
    let check = || {
        let ran = home.run(&["check", "--json"]);
        let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        let texts = |field: &str| report["circles"][1][field].as_array().expect("a list").clone();
        (ran.code, texts("errors"), texts("warnings"))
    };
    // A file that is not there can be created, and an empty one is none of ours.
    let file = store_file(&home, "a");
    assert_eq!(check(), (Some(0), vec![], vec![]));
    fs::write(&file, "").expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
    let (code, errors, _) = check();
    assert!(
        code == Some(2) && errors[0].as_str().is_some_and(|text| text.contains("the file is empty: remove it")),
        "{errors:?}"
    );
    assert_eq!(file.metadata().expect("a file").len(), 0, "check creates no store");
    let fault = |expected: &str| {
        let before = fs::read(&file).expect("a file");
        let (code, errors, _) = check();
        let error = errors[0].as_str().expect("a text");
        assert!(code == Some(2) && error.starts_with("circles.json:1:") && error.contains(expected), "{error}");
        assert!(fs::read(&file).expect("a file") == before);
    };
    fs::write(&file, "no store").expect("written");
    fault("the file is not a store");
    fs::remove_file(&file).expect("removed");
    drop(StoreOptions::new("other").open(&file).expect("a store"));
    fault("the store belongs to 'other', not to 'a'");
    fs::remove_file(&file).expect("removed");
    // A store that a circle has open is fine, and one that others can read is a risk.
    let store = open(&home, "a");
    assert_eq!(check(), (Some(0), vec![], vec![]));
    drop(store);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("ours");
    let (code, errors, warnings) = check();
    assert_eq!((code, errors.len(), warnings.len()), (Some(0), 0, 1));
    let warning = warnings[0].as_str().expect("a text");
    assert!(warning.contains("is open to others: its mode is 0644; chmod 600 "), "{warning}");
    let doctor = home.run(&["doctor", "--json"]);
    assert!(doctor.stdout.contains("a.redb is open to others") && doctor.stdout.contains("chmod 600"), "{doctor:?}");

    fs::rename(home.path().join("data"), home.path().join("moved")).expect("moved");
    let ran = home.run(&["check"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("cannot create the store in data") && ran.stderr.contains("mkdir -p data"), "{ran:?}");
}
