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
    ("host_call_of_play_sent_ahead_waits_for_end", host_call_of_play_sent_ahead_waits_for_end),
    ("play_sent_ahead_waits_for_host_call", play_sent_ahead_waits_for_host_call),
    ("module_can_refuse_end_of_play", module_can_refuse_end_of_play),
    ("preparation_is_awaited_until_deadline", preparation_is_awaited_until_deadline),
    ("panicking_preparation_fails_play", panicking_preparation_fails_play),
    ("slow_preparations_are_limited_per_caller", slow_preparations_are_limited_per_caller),
];

/// Tests that kill workers, which must be processes.
pub(crate) const PROCESS_TESTS: &[Test] =
    &[("environment_loss_is_reported_after_end", environment_loss_is_reported_after_end)];

type Writes = BTreeMap<String, i64>;

/// A module whose functions write to a store when the play succeeds. Its behaviour depends on the names that are
/// written.
struct Ledger {
    committed: Arc<Mutex<Writes>>,
    ends: mpsc::Sender<PlayEnd>,
    calls: mpsc::Sender<String>,
    gate: Arc<Semaphore>,
}

/// What a test sees of its ledger.
struct TestStore {
    committed: Arc<Mutex<Writes>>,
    ends: mpsc::Receiver<PlayEnd>,
    /// The names of all `set` calls.
    calls: mpsc::Receiver<String>,
    /// Releases the slow commits.
    gate: Arc<Semaphore>,
}

impl host::Transactional for Ledger {
    type Tx = Writes;
    type Prepared = ();

    async fn begin(&self, _: &host::PlayContext) -> host::Result<Writes> {
        Ok(Writes::new())
    }

    async fn prepare(&self, writes: Writes) -> host::Result<()> {
        // A test that does not listen has dropped its receiver.
        let _result = self.ends.send(PlayEnd::Succeeded);
        if writes.contains_key("slow") {
            self.gate.acquire().await.expect("not closed").forget();
        }
        assert!(!writes.contains_key("panic"));
        if writes.contains_key("forbidden") {
            return Err(host::Error::new("not that").with_code("forbidden").with_data("forbidden"));
        }
        self.committed.lock().expect("not poisoned").extend(writes);
        Ok(())
    }

    async fn abort(&self, _: Writes, end: PlayEnd) {
        // A test that does not listen has dropped its receiver.
        let _result = self.ends.send(end);
    }
}

impl Ledger {
    #[expect(clippy::unused_async, reason = "every host function is async")]
    async fn set(
        &self,
        mut call: host::Call<Writes>,
        (name, value): (String, i64),
    ) -> Result<Option<i64>, host::Error> {
        // A test that does not listen has dropped its receiver.
        let _result = self.calls.send(name.clone());
        Ok(call.tx().insert(name, value))
    }

    async fn wait(&self, call: host::Call<Writes>, (): ()) -> host::Result<()> {
        call.cancelled().await;
        Ok(())
    }
}

fn test_store() -> (TestStore, host::Module<Arc<Ledger>, Writes>) {
    let (committed, gate) = (Arc::new(Mutex::default()), Arc::new(Semaphore::new(0)));
    let ((ends_sender, ends), (calls_sender, calls)) = (mpsc::channel(), mpsc::channel());
    let ledger =
        Ledger { committed: Arc::clone(&committed), ends: ends_sender, calls: calls_sender, gate: gate.clone() };
    let module = host::Module::transactional("ledger", ledger)
        .function("set", ["name", "value"], "Sets it.", Ledger::set)
        .function("wait", [], "Waits until its play is cancelled.", Ledger::wait);
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
    // The module has committed when the answer arrives.
    assert_eq!(ledger.ends.try_recv(), Ok(PlayEnd::Succeeded));
    assert_eq!(ledger.committed(), [("a".into(), 3), ("b".into(), 2)]);
    // Each play has its own state, and a play that does not call the module ends none.
    assert_eq!(wire.value("ledger::set(\"a\", 5)"), json!(null));
    assert_eq!(ledger.ends.try_recv(), Ok(PlayEnd::Succeeded));
    assert_eq!(wire.value("1"), 1);
    assert!(ledger.ends.try_recv().is_err());
}

fn host_call_of_play_sent_ahead_waits_for_end(workers: &Workers) {
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
    let ended = |end| assert_eq!(ledger.ends.try_recv(), Ok(end), "the transaction ends before the answer");
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

fn module_can_refuse_end_of_play(workers: &Workers) {
    let (ledger, module) = test_store();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    let mut wire = circle.connect();
    let error = wire.error("let kept = 1; ledger::set(\"forbidden\", 1); 42");
    assert_eq!((&error["code"], &error["message"]), (&json!(-32000), &json!("ledger: not that")));
    let thrown = &error["data"]["thrown"];
    assert_eq!((&thrown["data"], &thrown["code"]), (&json!("forbidden"), &json!("forbidden")));
    assert!(ledger.committed().is_empty());
    assert_eq!(wire.value("kept"), 1);
}

fn preparation_is_awaited_until_deadline(workers: &Workers) {
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
    // The preparation runs to its end.
    ledger.gate.add_permits(1);
    eventually(|| (ledger.committed() == [("slow".into(), 2)]).then_some(()).ok_or("it is not committed"));
}

fn panicking_preparation_fails_play(workers: &Workers) {
    let (ledger, module) = test_store();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    let mut wire = circle.connect();
    assert_eq!(wire.error("ledger::set(\"panic\", 1);")["message"], "ledger: internal error; see the log of the host");
    assert_eq!(wire.value("ledger::set(\"a\", 1); 7"), 7);
    assert_eq!(ledger.committed(), [("a".into(), 1)]);
}

fn slow_preparations_are_limited_per_caller(workers: &Workers) {
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

fn environment_loss_is_reported_after_end(workers: &Workers) {
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
