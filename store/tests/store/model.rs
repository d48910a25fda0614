//! Random transactions do what the same operations do to a map in memory.

use std::collections::BTreeMap;

use store::{CommitError, Direction, Error, ListOptions, Prefix, Store, Transaction, Value};

use crate::support::{Random, in_memory, options, rounds, seed};

type Model = BTreeMap<String, Value>;

const PREFIXES: [&str; 4] = ["", "a/", "a/b/", "c/"];

fn key(random: &mut Random) -> String {
    let prefix = PREFIXES[random.below(PREFIXES.len())];
    format!("{prefix}{}", ["0", "1", "b", "~", "ä", "/"][random.below(6)])
}

fn value(random: &mut Random) -> Value {
    match random.below(4) {
        0 => Value::Integer(i64::MAX - i64::try_from(random.below(3)).expect("a small number")),
        1 => Value::Bytes(vec![7; random.below(20)]),
        2 if random.one_in(20) => Value::Bytes(vec![8; 20_000]),
        _ => Value::Integer(i64::try_from(random.below(100)).expect("a small number") - 50),
    }
}

fn prefix(text: &str) -> Prefix {
    if text.is_empty() { Prefix::all() } else { Prefix::new(text).expect("a prefix") }
}

/// What a list of the model has.
fn model_list(model: &Model, prefix: &str, options: &ListOptions) -> Vec<(String, Value)> {
    let is_after = |key: &str| match (&options.after, options.direction) {
        (None, _) => true,
        (Some(after), Direction::Forward) => key > after.as_str(),
        (Some(after), Direction::Reverse) => key < after.as_str(),
    };
    let mut entries: Vec<_> = model
        .iter()
        .filter(|(key, _)| key.starts_with(prefix) && is_after(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if options.direction == Direction::Reverse {
        entries.reverse();
    }
    entries.truncate(options.limit);
    entries
}

/// The sum after an addition, or whether the base is an integer.
fn model_add(model: &Model, key: &str, integer: i64) -> Result<i64, bool> {
    match model.get(key) {
        None => Ok(integer),
        Some(Value::Integer(base)) => base.checked_add(integer).ok_or(true),
        Some(Value::Bytes(_)) => Err(false),
    }
}

/// Checks the reads of a transaction against the model.
fn check_reads(transaction: &mut Transaction, model: &Model, random: &mut Random) {
    let key = key(random);
    assert_eq!(transaction.get(&key), Ok(model.get(&key).cloned()), "get {key}");
    let text = PREFIXES[random.below(PREFIXES.len())];
    let options = ListOptions {
        max_bytes: usize::MAX,
        after: random.one_in(2).then(|| self::key(random)),
        limit: random.below(6),
        direction: if random.one_in(2) { Direction::Forward } else { Direction::Reverse },
    };
    let entries = transaction.list(&prefix(text), &options).expect("a list");
    let entries: Vec<_> = entries.into_iter().map(|entry| (entry.key.to_string(), entry.value)).collect();
    assert_eq!(entries, model_list(model, text, &options), "list {text:?} {options:?}");
    let count = model.keys().filter(|key| key.starts_with(text)).count();
    assert_eq!(transaction.count(&prefix(text)), Ok(count), "count {text:?}");
}

/// One random write. Returns whether an addition went wrong at a key that the transaction had not written, which only
/// the commit notices.
fn write(transaction: &mut Transaction, model: &mut Model, own: &mut Vec<String>, random: &mut Random) -> bool {
    let key = key(random);
    match random.below(5) {
        0 | 1 => {
            let value = value(random);
            transaction.put(&key, value.clone()).expect("a write");
            model.insert(key.clone(), value);
        }
        2 => {
            let value = value(random);
            let inserted = transaction.insert(&key, value.clone());
            assert_eq!(inserted.is_ok(), !model.contains_key(&key), "insert {key}: {inserted:?}");
            model.entry(key.clone()).or_insert(value);
        }
        3 => {
            transaction.delete(&key).expect("a write");
            model.remove(&key);
        }
        _ => {
            let integer = [1, -1, i64::MAX][random.below(3)];
            let added = transaction.add(&key, integer);
            match model_add(model, &key, integer) {
                Ok(sum) => {
                    added.expect("an addition within the range");
                    model.insert(key.clone(), sum.into());
                }
                // The transaction knows its own value, and refuses.
                Err(_) if own.contains(&key) => match added {
                    Err(Error::NotAnInteger(_) | Error::Overflow(_)) => {}
                    Ok(()) => return true,
                    Err(error) => panic!("unexpected error of an addition: {error}"),
                },
                Err(_) => {
                    added.expect("an addition that the commit refuses");
                    return true;
                }
            }
        }
    }
    own.push(key);
    false
}

fn run(store: &Store, random: &mut Random, model: &mut Model) {
    let mut transaction = store.begin();
    let mut scratch = model.clone();
    let mut own = Vec::new();
    let mut savepoints = Vec::new();
    let mut is_doomed = false;
    for _ in 0..random.below(12) {
        match random.below(8) {
            0 => savepoints.push((transaction.savepoint().expect("a savepoint"), scratch.clone())),
            1 | 2 => {
                if let Some((savepoint, before)) = savepoints.pop() {
                    if random.one_in(2) {
                        transaction.roll_back(savepoint).expect("a savepoint");
                        scratch = before;
                    } else {
                        transaction.release(savepoint).expect("a savepoint");
                    }
                }
            }
            3 | 4 => check_reads(&mut transaction, &scratch, random),
            _ => is_doomed = write(&mut transaction, &mut scratch, &mut own, random),
        }
        if is_doomed {
            break;
        }
    }
    if random.one_in(5) {
        return;
    }
    let outcome = transaction.commit().wait();
    if is_doomed {
        assert!(matches!(outcome, Err(CommitError::NotAnInteger(_) | CommitError::Overflow(_))), "{outcome:?}");
    } else {
        outcome.expect("a commit without conflicts");
        *model = scratch;
    }
}

fn contents(store: &Store) -> Model {
    let mut transaction = store.begin();
    let options = ListOptions { max_bytes: usize::MAX, limit: 1000, ..ListOptions::default() };
    let entries = transaction.list(&Prefix::all(), &options).expect("a list");
    entries.into_iter().map(|entry| (entry.key.to_string(), entry.value)).collect()
}

/// The size of the store is the sum of its entries.
fn data_size(model: &Model) -> u64 {
    model.iter().map(|(key, value)| (key.len() + value.size()) as u64 + store::ENTRY_OVERHEAD).sum()
}

#[test]
fn random_transactions_equal_a_map() {
    for round in 0..rounds(200, 5_000) {
        let seed = seed() + round;
        let mut random = Random::new(seed);
        let store = in_memory();
        let mut model = Model::new();
        for _ in 0..60 {
            run(&store, &mut random, &mut model);
        }
        assert_eq!(contents(&store), model, "seed {seed}");
        assert!(store.size() >= data_size(&model), "seed {seed}");
    }
}

#[test]
fn random_transactions_survive_reopening() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("model.store");
    let mut random = Random::new(seed());
    let mut model = Model::new();
    let mut revision = 0;
    for _ in 0..rounds(5, 100) {
        let store = options().open(&path).expect("a store");
        assert_eq!(contents(&store), model);
        assert_eq!(store.revision().get(), revision);
        for _ in 0..20 {
            run(&store, &mut random, &mut model);
        }
        revision = store.revision().get();
        store.close().expect("a closed store");
    }
}
