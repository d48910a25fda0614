//! A process that commits is killed at random points.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use store::{Once, OnceKey, Store, Value};

use crate::support::{Random, get, rounds, seed, with_limits};

/// The file of the child, and the first request of each thread.
const FILE: &str = "CIRCLES_STORE_KILL_FILE";
const FIRST: &str = "CIRCLES_STORE_KILL_FIRST";
const THREADS: usize = 4;

/// Not a test of its own: the process that the other test kills.
#[test]
fn child_process_commits_until_it_is_killed() {
    let Some(path) = env::var_os(FILE) else { return };
    let store = open(Path::new(&path));
    let first = env::var(FIRST).expect("the first requests");
    thread::scope(|scope| {
        for (thread, first) in first.split(',').enumerate() {
            let (store, first) = (&store, first.parse().expect("a number"));
            scope.spawn(move || {
                for request in first.. {
                    handle(store, thread, request);
                }
            });
        }
    });
}

fn open(path: &Path) -> Store {
    let options = with_limits(|limits| limits.once_per_caller = 1_000_000);
    options.open(path).expect("a store that recovers")
}

fn number(value: Option<Value>) -> i64 {
    match value {
        None => 0,
        Some(Value::Integer(number)) => number,
        Some(value) => panic!("{value:?} is no integer"),
    }
}

/// Handles a request with a `once` key, and acknowledges it. A request that runs twice would insert twice.
fn handle(store: &Store, thread: usize, request: i64) {
    let key = OnceKey::new(&[b't', u8::try_from(thread).expect("a few threads")], &format!("{request:022}"));
    match store.once(key.expect("a once key"), [0; 32]).expect("a request that may run") {
        Once::Recorded(_) => {}
        Once::Claimed(claim) => {
            let mut transaction = store.begin();
            transaction.put(&format!("next/{thread}"), request).expect("a write");
            transaction.insert(&format!("entry/{thread}/{request}"), request).expect("a new key");
            transaction.add("total", 1).expect("a write");
            transaction.commit_once(&claim, vec![]).wait().expect("a commit without conflicts");
        }
        Once::InFlight(request) => panic!("{request:?} of another thread"),
    }
    // In one piece: the parent reads lines.
    let line = format!("\nacknowledged {thread} {request}\n");
    let mut output = std::io::stdout().lock();
    output.write_all(line.as_bytes()).and_then(|()| output.flush()).expect("the pipe of the parent");
}

/// Starts a child that sends the last acknowledged requests again.
fn start(path: &Path, last: &BTreeMap<usize, i64>) -> Child {
    let first: Vec<String> = (0..THREADS).map(|thread| last.get(&thread).unwrap_or(&1).to_string()).collect();
    Command::new(env::current_exe().expect("the test binary"))
        .args(["--exact", "kill::child_process_commits_until_it_is_killed", "--nocapture"])
        .env(FILE, path)
        .env(FIRST, first.join(","))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child process")
}

/// Kills a child after some acknowledgements, and notes the last of each thread.
fn kill_after(path: &Path, acknowledgements: usize, last: &mut BTreeMap<usize, i64>) {
    let mut child = start(path, last);
    let output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut note = |line: &str| {
        let mut words = line.strip_prefix("acknowledged ")?.split(' ');
        let thread = words.next()?.parse().ok()?;
        last.insert(thread, words.next()?.parse().ok()?)
    };
    let mut lines = output.lines().map_while(Result::ok);
    let mut count = 0;
    for line in lines.by_ref() {
        count += usize::from(line.starts_with("acknowledged "));
        note(&line);
        if count > acknowledgements {
            break;
        }
    }
    assert!(count > acknowledgements, "the child ended early");
    child.kill().expect("a child that runs");
    // What the child wrote before it died counts, too. A last line may be torn; it then names a smaller number.
    let rest: Vec<String> = lines.collect();
    for line in rest.iter().take(rest.len().saturating_sub(1)) {
        note(line);
    }
    child.wait().expect("the end of the child");
}

fn check(store: &Store, last: &BTreeMap<usize, i64>) {
    let mut sum = 0;
    for thread in 0..THREADS {
        let next = number(get(store, &format!("next/{thread}")));
        let acknowledged = last.get(&thread).copied().unwrap_or(0);
        assert!((acknowledged..=acknowledged + 2).contains(&next), "thread {thread}: {next} after {acknowledged}");
        for number in 1..=next {
            let entry = get(store, &format!("entry/{thread}/{number}"));
            assert_eq!(entry, Some(number.into()), "entry {number} of thread {thread}");
        }
        assert_eq!(get(store, &format!("entry/{thread}/{}", next + 1)), None);
        sum += next;
    }
    assert_eq!(number(get(store, "total")), sum, "no transaction is half there");
    assert_eq!(i64::try_from(store.revision().get()).ok(), Some(sum));
}

#[test]
fn killed_process_loses_no_acknowledged_commit_and_repeats_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("kill.store");
    let mut random = Random::new(seed());
    let mut last = BTreeMap::new();
    for _ in 0..rounds(30, 500) {
        kill_after(&path, random.below(40), &mut last);
        check(&open(&path), &last);
    }
    println!("last acknowledged: {last:?}");
}
