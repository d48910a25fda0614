//! The built-in functions of scripts, in workers of the real executable.

use std::fs;

use keys::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::process::ServeProcess;

/// A circle whose member alice may play, and where anyone may call functions.
fn circle(alice: &KeyPair) -> (ServeProcess, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let who = "fn who() { [caller(), [1].map(|n| caller().name)[0], helper()] } private fn helper() { caller().role }";
    let values = "fn values() { let id = id(); [id, clock::now(), random::int(1, 6), random::float(), random::bytes(3).len(), \
        random::text(8), random::pick([7]), random::shuffle([7]), sortable(-1), parse_sortable(sortable(-1))] }";
    for (name, source) in [("who", who), ("values", values)] {
        fs::write(directory.path().join(format!("{name}.rhai")), source).expect("written");
    }
    let roles = json!({
        "roles": { "visitor": { "call": ["who", "values"] }, "clerk": { "call": ["who", "values"], "play": true } },
        "anyone": "visitor",
        "members": [{ "name": "alice", "keys": [alice.public_key().to_hex()], "role": "clerk" }],
    });
    let arguments = ["--functions", directory.path().to_str().expect("UTF-8"), "--roles", &roles.to_string()];
    (ServeProcess::start(&arguments), directory)
}

#[test]
fn caller_is_that_of_each_call_and_play() {
    let alice = KeyPair::generate().expect("a key");
    let (server, _directory) = circle(&alice);
    let (mut wire, mut other) = (server.connect(), server.connect());
    let nobody = json!([{ "key": null, "name": null, "role": "visitor" }, null, "visitor"]);
    assert_eq!(wire.call("fn.who", json!([]))["result"], nobody);
    assert_eq!(wire.authenticate(&alice)["result"]["authenticated"], true);
    let key = alice.public_key().to_hex();
    let known = json!([{ "key": key, "name": "alice", "role": "clerk" }, "alice", "clerk"]);
    // The same worker calls for both.
    for _ in 0..2 {
        assert_eq!(wire.call("fn.who", json!([]))["result"], known);
        assert_eq!(other.call("fn.who", json!([]))["result"], nobody);
    }
    assert_eq!(wire.value("caller()"), known[0]);
    // A play replaces what it sees, and nothing else.
    let forgery =
        "fn caller() { `forged` } fn id() { 1 } const CALLER_NAME = `mallory`; [caller(), id(), circle::who()]";
    assert_eq!(wire.value(forgery), json!(["forged", 1, known]));
    assert_eq!(wire.value("caller()"), "forged");
    assert_eq!(wire.call("fn.who", json!([]))["result"], known);
    assert_eq!(wire.call("reset", json!([])).get("error"), None);
    assert_eq!(wire.value("caller()"), known[0]);
}

#[test]
fn built_in_functions_work_in_calls_and_plays() {
    let alice = KeyPair::generate().expect("a key");
    let (server, _directory) = circle(&alice);
    let mut wire = server.connect();
    assert_eq!(wire.authenticate(&alice)["result"]["authenticated"], true);
    let values = wire.call("fn.values", json!([]))["result"].clone();
    let played = wire.value("let id = id(); [id, circle::values(), id()]");
    let ids: Vec<&str> =
        [&values[0], &played[0], &played[1][0], &played[2]].map(|id| id.as_str().expect("text")).into();
    assert!(ids.iter().all(|id| id.len() == 36 && id.as_bytes()[14] == b'7'), "{ids:?}");
    for (index, id) in ids.iter().enumerate() {
        assert!(!ids[..index].contains(id), "{ids:?}");
    }
    assert!(ids[1] < ids[3], "{ids:?}");
    for values in [&values, &played[1]] {
        assert!(values[1].as_i64() > Some(1_700_000_000_000), "{values}");
        assert!((1..=6).contains(&values[2].as_i64().expect("an integer")), "{values}");
        assert!((0.0..1.0).contains(&values[3].as_f64().expect("a number")), "{values}");
        assert_eq!(values[5].as_str().map(str::len), Some(8), "{values}");
        let rest: Vec<&Value> = [4, 6, 7, 8, 9].map(|index| &values[index]).into();
        assert_eq!(json!(rest), json!([3, 7, [7], "7fffffffffffffff", -1]));
    }
    let completed = wire.call("complete", json!(["random::sh", 10]))["result"]["candidates"][0].clone();
    assert_eq!(completed["detail"], "shuffle(array: array) -> array");
    assert_eq!(wire.call("lookup", json!(["clock::now"]))["result"]["functions"][0]["origin"], "native");
}
