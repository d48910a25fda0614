//! A module that makes every play a transaction: its writes are kept only if the play succeeds.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, mpsc},
};

use keys::KeyPair;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use server_ws::{
    Circle, Workers,
    host::{self, PlayEnd},
};
use tokio::sync::Semaphore;

use super::{Test, eventually, receive, serve};

pub(crate) const TESTS: &[Test] = &[
    ("writes_of_successful_play_are_committed", writes_of_successful_play_are_committed),
    ("writes_of_failed_play_are_discarded", writes_of_failed_play_are_discarded),
    ("host_call_of_play_sent_ahead_waits_for_end_hooks", host_call_of_play_sent_ahead_waits_for_end_hooks),
    ("play_sent_ahead_waits_for_host_call", play_sent_ahead_waits_for_host_call),
    ("end_hook_can_fail_play", end_hook_can_fail_play),
    ("end_hook_is_awaited_until_deadline", end_hook_is_awaited_until_deadline),
    ("panicking_end_hook_fails_play", panicking_end_hook_fails_play),
    ("slow_end_hooks_are_limited_per_caller", slow_end_hooks_are_limited_per_caller),
];

/// Tests that kill workers, which must be processes.
pub(crate) const PROCESS_TESTS: &[Test] =
    &[("environment_loss_is_reported_after_end_hooks", environment_loss_is_reported_after_end_hooks)];

type CommittedWrites = Arc<Mutex<BTreeMap<String, i64>>>;

/// The uncommitted writes of a play; `None` once it has ended.
type PendingWrites = Mutex<Option<BTreeMap<String, i64>>>;

struct TestStore {
    committed: CommittedWrites,
    ends: mpsc::Receiver<PlayEnd>,
    /// The names of all `set` calls.
    calls: mpsc::Receiver<String>,
    /// Releases the slow commits.
    gate: Arc<Semaphore>,
}

