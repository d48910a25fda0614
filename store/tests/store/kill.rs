//! A process that handles requests is killed with SIGKILL at random points, in commits, while it opens and recovers the
//! store, and while it creates the store.
//!
//! A normal run handles 3,000 requests in seconds. `CIRCLES_STORE_LONG=N` handles N times 100,000 requests, each about
//! 90 seconds on two cores, and kills the process once in 70 requests on average; N = 10 is a million requests.

mod child;

use std::{
    collections::BTreeMap,
    env, fmt,
    io::{BufRead, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use child::{ACCOUNTS, CALLERS, once_key, result_of, store_options};
use store::{ListOptions, Once, Prefix, Store, Value};

use crate::support::{Random, get, rounds, seed};

/// Requests of one file, after which a new one is created.
const REQUESTS_OF_A_FILE: usize = 10_000;

/// What the killed processes acknowledged: the revision of each request of each caller.
type Acknowledged = BTreeMap<(usize, i64), u64>;

/// A process that is killed at the latest when this is dropped.
struct Victim {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Victim {
    /// Starts a process that begins with the last acknowledged request of each caller, which then comes again.
    fn start(path: &Path, acknowledged: &Acknowledged, stop: Option<usize>, random: &mut Random) -> Self {
        let last =
            |caller| acknowledged.range((caller, 0)..(caller + 1, 0)).next_back().map_or(1, |((_, last), _)| *last);
        let first: Vec<String> = (0..CALLERS).map(|caller| last(caller).to_string()).collect();
        let mut command = Command::new(env::current_exe().expect("the test binary"));
        command
            .args(["--exact", child::NAME, "--nocapture"])
            .env(child::FILE, path)
            .env(child::FIRST, first.join(","))
            .env(child::SEED, (random.next() >> 8).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(stop) = stop {
            command.env(child::STOP, stop.to_string());
        }
        let mut process = command.spawn().expect("a child process");
        let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        Self { process, lines }
    }

    /// Reads lines until one of a kind has come some times. Passes each line.
    fn read_until(&mut self, kind: &str, count: usize, mut visit: impl FnMut(&str)) {
        let mut seen = 0;
        while seen < count {
            let line = self.lines.next().expect("a process that runs").expect("a line");
            visit(&line);
            seen += usize::from(line.starts_with(kind));
        }
    }

    /// Kills the process, and passes the lines that it wrote before.
    fn kill(mut self, visit: impl FnMut(String)) {
        self.process.kill().expect("a process that runs");
        // A line is written in one piece, which is there or not.
        self.lines.by_ref().map_while(Result::ok).for_each(visit);
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // The process may have ended before.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[derive(Debug, Default)]
struct Totals {
    files: u64,
    requests: usize,
    acknowledgements: u64,
    /// Kills in commits, at a request to the storage before and after the store was open, and in the creation.
    kills: BTreeMap<&'static str, u64>,
    time: Duration,
}

impl fmt::Display for Totals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, requests, acknowledgements, kills, time } = self;
        let all: u64 = kills.values().sum();
        write!(
            formatter,
            "{requests} requests in {files} files, {acknowledgements} acknowledgements, {all} kills {kills:?}, {time:.0?}"
        )
    }
}

/// The processes of one file.
struct Killer<'totals> {
    path: &'totals Path,
    random: Random,
    acknowledged: Acknowledged,
    totals: &'totals mut Totals,
}

impl Killer<'_> {
    fn start(&mut self, stop: Option<usize>) -> Victim {
        Victim::start(self.path, &self.acknowledged, stop, &mut self.random)
    }

    fn note(&mut self, line: &str) {
        let Some(numbers) = line.strip_prefix("acknowledged ") else { return };
        let mut numbers = numbers.split(' ').map(|number| number.parse::<u64>().expect("a number"));
        let mut next = || numbers.next().expect("a caller, a request and a revision");
        let (caller, request, revision) = (next(), next(), next());
        let caller = usize::try_from(caller).expect("a small number");
        let request = i64::try_from(request).expect("a small number");
        let before = self.acknowledged.insert((caller, request), revision);
        assert!(before.is_none_or(|before| before == revision), "{line}, but before at revision {before:?}");
        self.totals.acknowledgements += 1;
    }

    fn kill(&mut self, victim: Victim, kind: &'static str) {
        victim.kill(|line| self.note(&line));
        *self.totals.kills.entry(kind).or_default() += 1;
    }

    /// Kills a process after some acknowledgements.
    fn kill_in_commits(&mut self) {
        let mut victim = self.start(None);
        let count = 1 + self.random.below(400);
        victim.read_until("acknowledged ", count, |line| self.note(line));
        self.kill(victim, "in commits");
    }

    /// Kills a process that stops at a request to the storage: in the recovery of the store, or in a commit.
    fn kill_at_request(&mut self) {
        let stop = self.random.below(if self.random.clone().one_in(2) { 20 } else { 100 });
        let mut victim = self.start(Some(stop));
        let mut is_open = false;
        victim.read_until("stopped", 1, |line| {
            is_open |= line == "open";
            self.note(line);
        });
        self.kill(victim, if is_open { "at a request of a commit" } else { "at a request of the recovery" });
    }

    /// Kills a process at any time while it creates the store, or soon after.
    fn kill_in_creation(&mut self) {
        let mut victim = self.start(None);
        victim.read_until("started", 1, |_| ());
        for _ in 0..self.random.below(3_000_000) {
            std::hint::spin_loop();
        }
        victim.kill(|line| self.note(&line));
        let kind = if self.path.exists() { "after the creation" } else { "in the creation" };
        *self.totals.kills.entry(kind).or_default() += 1;
    }

    fn check(&mut self, store: &Store) {
        let mut next = [0_i64; CALLERS];
        for (caller, next) in next.iter_mut().enumerate() {
            let entries = entries(store, &format!("entry/{caller:02}/"));
            *next = i64::try_from(entries.len()).expect("a small number");
            for (request, (key, value)) in (1..).zip(entries) {
                assert_eq!((key, value), (format!("entry/{caller:02}/{request:010}"), Value::Integer(request)));
            }
            assert_eq!(number(get(store, &format!("next/{caller}"))), *next, "caller {caller}: half a transaction");
        }
        let sum: i64 = next.iter().sum();
        assert_eq!(number(get(store, "total")), sum, "half a transaction");
        assert_eq!(i64::try_from(store.revision().get()).ok(), Some(sum), "a revision without a request");
        let accounts = (0..ACCOUNTS).map(|account| number(get(store, &format!("account/{account}"))));
        assert_eq!(accounts.sum::<i64>(), 0, "half a transfer");
        for (caller, next) in next.into_iter().enumerate() {
            let last =
                self.acknowledged.range((caller, 0)..(caller + 1, 0)).next_back().map_or(0, |((_, last), _)| *last);
            assert!((last..=last + 1).contains(&next), "caller {caller}: {next} after the acknowledged {last}");
            for request in (last - 3).max(1)..=next + 1 {
                match store.once(once_key(caller, request), [0; 32]).expect("a request that may run") {
                    Once::Recorded(recorded) => {
                        assert!(request <= next, "request {request} of caller {caller} has no entry");
                        assert_eq!(recorded.result, Some(result_of(request)));
                        let acknowledged = self.acknowledged.get(&(caller, request));
                        assert!(acknowledged.is_none_or(|revision| *revision == recorded.revision.get()));
                    }
                    once => assert!(request > next, "request {request} of caller {caller} would run again: {once:?}"),
                }
            }
        }
    }

    fn requests(&self) -> usize {
        self.acknowledged.len()
    }

    /// Kills processes until they have acknowledged some requests.
    fn run(&mut self, requests: usize) {
        self.totals.files += 1;
        while !self.path.exists() {
            self.kill_in_creation();
        }
        while self.requests() < requests {
            if self.random.one_in(4) {
                self.kill_at_request();
            } else {
                self.kill_in_commits();
            }
            // Otherwise the next process recovers the store, and may be killed again while it does.
            if self.random.one_in(3) {
                self.check(&open(self.path));
            }
        }
        self.check(&open(self.path));
        self.totals.requests += self.requests();
    }
}

fn open(path: &Path) -> Store {
    store_options().open(path).expect("a store that recovers")
}

fn number(value: Option<Value>) -> i64 {
    match value {
        None => 0,
        Some(Value::Integer(number)) => number,
        Some(value) => panic!("{value:?} is no integer"),
    }
}

fn entries(store: &Store, prefix: &str) -> Vec<(String, Value)> {
    let prefix = Prefix::new(prefix).expect("a prefix");
    let mut options = ListOptions { limit: 1_000, ..ListOptions::default() };
    let mut entries: Vec<(String, Value)> = Vec::new();
    loop {
        let page = store.begin().list(&prefix, &options).expect("a list");
        let is_last = page.len() < options.limit;
        entries.extend(page.into_iter().map(|entry| (entry.key.to_string(), entry.value)));
        if is_last {
            return entries;
        }
        options.after = entries.last().map(|(key, _)| key.clone());
    }
}

#[test]
fn killed_process_loses_no_acknowledged_commit_and_repeats_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut random = Random::new(seed());
    let (mut totals, start) = (Totals::default(), Instant::now());
    let requests = usize::try_from(rounds(3_000, 100_000)).expect("a small number");
    while totals.requests < requests {
        let path = directory.path().join(format!("{}.store", totals.files));
        let of_this_file = REQUESTS_OF_A_FILE.min(requests - totals.requests);
        let seed = Random::new(random.next());
        Killer { path: &path, random: seed, acknowledged: Acknowledged::new(), totals: &mut totals }.run(of_this_file);
        std::fs::remove_file(&path).expect("the file");
        totals.time = start.elapsed();
        if totals.files % 10 == 0 {
            println!("{totals}");
        }
    }
    println!("{totals}");
    assert!(totals.kills["in commits"] > 0);
    let at_request = totals.kills.keys().filter(|kind| kind.starts_with("at a request")).count();
    assert_eq!(at_request, 2, "kills in the recovery and in commits");
}
