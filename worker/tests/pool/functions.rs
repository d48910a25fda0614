//! Host functions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::Notify;
use worker::{Blob, CodedError, HostError, LimitKind, Pool, RunError, StartError, WorkerLimits};

use crate::{builder, checkout};

async fn shop() -> Pool {
    let price = |(item, count): (String, u32)| async move {
        match item.as_str() {
            "tea" => Ok(f64::from(count) * 2.5),
            _ => Err(HostError::new(format!("there is no {item}")).with_data(json!({ "item": item }))),
        }
    };
    builder()
        .function("shop::price", ["item", "count"], price)
        .function("shop::price", ["item"], |(_,): (String,)| async { Ok::<_, HostError>(2.5) })
        .function("shop::items", [], |()| async { Ok::<_, HostError>(["tea", "salt"]) })
        .function("shop::panic", [], |()| async { panic_now().map_err(HostError::internal) })
        .function("shop::panic", ["at_once"], |(at_once,): (bool,)| {
            assert!(!at_once, "a panic of the test");
            async { Ok::<_, HostError>(1) }
        })
        .start()
        .await
        .expect("it starts")
}

fn panic_now() -> Result<(), String> {
    panic!("a panic of the test")
}

pub(crate) async fn arguments_and_results_are_converted() {
    let pool = shop().await;
    let mut session = checkout(&pool).await;
    let sum = "shop::price(\"tea\", 2) + shop::price(\"salt\")";
    assert_eq!(session.run::<Value>(sum).await.expect("a value"), json!(7.5));
    assert_eq!(session.run::<Value>("shop::items()").await.expect("a value"), json!(["tea", "salt"]));
    let caught: Value = session
        .run(
            "let c = (); try { shop::price(\"tea\", -1) } catch (e) { c = [e.error, e.function, e.message, e.data] } c",
        )
        .await
        .expect("caught");
    let message = "argument 'count': invalid value: integer `-1`, expected u32";
    assert_eq!(caught, json!(["HostError", "shop::price", message, { "param": "count" }]));
    let error = session.run::<()>("shop::price(|x| x, 1)").await.expect_err("no value");
    assert!(error.to_string().contains("argument 'item': a value of type Fn has no form in JSON"), "{error}");
}

/// An error of the program with a code.
#[derive(Debug)]
struct SoldOut;

impl std::fmt::Display for SoldOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("sold out")
    }
}

impl CodedError for SoldOut {
    fn code(&self) -> &'static str {
        "sold_out"
    }
}

pub(crate) async fn blobs_and_codes_reach_both_sides() {
    let pool = builder()
        .function("shop::reverse", ["bytes"], |(mut bytes,): (Vec<u8>,)| async move {
            bytes.reverse();
            Ok::<_, HostError>(Blob(bytes))
        })
        .function("shop::buy", [], |()| async { Err::<(), _>(SoldOut) })
        .start()
        .await
        .expect("it starts");
    let mut session = checkout(&pool).await;
    let reversed = session.run::<Value>("let b = shop::reverse(bytes); [type_of(b), b[0], b.len()]");
    let reversed = reversed.input("bytes", Blob(vec![1, 2, 3])).await.expect("a value");
    assert_eq!(reversed, json!(["blob", 3, 3]));
    let caught = session.run::<String>("let c = (); try { shop::buy() } catch (e) { c = e.code } c").await;
    assert_eq!(caught.expect("caught"), "sold_out");
    let RunError::HostFunction { error, .. } = session.run::<()>("shop::buy()").await.expect_err("sold out") else {
        panic!("the error is not that of the function")
    };
    assert_eq!((error.message(), error.code()), ("sold out", Some("sold_out")));
}

pub(crate) async fn uncaught_error_is_host_function_error() {
    let pool = shop().await;
    let mut session = checkout(&pool).await;
    let error = session.run::<()>("let a = 1;\nshop::price(\"gold\", a)").await.expect_err("no gold");
    assert_eq!(error.to_string(), "a host function failed: shop::price: there is no gold (line 2, column 7)");
    let RunError::HostFunction { function, error, script } = error else { panic!("{error}") };
    assert_eq!((function.as_str(), error.data()), ("shop::price", Some(json!({ "item": "gold" }))));
    assert_eq!(script.position.map(|position| position.line), Some(2));
    // A script that throws a map of the same form does not speak for the function.
    let forged = "throw #{error: \"HostError\", function: \"shop::price\", message: \"the program is at fault\"}";
    assert!(matches!(session.run::<()>(forged).await, Err(RunError::Script(_))));
    let other = "try { shop::price(\"gold\", 1) } catch { throw \"another\" }";
    assert!(matches!(session.run::<()>(other).await, Err(RunError::Script(_))));
}

