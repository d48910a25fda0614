use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use store::{Error, RunError, Store, Transaction, Value};

use crate::support::{Random, get, in_memory, options, put, rounds, seed};

/// Longer than any test.
const TIMEOUT: Duration = Duration::from_mins(10);
const CALLERS: usize = 64;

fn number(transaction: &mut Transaction, key: &str) -> Result<i64, Error> {
    match transaction.get(key)? {
        Some(Value::Integer(number)) => Ok(number),
        _ => Ok(0),
    }
}

/// Increments a key in one transaction. Returns how often it ran.
type Increment = fn(&Store) -> usize;

fn read_and_put(store: &Store) -> usize {
    let mut attempts = 0;
    let ran = store.run(TIMEOUT, |transaction| {
        attempts += 1;
        let next = number(transaction, "hot")? + 1;
        transaction.put("hot", next)
    });
    ran.expect("no caller sees a conflict");
    attempts
}

fn add(store: &Store) -> usize {
    let mut attempts = 0;
    let ran = store.run(TIMEOUT, |transaction| {
        attempts += 1;
        transaction.add("hot", 1)
    });
    ran.expect("no caller sees a conflict");
    attempts
}

/// Increments one key on a file with some callers. Returns increments a second, and attempts.
fn measure(callers: usize, increments: usize, increment: Increment) -> (f64, usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = options().open(directory.path().join("hot.store")).expect("a store");
    let attempts = AtomicUsize::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                for _ in 0..increments / callers {
                    attempts.fetch_add(increment(&store), Ordering::Relaxed);
                }
            });
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    let total = increments / callers * callers;
    assert_eq!(get(&store, "hot"), Some(i64::try_from(total).expect("a small number").into()));
    assert_eq!(store.revision().get(), total as u64, "each increment has one commit");
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let total = total as f64;
    (total / seconds, attempts.into_inner())
}

/// The goals for the ratios are 0.7 for reads and puts, and 5 for additions. They depend on the load of the machine, so
/// the test prints them.
#[test]
fn callers_of_a_hot_key_see_no_conflict() {
    let increments = CALLERS * usize::try_from(rounds(10, 200)).expect("a small number");
    let (serial, attempts) = measure(1, increments, read_and_put);
    assert_eq!(attempts, increments, "one caller has no conflict");
    let (concurrent, attempts) = measure(CALLERS, increments, read_and_put);
    println!(
        "1 caller: {serial:.0} increments/s; {CALLERS} callers: {concurrent:.0}/s, ratio {:.2}",
        concurrent / serial
    );
    println!("{attempts} attempts for {increments} increments");
    let (added, attempts) = measure(CALLERS, increments, add);
    println!("{CALLERS} callers that add: {added:.0}/s, ratio {:.1}", added / concurrent);
    assert_eq!(attempts, increments, "an addition has no conflict");
}

#[test]
fn runs_that_need_several_hot_keys_do_not_deadlock() {
    const ACCOUNTS: usize = 3;
    let store = in_memory();
    for account in 0..ACCOUNTS {
        put(&store, &format!("account/{account}"), 100);
    }
    thread::scope(|scope| {
        for caller in 0..8 {
            let store = &store;
            scope.spawn(move || {
                let mut random = Random::new(seed() + caller);
                for _ in 0..100 {
                    let (from, to) = (random.below(ACCOUNTS), random.below(ACCOUNTS));
                    let moved = store.run(TIMEOUT, |transaction| {
                        for (account, change) in [(from, -1), (to, 1)] {
                            let key = format!("account/{account}");
                            let balance = number(transaction, &key)?;
                            transaction.put(&key, balance + change)?;
                        }
                        Ok::<(), Error>(())
                    });
                    moved.expect("a transfer");
                }
            });
        }
    });
    let mut transaction = store.begin();
    let sum: i64 =
        (0..ACCOUNTS).map(|account| number(&mut transaction, &format!("account/{account}")).expect("a read")).sum();
    assert_eq!(sum, 300);
}

#[test]
fn run_ends_with_the_error_of_its_function() {
    let store = in_memory();
    let ran = store.run(TIMEOUT, |transaction| {
        transaction.put("a", 1).expect("a write");
        Err::<(), _>("sold out")
    });
    assert_eq!(ran, Err(RunError::Function("sold out")));
    assert_eq!(get(&store, "a"), None);
}

#[test]
fn run_ends_at_its_deadline() {
    let store = in_memory();
    let ran = store.run(Duration::ZERO, |transaction| {
        number(transaction, "a")?;
        // Another caller is always faster.
        put(&store, "a", 1);
        transaction.put("b", 1)
    });
    assert!(matches!(ran, Err(RunError::Deadline { attempts: 1, .. })), "{ran:?}");
    assert_eq!(get(&store, "b"), None);
}
