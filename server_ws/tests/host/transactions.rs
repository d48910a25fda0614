//! The phases of transactions: what happens when one of them fails, hangs or panics, or when the play ends meanwhile.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, mpsc},
};

use serde_json::json;
use server_ws::{
    Circle, Workers,
    host::{self, PlayEnd},
};
use tokio::sync::Semaphore;

use super::{RunningCircle, Test, eventually, receive, serve};

pub(crate) const TESTS: &[Test] = &[
    ("failed_begin_is_error_of_call", failed_begin_is_error_of_call),
    ("play_that_ends_during_begin_is_aborted", play_that_ends_during_begin_is_aborted),
    ("function_has_transaction_until_it_returns", function_has_transaction_until_it_returns),
    ("modules_prepare_before_any_commits", modules_prepare_before_any_commits),
    ("refusal_rolls_back_all_modules", refusal_rolls_back_all_modules),
    ("hanging_preparation_ends_at_deadline", hanging_preparation_ends_at_deadline),
    ("prepared_play_cannot_be_cancelled", prepared_play_cannot_be_cancelled),
    ("preparation_without_client_is_committed", preparation_without_client_is_committed),
    ("shutdown_rolls_back_hanging_preparation", shutdown_rolls_back_hanging_preparation),
    ("hanging_end_does_not_change_result", hanging_end_does_not_change_result),
    ("panicked_function_prevents_commit", panicked_function_prevents_commit),
];

/// What a phase of a probe does, apart from the event that it sends.
#[derive(Clone)]
enum Step {
    Fail,
    Panic,
    Wait(Arc<Semaphore>),
    /// Waits until the play is cancelled; only for `begin`.
    UntilCancelled,
}

/// The plan of all probes of a test: what to do in a phase, such as `first prepare`.
type Plan = Arc<Mutex<HashMap<&'static str, Step>>>;

/// A module that sends an event for each phase of its transactions.
struct Probe {
    name: &'static str,
    events: mpsc::Sender<String>,
    plan: Plan,
}

impl Probe {
    async fn step(&self, phase: &str, detail: &str) -> host::Result<()> {
        let event = format!("{} {phase}", self.name);
        let step = self.plan.lock().expect("not poisoned").get(event.as_str()).cloned();
        // A test that does not listen has dropped its receiver.
        let _result = self.events.send(if detail.is_empty() { event } else { format!("{event} {detail}") });
        match step {
            None | Some(Step::UntilCancelled) => Ok(()),
            Some(Step::Fail) => Err(format!("no {phase}").into()),
            Some(Step::Panic) => panic!("the plan of a test"),
            Some(Step::Wait(gate)) => {
                gate.acquire().await.expect("not closed").forget();
                Ok(())
            }
        }
    }

    async fn add(&self, mut call: host::Call<u64>, (): ()) -> host::Result<u64> {
        self.step("call", "").await?;
        *call.tx() += 1;
        Ok(*call.tx())
    }
}

impl host::Transactional for Probe {
    /// The number of calls.
    type Tx = u64;
    type Prepared = u64;

    async fn begin(&self, play: &host::PlayContext) -> host::Result<u64> {
        self.step("begin", "").await?;
        let step = self.plan.lock().expect("not poisoned").get("first begin").cloned();
        if matches!(step, Some(Step::UntilCancelled)) {
            play.cancelled().await;
        }
        Ok(0)
    }

    async fn prepare(&self, calls: u64) -> host::Result<u64> {
        self.step("prepare", "").await?;
        Ok(calls)
    }

    async fn end(&self, calls: u64, end: PlayEnd) {
        let _ended = self.step("end", &format!("{end:?} {calls}")).await;
    }

    async fn abort(&self, calls: u64, end: PlayEnd) {
        let _ended = self.step("abort", &format!("{end:?} {calls}")).await;
    }
}

/// A circle with the modules `first`, `second` and `third`.
struct Probes {
    circle: RunningCircle,
    events: mpsc::Receiver<String>,
    plan: Plan,
}

fn probes(workers: &Workers) -> Probes {
    let ((sender, events), plan) = (mpsc::channel(), Plan::default());
    let mut circle = Circle::builder("test");
    for name in ["first", "second", "third"] {
        let probe = Probe { name, events: sender.clone(), plan: plan.clone() };
        let module = host::Module::transactional(name, probe).function("add", [], "Counts calls.", Probe::add);
        circle = circle.host_module(module);
    }
    Probes { circle: serve(workers, circle), events, plan }
}

impl Probes {
    fn plan(&self, phase: &'static str, step: Step) {
        self.plan.lock().expect("not poisoned").insert(phase, step);
    }

