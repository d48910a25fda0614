//! Tests of the history's file.

use std::{fs, os::unix::fs::PermissionsExt};

use super::*;
use crate::history::{InputOrigin, inputs::tests::entry};

fn texts(entries: &[HistoryEntry]) -> Vec<&str> {
    entries.iter().map(|entry| &*entry.input).collect()
}

fn store(directory: &Path) -> HistoryStore {
    HistoryStore::new(Some(directory.join("history")), 100)
}

impl HistoryStore {
    /// Reads all entries.
    fn entries(&self) -> Result<Vec<HistoryEntry>, String> {
        self.read().map(|(entries, _)| entries)
    }
}

#[test]
fn entries_are_kept_privately_with_circle_key_and_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = store(directory.path());
    assert_eq!(store.entries(), Ok(Vec::new()));
    let origin = InputOrigin { circle: "127.0.0.1:9001".into(), name: "team".into(), key: Some("alice".into()) };
    let kept = HistoryEntry { time: 7, origin, input: "a\nb \\ \"c\" 日".into() };
    store.append(&kept).expect("written");
    store.append(&entry(8, "x", " private")).expect("left out");
    store.append(&entry(9, "x", &"0f".repeat(32))).expect("left out");
    assert_eq!(store.entries(), Ok(vec![kept]));
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let history = directory.path().join("history");
    assert_eq!((mode(&history), mode(&history.join(FILE)), mode(&history.join(LOCK_FILE))), (0o700, 0o600, 0o600));
}

#[test]
fn consoles_at_the_same_time_lose_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    std::thread::scope(|scope| {
        for console in 0..4 {
            let store = HistoryStore::new(Some(directory.path().to_owned()), 1000);
            scope.spawn(move || {
                for number in 0..50 {
                    store.append(&entry(0, "a", &format!("{console}:{number}"))).expect("written");
                    store.entries().expect("read");
                }
            });
        }
    });
    let entries = HistoryStore::new(Some(directory.path().to_owned()), 1000).entries().expect("read");
    assert_eq!(entries.len(), 200);
    for console in 0..4 {
        let of_console: Vec<&str> =
            texts(&entries).into_iter().filter(|input| input.starts_with(&format!("{console}:"))).collect();
        let expected: Vec<String> = (0..50).map(|number| format!("{console}:{number}")).collect();
        assert_eq!(of_console, expected);
    }
}

#[test]
fn store_imports_files_of_earlier_versions_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let history = directory.path().join("history");
    fs::create_dir(&history).expect("made");
    let old = |name: &str, text: &str| fs::write(history.join(name), text).expect("written");
    old("127_0_0_1_9001-alice.txt", "#V2\nfn f() {\\n  1 \\\\ 2\\n}\nf()\n");
    old("scratch-anonymous.txt", "#V2\n1 + 1\n");
    old("notes.md", "mine");
    let store = store(directory.path());
    let entries = store.entries().expect("read");
    let mut found = texts(&entries);
    found.sort_unstable();
    assert_eq!(found, ["1 + 1", "f()", "fn f() {\n  1 \\ 2\n}"]);
    let alice = entries.iter().find(|entry| &*entry.input == "f()").expect("it is there");
    assert_eq!((alice.origin.circle.as_str(), alice.origin.key.as_deref()), ("127_0_0_1_9001", Some("alice")));
    assert!(!history.join("scratch-anonymous.txt").exists() && history.join("notes.md").exists());
    // An earlier version that still runs writes its file anew.
    old("scratch-anonymous.txt", "#V2\n1 + 1\n2 + 2\n");
    let entries = store.entries().expect("read");
    assert_eq!((entries.len(), texts(&entries).iter().filter(|input| **input == "1 + 1").count()), (4, 1));
}

#[test]
fn damaged_lines_and_half_lines_are_skipped() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = store(directory.path());
    store.append(&entry(1, "a", "first")).expect("written");
    let file = directory.path().join("history").join(FILE);
    let mut text = fs::read(&file).expect("it is there");
    text.extend(b"\xff\n{}\n{\"time\":2,\"circle\":\"a\",\"input\":\"hal");
    fs::write(&file, text).expect("written");
    store.append(&entry(3, "a", "next")).expect("written");
    assert_eq!(texts(&store.entries().expect("read")), ["first", "next"]);
}

