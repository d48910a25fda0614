//! Single requests to the storage fail: the store latches, and what is recovered agrees with what the errors said.

use std::{collections::BTreeMap, io};

use store::{CommitEffect, CommitError, Error, ListOptions, OpenError, Prefix, Store};

use crate::{
    disk::{Disk, Kind},
    power_loss::{Contents, contents, open, submit_group},
    support::{Random, options, rounds, seed},
};

/// What a client knows after a failure.
struct Failed {
    states: Vec<Contents>,
    acknowledged: usize,
    happened: CommitEffect,
}

/// Commits groups until one fails; nothing if four groups did not.
fn commit_until_failure(store: &Store, random: &mut Random) -> Option<Failed> {
    let mut states = vec![Contents::new()];
    for _ in 0..4 {
        let acknowledged = states.len() - 1;
        let size = 1 + random.below(4);
        let pending = submit_group(store, &mut states, size, random);
        let results: Vec<_> = pending.into_iter().map(store::PendingCommit::wait).collect();
        let errors: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
        if let Some(error) = errors.first() {
            assert!(matches!(error, CommitError::Failed { .. }), "{error}");
            assert!(errors.len() == size && errors.iter().all(|other| other == error), "one group has one outcome");
            return Some(Failed { states, acknowledged, happened: error.happened() });
        }
    }
    None
}

fn assert_latched(store: &Store) {
    let mut later = store.begin();
    later.put("later", 1).expect("a write");
    let later = later.commit().wait().expect_err("the store has failed");
    assert_eq!(later.happened(), CommitEffect::No);
    assert!(matches!(later, CommitError::Failed { .. }), "{later}");
    assert!(matches!(store.begin().get("number"), Err(Error::Failed(_))));
}

impl Failed {
    /// Checks what is recovered.
    fn check(&self, image: Vec<u8>, place: &str) {
        let (_, store) = open(image);
        let revision = usize::try_from(store.revision().get()).expect("a small revision");
        match self.happened {
            CommitEffect::No => assert_eq!(revision, self.acknowledged, "{place}"),
            CommitEffect::Unknown => {
                let ends = [self.acknowledged, self.states.len() - 1];
                assert!(ends.contains(&revision), "{place}: revision {revision} is not in {ends:?}");
            }
        }
        assert!(contents(&store) == self.states[revision], "{place}");
    }
}

