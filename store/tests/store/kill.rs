//! A process that commits is killed at random points.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use store::{Store, Value};

use crate::support::{Random, get, is_long, options, seed};

/// The file of the child.
const FILE: &str = "CIRCLES_STORE_KILL_FILE";
const THREADS: usize = 4;

/// Not a test of its own: the process that the other test kills.
#[test]
fn child_process_commits_until_it_is_killed() {
    let Some(path) = env::var_os(FILE) else { return };
    let store = options().open(path).expect("a store");
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || commit_forever(store, thread));
        }
    });
}

fn number(value: Option<Value>) -> i64 {
    match value {
        None => 0,
        Some(Value::Integer(number)) => number,
        Some(value) => panic!("{value:?} is no integer"),
    }
}

fn commit_forever(store: &Store, thread: usize) {
    loop {
        let mut transaction = store.begin();
        let next = number(transaction.get(&format!("next/{thread}")).expect("a read")) + 1;
        transaction.put(&format!("next/{thread}"), next).expect("a write");
        transaction.insert(&format!("entry/{thread}/{next}"), next).expect("a new key");
        transaction.add("total", 1).expect("a write");
        transaction.commit().wait().expect("a commit without conflicts");
        // In one piece: the parent reads lines.
        let line = format!("\nacknowledged {thread} {next}\n");
        let mut output = std::io::stdout().lock();
        output.write_all(line.as_bytes()).and_then(|()| output.flush()).expect("the pipe of the parent");
    }
}

fn start(path: &Path) -> Child {
    Command::new(env::current_exe().expect("the test binary"))
        .args(["--exact", "kill::child_process_commits_until_it_is_killed", "--nocapture"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child process")
}

/// Kills a child after some acknowledgements, and notes the last of each thread.
fn kill_after(path: &Path, acknowledgements: usize, last: &mut BTreeMap<usize, i64>) {
    let mut child = start(path);
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
fn killed_process_loses_no_acknowledged_commit() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("kill.store");
    let mut random = Random::new(seed());
    let mut last = BTreeMap::new();
    for _ in 0..if is_long() { 300 } else { 30 } {
        kill_after(&path, random.below(40), &mut last);
        check(&options().open(&path).expect("a store that recovers"), &last);
    }
    println!("last acknowledged: {last:?}");
}