fn test_store() -> (TestStore, host::Module<PendingWrites>) {
    let (committed, (say, ends)) = (CommittedWrites::default(), mpsc::channel());
    let (note_call, calls) = mpsc::channel();
    let gate = Arc::new(Semaphore::new(0));
    let (end_store, opened) = (committed.clone(), gate.clone());
    let end = move |pending: Arc<PendingWrites>, play_end: PlayEnd| {
        let (committed, say, gate) = (end_store.clone(), say.clone(), opened.clone());
        async move {
            // A test that does not listen has dropped its receiver.
            let _result = say.send(play_end);
            let written = pending.lock().expect("not poisoned").take().unwrap_or_default();
            if written.contains_key("slow") {
                gate.acquire().await.expect("not closed").forget();
            }
            assert!(!written.contains_key("panic"));
            if play_end.is_success() && written.contains_key("forbidden") {
                return Err(host::Error::new("not that").with_data("forbidden"));
            }
            if play_end.is_success() {
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
            move |call: host::Call<PendingWrites>, (name, value): (String, i64)| {
                // A test that does not listen has dropped its receiver.
                let _result = note_call.send(name.clone());
                async move {
                    match call.state().lock().expect("not poisoned").as_mut() {
                        Some(pending) => Ok(pending.insert(name, value)),
                        None => Err("the play has ended".into()),
                    }
                }
            },
        )
        .function(
            "wait",
            [],
            "Waits until its play is cancelled.",
            |call: host::Call<PendingWrites>, (): ()| async move {
                call.cancelled().await;
                Ok(())
            },
        );
    (TestStore { committed, ends, calls, gate }, module)
}

impl TestStore {
    fn committed(&self) -> Vec<(String, i64)> {
        self.committed.lock().expect("not poisoned").iter().map(|(name, value)| (name.clone(), *value)).collect()
    }
}

fn writes_of_successful_play_are_committed(workers: &Workers) {
    let (ledger, module) = test_store();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    let mut wire = circle.connect();
    assert_eq!(wire.value("ledger::set(\"a\", 1); ledger::set(\"b\", 2); ledger::set(\"a\", 3)"), 1);
    // The hook has run when the answer arrives.
    assert_eq!(ledger.ends.try_recv(), Ok(PlayEnd::Succeeded));
    assert_eq!(ledger.committed(), [("a".into(), 3), ("b".into(), 2)]);
    // Each play has its own state, and a play that does not call the module runs no hook.
    assert_eq!(wire.value("ledger::set(\"a\", 5)"), json!(null));
    assert_eq!(ledger.ends.try_recv(), Ok(PlayEnd::Succeeded));
    assert_eq!(wire.value("1"), 1);
    assert!(ledger.ends.try_recv().is_err());
}

fn host_call_of_play_sent_ahead_waits_for_end_hooks(workers: &Workers) {
    let (ledger, module) = test_store();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    let mut wire = circle.connect();
    wire.value("0");
    let slow = wire.request("play", json!(["ledger::set(\"slow\", 1)"]));
    let next = wire.request("play", json!(["ledger::set(\"next\", 2)"]));
    let last = wire.request("play", json!(["40 + 2"]));
    assert_eq!(receive(&ledger.ends), PlayEnd::Succeeded);
    // The session serves requests meanwhile, and cancels a play that waits.
    for _ in 0..20 {
        assert!(wire.call("complete", json!(["ledg", 4])).get("result").is_some());
    }
    assert_eq!(wire.call("cancel", json!([last]))["result"]["cancelled"], true);
    assert_eq!(wire.answer(&last)["error"]["code"], -32005);
    assert_eq!(ledger.calls.try_iter().collect::<Vec<_>>(), ["slow"]);
    assert!(ledger.committed().is_empty());
    ledger.gate.add_permits(1);
    assert!(wire.answer(&slow).get("result").is_some());
    assert!(wire.answer(&next).get("result").is_some());
    assert_eq!(ledger.committed(), [("next".into(), 2), ("slow".into(), 1)]);
}

/// The plays that were sent ahead arrive in the worker before the result of the call.
fn play_sent_ahead_waits_for_host_call(workers: &Workers) {
    let (_ledger, module) = test_store();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    let mut wire = circle.connect();
    wire.value("let n = 0;");
    let calls: Vec<_> = (1..=40)
        .map(|n| wire.request("play", json!([format!("ledger::set(\"a\", {n}); ledger::set(\"a\", 0) + n")])))
        .collect();
    for (id, n) in calls.iter().zip(1..) {
        assert_eq!(wire.answer(id)["result"]["value"], n);
    }
    let waiting = wire.request("play", json!(["print(\"waits\"); ledger::wait()"]));
    let next = wire.request("play", json!(["n + 42"]));
    wire.expect_print("waits");
    assert_eq!(wire.call("cancel", json!([waiting]))["result"]["cancelled"], true);
    assert_eq!(wire.answer(&waiting)["error"]["code"], -32005);
    assert_eq!(wire.answer(&next)["result"]["value"], 42);
}

fn writes_of_failed_play_are_discarded(workers: &Workers) {
    let (ledger, module) = test_store();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    let mut wire = circle.connect();
    let ended = |end| assert_eq!(ledger.ends.try_recv(), Ok(end), "the hook runs before the answer");
    assert_eq!(wire.error("ledger::set(\"a\", 1); throw 1")["code"], -32000);
    ended(PlayEnd::Failed);
    let late = wire.call("play", json!({ "script": "ledger::set(\"a\", 1); loop {}", "timeout_ms": 50 }));
    assert_eq!(late["error"]["code"], -32004);
    ended(PlayEnd::Limited);
    // Cancelled while the script computes, and while it waits for a function.
    for script in
        ["ledger::set(\"a\", 1); print(\"set\"); loop {}", "ledger::set(\"a\", 1); print(\"set\"); ledger::wait()"]
    {
        let play = wire.request("play", json!([script]));
        wire.expect_print("set");
        assert_eq!(wire.call("cancel", json!([play]))["result"]["cancelled"], true);
        assert_eq!(wire.answer(&play)["error"]["code"], -32005);
        ended(PlayEnd::Cancelled);
    }
    // On threads, a worker is lost when it panics.
    let loss = if matches!(workers, Workers::TrustedThreads) { "panic()" } else { "end_process()" };
    assert_eq!(wire.error(&format!("ledger::set(\"a\", 1); {loss}"))["code"], -32009);
    ended(PlayEnd::Lost);
    // The client disconnects.
    wire.request("play", json!(["ledger::set(\"a\", 1); print(\"set\"); loop {}"]));
    wire.expect_print("set");
    drop(wire);
    assert_eq!(receive(&ledger.ends), PlayEnd::Disconnected);
    assert!(ledger.committed().is_empty());
}

fn end_hook_can_fail_play(workers: &Workers) {
    let (ledger, module) = test_store();
    let (say, other_ends) = mpsc::channel();
    let end = move |_: Arc<()>, play_end: PlayEnd| {
        let say = say.clone();
        async move {
            say.send(play_end).expect("the test listens");
            Err("an error after a failed play changes nothing".into())
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
    // Hooks run in the order of the first calls, not in the order of the modules.
    assert_eq!((receive(&ledger.ends), receive(&other_ends)), (PlayEnd::Succeeded, PlayEnd::Failed));
    assert!(ledger.committed().is_empty());
    assert_eq!(wire.value("kept"), 1);
}

fn end_hook_is_awaited_until_deadline(workers: &Workers) {
    let (ledger, module) = test_store();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    let mut wire = circle.connect();
    let slow = wire.request("play", json!(["ledger::set(\"slow\", 1); 42"]));
    let behind = wire.request("play", json!(["43"]));
    assert_eq!(receive(&ledger.ends), PlayEnd::Succeeded);
    // A play with a result cannot be cancelled. Other requests are answered meanwhile, and the next play waits.
    assert_eq!(wire.call("cancel", json!([slow]))["result"]["cancelled"], false);
    assert!(wire.call("describe", json!([])).get("result").is_some());
    assert_eq!(wire.call("scope", json!([]))["result"]["variables"], json!([]));
    assert!(ledger.committed().is_empty());
    ledger.gate.add_permits(1);
    assert_eq!(
        (&wire.answer(&slow)["result"]["value"], &wire.answer(&behind)["result"]["value"]),
        (&json!(42), &json!(43))
    );
    assert_eq!(ledger.committed(), [("slow".into(), 1)]);
    let late = wire.call("play", json!({ "script": "ledger::set(\"slow\", 2); 42", "timeout_ms": 100 }));
    assert_eq!(late["error"]["data"], json!({ "limit": "time", "max": 100, "setting": "timeout_ms" }));
    assert_eq!(receive(&ledger.ends), PlayEnd::Succeeded);
    assert_eq!(wire.value("1"), 1);
    // The hook runs to its end.
    ledger.gate.add_permits(1);
    eventually(|| (ledger.committed() == [("slow".into(), 2)]).then_some(()).ok_or("it is not committed"));
}

fn panicking_end_hook_fails_play(workers: &Workers) {
    let (ledger, module) = test_store();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    let mut wire = circle.connect();
    assert_eq!(wire.error("ledger::set(\"panic\", 1);")["message"], "ledger: internal error; see the log of the host");
    assert_eq!(wire.value("ledger::set(\"a\", 1); 7"), 7);
    assert_eq!(ledger.committed(), [("a".into(), 1)]);
}

fn slow_end_hooks_are_limited_per_caller(workers: &Workers) {
    let (ledger, module) = test_store();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    let (mut wire, mut other) = (circle.connect(), circle.connect());
    let late = json!({ "script": "ledger::set(\"slow\", 1);", "timeout_ms": 200 });
    for _ in 0..host::MAX_DETACHED_CALLS {
        assert_eq!(wire.call("play", late.clone())["error"]["data"]["limit"], "time");
    }
    let error = wire.error("ledger::set(\"a\", 1);");
    assert_eq!((&error["code"], &error["data"]["limit"]), (&json!(-32006), &json!("running")));
    assert_eq!(ledger.ends.try_iter().count() as u64, host::MAX_DETACHED_CALLS);
    // Plays without host calls are not affected, and neither is another caller.
    assert_eq!(wire.value("1"), 1);
    other.authenticate(&KeyPair::generate().expect("a key"));
    assert_eq!(other.value("ledger::set(\"b\", 1); 2"), 2);
    ledger.gate.add_permits(4);
    eventually(|| {
        let answer = wire.play("ledger::set(\"a\", 1);");
        if answer.get("error").is_some() { Err(answer) } else { Ok(()) }
    });
}

/// Kills all workers of this process; the tests run one after the other.
fn kill_workers() {
    let workers = std::fs::read_dir("/proc").expect("Linux").filter_map(|entry| {
        let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, rest) = stat.rsplit_once(") ")?;
        let parent = std::fs::read_to_string(format!("/proc/{}/stat", rest.split(' ').nth(1)?)).ok()?;
        let is_ours = parent.rsplit_once(") ")?.1.split(' ').nth(1)? == std::process::id().to_string();
        (name.ends_with("(circles-worker") && is_ours).then(|| Pid::from_raw(pid))?
    });
    for worker in workers {
        // A worker of an earlier test may just have ended.
        let _ended = kill_process(worker, Signal::KILL);
    }
}

fn environment_loss_is_reported_after_end_hooks(workers: &Workers) {
    let (ledger, module) = test_store();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    let mut wire = circle.connect();
    let slow = wire.request("play", json!(["let mine = 1; ledger::set(\"slow\", 1); 42"]));
    let behind = wire.request("play", json!(["mine"]));
    assert_eq!(receive(&ledger.ends), PlayEnd::Succeeded);
    kill_workers();
    // A lost worker answers no query, so an answer shows that the loss is known.
    eventually(|| {
        let scope = wire.call("scope", json!([]));
        if scope["result"]["variables"] == json!([]) { Ok(()) } else { Err(scope) }
    });
    ledger.gate.add_permits(1);
    assert_eq!(wire.answer(&slow)["result"]["value"], 42);
    assert_eq!(wire.answer(&behind)["error"]["code"], -32009);
    assert_eq!(wire.error("mine")["code"], -32000);
}
