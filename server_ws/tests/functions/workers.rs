//! The processes of functions: lost ones are replaced, reloads leave none behind, a caller whose calls end workers has to
//! wait, and a function that has waited for a host function does not compute beside others beyond their number.

use std::{fs, thread::available_parallelism};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use server_ws::host;
use tokio::sync::Semaphore;

use super::{
    Test, WAIT_TIMEOUT,
    reload::source,
    shop::{Shop, roles, write},
};

pub(crate) const TESTS: &[Test] = &[
    ("killed_worker_is_replaced", killed_worker_is_replaced),
    ("only_workers_of_functions_preempt_others", only_workers_of_functions_preempt_others),
    ("reloads_leave_no_worker", reloads_leave_no_worker),
    ("caller_whose_calls_end_workers_waits", caller_whose_calls_end_workers_waits),
    ("function_needs_a_grant_after_a_host_call", function_needs_a_grant_after_a_host_call),
];

/// Returns the living children of processes.
fn children(parents: &[Pid]) -> Vec<Pid> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("Linux").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        // proc(5): pid (name) state ppid …
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let mut fields = rest.split(' ');
        let (state, parent) = (fields.next(), fields.next().and_then(|parent| parent.parse().ok()));
        if state != Some("Z") && parent.and_then(Pid::from_raw).is_some_and(|parent| parents.contains(&parent)) {
            found.push(pid);
        }
    }
    found
}

/// Returns the workers that this process has: the children of its fork servers.
fn workers() -> Vec<Pid> {
    children(&children(&[rustix::process::getpid()]))
}

/// Polls until a number of workers is what the test expects.
fn wait_for_workers(is_expected: impl Fn(usize) -> bool) -> Vec<Pid> {
    let began = std::time::Instant::now();
    loop {
        let workers = workers();
        if is_expected(workers.len()) {
            return workers;
        }
        assert!(began.elapsed() < WAIT_TIMEOUT, "{} workers", workers.len());
        std::thread::yield_now();
    }
}

fn kill(pid: Pid, signal: Signal) {
    kill_process(pid, signal).expect("it lives");
}

/// Returns the scheduling policy of a process: 0 is `SCHED_OTHER`, 3 is `SCHED_BATCH`.
fn policy(pid: Pid) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).expect("it lives");
    // proc(5): pid (name) state …, and the policy is the 41st field.
    let (_, rest) = stat.rsplit_once(") ").expect("a name");
    rest.split(' ').nth(38).and_then(|policy| policy.parse().ok()).expect("a policy")
}

fn only_workers_of_functions_preempt_others() {
    wait_for_workers(|count| count == 0);
    let roles = json!({ "roles": { "all": { "call": ["*"], "play": true } }, "anyone": "all" });
    let shop = Shop::start_with(&[("price", "fn price() { 3 }")], roles, |circle| circle);
    let mut wire = shop.connect();
    assert_eq!(wire.call("fn.price", json!([]))["result"], 3);
    let of_functions = wait_for_workers(|count| count == 1);
    assert_eq!(policy(of_functions[0]), 0);
    assert_eq!(wire.call("play", json!({ "script": "1" }))["result"]["value"], 1);
    let all = wait_for_workers(|count| count >= 2);
    let of_plays: Vec<_> = all.into_iter().filter(|worker| !of_functions.contains(worker)).map(policy).collect();
    assert!(!of_plays.is_empty() && of_plays.iter().all(|policy| *policy == 3), "{of_plays:?}");
}

fn killed_worker_is_replaced() {
    wait_for_workers(|count| count == 0);
    let files =
        [("spin", "/// @timeout 86400000\nfn spin() { progress(1, 2); loop {} }"), ("price", "fn price() { 3 }")];
    let shop = Shop::start_with(&files, roles(), |circle| circle);
    let mut wire = shop.connect();
    assert_eq!(wire.call("fn.price", json!([]))["result"], 3);
    // An idle one: the next call does not get it.
    let idle = wait_for_workers(|count| count == 1);
    kill(idle[0], Signal::KILL);
    wait_for_workers(|count| count == 0);
    assert_eq!(wire.call("fn.price", json!([]))["result"], 3);
    let replaced = wait_for_workers(|count| count == 1);
    assert_ne!(replaced, idle);
    // One that runs a call.
    let running = wire.request("fn.spin", json!([]));
    wire.notification("play.progress");
    assert_eq!(wait_for_workers(|count| count == 1), replaced);
    kill(replaced[0], Signal::KILL);
    let error = wire.answer(&running)["error"].clone();
    assert_eq!((&error["code"], &error["data"]), (&json!(-32009), &json!({ "reason": "killed" })));
    for _ in 0..3 {
        assert_eq!(wire.call("fn.price", json!([]))["result"], 3);
    }
    assert_ne!(wait_for_workers(|count| count == 1), replaced);
}

