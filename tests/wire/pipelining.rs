//! Pipelined plays: the circle sends them to the worker ahead of their start, and a client sees no difference.

use keys::KeyPair;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{process::ServeProcess, wire::WireClient};

const ENDLESS: &str = "print(\"begun\"); loop {}";

/// Sends plays of these scripts. The answer to a later request shows that the circle has read them all.
fn pipeline<const N: usize>(wire: &mut WireClient, scripts: [&str; N]) -> [Value; N] {
    let ids = scripts.map(|script| wire.request("play", json!([script])));
    wire.call("describe", json!([]));
    ids
}

/// Lets the session of a client notice that another caller waits: it does so at the latest in the turn after a request.
fn notice_contention(wire: &mut WireClient) {
    for _ in 0..2 {
        wire.call("describe", json!([]));
    }
}

fn code(answer: &Value) -> &Value {
    &answer["error"]["code"]
}

#[test]
fn pipelined_plays_run_in_order_in_one_environment() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let first = wire.request("play", json!(["let seen = []; 0"]));
    let ids: Vec<Value> = (1..=60)
        .map(|n| {
            wire.request("play", json!({ "script": format!("print({n}); seen += {n}; seen.len()"), "bind": "last" }))
        })
        .collect();
    let last = wire.request("play", json!(["seen.reduce(|sum, n| sum + n, 0) + last"]));
    assert_eq!(wire.answer(&last)["result"]["value"], 60 * 61 / 2 + 60);
    let answers: Vec<Value> = wire.take_answers().iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(answers, [&[first][..], &ids].concat());
    let prints: Vec<(Value, Value)> = wire
        .notifications
        .iter()
        .map(|note| (note["params"]["play"].clone(), note["params"]["text"].clone()))
        .collect();
    let expected: Vec<(Value, Value)> =
        ids.into_iter().enumerate().map(|(at, id)| (id, json!((at + 1).to_string()))).collect();
    assert_eq!(prints, expected);
}

#[test]
fn cancel_of_third_of_five_plays_affects_no_other() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.value("let ran = []; 0");
    let ids = pipeline(&mut wire, [ENDLESS, "ran += 2; 2", "ran += 3; 3", "ran += 4; 4", "ran += 5; ran"]);
    wire.expect_print("begun");
    // Later plays first: the circle has to keep each of the cancellations.
    assert_eq!(wire.call("cancel", json!([ids[2]]))["result"]["cancelled"], true);
    assert_eq!(*code(&wire.answer(&ids[2])), -32005, "before the first play has ended");
    assert_eq!(wire.call("cancel", json!([ids[2]]))["result"]["cancelled"], false, "it has been answered");
    assert_eq!(wire.call("cancel", json!([ids[0]]))["result"]["cancelled"], true);
    assert_eq!(*code(&wire.answer(&ids[0])), -32005);
    assert_eq!(wire.answer(&ids[4])["result"]["value"], json!([2, 4, 5]));
}

#[test]
fn all_of_five_plays_can_be_cancelled_in_any_order() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    for order in [[4, 3, 2, 1, 0], [0, 1, 2, 3, 4], [2, 0, 4, 1, 3]] {
        let ids = pipeline(&mut wire, [ENDLESS; 5]);
        let cancels = order.map(|at: usize| wire.request("cancel", json!([ids[at]])));
        for cancel in &cancels {
            assert_eq!(wire.answer(cancel)["result"]["cancelled"], true);
        }
        for id in &ids {
            assert_eq!(*code(&wire.answer(id)), -32005);
        }
        assert_eq!(wire.value("40 + 2"), 42);
    }
}

#[test]
fn plays_sent_ahead_are_lost_with_their_worker() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let ids = pipeline(&mut wire, [ENDLESS, "1", "2", "3", "4"]);
    wire.expect_print("begun");
    rustix::process::kill_process(server.workers()[0], Signal::KILL).expect("it runs");
    for id in &ids {
        assert_eq!(*code(&wire.answer(id)), -32009);
    }
    assert_eq!(wire.value("40 + 2"), 42);
    assert!(wire.notifications.iter().all(|note| note["method"] != "session.reset"), "the errors say it");
}