pub(crate) async fn panic_tells_script_nothing() {
    let pool = shop().await;
    let mut session = checkout(&pool).await;
    for script in ["shop::panic()", "shop::panic(true)"] {
        let error = session.run::<()>(script).await.expect_err("it panics");
        let RunError::HostFunction { error, .. } = error else { panic!("{error}") };
        assert_eq!(error, HostError::hidden());
    }
    assert_eq!(session.run::<i64>("shop::panic(false)").await.expect("a value"), 1);
}

/// Counts the futures that were dropped.
struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) async fn hanging_function_is_dropped_at_time_limit() {
    let (dropped, started) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (counter, signal) = (dropped.clone(), started.clone());
    let hang = move |()| {
        let guard = CountDrop(counter.clone());
        signal.notify_one();
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok::<_, HostError>(())
        }
    };
    let pool = builder().function("shop::hang", [], hang).start().await.expect("it starts");
    let mut session = checkout(&pool).await;
    session.run::<()>("let kept = 7;").await.expect("nothing");
    let error =
        session.run::<()>("shop::hang(); kept = 8").timeout(Duration::from_millis(50)).await.expect_err("it hangs");
    assert!(matches!(error, RunError::TimedOut { after } if after == Duration::from_millis(50)), "{error}");
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    started.notified().await;
    // The same when the future of the run is dropped.
    tokio::select! {
        ran = session.run::<()>("shop::hang(); kept = 9") => panic!("{ran:?}"),
        () = started.notified() => {}
    }
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
    assert_eq!(session.run::<i64>("kept").await.expect("the session remains"), 7);
}

pub(crate) async fn function_of_run_replaces_that_of_pool() {
    let pool = shop().await;
    let mut session = checkout(&pool).await;
    let user = String::from("alice");
    let asked = AtomicUsize::new(0);
    let price = |(item,): (String,)| {
        asked.fetch_add(1, Ordering::SeqCst);
        let text = format!("{item} for {user}");
        async move { Ok::<_, HostError>(text) }
    };
    let priced: String = session.run("shop::price(\"tea\")").function("shop::price", price).await.expect("a value");
    assert_eq!((priced.as_str(), asked.load(Ordering::SeqCst)), ("tea for alice", 1));
    // The next run has the pool's function.
    assert_eq!(session.run::<Value>("shop::price(\"tea\")").await.expect("a value"), json!(2.5));
    let nothing = |()| async { Ok::<_, HostError>(()) };
    let error = session.run::<()>("print(1)").function("shop::price", nothing).await.expect_err("unknown");
    assert!(matches!(&error, RunError::UnknownFunction { name } if name == "shop::price"), "{error}");
}

pub(crate) async fn large_result_is_a_limit() {
    let limits = WorkerLimits { host_bytes: 100, ..WorkerLimits::default() };
    let text = |(length,): (usize,)| async move { Ok::<_, HostError>("x".repeat(length)) };
    let pool = builder().limits(limits).function("shop::text", ["length"], text).start().await.expect("it starts");
    let mut session = checkout(&pool).await;
    assert_eq!(session.run::<usize>("shop::text(98).len()").await.expect("it fits"), 98);
    let error = session.run::<()>("let kept = 1; shop::text(99)").await.expect_err("too large");
    assert!(matches!(error, RunError::Limit { kind: LimitKind::HostBytes, max: 100 }), "{error}");
    assert_eq!(session.run::<i64>("kept").await.expect("the session remains"), 1);
}

pub(crate) async fn invalid_names_fail_start() {
    for (name, text) in [
        ("price", "price is in no module: name it MODULE::price"),
        ("shop::let", "scripts cannot call shop::let(item): not every name in it is an identifier"),
        ("a::b::price", "scripts cannot call a::b::price(item): not every name in it is an identifier"),
    ] {
        let pool = builder().function(name, ["item"], |(_,): (String,)| async { Ok::<_, HostError>(()) });
        assert_eq!(pool.start().await.expect_err("no name").to_string(), text);
    }
    let error = builder().constant("BIG", u64::MAX).start().await.expect_err("no i64");
    assert!(matches!(error, StartError::Constant(_)), "{error}");
}
