//! The keystore on disk: what it writes, what it refuses, and how it handles files of other origin.
#![cfg(feature = "keystore")]

#[path = "keystore/leftovers.rs"]
mod leftovers;
#[path = "keystore/operations.rs"]
mod operations;
#[path = "keystore/permissions.rs"]
mod permissions;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use keys::KeyPair;
use keys::keystore::{KeyEntry, KeyName, KeyNameError, Keystore, KeystoreError, MAX_WORK_LOG2, WorkFactor};
use tempfile::TempDir;

const QUICK: WorkFactor = WorkFactor::Log2(2);

/// Returns a keystore that does not exist yet, two directories below a temporary one.
fn fresh() -> (TempDir, Keystore) {
    let root = tempfile::tempdir().expect("a directory");
    let store = Keystore::at(root.path().join("circles/keys"));
    (root, store)
}

fn name(text: &str) -> KeyName {
    text.parse().expect("a key name")
}

fn add(store: &Keystore, text: &str) -> (KeyPair, KeyEntry) {
    let pair = KeyPair::generate().expect("random bytes");
    let entry = store.create(&name(text), &pair, "open sesame", QUICK).expect("created");
    (pair, entry)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

/// The file names in the keystore except the lock, which is never removed.
fn files(store: &Keystore) -> Vec<String> {
    let entries = fs::read_dir(store.dir()).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.retain(|name| name != ".lock");
    names.sort();
    names
}

fn edit(store: &Keystore, file: &str, change: impl FnOnce(String) -> String) {
    let path = store.dir().join(file);
    let text = fs::read_to_string(&path).expect("read");
    fs::write(path, change(text)).expect("written");
}

/// Changes the work factor in the text of a key file.
fn with_work_factor(text: &str, log2: u8) -> String {
    let mut json: serde_json::Value = serde_json::from_str(text).expect("JSON");
    // The armor is base64 of "age-encryption.org/v1\n-> scrypt SALT 2\n", so it has to be encoded again.
    let binary = {
        let mut bytes = Vec::new();
        let armor = json["secret"].as_str().expect("text").as_bytes();
        std::io::copy(&mut age::armor::ArmoredReader::new(armor), &mut bytes).expect("armor");
        bytes
    };
    let at = binary.windows(3).position(|piece| piece == b" 2\n").expect("the work factor");
    let changed = [&binary[..at], format!(" {log2}\n").as_bytes(), &binary[at + 3..]].concat();
    let mut armored = Vec::new();
    let mut writer =
        age::armor::ArmoredWriter::wrap_output(&mut armored, age::armor::Format::AsciiArmor).expect("a writer");
    std::io::Write::write_all(&mut writer, &changed).expect("written");
    writer.finish().expect("finished");
    json["secret"] = String::from_utf8(armored).expect("ASCII").into();
    json.to_string()
}

#[test]
fn key_unlocks_with_its_passphrase() {
    let (_root, store) = fresh();
    let (pair, entry) = add(&store, "alice");
    assert_eq!(entry, KeyEntry { name: name("alice"), public_key: pair.public_key(), default: true });
    assert_eq!(store.show(&name("alice")).expect("shown"), entry);
    let unlocked = store.unlock(&name("alice"), "open sesame").expect("unlocked");
    assert_eq!(unlocked.secret_hex(), pair.secret_hex());
}

#[test]
fn reading_a_missing_keystore_creates_nothing() {
    let (root, store) = fresh();
    let listing = store.list().expect("listed");
    assert!(listing.entries.is_empty() && listing.damaged.is_empty());
    assert!(!store.exists(&name("alice")).expect("looked"));
    assert_eq!(store.default_key().expect("looked"), None);
    assert!(matches!(store.set_default(&name("alice")), Err(KeystoreError::NoSuchKey { .. })));
    assert_eq!(fs::read_dir(root.path()).expect("listed").count(), 0);
}

#[test]
fn files_and_directories_are_private() {
    let (root, store) = fresh();
    add(&store, "alice");
    assert_eq!(files(&store), ["alice.json", "default"]);
    for (path, expected) in [("circles", 0o700), ("circles/keys", 0o700)] {
        assert_eq!(mode(&root.path().join(path)), expected, "{path}");
    }
    for file in ["alice.json", "default", ".lock"] {
        assert_eq!(mode(&store.dir().join(file)), 0o600, "{file}");
    }
}

#[test]
fn open_directory_is_made_private_by_next_write() {
    let (_root, store) = fresh();
    fs::create_dir_all(store.dir()).expect("created");
    fs::set_permissions(store.dir(), fs::Permissions::from_mode(0o755)).expect("opened");
    add(&store, "alice");
    assert_eq!(mode(store.dir()), 0o700);
}

#[test]
fn key_file_has_documented_form_and_no_plaintext_secret() {
    let (_root, store) = fresh();
    let (pair, _) = add(&store, "alice");
    let text = fs::read_to_string(store.dir().join("alice.json")).expect("read");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["version"], 1);
    assert_eq!(json["public_key"], pair.public_key().to_hex());
    let secret = json["secret"].as_str().expect("text");
    assert!(secret.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"), "{secret}");
    assert!(!text.contains(pair.secret_hex().as_str()));
}

#[test]
fn create_refuses_existing_name_ignoring_case() {
    let (_root, store) = fresh();
    let (first, _) = add(&store, "alice");
    let before = fs::read(store.dir().join("alice.json")).expect("read");
    for taken in ["alice", "ALICE", "Alice"] {
        assert!(store.exists(&name(taken)).expect("looked"), "{taken}");
        let other = KeyPair::generate().expect("random bytes");
        let refused = store.create(&name(taken), &other, "x", QUICK).expect_err("taken");
        assert!(matches!(refused, KeystoreError::Exists { name: ref existing } if existing.as_str() == "alice"));
    }
    assert_eq!(fs::read(store.dir().join("alice.json")).expect("read"), before);
    assert_eq!(files(&store), ["alice.json", "default"]);
    assert_eq!(store.show(&name("alice")).expect("shown").public_key, first.public_key());
    // Reading is case-sensitive.
    assert!(matches!(store.show(&name("ALICE")), Err(KeystoreError::NoSuchKey { .. })));
}

#[test]
fn refused_create_writes_nothing() {
    let (root, store) = fresh();
    let pair = KeyPair::generate().expect("random bytes");
    assert!(matches!(store.create(&name("a"), &pair, "", QUICK), Err(KeystoreError::EmptyPassphrase)));
    for log2 in [0, MAX_WORK_LOG2 + 1, 64, 255] {
        let refused = store.create(&name("a"), &pair, "x", WorkFactor::Log2(log2));
        assert!(matches!(refused, Err(KeystoreError::BadWorkFactor { log2: given }) if given == log2));
    }
    assert_eq!(fs::read_dir(root.path()).expect("listed").count(), 0);
}

#[test]
fn unlock_distinguishes_wrong_passphrase_from_damaged_file() {
    let (_root, store) = fresh();
    add(&store, "alice");
    for wrong in ["open sesam", "Open sesame", ""] {
        let refused = store.unlock(&name("alice"), wrong).expect_err("wrong");
        assert!(
            matches!(refused, KeystoreError::WrongPassphrase { name: ref key } if key.as_str() == "alice"),
            "{refused}"
        );
    }
    // The last line of the armor contains the end of the encrypted digits.
    edit(&store, "alice.json", |text| text.replace("\\n-----END", "AAAA\\n-----END"));
    assert!(matches!(store.unlock(&name("alice"), "open sesame"), Err(KeystoreError::Damaged { .. })));
}

#[test]
fn unlock_refuses_exchanged_public_key() {
    let (_root, store) = fresh();
    let (alice, _) = add(&store, "alice");
    let other = KeyPair::generate().expect("random bytes").public_key();
    edit(&store, "alice.json", |text| text.replace(&alice.public_key().to_hex(), &other.to_hex()));
    assert_eq!(store.show(&name("alice")).expect("shown").public_key, other);
    assert!(matches!(store.unlock(&name("alice"), "open sesame"), Err(KeystoreError::Altered { .. })));
}

#[test]
fn unlock_refuses_excessive_work_factor() {
    let (_root, store) = fresh();
    add(&store, "alice");
    edit(&store, "alice.json", |text| with_work_factor(&text, 23));
    let refused = store.unlock(&name("alice"), "open sesame").expect_err("too much");
    assert!(refused.to_string().ends_with("it requires a scrypt work factor of 23; the maximum is 22"), "{refused}");
}

#[test]
fn damaged_file_hides_no_other_key() {
    let (root, store) = fresh();
    add(&store, "zoe");
    add(&store, "alice");
    let put = |file: &str, text: &[u8]| fs::write(store.dir().join(file), text).expect("written");
    put("binary.json", &[0xff, 0xfe]);
    put("empty.json", b"");
    put("huge.json", &vec![b' '; 70_000]);
    put("later.json", br#"{"version":2,"anything":[]}"#);
    put("no key.json", b"{}");
    put("part.json", br#"{"version":1,"public_key":"02"}"#);
    put("point.json", br#"{"version":1,"public_key":"02","secret":""}"#);
    put("zero.json", br#"{"version":0}"#);
    put("notes.txt", b"not a key's file");
    put(".new-1234.json", b"an interrupted write");
    fs::create_dir(store.dir().join("folder.json")).expect("created");
    symlink(root.path().join("nowhere"), store.dir().join("link.json")).expect("linked");
    let pipe = store.dir().join("pipe.json");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).expect("a pipe");

    let listing = store.list().expect("listed");
    let names: Vec<_> = listing.entries.iter().map(|entry| (entry.name.as_str(), entry.default)).collect();
    assert_eq!(names, [("alice", false), ("zoe", true)]);
    let damaged: Vec<_> = listing
        .damaged
        .iter()
        .map(|(path, error)| {
            let message = error.to_string();
            assert!(message.starts_with(&path.display().to_string()), "{message}");
            (path.file_name().and_then(|name| name.to_str()).expect("a name"), message)
        })
        .collect();
    for ((file, message), (expected, part)) in damaged.iter().zip([
        ("binary.json", "it is not UTF-8 text"),
        ("empty.json", "it is not JSON"),
        ("folder.json", "it is not a regular file"),
        ("huge.json", "it is larger than 65536 bytes"),
        ("later.json", "was written by a newer version of circles (format 2)"),
        ("link.json", "a dangling symbolic link"),
        ("no key.json", "a key's name may contain only"),
        ("part.json", "a field is missing"),
        ("pipe.json", "it is not a regular file"),
        ("point.json", "`public_key`: a compressed public key is 66 hex digits, not 2 characters"),
        ("zero.json", "there is no version 0"),
    ]) {
        assert_eq!(*file, expected);
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(damaged.len(), 11);
}

#[test]
fn first_key_is_default_until_another_is_set() {
    let (_root, store) = fresh();
    let default = || store.default_key().expect("looked").map(|key| key.to_string());
    assert!(add(&store, "b").1.default);
    assert!(!add(&store, "a").1.default);
    assert_eq!(default().as_deref(), Some("b"));
    store.set_default(&name("a")).expect("set");
    assert_eq!(default().as_deref(), Some("a"));
    assert!(store.show(&name("a")).expect("shown").default);
    assert!(!store.show(&name("b")).expect("shown").default);
    assert_eq!(files(&store), ["a.json", "b.json", "default"]);

    let refused = store.set_default(&name("c")).expect_err("no such key");
    assert!(matches!(refused, KeystoreError::NoSuchKey { ref known, .. } if *known == ["a", "b"]));
    assert_eq!(refused.to_string(), "there is no key `c`; there is a, b");
    fs::remove_file(store.dir().join("a.json")).expect("removed");
    assert_eq!(default(), None);
}

#[test]
fn damaged_default_hides_no_key() {
    let (_root, store) = fresh();
    add(&store, "alice");
    edit(&store, "default", |_| "../alice\n".to_owned());
    assert!(matches!(store.default_key(), Err(KeystoreError::Damaged { .. })));
    let listing = store.list().expect("listed");
    assert_eq!((listing.entries.len(), listing.damaged.len()), (1, 1));
    store.set_default(&name("alice")).expect("set");
    assert_eq!(store.default_key().expect("looked"), Some(name("alice")));
}

#[test]
fn key_names_are_portable() {
    let longest = "x".repeat(64);
    for good in ["a", "A-1_b.c", "_x", "9", "default", longest.as_str()] {
        assert_eq!(good.parse::<KeyName>().map(|key| key.to_string()).as_deref(), Ok(good));
    }
    let longer = "x".repeat(65);
    for (bad, expected) in [
        ("", KeyNameError::Length { found: 0 }),
        (longer.as_str(), KeyNameError::Length { found: 65 }),
        (".a", KeyNameError::Start),
        ("..", KeyNameError::Start),
        ("-a", KeyNameError::Start),
        ("a/b", KeyNameError::Character { position: 2 }),
        ("a b", KeyNameError::Character { position: 2 }),
        ("ä", KeyNameError::Character { position: 1 }),
        ("a\n", KeyNameError::Character { position: 2 }),
    ] {
        assert_eq!(bad.parse::<KeyName>(), Err(expected), "{bad:?}");
    }
}