#[test]
fn play_time_begins_when_the_play_before_ends() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.value("0");
    let first = wire.request("play", json!({ "script": "loop {}", "timeout_ms": 1500 }));
    // If its time began when the circle received the play, it would be over.
    let second = wire.request("play", json!({ "script": "42", "timeout_ms": 1000 }));
    assert_eq!(*code(&wire.answer(&first)), -32004);
    assert_eq!(wire.answer(&second)["result"]["value"], 42);
}

/// A worker collects the outcomes of short plays, but not for long.
#[test]
fn outcome_does_not_wait_for_the_next_play() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.value("0");
    let long = format!("/* {} */ loop {{}}", "x".repeat(4000));
    for endless in ["loop {}", &long] {
        let ids = pipeline(&mut wire, [ENDLESS, "42", endless]);
        wire.expect_print("begun");
        wire.call("cancel", json!([ids[0]]));
        assert_eq!(wire.answer(&ids[1])["result"]["value"], 42);
        wire.call("cancel", json!([ids[2]]));
        assert_eq!(*code(&wire.answer(&ids[2])), -32005);
    }
}

#[test]
fn authenticate_between_pipelined_plays_applies_to_later_ones() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let keypair = KeyPair::generate().expect("randomness");
    let nonce = wire.request_nonce(&keypair);
    let signature = keypair.sign_nonce(&nonce).to_string();
    let before: Vec<Value> = (0..3).map(|_| wire.request("play", json!(["CALLER_PUBLIC_KEY"]))).collect();
    let key = keypair.public_key().to_hex();
    let authenticated = wire.request("authenticate", json!([key, signature]));
    let after: Vec<Value> = (0..3).map(|_| wire.request("play", json!(["CALLER_PUBLIC_KEY"]))).collect();
    for id in &before {
        assert_eq!(wire.answer(id)["result"]["value"], json!(null));
    }
    assert!(wire.answer(&authenticated).get("result").is_some());
    for id in &after {
        assert_eq!(wire.answer(id)["result"]["value"], json!(key));
    }
}

#[test]
fn reset_between_pipelined_plays_separates_their_environments() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let before = [wire.request("play", json!(["let a = 1; a"])), wire.request("play", json!(["a + 1"]))];
    let reset = wire.request("reset", json!([]));
    let after = [wire.request("play", json!(["a"])), wire.request("play", json!(["40 + 2"]))];
    assert_eq!(before.map(|id| wire.answer(&id)["result"]["value"].clone()), [1, 2]);
    assert_eq!(wire.answer(&reset)["result"]["reset"], true);
    assert_eq!(*code(&wire.answer(&after[0])), -32000);
    assert_eq!(wire.answer(&after[1])["result"]["value"], 42);
}

/// Only one play runs at a time. The caller who pipelines must give the place back after the running play.
#[test]
fn caller_that_pipelines_does_not_starve_others() {
    let server = ServeProcess::start(&["--limit", "running_plays=1", "--limit", "running_per_caller=1"]);
    let (mut greedy, mut modest) = (server.connect(), server.connect());
    for wire in [&mut greedy, &mut modest] {
        assert!(wire.authenticate(&KeyPair::generate().expect("randomness")).get("result").is_some());
        wire.value("0");
    }
    let endless = pipeline(&mut greedy, [ENDLESS; 8]);
    greedy.expect_print("begun");
    let waiting = modest.request("play", json!(["42"]));
    // The circle has received the waiting play, and the greedy session knows of it, before the running play ends.
    modest.call("describe", json!([]));
    notice_contention(&mut greedy);
    assert_eq!(greedy.call("cancel", json!([endless[0]]))["result"]["cancelled"], true);
    // The second play is as endless as the first.
    assert_eq!(modest.answer(&waiting)["result"]["value"], 42);
    // The greedy caller goes on: the next play begins.
    greedy.answer(&endless[0]);
    greedy.expect_print("begun");
    for id in &endless[1..] {
        greedy.request("cancel", json!([id]));
    }
    for id in &endless[1..] {
        assert_eq!(*code(&greedy.answer(id)), -32005);
    }
    assert_eq!(greedy.value("40 + 2"), 42);
}