#[test]
fn file_is_cut_to_the_newest_entries() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = store(directory.path());
    for number in 0..130 {
        store.append(&entry(number, "a", &number.to_string())).expect("written");
    }
    let entries = store.entries().expect("read");
    assert_eq!((entries.len(), &*entries[0].input, &*entries[99].input), (100, "30", "129"));
    let lines = fs::read_to_string(directory.path().join("history").join(FILE)).expect("text").lines().count();
    assert_eq!(lines, 100);
    // Beyond its size, appending cuts the file, too.
    let large = "x".repeat(1 << 20);
    for number in 0..40 {
        store.append(&entry(number, "a", &format!("{number}{large}"))).expect("written");
    }
    let size = fs::metadata(directory.path().join("history").join(FILE)).expect("it is there").len();
    assert!(size <= MAX_FILE_BYTES + (2 << 20), "{size}");
}

#[test]
fn history_that_cannot_be_kept_is_an_error_with_its_place() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("history"), "a file").expect("written");
    let error = store(directory.path()).append(&entry(0, "a", "1")).expect_err("it is a file");
    assert!(error.starts_with("cannot write the history file "), "{error}");
    let none = HistoryStore::new(Some(directory.path().to_owned()), 0);
    none.append(&entry(0, "a", "1")).expect("nothing to do");
    assert!(!directory.path().join(FILE).exists());
}

/// Returns what a reader reads: the inputs, and whether they are all of the file.
fn read(reader: &mut HistoryReader) -> (Vec<String>, bool) {
    let HistoryUpdate { entries, is_whole } = reader.read().expect("read");
    (texts(&entries).into_iter().map(str::to_owned).collect(), is_whole)
}

#[test]
fn reader_reads_what_was_appended_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let (one, other) = (store(directory.path()), store(directory.path()));
    let mut reader = one.reader();
    assert_eq!(read(&mut reader), (vec![], false));
    other.append(&entry(1, "a", "first")).expect("written");
    assert_eq!(read(&mut reader), (vec!["first".into()], true));
    assert_eq!(read(&mut reader), (vec![], false));
    let long = "x".repeat(200);
    other.append(&entry(2, "a", &long)).expect("written");
    one.append(&entry(3, "a", "own")).expect("written");
    assert_eq!(read(&mut reader), (vec![long, "own".into()], false));
    assert_eq!(read(&mut reader), (vec![], false));
}

#[test]
fn reader_waits_for_the_end_of_a_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = store(directory.path());
    store.append(&entry(1, "a", "first")).expect("written");
    let mut reader = store.reader();
    read(&mut reader);
    let mut file = OpenOptions::new().append(true).open(directory.path().join("history").join(FILE)).expect("opened");
    file.write_all(b"{\"time\":2,\"circle\":\"a\",").expect("written");
    assert_eq!(read(&mut reader), (vec![], false));
    file.write_all(b"\"input\":\"second\"}\n").expect("written");
    assert_eq!(read(&mut reader), (vec!["second".into()], false));
}

#[test]
fn reader_reads_a_file_that_was_replaced_from_its_begin() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = store(directory.path());
    for number in 0..3 {
        store.append(&entry(number, "a", &number.to_string())).expect("written");
    }
    let mut reader = store.reader();
    read(&mut reader);
    let history = directory.path().join("history");
    let new: Vec<_> = (1..5).map(|number| entry(number, "a", &number.to_string())).collect();
    replace(&history, &new).expect("replaced");
    assert_eq!(read(&mut reader), (["1", "2", "3", "4"].map(str::to_owned).to_vec(), true));
    assert_eq!(read(&mut reader), (vec![], false));
    // With the same inode, too: in place, with more bytes than before.
    let long = entry(9, "a", &"long ".repeat(100));
    let line = serde_json::to_string(&long).expect("it is JSON") + "\n";
    fs::write(history.join(FILE), &line).expect("written");
    assert_eq!(read(&mut reader), (vec![long.input.to_string()], true));
    fs::write(history.join(FILE), "").expect("written");
    assert_eq!(read(&mut reader), (vec![], true));
    fs::remove_file(history.join(FILE)).expect("removed");
    assert_eq!(read(&mut reader), (vec![], false));
    store.append(&entry(10, "a", "again")).expect("written");
    assert_eq!(read(&mut reader), (vec!["again".into()], true));
}

#[test]
fn reader_goes_on_behind_a_file_that_it_has_cut_itself() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = store(directory.path());
    for number in 0..130 {
        store.append(&entry(number, "a", &number.to_string())).expect("written");
    }
    let mut reader = store.reader();
    assert_eq!(read(&mut reader).0.len(), 100);
    store.append(&entry(200, "a", "new")).expect("written");
    assert_eq!(read(&mut reader), (vec!["new".into()], false));
}