    /// Lets a phase wait until the test adds a permit.
    fn hold(&self, phase: &'static str) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.plan(phase, Step::Wait(gate.clone()));
        gate
    }

    fn expect(&self, events: &[&str]) {
        for event in events {
            assert_eq!(receive(&self.events), *event);
        }
    }

    /// Expects events in any order.
    fn expect_unordered(&self, events: &[&str]) {
        let mut received: Vec<String> = events.iter().map(|_| receive(&self.events)).collect();
        received.sort();
        assert_eq!(received, events);
    }

    fn expect_none(&self) {
        assert_eq!(self.events.try_recv().ok(), None);
    }
}

fn failed_begin_is_error_of_call(workers: &Workers) {
    let probes = probes(workers);
    let mut wire = probes.circle.connect();
    probes.plan("first begin", Step::Fail);
    assert_eq!(wire.error("first::add()")["message"], "first::add: no begin");
    assert_eq!(wire.value("try { first::add() } catch (e) { return e.message; }"), "no begin");
    // Neither play has a transaction to end.
    probes.expect(&["first begin", "first begin"]);
    probes.expect_none();
    probes.plan("first begin", Step::Panic);
    assert_eq!(wire.error("first::add()")["message"], "first::add: internal error; see the log of the host");
    probes.plan.lock().expect("not poisoned").clear();
    assert_eq!(wire.value("first::add() + first::add()"), 3);
    probes.expect(&[
        "first begin",
        "first begin",
        "first call",
        "first call",
        "first prepare",
        "first end Succeeded 2",
    ]);
    probes.expect_none();
}

fn play_that_ends_during_begin_is_aborted(workers: &Workers) {
    let probes = probes(workers);
    let mut wire = probes.circle.connect();
    let gate = probes.hold("first begin");
    let play = wire.request("play", json!(["first::add()"]));
    probes.expect(&["first begin"]);
    assert_eq!(wire.call("cancel", json!([play]))["result"]["cancelled"], true);
    assert_eq!(wire.answer(&play)["error"]["code"], -32005);
    let late = wire.call("play", json!({ "script": "first::add()", "timeout_ms": 50 }));
    assert_eq!(late["error"]["data"]["limit"], "time");
    probes.expect(&["first begin"]);
    // Neither transaction has begun yet, and neither function runs.
    probes.expect_none();
    gate.add_permits(2);
    probes.expect_unordered(&["first abort Cancelled 0", "first abort Limited 0"]);
    probes.plan("first begin", Step::UntilCancelled);
    wire.request("play", json!(["first::add()"]));
    probes.expect(&["first begin"]);
    drop(wire);
    probes.expect(&["first abort Disconnected 0"]);
    probes.expect_none();
}

fn function_has_transaction_until_it_returns(workers: &Workers) {
    let probes = probes(workers);
    let mut wire = probes.circle.connect();
    let gate = probes.hold("second call");
    let play = wire.request("play", json!(["first::add(); second::add()"]));
    probes.expect(&["first begin", "first call", "second begin", "second call"]);
    assert_eq!(wire.call("cancel", json!([play]))["result"]["cancelled"], true);
    // The circle does not wait longer than a second for the function.
    assert_eq!(wire.answer(&play)["error"]["code"], -32005);
    probes.expect(&["first abort Cancelled 1"]);
    probes.expect_none();
    gate.add_permits(1);
    probes.expect(&["second abort Cancelled 1"]);
    assert_eq!(wire.value("1"), 1);
}

fn modules_prepare_before_any_commits(workers: &Workers) {
    let probes = probes(workers);
    let mut wire = probes.circle.connect();
    let gate = probes.hold("second prepare");
    // The order is that of the circle's modules, not that of the calls.
    let play = wire.request("play", json!(["second::add(); first::add(); first::add()"]));
    probes.expect(&["second begin", "second call", "first begin", "first call", "first call"]);
    probes.expect(&["first prepare", "second prepare"]);
    probes.expect_none();
    gate.add_permits(1);
    assert_eq!(wire.answer(&play)["result"]["value"], 2);
    probes.expect_unordered(&["first end Succeeded 2", "second end Succeeded 1"]);
    probes.expect_none();
}

fn refusal_rolls_back_all_modules(workers: &Workers) {
    let probes = probes(workers);
    let mut wire = probes.circle.connect();
    for (step, message) in
        [(Step::Fail, "second: no prepare"), (Step::Panic, "second: internal error; see the log of the host")]
    {
        probes.plan("second prepare", step);
        let error = wire.error("first::add(); second::add(); third::add()");
        assert_eq!((&error["code"], &error["message"]), (&json!(-32000), &json!(message)));
        let calls = ["first begin", "first call", "second begin", "second call", "third begin", "third call"];
        probes.expect(&calls);
        probes.expect(&["first prepare", "second prepare"]);
        probes.expect_unordered(&["first end Failed 1", "third abort Failed 1"]);
        probes.expect_none();
    }
}

