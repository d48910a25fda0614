//! Runs in parts, on no runtime.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use store::{
    Attempts, CommitError, CommitResult, Error, ListOptions, Once, OnceKey, Prefix, RunError, Store, Transaction, Value,
};

use crate::support::{get, in_memory, put, with_limits};

fn far() -> Instant {
    Instant::now() + Duration::from_mins(10)
}

#[derive(Default)]
struct Signal(Mutex<bool>, Condvar);

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        *self.0.lock().expect("a flag") = true;
        self.1.notify_all();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let signal = Arc::<Signal>::default();
    let waker = Waker::from(Arc::clone(&signal));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut flag = signal.0.lock().expect("a flag");
        while !*flag {
            flag = signal.1.wait(flag).expect("a flag");
        }
        *flag = false;
    }
}

fn is_pending(future: Pin<&mut impl Future>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

fn key(text: &str) -> store::Key {
    store::Key::new(text).expect("a key")
}

/// A conflict on a key, for which the attempts then have the turn.
fn conflict(store: &Store, attempts: &mut Attempts, name: &str) -> CommitError {
    let mut transaction = attempts.begin();
    transaction.get(name).expect("a read");
    transaction.put("other", 1).expect("a write");
    put(store, name, 1);
    attempts.commit(transaction).wait().expect_err("a conflict")
}

fn increment(transaction: &mut Transaction) {
    let Some(Value::Integer(number)) = transaction.get("hot").expect("a read") else { panic!("no number") };
    transaction.put("hot", number + 1).expect("a write");
}

async fn run(store: &Store, count: &AtomicUsize) -> CommitResult {
    let mut attempts = store.attempts(far());
    loop {
        count.fetch_add(1, Ordering::Relaxed);
        let mut transaction = attempts.begin();
        attempts.before_read(&transaction, &key("hot")).await;
        // The read may be on another thread.
        let transaction = thread::scope(|scope| {
            let read = scope.spawn(|| {
                increment(&mut transaction);
                transaction
            });
            read.join().expect("a transaction")
        });
        match attempts.commit(transaction).await {
            Err(error) if error.is_temporary() && attempts.after_conflict(&error).await => {}
            result => return result,
        }
    }
}

#[test]
fn attempts_on_a_hot_key_go_one_after_another() {
    let store = in_memory();
    put(&store, "hot", 0);
    let count = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..20 {
                    block_on(run(&store, &count)).expect("a commit");
                }
            });
        }
        // Blocking runs share the turns.
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let ran = store.run(Duration::from_mins(10), |transaction| {
                        increment(transaction);
                        Ok::<(), Error>(())
                    });
                    ran.expect("a commit");
                }
            });
        }
    });
    assert_eq!(get(&store, "hot"), Some(400.into()));
}

#[test]
fn turn_lasts_until_the_commit_ended() {
    let store = in_memory();
    let (mut first, mut second) = (store.attempts(far()), store.attempts(far()));
    let error = conflict(&store, &mut first, "k");
    assert!(block_on(first.after_conflict(&error)));
    let mut transaction = first.begin();
    assert_eq!(first.count(), 2);
    transaction.get("k").expect("a read");
    transaction.put("k", 2).expect("a write");
    store.pause();
    let pending = first.commit(transaction);
    // The end of the attempts does not end the turn: the commit has it.
    drop(first);
    let transaction = second.begin();
    {
        let mut waiting = pin!(second.before_read(&transaction, &key("k")));
        assert!(is_pending(waiting.as_mut()));
        store.resume();
        pending.wait().expect("a commit in the turn");
        block_on(waiting);
    }
    let mut transaction = second.begin();
    assert_eq!(transaction.get("k"), Ok(Some(2.into())));
}

#[test]
fn dropped_attempts_end_their_turn() {
    let store = in_memory();
    let (mut first, mut second, mut third) = (store.attempts(far()), store.attempts(far()), store.attempts(far()));
    let error = conflict(&store, &mut first, "k");
    assert!(block_on(first.after_conflict(&error)));
    let transactions = [second.begin(), third.begin()];
    let mut waiting = Box::pin(second.before_read(&transactions[0], &key("k")));
    let mut next = Box::pin(third.before_read(&transactions[1], &key("k")));
    assert!(is_pending(waiting.as_mut()) && is_pending(next.as_mut()));
    drop(waiting);
    drop(first);
    assert!(!is_pending(next.as_mut()), "the dropped wait has left the queue");
}

