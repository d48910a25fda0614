//! The times of a large store, which are printed: opening after a crash, and reads of pages that are not in memory.
//!
//! `cargo test --release -p circles-store --all-features -- --ignored --nocapture large` needs 2 GiB of disk and about a
//! minute.

use std::{
    env,
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use store::{PendingCommit, Store, StoreOptions, Value};

use crate::support::{Random, put, seed, with_limits};

const FILE: &str = "CIRCLES_STORE_LARGE_FILE";
const GIB: u64 = 1024 * 1024 * 1024;
const VALUE_BYTES: usize = 1_000;
/// Entries of one commit, as many as the limits of a transaction allow.
const ENTRIES_OF_A_COMMIT: u64 = 1_000;
const ENTRIES: u64 = GIB / VALUE_BYTES as u64;
const READS: usize = 2_000;

fn large_options() -> StoreOptions {
    with_limits(|limits| limits.bytes = 4 * GIB)
}

fn key(number: u64) -> String {
    format!("k/{number:09}")
}

fn wait(pending: PendingCommit) {
    pending.wait().expect("a commit");
}

fn fill(store: &Store) {
    let mut pending: Vec<PendingCommit> = Vec::new();
    for first in (0..ENTRIES).step_by(usize::try_from(ENTRIES_OF_A_COMMIT).expect("a small number")) {
        let mut transaction = store.begin();
        for number in first..ENTRIES.min(first + ENTRIES_OF_A_COMMIT) {
            let byte = u8::try_from(number % 251).expect("a byte");
            transaction.put(&key(number), vec![byte; VALUE_BYTES]).expect("a write within the limits");
        }
        pending.push(transaction.commit());
        if pending.len() == 8 {
            pending.drain(..).for_each(wait);
        }
    }
    pending.drain(..).for_each(wait);
}

/// Not a test of its own: the process that fills the store and is killed.
#[test]
#[ignore = "a process of the other test"]
fn process_fills_a_large_store_until_it_is_killed() {
    let Some(path) = env::var_os(FILE) else { return };
    let store = large_options().open(path).expect("a store");
    fill(&store);
    println!("\nfull");
    std::io::stdout().flush().expect("the pipe of the parent");
    for number in 0.. {
        put(&store, "number", number);
        println!("\ncommitted");
    }
}

/// Makes the operating system forget the pages of a file that it has in memory.
fn forget_pages(path: &Path) {
    let file = File::open(path).expect("the file");
    file.sync_all().expect("a sync");
    #[cfg(target_os = "linux")]
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("advice about the file");
}

fn time_to_open(path: &Path, options: StoreOptions, what: &str) -> Store {
    let start = Instant::now();
    let store = options.open(path).expect("a store");
    println!("{what}: {:.2?}", start.elapsed());
    store
}

/// Prints the distribution of the times of reads of single keys, each in a transaction of its own.
fn time_reads(store: &Store, what: &str) {
    let mut random = Random::new(seed());
    let mut times: Vec<Duration> = (0..READS)
        .map(|_| {
            let number = random.next() % ENTRIES;
            let mut transaction = store.begin();
            let start = Instant::now();
            let value = transaction.get(&key(number)).expect("a read");
            let time = start.elapsed();
            assert!(matches!(value, Some(Value::Bytes(bytes)) if bytes.len() == VALUE_BYTES));
            time
        })
        .collect();
    times.sort_unstable();
    let part = |percent: usize| times[(READS - 1) * percent / 100];
    println!("{what}: 50 % {:.1?}, 90 % {:.1?}, 99 % {:.1?}, longest {:.1?}", part(50), part(90), part(99), part(100));
}

#[test]
#[ignore = "needs 2 GiB of disk and a minute, and prints times"]
fn large_store_opens_after_a_crash() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("large.store");
    let start = Instant::now();
    let mut process = Command::new(env::current_exe().expect("the test binary"))
        .args(["--exact", "large::process_fills_a_large_store_until_it_is_killed", "--ignored", "--nocapture"])
        .env(FILE, &path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child process");
    let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let last = lines.filter(|line| line == "committed").nth(2);
    process.kill().expect("a process that runs");
    process.wait().expect("the end of the process");
    assert!(last.is_some(), "the process ended early");
    let length = path.metadata().expect("the file").len();
    println!(
        "{ENTRIES} entries of {VALUE_BYTES} bytes in a file of {} MiB: {:.0?}",
        length / 1024 / 1024,
        start.elapsed()
    );
    assert!(length > GIB);

    forget_pages(&path);
    let store = time_to_open(&path, large_options(), "open after a crash, nothing in memory");
    store.close().expect("a closed store");
    let store = time_to_open(&path, large_options(), "open after a close");
    store.close().expect("a closed store");
    forget_pages(&path);
    let store = time_to_open(&path, large_options().verify(), "open with verification, nothing in memory");
    store.close().expect("a closed store");
    let store = time_to_open(&path, large_options().verify(), "open with verification, all in memory");
    store.close().expect("a closed store");

    forget_pages(&path);
    let store = time_to_open(&path, large_options(), "open after a close, nothing in memory");
    time_reads(&store, "first read of a key, nothing in memory");
    time_reads(&store, "the same keys again");
    drop(store);
}