fn hanging_preparation_ends_at_deadline(workers: &Workers) {
    let probes = probes(workers);
    let mut wire = probes.circle.connect();
    let gate = probes.hold("second prepare");
    let script = "first::add(); second::add(); third::add();";
    let late = wire.call("play", json!({ "script": script, "timeout_ms": 300 }));
    assert_eq!(late["error"]["data"], json!({ "limit": "time", "max": 300, "setting": "timeout_ms" }));
    probes.expect(&["first begin", "first call", "second begin", "second call", "third begin", "third call"]);
    probes.expect(&["first prepare", "second prepare"]);
    probes.expect_unordered(&["first end Limited 1", "third abort Limited 1"]);
    probes.expect_none();
    // The preparation runs to its end, and the outcome of the play stays what it was.
    gate.add_permits(1);
    probes.expect(&["second end Limited 1"]);
}

fn prepared_play_cannot_be_cancelled(workers: &Workers) {
    let probes = probes(workers);
    let mut wire = probes.circle.connect();
    for phase in ["first prepare", "first end"] {
        probes.plan.lock().expect("not poisoned").clear();
        let gate = probes.hold(phase);
        let play = wire.request("play", json!(["first::add()"]));
        probes.expect(&["first begin", "first call", "first prepare"]);
        if phase == "first end" {
            probes.expect(&["first end Succeeded 1"]);
        }
        assert_eq!(wire.call("cancel", json!([play]))["result"]["cancelled"], false);
        gate.add_permits(1);
        assert_eq!(wire.answer(&play)["result"]["value"], 1);
        if phase == "first prepare" {
            probes.expect(&["first end Succeeded 1"]);
        }
    }
}

fn preparation_without_client_is_committed(workers: &Workers) {
    let probes = probes(workers);
    let mut wire = probes.circle.connect();
    let gate = probes.hold("first prepare");
    wire.request("play", json!(["first::add()"]));
    probes.expect(&["first begin", "first call", "first prepare"]);
    drop(wire);
    gate.add_permits(1);
    probes.expect(&["first end Succeeded 1"]);
}

fn shutdown_rolls_back_hanging_preparation(workers: &Workers) {
    let mut probes = probes(workers);
    let mut wire = probes.circle.connect();
    let gate = probes.hold("second prepare");
    let play = wire.request("play", json!(["first::add(); second::add()"]));
    probes.expect(&["first begin", "first call", "second begin", "second call", "first prepare", "second prepare"]);
    drop(probes.circle.stop.take());
    assert_eq!(wire.answer(&play)["error"]["code"], -32008);
    probes.expect(&["first end ShutDown 1"]);
    gate.add_permits(1);
    probes.circle.stop();
    probes.expect(&["second end ShutDown 1"]);
}

fn hanging_end_does_not_change_result(workers: &Workers) {
    let probes = probes(workers);
    let mut wire = probes.circle.connect();
    let gate = probes.hold("first end");
    let answer = wire.call("play", json!({ "script": "first::add()", "timeout_ms": 300 }));
    assert_eq!(answer["result"]["value"], 1);
    probes.expect(&["first begin", "first call", "first prepare", "first end Succeeded 1"]);
    // The end counts as a detached call until it returns.
    for _ in 1..host::MAX_DETACHED_CALLS {
        let late = wire.call("play", json!({ "script": "first::add()", "timeout_ms": 300 }));
        assert_eq!(late["result"]["value"], 1);
    }
    let error = wire.error("first::add()");
    assert_eq!((&error["code"], &error["data"]["limit"]), (&json!(-32006), &json!("running")));
    gate.add_permits(4);
    eventually(|| {
        let answer = wire.play("third::add()");
        if answer["result"]["value"] == 1 { Ok(()) } else { Err(answer) }
    });
    probes.plan("third end", Step::Panic);
    assert_eq!(wire.value("third::add()"), 1);
}

fn panicked_function_prevents_commit(workers: &Workers) {
    let probes = probes(workers);
    let mut wire = probes.circle.connect();
    probes.plan("first call", Step::Panic);
    let error = wire.error("try { first::add() } catch { } second::add()");
    assert_eq!(error["message"], "first: internal error; see the log of the host");
    probes.expect(&["first begin", "first call", "second begin", "second call"]);
    probes.expect_unordered(&["first abort Failed 0", "second abort Failed 1"]);
    probes.expect_none();
}