/// Two sessions of one caller share the place as well.
#[test]
fn session_that_pipelines_does_not_starve_its_callers_other_sessions() {
    let server = ServeProcess::start(&["--limit", "running_plays=1", "--limit", "running_per_caller=1"]);
    let (mut greedy, mut modest) = (server.connect(), server.connect());
    greedy.value("0");
    modest.value("0");
    let short = "let begun = timestamp(); while begun.elapsed < 0.05 {} 1";
    let ids: Vec<Value> = (0..100).map(|_| greedy.request("play", json!([short]))).collect();
    greedy.answer(&ids[0]);
    assert_eq!(modest.value("42"), 42);
    for id in &ids[1..] {
        greedy.request("cancel", json!([id]));
    }
    let cancelled = ids[1..].iter().filter(|id| *code(&greedy.answer(id)) == -32005).count();
    assert!(cancelled > 0, "the other session had its turn before the last of the plays");
}

/// Its outcomes stay unread, so the circle does not know which of its plays have ended.
#[test]
fn client_that_does_not_read_gives_its_place_back() {
    let limits = ["running_plays=1", "running_per_caller=1", "output_kib=4096", "string_kib=4096"];
    let server = ServeProcess::start(&limits.map(|limit| ["--limit", limit]).concat());
    let (mut greedy, mut modest) = (server.connect(), server.connect());
    for wire in [&mut greedy, &mut modest] {
        assert!(wire.authenticate(&KeyPair::generate().expect("randomness")).get("result").is_some());
    }
    greedy.value("let s = \"x\"; s.pad(500000, \"x\"); 0");
    modest.value("0");
    let large: Vec<Value> = (0..12).map(|_| greedy.request("play", json!(["s"]))).collect();
    let small: Vec<Value> = (0..30).map(|_| greedy.request("play", json!(["1"]))).collect();
    for _ in 0..3 {
        assert_eq!(modest.value("42"), 42);
    }
    // The kernel drops a connection that stalls for long, so this one did not keep the place until then.
    for id in &large {
        assert!(greedy.answer(id).get("result").is_some());
    }
    for id in &small {
        assert_eq!(greedy.answer(id)["result"]["value"], 1);
    }
}

#[test]
fn held_plays_can_be_cancelled() {
    let server = ServeProcess::start(&["--limit", "running_plays=1", "--limit", "running_per_caller=1"]);
    let (mut pipelining, mut other) = (server.connect(), server.connect());
    assert!(other.authenticate(&KeyPair::generate().expect("randomness")).get("result").is_some());
    pipelining.value("0");
    other.value("0");
    let ids = pipeline(&mut pipelining, [ENDLESS, "2", "3", "4"]);
    pipelining.expect_print("begun");
    let running = other.request("play", json!([ENDLESS]));
    other.call("describe", json!([]));
    notice_contention(&mut pipelining);
    pipelining.call("cancel", json!([ids[0]]));
    other.expect_print("begun");
    // The other caller has the place, and the remaining plays wait.
    for id in &ids[1..] {
        assert_eq!(pipelining.call("cancel", json!([id]))["result"]["cancelled"], true);
        assert_eq!(*code(&pipelining.answer(id)), -32005);
    }
    let next = pipelining.request("play", json!(["40 + 2"]));
    pipelining.call("describe", json!([]));
    other.call("cancel", json!([running]));
    assert_eq!(pipelining.answer(&next)["result"]["value"], 42);
}

#[test]
fn plays_sent_ahead_are_refused_when_the_circle_drains() {
    let mut server = ServeProcess::open();
    let mut wire = server.connect();
    wire.value("0");
    let ids = pipeline(&mut wire, [ENDLESS, "2", "3", "4"]);
    wire.expect_print("begun");
    server.signal(Signal::TERM);
    for id in &ids[1..] {
        assert_eq!(*code(&wire.answer(id)), -32008, "before the running play has ended");
    }
    wire.call("cancel", json!([ids[0]]));
    assert_eq!(*code(&wire.answer(&ids[0])), -32005);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn plays_sent_ahead_count_as_queued() {
    let server = ServeProcess::start(&["--limit", "queued_plays=3"]);
    let mut wire = server.connect();
    wire.value("0");
    let ids = pipeline(&mut wire, [ENDLESS, "2", "3", "4", "5"]);
    assert_eq!(*code(&wire.answer(&ids[4])), -32006);
    wire.call("cancel", json!([ids[0]]));
    assert_eq!(wire.answer(&ids[3])["result"]["value"], 4);
}
