//! A power loss at every write of a run of commits: what is recovered is the state after some commit, not before the
//! last acknowledged one.

use std::{collections::BTreeMap, io};

use store::{Changes, ChangesLimit, CommitEffect, CommitError, Cursor, Filter, ListOptions, Prefix, Store, Value};

use crate::{
    disk::{Disk, for_each_power_loss},
    support::{Random, get, options, put, rounds, seed},
};

type Contents = BTreeMap<String, Value>;

fn open(image: Vec<u8>) -> (Disk, Store) {
    let disk = Disk::new(image);
    let store = options().open_backend(Box::new(disk.clone())).expect("a store that recovers");
    (disk, store)
}

fn contents(store: &Store) -> Contents {
    let options = ListOptions { limit: 1000, ..ListOptions::default() };
    let entries = store.begin().list(&Prefix::all(), &options).expect("a list");
    entries.into_iter().map(|entry| (entry.key.to_string(), entry.value)).collect()
}

/// One random commit, in the store and in the contents that are expected after it.
fn commit(store: &Store, expected: &mut Contents, number: usize, random: &mut Random) -> Result<(), CommitError> {
    let mut transaction = store.begin();
    let mut put = |key: String, value: Value| {
        transaction.put(&key, value.clone()).expect("a write");
        expected.insert(key, value);
    };
    for _ in 0..=random.below(3) {
        let size = if random.one_in(10) { 12_000 } else { random.below(300) };
        put(format!("k/{:02}", random.below(40)), vec![u8::try_from(number % 251).expect("a byte"); size].into());
    }
    put("number".to_owned(), i64::try_from(number).expect("a small number").into());
    let deleted = format!("k/{:02}", random.below(40));
    transaction.delete(&deleted).expect("a write");
    expected.remove(&deleted);
    transaction.publish("topic", number.to_string()).expect("an event");
    transaction.commit().wait().map(drop)
}

/// The states after each commit, and how to tell which of them a store may have.
struct Run {
    states: Vec<Contents>,
    start: Cursor,
    requests: Vec<crate::disk::Request>,
    /// Number of requests before the acknowledgement of each commit, the start included.
    acknowledged: Vec<usize>,
}

fn run(start: &[u8], commits: u64, random: &mut Random) -> Run {
    let disk = Disk::new(start.to_vec());
    disk.trace();
    let store = options().open_backend(Box::new(disk.clone())).expect("a store");
    let mut states = vec![Contents::new()];
    let mut acknowledged = vec![0];
    let start = store.cursor();
    for number in 1..=usize::try_from(commits).expect("a small number") {
        let mut expected = states[number - 1].clone();
        commit(&store, &mut expected, number, random).expect("a commit");
        states.push(expected);
        acknowledged.push(disk.traced());
    }
    store.close().expect("a closed store");
    Run { states, start, requests: disk.take_trace(), acknowledged }
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
    let run = run(&start, rounds(100, 1_000), &mut random);
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
    println!("{losses} power losses in {} commits, {nested} more during recoveries", run.states.len() - 1);
    assert!(losses > run.states.len());
}

#[test]
fn failed_request_of_the_disk_latches_the_store() {
    let mut random = Random::new(seed());
    let start = Disk::with_store().image();
    let mut unknown = 0;
    for requests in 0.. {
        let disk = Disk::new(start.clone());
        let store = options().open_backend(Box::new(disk.clone())).expect("a store");
        let kind = if random.one_in(2) { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
        disk.fail_after(requests, kind);
        let mut states = vec![Contents::new()];
        let failure = (1..=4).find_map(|number| {
            let mut expected = states[number - 1].clone();
            let result = commit(&store, &mut expected, number, &mut random);
            states.push(expected);
            result.err()
        });
        let Some(failure) = failure else {
            assert!(requests > 20, "only {requests} requests in four commits");
            break;
        };
        assert!(matches!(failure, CommitError::Failed { .. }), "request {requests}: {failure}");
        let mut later = store.begin();
        later.put("later", 1).expect("a write");
        let later = later.commit().wait().expect_err("the store has failed");
        assert_eq!(later.happened(), CommitEffect::No, "request {requests}");
        drop(store);
        let (_, store) = open(disk.image());
        let revision = usize::try_from(store.revision().get()).expect("a small revision");
        // The last of the states is that of the commit that failed.
        let acknowledged = states.len() - 2;
        match failure.happened() {
            CommitEffect::No => assert_eq!(revision, acknowledged, "request {requests}"),
            CommitEffect::Unknown => {
                assert!((acknowledged..=acknowledged + 1).contains(&revision), "request {requests}");
            }
        }
        unknown += usize::from(failure.happened() == CommitEffect::Unknown);
        assert!(contents(&store) == states[revision], "request {requests}");
    }
    assert!(unknown > 0);
}