#[test]
fn wait_for_a_turn_ends_at_the_deadline() {
    let store = in_memory();
    let mut first = store.attempts(far());
    let error = conflict(&store, &mut first, "k");
    assert!(block_on(first.after_conflict(&error)));
    let mut transaction = first.begin();
    transaction.put("k", 2).expect("a write");
    store.pause();
    let pending = first.commit(transaction);
    let mut second = store.attempts(Instant::now() + Duration::from_millis(1));
    let transaction = second.begin();
    block_on(second.before_read(&transaction, &key("k")));
    assert!(!block_on(second.after_conflict(&error)));
    store.resume();
    pending.wait().expect("a commit");
}

#[test]
fn scans_take_turns_on_their_prefix() {
    let store = in_memory();
    let jobs = Prefix::new("jobs/").expect("a prefix");
    let list = ListOptions { limit: 1, ..ListOptions::default() };
    let mut attempts = store.attempts(far());
    let mut transaction = attempts.begin();
    transaction.list(&jobs, &list).expect("a list");
    transaction.put("other", 1).expect("a write");
    put(&store, "jobs/1", 1);
    let error = attempts.commit(transaction).wait().expect_err("a conflict");
    assert!(matches!(&error, CommitError::Conflict { scan: Some(prefix), .. } if *prefix == jobs));
    assert!(block_on(attempts.after_conflict(&error)));
    let mut other = store.attempts(far());
    let transaction = other.begin();
    let mut waiting = Box::pin(other.before_scan(&transaction, &jobs));
    assert!(is_pending(waiting.as_mut()));
    drop(attempts);
    block_on(waiting.as_mut());
}

#[test]
fn full_queue_is_waited_for() {
    let store = with_limits(|limits| limits.queued_commits = 1).open_in_memory().expect("a store");
    store.pause();
    let mut transaction = store.begin();
    transaction.put("a", 1).expect("a write");
    let first = transaction.commit();
    let mut attempts = store.attempts(far());
    let commit = |attempts: &mut Attempts| {
        let mut transaction = attempts.begin();
        transaction.put("b", 1).expect("a write");
        attempts.commit(transaction)
    };
    let error = commit(&mut attempts).wait().expect_err("a full queue");
    assert_eq!(error, CommitError::Busy);
    {
        let mut waiting = pin!(attempts.after_conflict(&error));
        assert!(is_pending(waiting.as_mut()));
        store.resume();
        assert!(block_on(waiting));
    }
    commit(&mut attempts).wait().expect("a commit");
    first.wait().expect("a commit");
}

#[test]
fn run_waits_for_room_in_the_queue() {
    let store = with_limits(|limits| limits.queued_commits = 1).open_in_memory().expect("a store");
    store.pause();
    let mut transaction = store.begin();
    transaction.put("a", 1).expect("a write");
    let first = transaction.commit();
    // With its time over, the run tells how it would have gone on.
    let ran = store.run(Duration::ZERO, |transaction| transaction.put("b", 1));
    assert_eq!(ran, Err(RunError::Deadline { attempts: 1, last: CommitError::Busy }));
    store.resume();
    first.wait().expect("a commit");
}

#[test]
fn once_commits_through_attempts() {
    let store = in_memory();
    let once = OnceKey::new(b"alice", &"a".repeat(22)).expect("a once key");
    let Ok(Once::Claimed(claim)) = store.once(once.clone(), [1; 32]) else { panic!("a new request") };
    let mut attempts = store.attempts(far());
    let mut transaction = attempts.begin();
    transaction.put("a", 1).expect("a write");
    attempts.commit_once(transaction, &claim, b"result".to_vec()).wait().expect("a commit");
    drop(claim);
    assert!(matches!(store.once(once, [1; 32]), Ok(Once::Recorded(_))));
}
