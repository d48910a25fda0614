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

fn increment(store: &Store, attempts: &AtomicUsize) {
    let ran = store.run(TIMEOUT, |transaction| {
        attempts.fetch_add(1, Ordering::Relaxed);
        let next = number(transaction, "hot")? + 1;
        transaction.put("hot", next)
    });
    ran.expect("no caller sees a conflict");
}

/// Increments one key on a file with some callers. Returns increments a second, and attempts for each.
fn measure(callers: usize, increments: usize) -> (f64, f64) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = options().open(directory.path().join("hot.store")).expect("a store");
    let attempts = AtomicUsize::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| (0..increments / callers).for_each(|_| increment(&store, &attempts)));
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    let total = increments / callers * callers;
    assert_eq!(get(&store, "hot"), Some(i64::try_from(total).expect("a small number").into()));
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let (total, attempts) = (total as f64, attempts.into_inner() as f64);
    (total / seconds, attempts / total)
}

#[test]
fn callers_of_a_hot_key_see_no_conflict() {
    let increments = 64 * usize::try_from(rounds(10, 200)).expect("a small number");
    let (serial, _) = measure(1, increments);
    let (concurrent, attempts) = measure(CALLERS, increments);
    let ratio = concurrent / serial;
    println!("1 caller: {serial:.0} increments/s; {CALLERS} callers: {concurrent:.0}/s, ratio {ratio:.2}");
    println!("{attempts:.2} attempts for each increment");
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
