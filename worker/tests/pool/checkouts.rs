//! Checkouts, and futures that are dropped.

use std::{pin::Pin, task::Poll};

use tokio::sync::Notify;
use worker::{Loss, RunError, Session};

use crate::{
    builder, checkout, pool,
    processes::{fork_server, wait_for_computation, wait_for_end, workers},
};

/// Polls a future once.
async fn poll_once<T>(mut future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Drops the future of a run once its script has printed something.
async fn drop_while_running(session: &mut Session, script: &str) {
    let printed = Notify::new();
    tokio::select! {
        ran = session.run::<()>(script).on_print(|_| printed.notify_one()).into_future() => panic!("{ran:?}"),
        () = printed.notified() => {}
    }
}

pub(crate) async fn session_leaves_nothing_for_next() {
    // One worker at a time, so that a worker that was used again would show.
    let pool = builder().max_workers(1).init("let list = [1];").start().await.expect("it starts");
    for _ in 0..5 {
        let mut session = checkout(&pool).await;
        let worker = session.pid().expect("a worker");
        assert_eq!(session.run::<i64>("list += 2; list.len()").await.expect("a value"), 2);
        session.run::<()>("let secret = 1; fn f() { 1 } import \"x\" as y;").await.expect_err("no modules");
        assert!(session.run::<bool>("is_def_var(\"secret\")").input("given", 1).await.expect("a value"));
        drop(session);
        let mut next = checkout(&pool).await;
        assert_ne!(next.pid(), Some(worker));
        let leaked = "is_def_var(\"secret\") || is_def_var(\"given\") || is_def_fn(\"f\", 0) || list.len() != 1";
        assert!(!next.run::<bool>(leaked).await.expect("a value"));
        let process = next.pid().expect("a worker");
        let fork_server = fork_server(&next);
        next.close().await;
        assert!(!workers(fork_server).contains(&process), "it has ended");
        wait_for_end(worker).await;
    }
}

pub(crate) async fn checkouts_wait_in_order_and_workers_are_bounded() {
    let pool = builder().max_workers(2).spare_workers(9).start().await.expect("it starts");
    let (one, two) = (checkout(&pool).await, checkout(&pool).await);
    let process = fork_server(&one);
    let (mut third, mut fourth) = (Box::pin(pool.checkout()), Box::pin(pool.checkout()));
    assert!(poll_once(third.as_mut()).await.is_none() && poll_once(fourth.as_mut()).await.is_none());
    assert_eq!(workers(process).len(), 2, "no spare worker, because there is no room for one");
    drop(two);
    // The fourth has to wait for the third, whichever is polled first.
    assert!(poll_once(fourth.as_mut()).await.is_none());
    let mut third = third.await.expect("a worker");
    assert!(poll_once(fourth.as_mut()).await.is_none());
    assert_eq!(third.run::<i64>("3").await.expect("a value"), 3);
    drop(third);
    let mut fourth = fourth.await.expect("a worker");
    assert_eq!(fourth.run::<i64>("4").await.expect("a value"), 4);
    // Many at once: each gets its turn.
    drop((one, fourth));
    let tasks: Vec<_> = (0..30)
        .map(|number| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut session = checkout(&pool).await;
                session.run::<i64>("n * 2").input("n", number).await.expect("a value")
            })
        })
        .collect();
    for (number, task) in (0..).zip(tasks) {
        assert_eq!(task.await.expect("no panic"), number * 2);
    }
}

pub(crate) async fn dropped_checkout_gives_up_its_turn() {
    let pool = builder().max_workers(1).start().await.expect("it starts");
    let session = checkout(&pool).await;
    let (mut dropped, mut next) = (Box::pin(pool.checkout()), Box::pin(pool.checkout()));
    assert!(poll_once(dropped.as_mut()).await.is_none() && poll_once(next.as_mut()).await.is_none());
    drop(dropped);
    drop(session);
    drop(next.await.expect("a worker"));
    // At every point at which a checkout can be dropped.
    for polls in 0..20 {
        let mut checkout = Box::pin(pool.checkout());
        for _ in 0..polls {
            if poll_once(checkout.as_mut()).await.is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(checkout(&pool).await.run::<i64>("1").await.expect("a value"), 1);
}

pub(crate) async fn dropped_run_is_stopped() {
    let pool = pool().await;
    let mut session = checkout(&pool).await;
    drop_while_running(&mut session, "let kept = 7; print(1); loop {}").await;
    assert_eq!(session.run::<i64>("kept").await.expect("the session remains"), 7);
    // A run that waits for the stop of the one before can be dropped, too.
    drop_while_running(&mut session, "print(1); loop { kept += 1 }").await;
    for _ in 0..3 {
        let mut waiting = Box::pin(session.run::<()>("kept = 0").into_future());
        let _ended = poll_once(waiting.as_mut()).await;
    }
    assert!(session.run::<i64>("kept").await.expect("the session remains") >= 0);
    // A run that was never polled does nothing.
    drop(session.run::<()>("kept = 5").into_future());
    session.run::<()>("kept = 6").await.expect("nothing");
    assert_eq!(session.run::<i64>("kept").await.expect("a value"), 6);
    // The session may be dropped before the script has stopped.
    let worker = session.pid().expect("a worker");
    drop_while_running(&mut session, "print(1); loop {}").await;
    drop(session);
    wait_for_end(worker).await;
}

pub(crate) async fn dropped_run_that_cannot_be_stopped_is_killed() {
    let pool = pool().await;
    let mut session = checkout(&pool).await;
    let worker = session.pid().expect("a worker");
    tokio::select! {
        ran = session.run::<()>("hang()").into_future() => panic!("{ran:?}"),
        () = wait_for_computation(worker) => {}
    }
    // Although nobody uses the session any more.
    wait_for_end(worker).await;
    let error = session.run::<i64>("1").await.expect_err("the worker is lost");
    assert!(matches!(error, RunError::WorkerLost(Loss::Killed)), "{error}");
    assert!(session.is_lost());
    assert_eq!(checkout(&pool).await.run::<i64>("1").await.expect("a value"), 1);
}

pub(crate) async fn closed_pool_fails_waiting_checkouts() {
    let pool = builder().max_workers(1).start().await.expect("it starts");
    let mut session = checkout(&pool).await;
    let mut waiting = Box::pin(pool.checkout());
    assert!(poll_once(waiting.as_mut()).await.is_none());
    pool.close();
    assert!(matches!(waiting.await, Err(RunError::PoolClosed)));
    assert!(matches!(pool.checkout().await, Err(RunError::PoolClosed)));
    assert_eq!(session.run::<i64>("1").await.expect("a value"), 1);
    let process = fork_server(&session);
    drop(session);
    wait_for_end(process).await;
}

pub(crate) async fn dropped_pool_ends_spare_workers() {
    let pool = pool().await;
    let mut session = checkout(&pool).await;
    let (process, own) = (fork_server(&session), session.pid());
    let spare = loop {
        if let Some(spare) = workers(process).into_iter().find(|worker| Some(*worker) != own) {
            break spare;
        }
        tokio::task::yield_now().await;
    };
    drop(pool);
    wait_for_end(spare).await;
    assert_eq!(session.run::<i64>("1").await.expect("a value"), 1);
    drop(session);
    wait_for_end(process).await;
}