fn reloads_leave_no_worker() {
    wait_for_workers(|count| count == 0);
    let shop = Shop::start_with(&[("generation", &source(0))], roles(), |circle| circle);
    let mut wires = [shop.connect_as(1), shop.connect_as(9), shop.connect()];
    for generation in 0..30 {
        write(shop.directory.path(), &[("generation", &source(generation))]);
        shop.reload_with(roles()).expect("it reloads");
        for wire in &mut wires {
            assert_eq!(wire.call("fn.generation", json!([]))["result"], generation);
        }
    }
    // One for each group of callers, of the last generation.
    wait_for_workers(|count| count == wires.len());
    // The fork servers of the last generation and of plays.
    let began = std::time::Instant::now();
    while children(&[rustix::process::getpid()]).len() > 2 {
        assert!(began.elapsed() < WAIT_TIMEOUT, "fork servers of earlier generations live");
        std::thread::yield_now();
    }
}

fn caller_whose_calls_end_workers_waits() {
    let bomb =
        "fn bomb() { let a = \"x\"; let b = \"x\"; a.pad(60000, \"a\"); b.pad(60000, \"b\"); a.replace(\"a\", b) }";
    let shop = Shop::start_with(&[("bomb", bomb), ("price", "fn price() { 3 }")], roles(), |circle| circle);
    let (mut wire, mut other) = (shop.connect_as(1), shop.connect_as(2));
    let short = json!({ "_meta": { "timeout_ms": 50 } });
    let began = std::time::Instant::now();
    loop {
        let bombs: Vec<Value> = (0..16).map(|_| wire.request("fn.bomb", json!([]))).collect();
        for bomb in bombs {
            let error = wire.answer(&bomb)["error"].clone();
            // A bomb waits, too.
            assert!(error["data"]["reason"] == "memory" || error["code"] == -32004, "{error}");
        }
        // No call waits for another one of the caller, so only the delay can end this one.
        if wire.call("fn.price", short.clone())["error"]["data"]["limit"] == "time" {
            break;
        }
        assert!(began.elapsed() < WAIT_TIMEOUT, "the caller never waits");
    }
    assert_eq!(other.call("fn.price", json!([]))["result"], 3);
    // The delay ends.
    assert_eq!(wire.call("fn.price", json!([]))["result"], 3);
}

/// Lets calls of `gate::pass` and of `gate::hold` return.
static GATES: [Semaphore; 2] = [const { Semaphore::const_new(0) }; 2];

async fn pass(gate: usize) -> host::Result<()> {
    GATES[gate].acquire().await.expect("never closed").forget();
    Ok(())
}

/// Workers that a signal has stopped hold grants to compute without using a processor, so they hold them for good.
fn function_needs_a_grant_after_a_host_call() {
    wait_for_workers(|count| count == 0);
    let files = [
        ("pass", "/// @timeout 86400000\nfn pass() { gate::pass(); 1 }"),
        ("hold", "/// @timeout 86400000\nfn hold() { gate::hold(); 2 }"),
        ("stop", "/// @timeout 86400000\nfn stop() { 3 }"),
    ];
    let gate = host::Module::new("gate").function("pass", [], "Waits.", |_, (): ()| pass(0)).function(
        "hold",
        [],
        "Waits.",
        |_, (): ()| pass(1),
    );
    // The calls that may compute at the same time, each of another caller.
    let computing = available_parallelism().map_or(2, usize::from).max(2);
    let member = |key: usize| json!({ "name": format!("member{key}"), "keys": [key], "role": "visitor" });
    let members: Vec<Value> = (1..=computing + 1).map(member).collect();
    let roles = json!({ "roles": { "visitor": { "call": ["*"] } }, "members": members });
    let shop = Shop::start_with(&files, roles, |circle| circle.host_module(gate));
    let mut wire = shop.connect_as(1);
    let held = wire.request("fn.hold", json!([]));
    let holder = wait_for_workers(|count| count == 1);
    let passing: Vec<Value> = (0..computing).map(|_| wire.request("fn.pass", json!([]))).collect();
    let mut idle = wait_for_workers(|count| count == computing + 1);
    idle.retain(|pid| !holder.contains(pid));
    GATES[0].add_permits(computing);
    for id in &passing {
        assert_eq!(wire.answer(id)["result"], 1);
    }
    for pid in &idle {
        kill(*pid, Signal::STOP);
    }
    // Callers without another call take the idle workers.
    let mut others: Vec<_> = (2..).take(computing).map(|key| shop.connect_as(key)).collect();
    let stopped: Vec<Value> = others.iter_mut().map(|other| other.request("fn.stop", json!([]))).collect();
    // Requests that the circle answers later than it starts the calls.
    for other in &mut others {
        assert_eq!(other.call("describe", json!({}))["result"]["name"], "shop");
    }
    GATES[1].add_permits(1);
    for _ in 0..100 {
        assert_eq!(wire.call("describe", json!({}))["result"]["name"], "shop");
    }
    assert_eq!(wire.take_answers(), Vec::<Value>::new(), "a function computes without a grant");
    for pid in idle {
        kill(pid, Signal::CONT);
    }
    for (other, id) in others.iter_mut().zip(&stopped) {
        assert_eq!(other.answer(id)["result"], 3);
    }
    assert_eq!(wire.answer(&held)["result"], 2);
}
