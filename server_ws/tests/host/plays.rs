//! A module that makes every play a transaction: what its functions do lasts only if the play succeeds.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, mpsc},
};

use serde_json::json;
use server_ws::{
    Circle, Workers,
    host::{self, PlayEnd},
};
use tokio::sync::Semaphore;

use super::{Test, heard, serve};

pub(crate) const TESTS: &[Test] = &[
    ("what_a_play_does_lasts_when_it_succeeds_and_is_seen_by_then", what_a_play_does_lasts_when_it_succeeds),
    ("what_a_play_does_vanishes_when_it_ends_otherwise", what_a_play_does_vanishes_when_it_ends_otherwise),
    ("a_module_may_turn_a_success_into_an_error", a_module_may_turn_a_success_into_an_error),
    ("the_end_of_a_play_is_waited_for_until_its_deadline", the_end_of_a_play_is_waited_for_until_its_deadline),
    ("a_module_that_fails_at_the_end_costs_its_play", a_module_that_fails_at_the_end_costs_its_play),
];

type Committed = Arc<Mutex<BTreeMap<String, i64>>>;

/// What a play has written and not committed; `None` once it has ended.
type Pending = Mutex<Option<BTreeMap<String, i64>>>;

struct Ledger {
    committed: Committed,
    ends: mpsc::Receiver<PlayEnd>,
    /// Lets a commit go on that a play asked to be slow.
    gate: Arc<Semaphore>,
}

fn ledger() -> (Ledger, host::Module<Pending>) {
    let (committed, (say, ends)) = (Committed::default(), mpsc::channel());
    let gate = Arc::new(Semaphore::new(0));
    let (of_end, opened) = (committed.clone(), gate.clone());
    let end = move |pending: Arc<Pending>, how: PlayEnd| {
        let (committed, say, gate) = (of_end.clone(), say.clone(), opened.clone());
        async move {
            // A test that does not ask has dropped its end.
            let _unheard = say.send(how);
            let written = pending.lock().expect("not poisoned").take().unwrap_or_default();
            if written.contains_key("slow") {
                gate.acquire().await.expect("not closed").forget();
            }
            assert!(!written.contains_key("panic"));
            if how.is_success() && written.contains_key("forbidden") {
                return Err(host::Error::new("not that").with_data("forbidden"));
            }
            if how.is_success() {
                committed.lock().expect("not poisoned").extend(written);
            }
            Ok(())
        }
    };
    let module = host::Module::for_each_play("ledger", |_| Mutex::new(Some(BTreeMap::new())), end)
        .function(
            "set",
            ["name", "value"],
            "Sets it.",
            |call: host::Call<Pending>, (name, value): (String, i64)| async move {
                match call.state().lock().expect("not poisoned").as_mut() {
                    Some(pending) => Ok(pending.insert(name, value)),
                    None => Err("the play has ended".into()),
                }
            },
        )
        .function("wait", [], "Waits for ever.", |call: host::Call<Pending>, (): ()| async move {
            call.cancelled().await;
            Ok(())
        });
    (Ledger { committed, ends, gate }, module)
}

impl Ledger {
    fn committed(&self) -> Vec<(String, i64)> {
        self.committed.lock().expect("not poisoned").iter().map(|(name, value)| (name.clone(), *value)).collect()
    }
}

fn what_a_play_does_lasts_when_it_succeeds(workers: &Workers) {
    let (ledger, module) = ledger();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    let mut wire = circle.connect();
    assert_eq!(wire.value("ledger::set(\"a\", 1); ledger::set(\"b\", 2); ledger::set(\"a\", 3)"), 1);
    // By the time that the answer is there.
    assert_eq!(ledger.ends.try_recv(), Ok(PlayEnd::Succeeded));
    assert_eq!(ledger.committed(), [("a".into(), 3), ("b".into(), 2)]);
    // Each play has its own, and one that does not call the module is not told of.
    assert_eq!(wire.value("ledger::set(\"a\", 5)"), json!(null));
    assert_eq!(ledger.ends.try_recv(), Ok(PlayEnd::Succeeded));
    assert_eq!(wire.value("1"), 1);
    assert!(ledger.ends.try_recv().is_err());
}

