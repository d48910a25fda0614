//! Runs that read what others change.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::json;
use server_ws::{StoreLocation, host};
use tokio::sync::Semaphore;

use super::{Test, everything, result, shop};
use crate::shop::Shop;

pub(super) const TESTS: &[Test] = &[
    ("play_that_read_what_changed_is_a_conflict", play_that_read_what_changed_is_a_conflict),
    ("calls_on_one_key_show_no_conflict", calls_on_one_key_show_no_conflict),
    ("calls_that_scan_show_no_conflict", calls_that_scan_show_no_conflict),
    ("additions_do_not_conflict", additions_do_not_conflict),
    ("call_with_lasting_effects_does_not_run_again", call_with_lasting_effects_does_not_run_again),
    ("cancelled_call_never_has_an_effect", cancelled_call_never_has_an_effect),
];

fn play_that_read_what_changed_is_a_conflict() {
    let (runs, permits) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let gate = gate(&runs, &permits);
    let change = |circle: server_ws::CircleBuilder| circle.store(StoreLocation::Memory).host_module(gate);
    let shop = Shop::start_with(&[], everything(), change);
    let (mut one, mut other) = (shop.connect(), shop.connect());
    for read in ["store::get(\"a/x\")", "store::has(\"a/x\")", "store::list(\"a/\")", "store::count(\"a/\")"] {
        one.value("store::delete(\"a/x\"); store::delete(\"seen\")");
        let running = one.request("play", json!([format!("{read}; gate::pass(); store::put(\"seen\", 1)")]));
        one.notification("play.progress");
        other.value("store::put(\"a/x\", 1)");
        permits.add_permits(1);
        let error = one.answer(&running)["error"].clone();
        assert_eq!(error["code"], -32010, "{read}: {error}");
        assert_eq!(error["data"], json!({ "cause": "changed", "key": "a/x", "attempts": 1 }), "{read}");
        assert_eq!(other.value("store::get(\"seen\")"), json!(null), "{read}");
    }
    // A play that only read has nothing to commit.
    let running = one.request("play", json!(["let n = store::get(\"a/x\"); gate::pass(); n"]));
    one.notification("play.progress");
    other.value("store::put(\"a/x\", 2)");
    permits.add_permits(1);
    assert_eq!(one.answer(&running)["result"]["value"], 1);
}

/// Calls a function from several connections at the same time, and returns the results.
fn call_from_many(shop: &Shop, callers: usize, calls: usize, function: &str) -> Vec<serde_json::Value> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..callers)
            .map(|_| {
                scope.spawn(|| {
                    let mut wire = shop.connect();
                    (0..calls).map(|_| result(&mut wire, function, json!([]))).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    })
}

const LONG: &str = "/// @timeout 86400000\n";

fn calls_on_one_key_show_no_conflict() {
    let next = format!("{LONG}fn next() {{ let n = store::get(\"n\", 0) + 1; store::put(\"n\", n); n }}");
    let shop = shop(&[("next", &next)]);
    let mut results: Vec<i64> =
        call_from_many(&shop, 8, 25, "next").iter().map(|value| value.as_i64().expect("an int")).collect();
    results.sort_unstable();
    assert_eq!(results, (1..=200).collect::<Vec<_>>(), "each call read what the one before wrote");
}

fn calls_that_scan_show_no_conflict() {
    let join = format!(
        "{LONG}fn join() {{ let n = store::count(\"room/\"); store::put(`room/${{n}}`, n); store::list(\"room/\").len() }}"
    );
    let shop = shop(&[("join", &join)]);
    call_from_many(&shop, 6, 10, "join");
    assert_eq!(shop.connect().value("store::count(\"room/\")"), 60, "no phantom");
}

fn additions_do_not_conflict() {
    let shop = shop(&[("hit", "fn hit() { store::add(\"hits\", 2); }")]);
    call_from_many(&shop, 6, 20, "hit");
    assert_eq!(shop.connect().value("store::get(\"hits\")"), 240);
}

/// A host function that holds the runs which call it until a permit comes.
fn gate(runs: &Arc<AtomicUsize>, permits: &Arc<Semaphore>) -> host::Module {
    let (runs, permits) = (runs.clone(), permits.clone());
    host::Module::new("gate").function("pass", [], "Waits.", move |call: host::Call, (): ()| {
        let (runs, permits) = (runs.clone(), permits.clone());
        async move {
            runs.fetch_add(1, Ordering::SeqCst);
            call.progress(1, 2, None);
            if let Ok(permit) = permits.acquire().await {
                permit.forget();
            }
            Ok(())
        }
    })
}

fn call_with_lasting_effects_does_not_run_again() {
    let files = [(
        "pass",
        "/// @timeout 86400000\nfn pass() { let n = store::get(\"n\", 0); gate::pass(); store::put(\"n\", n + 1); n }",
    )];
    for is_rerunnable in [false, true] {
        let (runs, permits) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let gate = gate(&runs, &permits);
        let gate = if is_rerunnable { gate.rerunnable() } else { gate };
        let change = |circle: server_ws::CircleBuilder| circle.store(StoreLocation::Memory).host_module(gate);
        let shop = Shop::start_with(&files, everything(), change);
        let (mut wire, mut other) = (shop.connect(), shop.connect());
        let running = wire.request("fn.pass", json!([]));
        wire.notification("play.progress");
        other.value("store::put(\"n\", 10)");
        permits.add_permits(2);
        let answer = wire.answer(&running);
        if is_rerunnable {
            assert_eq!((&answer["result"], runs.load(Ordering::SeqCst)), (&json!(10), 2));
        } else {
            let data = json!({ "cause": "changed", "key": "n", "attempts": 1 });
            assert_eq!((&answer["error"]["code"], &answer["error"]["data"]), (&json!(-32010), &data));
            assert_eq!(runs.load(Ordering::SeqCst), 1);
        }
    }
}

fn cancelled_call_never_has_an_effect() {
    let shop = shop(&[("hit", "fn hit(n) { for i in 0..n { } store::put(`hits/${n}`, n); n }")]);
    let (mut wire, mut other) = (shop.connect(), shop.connect());
    let mut cancelled = 0;
    for n in 0..200 {
        let id = wire.request("fn.hit", json!([n]));
        // The play of another session gives the call some time, which differs from round to round.
        if n % 3 == 1 {
            other.value("1");
        }
        let is_cancelled = wire.call("cancel", json!([id]))["result"]["cancelled"] == true;
        let answer = wire.answer(&id);
        let has_effect = other.value(&format!("store::has(\"hits/{n}\")")) == true;
        assert_eq!(has_effect, answer.get("result").is_some(), "{n}: {answer}");
        assert!(!(is_cancelled && has_effect), "{n}: {answer}");
        cancelled += usize::from(is_cancelled);
    }
    assert!(cancelled > 0, "no call was cancelled");
}
