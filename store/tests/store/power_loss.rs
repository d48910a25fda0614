//! A power loss at every write of a run of groups of commits, and of the creation of a store: what is recovered is the
//! state after some commit, not before the last acknowledged one.

use std::collections::BTreeMap;

use store::{
    Changes, ChangesLimit, Cursor, Filter, ListOptions, Once, OnceKey, OpenError, PendingCommit, Prefix, Store, Value,
};

use crate::{
    disk::{Disk, Request, Write, for_each_power_loss},
    support::{Random, get, options, put, rounds, seed},
};

pub(crate) type Contents = BTreeMap<String, Value>;

pub(crate) fn open(image: Vec<u8>) -> (Disk, Store) {
    let disk = Disk::new(image);
    let store = options().open_backend(Box::new(disk.clone())).expect("a store that recovers");
    (disk, store)
}

pub(crate) fn contents(store: &Store) -> Contents {
    let options = ListOptions { limit: 1000, ..ListOptions::default() };
    let entries = store.begin().list(&Prefix::all(), &options).expect("a list");
    entries.into_iter().map(|entry| (entry.key.to_string(), entry.value)).collect()
}

fn once_key(number: usize) -> OnceKey {
    // A caller has a bounded number of records.
    let caller = (number / 100).to_be_bytes();
    OnceKey::new(&caller, &format!("{number:022}")).expect("a once key")
}

/// One random commit, in the store and in the contents that are expected after the commit.
fn submit(store: &Store, expected: &mut Contents, number: usize, random: &mut Random) -> PendingCommit {
    let mut transaction = store.begin();
    let mut put = |key: String, value: Value| {
        transaction.put(&key, value.clone()).expect("a write");
        expected.insert(key, value);
    };
    for _ in 0..=random.below(3) {
        let size = if random.one_in(10) { 12_000 } else { random.below(300) };
        put(format!("k/{:02}", random.below(40)), vec![u8::try_from(number % 251).expect("a byte"); size].into());
    }
    let integer = i64::try_from(number).expect("a small number");
    put("number".to_owned(), integer.into());
    transaction.add("sum", integer).expect("a write");
    let sum = (1..=integer).sum::<i64>();
    expected.insert("sum".to_owned(), sum.into());
    let deleted = format!("k/{:02}", random.below(40));
    transaction.delete(&deleted).expect("a write");
    expected.remove(&deleted);
    transaction.publish("topic", number.to_string()).expect("an event");
    let Once::Claimed(claim) = store.once(once_key(number), [0; 32]).expect("a new request") else {
        panic!("request {number} is not new");
    };
    transaction.commit_once(&claim, number.to_string().into_bytes())
}

/// A group of commits, which continues the states after each commit.
pub(crate) fn submit_group(
    store: &Store,
    states: &mut Vec<Contents>,
    size: usize,
    random: &mut Random,
) -> Vec<PendingCommit> {
    store.pause();
    let submit_next = |_| {
        let mut expected = states.last().expect("a state").clone();
        let pending = submit(store, &mut expected, states.len(), random);
        states.push(expected);
        pending
    };
    let pending = (0..size).map(submit_next).collect();
    store.resume();
    pending
}

/// The states after each commit, and how to tell which of them a store may have.
struct Run {
    states: Vec<Contents>,
    start: Cursor,
    requests: Vec<Request>,
    /// Number of requests before the acknowledgement of each commit, the start included.
    acknowledged: Vec<usize>,
    groups: usize,
}

fn run(start: &[u8], commits: u64, random: &mut Random) -> Run {
    let disk = Disk::new(start.to_vec());
    disk.trace();
    let store = options().open_backend(Box::new(disk.clone())).expect("a store");
    let (mut states, mut acknowledged, mut groups) = (vec![Contents::new()], vec![0], 0);
    let start = store.cursor();
    while (states.len() as u64) <= commits {
        let size = if random.one_in(2) { 1 } else { 2 + random.below(7) };
        for pending in submit_group(&store, &mut states, size, random) {
            pending.wait().expect("a commit");
        }
        acknowledged.resize(states.len(), disk.traced());
        groups += 1;
    }
    store.close().expect("a closed store");
    Run { states, start, requests: disk.take_trace(), acknowledged, groups }
}

impl Run {
    /// Checks a store after a power loss. `requests` is what the disk got before.
    fn check(&self, store: &Store, requests: usize) {
        let revision = usize::try_from(store.revision().get()).expect("a small revision");
        let acknowledged = self.acknowledged.iter().filter(|before| **before <= requests).count() - 1;
        assert!(revision >= acknowledged, "revision {revision} lacks the acknowledged {acknowledged}");
        let expected = self.states.get(revision).unwrap_or_else(|| panic!("revision {revision} from nowhere"));
        assert!(contents(store) == *expected, "revision {revision} has another state");
        self.check_log(store, revision);
        for number in revision.saturating_sub(8).max(1)..revision + 8 {
            match store.once(once_key(number), [0; 32]).expect("a request that may run") {
                Once::Recorded(recorded) => {
                    assert_eq!(recorded.revision.get(), number as u64);
                    assert_eq!(recorded.result, Some(number.to_string().into_bytes()));
                    assert!(number <= revision, "request {number} at revision {revision}");
                }
                once => assert!(number > revision, "{once:?} of request {number} at revision {revision}"),
            }
        }
    }

