use std::{
    fs, io,
    sync::{Arc, Mutex},
};

use store::{OpenError, Store, StoreOptions};

use crate::{
    disk::Disk,
    support::{Random, get, options, put},
};

fn open_backend(disk: &Disk) -> Result<Store, OpenError> {
    options().open_backend(Box::new(disk.clone()))
}

#[test]
fn store_of_another_owner_is_refused_and_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.store");
    let store = options().open(&path).expect("a store");
    let id = store.id();
    put(&store, "a", 1);
    store.close().expect("a closed store");
    let error = StoreOptions::new("other").open(&path).expect_err("a store of another owner");
    let text = error.to_string();
    assert_eq!(text, "the store belongs to 'test', not to 'other': use the file of 'other'");
    let store = options().open(&path).expect("a store");
    assert_eq!((store.id(), get(&store, "a")), (id, Some(1.into())));
}

#[test]
fn owners_have_a_name() {
    for owner in ["", &"x".repeat(256)] {
        let error = StoreOptions::new(owner).open_in_memory().expect_err("no owner");
        assert!(matches!(error, OpenError::OwnerName(length) if length == owner.len()));
    }
}

#[test]
fn store_opens_once_at_a_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.store");
    let store = options().open(&path).expect("a store");
    let refuse = || match options().open(&path) {
        Err(OpenError::Locked { holder: Some(holder) }) => holder,
        opened => panic!("{opened:?}"),
    };
    let process = format!("process {} on ", std::process::id());
    assert!(refuse().starts_with(&process), "{}", refuse());
    store.describe_holder("the circle 'a' on 127.0.0.1:9001");
    let holder = refuse();
    assert!(holder.starts_with(&format!("the circle 'a' on 127.0.0.1:9001 ({process}")), "{holder}");
    put(&store, "a", 1);
    drop(store);
    options().open(&path).expect("a store that is closed elsewhere");
}

#[test]
fn other_files_are_refused_and_stay() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("other");
    let zeros = vec![0; 100_000];
    for contents in [&b"text"[..], &[0; 4096], &zeros, b"redb\x1a\x0a\xa9\x0d\x0a"] {
        fs::write(&path, contents).expect("a file");
        let error = options().open(&path).expect_err("a file that is no store");
        assert!(matches!(error, OpenError::NotAStore | OpenError::Corrupt(_)), "{error}");
        assert!(fs::read(&path).expect("a file") == contents, "the file stays as it is");
    }
    let error = options().open(directory.path()).expect_err("a directory");
    assert!(matches!(error, OpenError::Io(_) | OpenError::ReadOnly(_)), "{error}");
    let error = options().open(directory.path().join("none/a.store")).expect_err("no directory");
    assert!(matches!(error, OpenError::Io(_)), "{error}");
    fs::remove_file(&path).expect("a file");
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 0, "nothing is left");
}

#[test]
fn new_store_leaves_no_other_file_and_is_private() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.store");
    options().open(&path).expect("a store");
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = path.metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn databases_of_other_programs_are_refused() {
    let disk = Disk::default();
    let database = redb::Builder::new().create_with_backend(disk.clone()).expect("a database");
    let transaction = database.begin_write().expect("a transaction");
    let table = redb::TableDefinition::<u64, u64>::new("numbers");
    transaction.open_table(table).expect("a table").insert(1, 2).expect("a write");
    transaction.commit().expect("a commit");
    drop(database);
    let before = disk.image();
    assert!(matches!(open_backend(&disk), Err(OpenError::NotAStore)));
    let database = redb::Builder::new().create_with_backend(Disk::new(before)).expect("a database");
    drop(database);
}

#[test]
fn store_of_another_version_is_refused() {
    let disk = Disk::with_store();
    let database = redb::Builder::new().create_with_backend(disk.clone()).expect("a database");
    let transaction = database.begin_write().expect("a transaction");
    let table = redb::TableDefinition::<&[u8], &[u8]>::new("meta");
    let format = 7_u32.to_be_bytes();
    transaction.open_table(table).expect("a table").insert(&b"format"[..], &format[..]).expect("a write");
    transaction.commit().expect("a commit");
    drop(database);
    let error = open_backend(&disk).expect_err("another version");
    assert!(matches!(error, OpenError::OtherVersion { found: 7, supported: store::FORMAT }), "{error}");
}