#[test]
fn failed_request_of_the_disk_latches_the_store() {
    let mut random = Random::new(seed());
    let start = Disk::with_store().image();
    let mut unknown = 0;
    for requests in 0.. {
        let disk = Disk::new(start.clone());
        let store = options().open_backend(Box::new(disk.clone())).expect("a store");
        let error = if random.one_in(2) { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
        disk.fail(&Kind::CHANGES, requests, error);
        let Some(failed) = commit_until_failure(&store, &mut random) else {
            assert!(requests > 20, "only {requests} requests in four groups");
            break;
        };
        assert_latched(&store);
        drop(store);
        unknown += usize::from(failed.happened == CommitEffect::Unknown);
        failed.check(disk.image(), &format!("request {requests}"));
    }
    assert!(unknown > 0);
}

#[test]
fn failed_request_and_a_power_loss_lose_nothing_that_was_acknowledged() {
    let mut random = Random::new(seed());
    let start = Disk::with_store().image();
    let (mut losses, mut recovered) = (0, [0, 0]);
    for kinds in [&Kind::CHANGES[..], &[Kind::Sync]] {
        for requests in (0..).flat_map(|requests| (0..rounds(10, 200)).map(move |_| requests)) {
            let disk = Disk::new(start.clone());
            let store = options().open_backend(Box::new(disk.clone())).expect("a store");
            disk.fail(kinds, requests, io::ErrorKind::Other);
            let Some(failed) = commit_until_failure(&store, &mut random) else { break };
            assert_latched(&store);
            // Whatever the store does when it closes is lost or not.
            let mut store = Some(store);
            if random.one_in(2) {
                drop(store.take());
            }
            let image = disk.lose_power(&mut random);
            drop(store);
            let revision = open(image.clone()).1.revision().get();
            recovered[usize::from(revision > failed.acknowledged as u64)] += 1;
            failed.check(image, &format!("{kinds:?} {requests}"));
            losses += 1;
        }
    }
    println!("{losses} power losses after failures; without and with the failed group: {recovered:?}");
    assert!(recovered[0] > 0 && recovered[1] > 0);
}

/// A closed store with a few hundred pages.
fn full_disk() -> (Vec<u8>, Contents) {
    let disk = Disk::with_store();
    let store = options().open_backend(Box::new(disk.clone())).expect("a store");
    let mut expected = Contents::new();
    for number in 0..10 {
        let mut transaction = store.begin();
        for part in 0..10 {
            let (key, value) = (format!("k/{number}{part}"), vec![number; 3_000]);
            transaction.put(&key, value.clone()).expect("a write");
            expected.insert(key, value.into());
        }
        transaction.commit().wait().expect("a commit");
    }
    store.close().expect("a closed store");
    (disk.image(), expected)
}

/// Reads all, one key and then the rest.
fn read(store: &Store) -> Result<Contents, Error> {
    let mut transaction = store.begin();
    transaction.get("k/55")?;
    transaction.count(&Prefix::new("k/").expect("a prefix"))?;
    let options = ListOptions { limit: 1000, ..ListOptions::default() };
    let entries = transaction.list(&Prefix::all(), &options)?;
    Ok(entries.into_iter().map(|entry| (entry.key.to_string(), entry.value)).collect())
}

fn write(store: &Store) -> Result<(), CommitError> {
    let mut transaction = store.begin();
    transaction.delete("k/33").expect("a write");
    transaction.add("new", 1).expect("a write");
    transaction.commit().wait().map(drop)
}

/// Opens, reads, writes and closes a store on a disk that fails once. Returns where an error came; nothing if the disk
/// got fewer requests than it would have to fail.
fn use_failing_disk(disk: &Disk, before: &Contents, writes_first: bool) -> Option<&'static str> {
    let mut after = before.clone();
    after.remove("k/33");
    after.insert("new".to_owned(), 1.into());
    let mut possible = vec![before];
    let mut place = None;
    match options().open_backend(Box::new(disk.clone())) {
        Err(error) => {
            assert!(matches!(error, OpenError::Io(_)), "{:?} failed, not {error:?}", disk.failed());
            place = Some("open");
        }
        Ok(store) => {
            for is_write in [writes_first, !writes_first] {
                let failed = if is_write {
                    match write(&store) {
                        Ok(()) => {
                            possible = vec![&after];
                            None
                        }
                        Err(CommitError::Failed { happened: CommitEffect::No, .. }) => Some("write"),
                        Err(CommitError::Failed { happened: CommitEffect::Unknown, .. }) => {
                            possible.push(&after);
                            Some("commit")
                        }
                        Err(error) => panic!("{error}"),
                    }
                } else {
                    match read(&store) {
                        Ok(contents) => {
                            assert!(*possible[0] == contents, "a read is right or fails");
                            None
                        }
                        Err(Error::Failed(_)) => Some("read"),
                        Err(error) => panic!("{error}"),
                    }
                };
                assert!(place.is_none() || failed.is_some(), "the store latches");
                place = place.or(failed);
            }
            if store.close().is_err() {
                place = place.or(Some("close"));
            }
        }
    }
    disk.failed()?;
    let (_, store) = open(disk.image());
    assert!(possible.contains(&&contents(&store)), "{place:?}");
    place.or(Some("nowhere"))
}

#[test]
fn each_single_request_may_fail_from_the_opening_to_the_close() {
    let (image, before) = full_disk();
    let mut places: BTreeMap<(Kind, &str), u64> = BTreeMap::new();
    for kinds in [&[Kind::Length][..], &[Kind::Read], &Kind::CHANGES] {
        for writes_first in [true, false] {
            for requests in 0.. {
                let disk = Disk::new(image.clone());
                disk.fail(kinds, requests, io::ErrorKind::Other);
                let Some(place) = use_failing_disk(&disk, &before, writes_first) else { break };
                let kind = disk.failed().expect("the kind that failed");
                *places.entry((kind, place)).or_default() += 1;
            }
        }
    }
    println!("{places:#?}");
    for place in [(Kind::Length, "open"), (Kind::Read, "open"), (Kind::Read, "read"), (Kind::Read, "write")] {
        assert!(places.contains_key(&place), "no failure at {place:?}");
    }
    assert!(places.contains_key(&(Kind::Sync, "commit")));
}
