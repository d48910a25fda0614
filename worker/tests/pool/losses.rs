//! Processes that are killed at any moment.

use tokio::sync::Notify;
use worker::{Loss, Pool, RunError, Session, StartError};

use crate::{
    builder, checkout, pool,
    processes::{fork_server, kill, wait_for_end, workers},
};

/// Kills a process while a script runs, and returns the run's error.
async fn killed_while_running(session: &mut Session, process: u32) -> RunError {
    let printed = Notify::new();
    let run = session.run::<()>("print(1); loop {}").on_print(|_| printed.notify_one()).into_future();
    let (ran, ()) = tokio::join!(run, async {
        printed.notified().await;
        kill(process);
    });
    ran.expect_err("the worker is killed")
}

async fn assert_works(pool: &Pool) {
    assert_eq!(checkout(pool).await.run::<i64>("40 + 2").await.expect("a value"), 42);
}

pub(crate) async fn killed_worker_fails_its_run_only() {
    let pool = pool().await;
    let (mut session, mut neighbour) = (checkout(&pool).await, checkout(&pool).await);
    let worker = session.pid().expect("a worker");
    let error = killed_while_running(&mut session, worker).await;
    assert!(matches!(error, RunError::WorkerLost(Loss::Killed)), "{error}");
    assert!(session.is_lost());
    assert_eq!(neighbour.run::<i64>("1").await.expect("a value"), 1);
    // Between runs.
    let worker = neighbour.pid().expect("a worker");
    kill(worker);
    wait_for_end(worker).await;
    let error = neighbour.run::<i64>("1").await.expect_err("the worker is lost");
    assert!(matches!(error, RunError::WorkerLost(Loss::Killed)), "{error}");
    drop((session, neighbour));
    assert_works(&pool).await;
}

pub(crate) async fn killed_fork_server_is_replaced() {
    let pool = pool().await;
    for _ in 0..3 {
        let mut session = checkout(&pool).await;
        let process = fork_server(&session);
        let error = killed_while_running(&mut session, process).await;
        assert!(matches!(error, RunError::WorkerLost(_)), "{error}");
        // Neither the session that lost its worker nor the spare workers are in the way.
        assert_works(&pool).await;
    }
}

pub(crate) async fn replaced_fork_server_has_same_modules() {
    let home = tempfile::tempdir().expect("a directory");
    let write = |text: &str| std::fs::write(home.path().join("shared.rhai"), text).expect("written");
    let script = "import \"shared\" as common; common::number()";
    write("fn number() { 1 }");
    let pool = builder().modules(home.path()).start().await.expect("a pool");
    let mut session = checkout(&pool).await;
    write("fn number() { 2 }");
    assert_eq!(session.run::<i64>(script).await.expect("a value"), 1);
    let process = fork_server(&session);
    drop(session);
    kill(process);
    wait_for_end(process).await;
    assert_eq!(checkout(&pool).await.run::<i64>(script).await.expect("a value"), 1);
}

pub(crate) async fn fork_server_killed_between_checkouts_is_replaced() {
    let pool = pool().await;
    for _ in 0..10 {
        let session = checkout(&pool).await;
        let process = fork_server(&session);
        drop(session);
        kill(process);
        // Without a wait for what the pool notices.
        wait_for_end(process).await;
        assert_works(&pool).await;
    }
}

pub(crate) async fn killed_spare_worker_is_replaced() {
    let pool = pool().await;
    let session = checkout(&pool).await;
    let (process, own) = (fork_server(&session), session.pid());
    // The pool starts a spare worker after the checkout.
    let spare = loop {
        if let Some(spare) = workers(process).into_iter().find(|worker| Some(*worker) != own) {
            break spare;
        }
        tokio::task::yield_now().await;
    };
    kill(spare);
    wait_for_end(spare).await;
    assert_works(&pool).await;
}

pub(crate) async fn failing_init_script_fails_start() {
    let error = builder().init("let a = 1;\na.nothing()").start().await.expect_err("it fails");
    assert!(matches!(&error, StartError::FirstWorker(RunError::Script(_))), "{error}");
    assert!(error.to_string().contains("(line 2, column 3)"), "{error}");
    let slow = builder().init("loop {}").start_timeout(std::time::Duration::from_millis(100));
    let error = slow.start().await.expect_err("it never ends");
    assert!(error.to_string().contains("was not ready within 100ms"), "{error}");
}