#[test]
fn errors_of_the_system_have_names() {
    type Check = fn(&OpenError) -> bool;
    let cases: [(io::ErrorKind, Check); 4] = [
        (io::ErrorKind::StorageFull, |error| matches!(error, OpenError::DiskFull(_))),
        (io::ErrorKind::PermissionDenied, |error| matches!(error, OpenError::ReadOnly(_))),
        (io::ErrorKind::ReadOnlyFilesystem, |error| matches!(error, OpenError::ReadOnly(_))),
        (io::ErrorKind::TimedOut, |error| matches!(error, OpenError::Io(_))),
    ];
    let image = Disk::with_store().image();
    for (kind, is_expected) in cases {
        let disk = Disk::new(image.clone());
        disk.fail_after(0, kind);
        let error = open_backend(&disk).expect_err("a disk that fails");
        assert!(is_expected(&error), "{kind}: {error:?}");
        open_backend(&disk).expect("nothing is lost");
    }
}

#[test]
fn torn_and_changed_files_never_panic() {
    let disk = Disk::with_store();
    let store = open_backend(&disk).expect("a store");
    for number in 0..200 {
        put(&store, &format!("k/{number}"), vec![1; 200]);
    }
    store.close().expect("a closed store");
    let image = disk.image();
    let mut random = Random::new(1);
    let (mut opened, mut refused) = (0, 0);
    for round in 0..300 {
        let mut damaged = image.clone();
        if round % 3 == 0 {
            damaged.truncate(random.below(image.len()));
        } else {
            for _ in 0..=random.below(40) {
                let at = if random.one_in(3) { random.below(4096) } else { random.below(image.len()) };
                damaged[at] ^= 1 << random.below(8);
            }
        }
        let verified = options().verify().open_backend(Box::new(Disk::new(damaged.clone())));
        if let Ok(store) = verified {
            // What passes the verification is undamaged, or damaged where no page is.
            for number in 0..200 {
                assert_eq!(get(&store, &format!("k/{number}")), Some(vec![1; 200].into()), "round {round}");
            }
        }
        match open_backend(&Disk::new(damaged)) {
            Err(error) => {
                refused += 1;
                let text = error.to_string();
                assert!(text.contains(": "), "the error says what to do: {text}");
            }
            Ok(store) => {
                opened += 1;
                // A read or a commit may fail; neither panics, and a failure latches.
                for number in 0..200 {
                    if let Err(error) = store.begin().get(&format!("k/{number}")) {
                        assert!(error.to_string().contains("failed"), "{error}");
                    }
                }
                let mut transaction = store.begin();
                transaction.put("k/1", 1).expect("a write");
                drop(transaction.commit().wait());
            }
        }
    }
    println!("{opened} damaged files opened, {refused} refused");
}

#[test]
fn recovery_after_a_crash_reports_its_progress() {
    let directory = tempfile::tempdir().expect("a directory");
    let [path, crashed] = ["a.store", "crashed.store"].map(|name| directory.path().join(name));
    let store = options().open(&path).expect("a store");
    for number in 0..100 {
        put(&store, &format!("k/{number}"), vec![7; 10_000]);
    }
    // The file of a store that nothing has closed.
    fs::copy(&path, &crashed).expect("a copy");
    drop(store);
    let open = |path| {
        let seen = Arc::<Mutex<Vec<u16>>>::default();
        let sender = Arc::clone(&seen);
        let store = options().on_recovery(move |done| sender.lock().expect("a list").push(done)).open(path);
        assert_eq!(get(&store.expect("a store"), "k/99"), Some(vec![7; 10_000].into()));
        seen.lock().expect("a list").clone()
    };
    let seen = open(&crashed);
    assert!(seen.is_sorted() && seen.len() > 20, "{seen:?}");
    assert_eq!((seen.first(), seen.last()), (Some(&0), Some(&1000)), "{seen:?}");
    assert_eq!(open(&crashed), [], "the store was closed");
}