fn what_a_play_does_vanishes_when_it_ends_otherwise(workers: &Workers) {
    let (ledger, module) = ledger();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    let mut wire = circle.connect();
    let ended = |end| assert_eq!(ledger.ends.try_recv(), Ok(end), "told before the answer");
    assert_eq!(wire.error("ledger::set(\"a\", 1); throw 1")["code"], -32000);
    ended(PlayEnd::Failed);
    let late = wire.call("play", json!({ "script": "ledger::set(\"a\", 1); loop {}", "timeout_ms": 50 }));
    assert_eq!(late["error"]["code"], -32004);
    ended(PlayEnd::Limited);
    // Cancelled while it computes, and while it waits for a function.
    for script in
        ["ledger::set(\"a\", 1); print(\"set\"); loop {}", "ledger::set(\"a\", 1); print(\"set\"); ledger::wait()"]
    {
        let play = wire.request("play", json!([script]));
        wire.printed("set");
        assert_eq!(wire.call("cancel", json!([play]))["result"]["cancelled"], true);
        assert_eq!(wire.answer(&play)["error"]["code"], -32005);
        ended(PlayEnd::Cancelled);
    }
    // On threads there is no process that could be lost: a worker is when it panics.
    let loss = if matches!(workers, Workers::TrustedThreads) { "panic()" } else { "end_process()" };
    assert_eq!(wire.error(&format!("ledger::set(\"a\", 1); {loss}"))["code"], -32009);
    ended(PlayEnd::Lost);
    // With nobody there to be answered.
    wire.request("play", json!(["ledger::set(\"a\", 1); print(\"set\"); loop {}"]));
    wire.printed("set");
    drop(wire);
    assert_eq!(heard(&ledger.ends), PlayEnd::Disconnected);
    assert!(ledger.committed().is_empty());
}

fn a_module_may_turn_a_success_into_an_error(workers: &Workers) {
    let (ledger, module) = ledger();
    let (say, other_ends) = mpsc::channel();
    let end = move |_: Arc<()>, how: PlayEnd| {
        let say = say.clone();
        async move {
            say.send(how).expect("the test hears it");
            Err("an error of another end changes nothing".into())
        }
    };
    let other = host::Module::for_each_play("other", |_| (), end).function(
        "touch",
        [],
        "Is called.",
        |_: host::Call, (): ()| async { Ok(()) },
    );
    let circle = serve(workers, Circle::builder("test").host_module(other).host_module(module));
    let mut wire = circle.connect();
    let error = wire.error("let kept = 1; ledger::set(\"forbidden\", 1); other::touch(); 42");
    assert_eq!((&error["code"], &error["message"]), (&json!(-32000), &json!("ledger: not that")));
    assert_eq!(error["data"]["thrown"]["data"], "forbidden");
    // In the order of the first calls, whatever that of the modules is.
    assert_eq!((heard(&ledger.ends), heard(&other_ends)), (PlayEnd::Succeeded, PlayEnd::Failed));
    assert!(ledger.committed().is_empty());
    assert_eq!(wire.value("kept"), 1);
}

fn the_end_of_a_play_is_waited_for_until_its_deadline(workers: &Workers) {
    let (ledger, module) = ledger();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    let mut wire = circle.connect();
    let slow = wire.request("play", json!(["ledger::set(\"slow\", 1); 42"]));
    let behind = wire.request("play", json!(["43"]));
    assert_eq!(heard(&ledger.ends), PlayEnd::Succeeded);
    // What has its outcome cannot be cancelled; who asks meanwhile is answered, and the next play waits.
    assert_eq!(wire.call("cancel", json!([slow]))["result"]["cancelled"], false);
    assert!(wire.call("describe", json!([])).get("result").is_some());
    assert!(ledger.committed().is_empty());
    ledger.gate.add_permits(1);
    assert_eq!(
        (&wire.answer(&slow)["result"]["value"], &wire.answer(&behind)["result"]["value"]),
        (&json!(42), &json!(43))
    );
    assert_eq!(ledger.committed(), [("slow".into(), 1)]);
    let late = wire.call("play", json!({ "script": "ledger::set(\"slow\", 2); 42", "timeout_ms": 100 }));
    assert_eq!(late["error"]["data"], json!({ "limit": "time", "max": 100 }));
    assert_eq!(heard(&ledger.ends), PlayEnd::Succeeded);
    assert_eq!(wire.value("1"), 1);
    // It is not dropped half-way.
    ledger.gate.add_permits(1);
    let begun = std::time::Instant::now();
    while ledger.committed() != [("slow".into(), 2)] {
        assert!(begun.elapsed() < super::PATIENCE);
        std::thread::yield_now();
    }
}

fn a_module_that_fails_at_the_end_costs_its_play(workers: &Workers) {
    let (ledger, module) = ledger();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    let mut wire = circle.connect();
    assert_eq!(wire.error("ledger::set(\"panic\", 1);")["message"], "ledger: it failed; the circle's log says how");
    assert_eq!(wire.value("ledger::set(\"a\", 1); 7"), 7);
    assert_eq!(ledger.committed(), [("a".into(), 1)]);
}
