//! Hostile scripts: each one runs beside a session that must not notice it.

use std::time::Duration;

use worker::{LimitKind, Loss, RunError, WorkerLimits};

use crate::{builder, checkout, pool};

/// Long enough for a script to begin, and short enough for a test. Nothing is measured.
const SHORT: Duration = Duration::from_millis(50);

pub(crate) async fn endless_loop_is_stopped_and_session_kept() {
    let pool = pool().await;
    let (mut session, mut neighbour) = (checkout(&pool).await, checkout(&pool).await);
    session.run::<()>("let kept = 7;").await.expect("nothing");
    for script in [
        "loop {}",
        "loop { try { throw 1 } catch {} }",
        "[1].map(|x| { loop {} })",
        "loop { let s = `a`; s.pad(1000, 'b'); }",
        "fn f() { loop {} } f()",
    ] {
        let error = session.run::<()>(script).timeout(SHORT).await.expect_err(script);
        assert!(matches!(error, RunError::TimedOut { after: SHORT }), "{script}: {error}");
        assert_eq!(session.run::<i64>("kept").await.expect("the session remains"), 7, "{script}");
        assert_eq!(neighbour.run::<i64>("1").await.expect("a value"), 1);
    }
}

pub(crate) async fn script_that_cannot_be_stopped_is_killed() {
    let pool = pool().await;
    let (mut session, mut neighbour) = (checkout(&pool).await, checkout(&pool).await);
    let error = session.run::<()>("hang()").timeout(SHORT).await.expect_err("it hangs");
    assert!(matches!(error, RunError::TimedOut { .. }), "{error}");
    assert!(session.is_lost());
    let error = session.run::<i64>("1").await.expect_err("the worker is lost");
    assert!(matches!(error, RunError::WorkerLost(Loss::Killed)), "{error}");
    assert_eq!(neighbour.run::<i64>("1").await.expect("a value"), 1);
    drop(session);
    assert_eq!(checkout(&pool).await.run::<i64>("1").await.expect("a value"), 1);
}

pub(crate) async fn memory_bombs_hurt_only_their_session() {
    let pool = pool().await;
    let (mut session, mut neighbour) = (checkout(&pool).await, checkout(&pool).await);
    session.run::<()>("let kept = 7;").await.expect("nothing");
    let error = session.run::<()>("{ let a = []; loop { a.push(blob(10000)); } }").await.expect_err("a bomb");
    assert!(matches!(error, RunError::Limit { kind: LimitKind::Memory, max } if max == 64 << 20), "{error}");
    assert_eq!(session.run::<i64>("kept").await.expect("the session remains"), 7);
    // Within one operation, which cannot be stopped.
    let bomb = "let a = \"x\"; let b = \"x\"; a.pad(60000, \"a\"); b.pad(60000, \"b\"); a.replace(\"a\", b);";
    let error = session.run::<()>(bomb).await.expect_err("a bomb");
    assert!(matches!(error, RunError::WorkerLost(Loss::Memory)), "{error}");
    assert!(session.is_lost());
    assert_eq!(neighbour.run::<i64>("1").await.expect("a value"), 1);
    drop(session);
    assert_eq!(checkout(&pool).await.run::<i64>("1").await.expect("a value"), 1);
}

pub(crate) async fn deep_recursion_is_a_limit() {
    let pool = pool().await;
    let mut session = checkout(&pool).await;
    for script in ["fn f(n) { f(n + 1) } f(0)", "let f = |f| f.call(f); f.call(f)", "fn a() { b() } fn b() { a() } a()"]
    {
        let error = session.run::<()>(script).await.expect_err(script);
        assert!(matches!(error, RunError::Limit { kind: LimitKind::CallDepth, max: 256 }), "{script}: {error}");
    }
    let deep = format!("{}1{}", "(".repeat(1000), ")".repeat(1000));
    let error = session.run::<()>(&deep).await.expect_err("deep");
    assert!(matches!(error, RunError::Limit { kind: LimitKind::ExpressionDepth, .. }), "{error}");
    let nested = "let a = []; for i in 0..100 { a = [a]; } a";
    let error = session.run::<()>(nested).await.expect_err("deep");
    assert!(matches!(error, RunError::Limit { kind: LimitKind::ValueDepth, max: 64 }), "{error}");
}

pub(crate) async fn print_flood_is_bounded() {
    let limits = WorkerLimits { output_bytes: 100_000, ..WorkerLimits::default() };
    let pool = builder().limits(limits).start().await.expect("it starts");
    let mut session = checkout(&pool).await;
    let mut prints = Vec::new();
    let error = session.run::<()>("loop { print(\"flood\") }").collect_prints(&mut prints).await.expect_err("a flood");
    assert!(matches!(error, RunError::Limit { kind: LimitKind::Output, max: 100_000 }), "{error}");
    // Each print counts 256 bytes more.
    assert_eq!(prints.len(), 100_000 / (256 + "flood".len()));
    let error = session.run::<String>("let s = `x`; s.pad(200000, 'x'); s").await.expect_err("a large value");
    assert!(matches!(error, RunError::Limit { kind: LimitKind::Output, .. }), "{error}");
    assert_eq!(session.run::<i64>("1").await.expect("the session remains"), 1);
}