    /// The log has each commit up to the revision, and none twice.
    fn check_log(&self, store: &Store, revision: usize) {
        let filter = Filter::Topic("topic".to_owned());
        let limit = ChangesLimit { entries: usize::MAX, bytes: usize::MAX };
        match store.changes_since(&self.start, &filter, limit).expect("a log") {
            Changes::Events { events, has_more: false, .. } => {
                let numbers = events.into_iter().map(|event| event.data).collect::<Vec<_>>();
                let expected = (1..=revision).map(|number| number.to_string().into_bytes()).collect::<Vec<_>>();
                assert_eq!(numbers, expected);
            }
            changes => panic!("revision {revision}: {changes:?}"),
        }
    }
}

#[test]
fn power_loss_at_every_write_leaves_a_prefix_with_every_acknowledged_commit() {
    let mut random = Random::new(seed());
    let start = Disk::with_store().image();
    let run = run(&start, rounds(150, 1_000), &mut random);
    let (mut losses, mut nested) = (0, 0);
    let mut again = random.clone();
    for_each_power_loss(&start, &run.requests, &mut random, |requests, image| {
        losses += 1;
        let (disk, store) = open(image.clone());
        run.check(&store, requests);
        put(&store, "again", 1);
        assert_eq!(get(&store, "again"), Some(1.into()), "the recovered store works");
        drop(store);
        drop(disk);
        if again.one_in(20) {
            // The power is lost during the recovery, too.
            let disk = Disk::new(image.clone());
            disk.trace();
            drop(options().open_backend(Box::new(disk.clone())).expect("a store that recovers"));
            for_each_power_loss(&image, &disk.take_trace(), &mut again, |_, image| {
                nested += 1;
                run.check(&open(image).1, requests);
            });
        }
    });
    let commits = run.states.len() - 1;
    println!("{losses} power losses in {commits} commits in {} groups, {nested} more during recoveries", run.groups);
    assert!(losses > run.states.len() && run.groups < commits);
}

#[test]
fn power_loss_during_the_creation_leaves_an_empty_store_or_an_error() {
    let disk = Disk::default();
    disk.trace();
    options().open_backend(Box::new(disk.clone())).expect("a store").close().expect("a closed store");
    let requests = disk.take_trace();
    let mut random = Random::new(seed());
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    for _ in 0..rounds(20, 1_000) {
        for_each_power_loss(&[], &requests, &mut random, |count, image| {
            let outcome = match options().open_backend(Box::new(Disk::new(image))) {
                Ok(store) => {
                    assert_eq!((store.revision().get(), contents(&store)), (0, Contents::new()));
                    put(&store, "first", 1);
                    assert_eq!(get(&store, "first"), Some(1.into()));
                    "empty"
                }
                Err(error) => {
                    assert!(count < requests.len(), "the closed store is durable: {error}");
                    match error {
                        OpenError::NotAStore => "not a store",
                        OpenError::Corrupt(_) => "corrupt",
                        error => panic!("a power loss is no fault of the system: {error}"),
                    }
                }
            };
            *outcomes.entry(outcome).or_default() += 1;
        });
    }
    println!("{} requests: {outcomes:?}", requests.len());
    assert!(outcomes["empty"] > 0 && outcomes.len() > 1);
}

/// The data is synced before the pointer to the data is written, and the pointer before the acknowledgement.
#[test]
fn group_is_synced_in_two_phases() {
    let mut random = Random::new(seed());
    let disk = Disk::with_store();
    let start = disk.image();
    disk.trace();
    let store = options().open_backend(Box::new(disk.clone())).expect("a store");
    let (mut states, mut before) = (vec![Contents::new()], Vec::new());
    for size in [1, 1, 5, 1, 8] {
        before.push((disk.traced(), states.len() as u64 - 1));
        for pending in submit_group(&store, &mut states, size, &mut random) {
            pending.wait().expect("a commit");
        }
    }
    before.push((disk.traced(), states.len() as u64 - 1));
    // The power is lost: what is on the disk is what these requests wrote, all of it.
    let requests = disk.take_trace();
    let revision_after = |count: usize| {
        let mut image = start.clone();
        for request in &requests[..count] {
            if let Request::Write(write) = request {
                write.apply(&mut image);
            }
        }
        open(image).1.revision().get()
    };
    for pair in before.windows(2) {
        let [(from, old), (to, new)] = [pair[0], pair[1]];
        let is_sync = |index: &usize| matches!(requests[*index], Request::Sync);
        // Where the file grows, its length is synced before.
        let syncs: Vec<usize> = (from..to).filter(is_sync).collect();
        let [.., data, pointer] = *syncs else { panic!("revision {new} has the syncs {syncs:?} and not two") };
        assert_eq!(pointer, to - 1, "nothing is written between the last sync and the answer");
        assert_eq!(revision_after(data + 1), old, "the first phase does not point to the new data");
        assert_eq!(revision_after(to), new);
        let is_header = |request: &Request| matches!(request, Request::Write(Write::Data { offset: 0, .. }));
        let second = &requests[data + 1..pointer];
        assert!(!second.is_empty() && second.iter().all(is_header), "the second phase writes the pointer alone");
    }
}
