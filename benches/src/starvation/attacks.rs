//! The attacks: the messages that each connection of the attacker sends repeatedly.

use std::time::Duration;

use serde_json::{Value, json};

pub(super) struct Attack {
    pub(super) name: &'static str,
    /// The messages, each with one response.
    pub(super) messages: fn() -> Vec<String>,
    pub(super) pause: Duration,
    /// Whether the circle requires a key and the attacker has none.
    pub(super) is_anonymous: bool,
}

pub(super) const ATTACKS: [Attack; 13] = [
    attack("loop{}", || vec![play("loop {}")], 0),
    attack("loop{print(\"\")}, 2 plays/s", || vec![play("loop { print(\"\") }")], 500),
    attack("loop{print(\"\")}", || vec![play("loop { print(\"\") }")], 0),
    attack("4 ms of work and reset, 20/s", || vec![play("for i in 0..40000 {}"), request("reset", &json!([]))], 50),
    attack("1 and reset", || vec![play("1"), request("reset", &json!([]))], 0),
    attack("complete of 240 KiB, 2/s", || vec![large_complete()], 500),
    attack("complete of nothing", || vec![request("complete", &json!(["", 0]))], 0),
    attack("describe", || vec![request("describe", &json!([]))], 0),
    attack("crash", || vec![play(CRASH)], 0),
    anonymous_attack("no key: fetch_nonce", || vec![request("fetch_nonce", &json!([KEY]))]),
    anonymous_attack("no key: describe", || vec![request("describe", &json!([]))]),
    anonymous_attack("no key: batch of 64 rpc.discover", || vec![batch_of_discover()]),
    anonymous_attack("no key: 240 KiB of JSON", || vec![request("describe", &json!(vec![0; 120_000]))]),
];

/// A script that exceeds the memory limit within one operation.
const CRASH: &str = "let a = \"x\"; let b = \"x\"; a.pad(60000, \"a\"); b.pad(60000, \"b\"); a.replace(\"a\", b)";

/// An arbitrary public key: the generator of the curve.
const KEY: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

const fn attack(name: &'static str, messages: fn() -> Vec<String>, pause_ms: u64) -> Attack {
    Attack { name, messages, pause: Duration::from_millis(pause_ms), is_anonymous: false }
}

const fn anonymous_attack(name: &'static str, messages: fn() -> Vec<String>) -> Attack {
    Attack { name, messages, pause: Duration::ZERO, is_anonymous: true }
}

fn request(method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
}

fn play(script: &str) -> String {
    request("play", &json!([script]))
}

fn large_complete() -> String {
    let script = "let a = [1, 2, #{ b: `c` }]; ".repeat(8000);
    request("complete", &json!([script, script.len()]))
}

fn batch_of_discover() -> String {
    let members = (0..64).map(|id| json!({ "jsonrpc": "2.0", "id": id, "method": "rpc.discover" }));
    Value::Array(members.collect()).to_string()
}
