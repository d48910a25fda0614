//! Memory limits of all workers of a circle, and of one caller.

use keys::KeyPair;
use serde_json::{Value, json};

use crate::support::{eventually, process::ServeProcess, wire::WireClient};

/// Script that allocates 32 MiB at once.
const ALLOCATE_SCRIPT: &str = "let hoard = ``; hoard.pad(1024, 'x'); for i in 0..15 { hoard += hoard; }";

fn server(limits: &[&str]) -> ServeProcess {
    let limits = limits.iter().chain(&["string_kib=65536"]);
    ServeProcess::start(&limits.flat_map(|limit| ["--limit", limit]).collect::<Vec<_>>())
}

fn authenticated(server: &ServeProcess) -> WireClient {
    let mut wire = server.connect();
    wire.authenticate(&KeyPair::generate().expect("a key"));
    wire
}

/// Has all clients allocate 32 MiB and keep playing, and calls `meanwhile`. Asserts that at most `at_most` clients keep their
/// environment, and returns how many do.
fn hoard(wires: &mut [WireClient], at_most: usize, meanwhile: impl FnOnce()) -> usize {
    let script = format!("{ALLOCATE_SCRIPT} loop {{}}");
    let plays: Vec<Value> = wires.iter_mut().map(|wire| wire.request("play", json!([script, 2000]))).collect();
    meanwhile();
    for (wire, play) in wires.iter_mut().zip(plays) {
        let answer = wire.answer(&play);
        let error = &answer["error"];
        match error["code"].as_i64() {
            Some(-32004) => assert_eq!(error["data"]["limit"], "time"),
            Some(-32009) => assert_eq!(error["data"]["reason"], "memory"),
            _ => panic!("{answer}"),
        }
    }
    let kept = eventually(|| {
        let lengths = wires.iter_mut().map(|wire| wire.play("hoard.len()")["result"]["value"].clone());
        let kept = lengths.filter(|length| *length == 32 << 20).count();
        if kept <= at_most { Ok(kept) } else { Err(format!("{kept} have what they hoarded")) }
    });
    // All sessions go on.
    for wire in wires {
        assert_eq!(wire.value("40 + 2"), 42);
    }
    kept
}

#[test]
fn memory_of_one_caller_is_bounded() {
    let server = server(&["total_mib=200", "memory_per_caller_mib=80"]);
    let mut modest = authenticated(&server);
    modest.value("let mine = ``; mine.pad(10000, 'x');");
    let mut greedy: Vec<WireClient> = (0..6).map(|_| server.connect()).collect();
    let kept = hoard(&mut greedy, 2, || {
        // Growing environments, too.
        for length in 10_001..10_050 {
            assert_eq!(modest.value(&format!("mine.pad({length}, 'x'); mine.len()")), length);
        }
    });
    // The last environment always fits.
    assert!(kept >= 1);
    assert_eq!(modest.value("mine.len()"), 10_049);
}

#[test]
fn memory_of_all_workers_is_bounded() {
    let server = server(&["total_mib=120", "memory_per_caller_mib=70"]);
    let mut modest = authenticated(&server);
    modest.value("let mine = 7;");
    let mut greedy: Vec<WireClient> = (0..6).map(|_| authenticated(&server)).collect();
    let kept = hoard(&mut greedy, 3, || {
        for _ in 0..50 {
            assert_eq!(modest.value("mine"), 7);
        }
    });
    assert!(kept >= 1);
    assert_eq!(modest.value("mine"), 7);
}

#[test]
fn session_is_notified_when_it_loses_its_environment_to_memory() {
    let server = server(&["total_mib=100", "memory_per_caller_mib=20"]);
    let mut wire = server.connect();
    let answer = wire.play(ALLOCATE_SCRIPT);
    if answer.get("result").is_some() {
        assert_eq!(wire.notification("session.reset"), json!({ "reason": "memory" }));
    } else {
        // On a slow machine its memory was sampled before the play had ended.
        assert_eq!(answer["error"]["data"]["reason"], "memory", "{answer}");
    }
    assert_eq!(wire.error("hoard")["data"]["kind"], "runtime");
}

#[test]
fn worker_start_requires_free_memory() {
    for (limits, max) in
        [(["total_mib=50", "memory_per_caller_mib=4"], 4), (["total_mib=4", "memory_per_caller_mib=50"], 4)]
    {
        let server = server(&limits);
        let mut wires = Vec::new();
        let refusal = loop {
            let mut wire = server.connect();
            let answer = wire.play("1");
            if answer["error"]["code"] == -32006 {
                break answer["error"]["data"].clone();
            }
            assert!(wires.len() < 100, "{answer}");
            wires.push(wire);
        };
        assert_eq!(refusal, json!({ "limit": "memory", "max": max }));
        // Memory that others return is available to the rejected client.
        drop(wires);
        let mut wire = server.connect();
        eventually(|| {
            let answer = wire.play("1");
            if answer["result"].is_null() { Err(answer) } else { Ok(()) }
        });
    }
}
