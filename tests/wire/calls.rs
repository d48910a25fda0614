//! Calls of functions: their limits, what queries show of functions, and what tracebacks hide.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{http::get, process::ServeProcess};

/// A circle where anyone may play and call everything but `vault`.
fn shop(limits: &[&str]) -> (ServeProcess, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, source) in [
        ("spin", "/// @timeout 86400000\nfn spin() { progress(1, 2); loop {} }"),
        ("endless", "fn endless() { loop {} }"),
        ("brief", "/// @timeout 30\nfn brief() { loop {} }"),
        ("price", "/// @param {string} item\nfn price(item) { 2.5 }\nfn list() { [1] }\nfn fail() { nowhere }"),
        ("vault", "/// The master code.\nfn vault(pin) { 4711 }"),
    ] {
        fs::write(directory.path().join(format!("{name}.rhai")), source).expect("written");
    }
    let calls = json!(["spin", "endless", "brief", "price", "price.*"]);
    let roles = json!({ "roles": { "visitor": { "call": calls, "play": true } }, "anyone": "visitor" }).to_string();
    let mut arguments = vec!["--functions", directory.path().to_str().expect("UTF-8"), "--roles", &roles];
    arguments.extend(limits.iter().flat_map(|limit| ["--limit", limit]));
    (ServeProcess::start(&arguments), directory)
}

fn code(answer: &Value) -> &Value {
    &answer["error"]["code"]
}

#[test]
fn call_ends_at_the_time_of_the_circle_or_of_its_request() {
    let (server, _directory) = shop(&["call_ms=50"]);
    let mut wire = server.connect();
    let data = |max, setting| json!({ "limit": "time", "max": max, "setting": setting });
    assert_eq!(wire.call("fn.endless", json!([]))["error"]["data"], data(50, "call_ms"));
    assert_eq!(wire.call("fn.brief", json!([]))["error"]["data"], data(30, "@timeout"));
    let own = json!({ "_meta": { "timeout_ms": 20 } });
    assert_eq!(wire.call("fn.brief", own.clone())["error"]["data"], data(20, "timeout_ms"));
    assert_eq!(wire.call("fn.endless", own)["error"]["data"], data(20, "timeout_ms"));
    assert_eq!(wire.call("fn.price", json!(["tea"]))["result"], 2.5);
    let own = format!("host: {}\r\n", server.authority());
    let metrics = get(server.authority(), "/metrics", &own).1;
    for counted in ["{outcome=\"ok\"} 1\n", "{outcome=\"limit_time\"} 4\n"] {
        assert!(metrics.contains(&format!("circles_calls_total{counted}")), "{metrics}");
    }
}

#[test]
fn waiting_calls_of_a_session_are_bounded() {
    let (server, _directory) = shop(&["queued_calls=1"]);
    let mut wire = server.connect();
    let running = wire.request("fn.spin", json!([]));
    let refused = wire.call("fn.price", json!(["tea"]));
    assert_eq!((code(&refused), &refused["error"]["data"]["limit"]), (&json!(-32006), &json!("calls")));
    assert_eq!(wire.call("cancel", json!([running]))["result"]["cancelled"], true);
    assert_eq!(*code(&wire.answer(&running)), -32005);
    assert_eq!(wire.call("fn.price", json!(["tea"]))["result"], 2.5);
}

/// A waiting call is no error, so the test shows that the call does not begin.
#[test]
fn concurrent_calls_are_bounded() {
    for limits in [
        ["running_calls=1", "calls_per_caller=9"],
        ["running_calls=9", "calls_per_caller=1"],
        ["function_workers=1", "call_ms=2000"],
    ] {
        let (server, _directory) = shop(&limits);
        let (mut first, mut second) = (server.connect(), server.connect());
        let running = first.request("fn.spin", json!([]));
        // Its worker runs.
        first.notification("play.progress");
        let waiting = second.request("fn.price", json!({ "item": "tea", "_meta": { "timeout_ms": 1500 } }));
        assert_eq!(*code(&second.answer(&waiting)), -32004, "{limits:?}");
        assert_eq!(first.call("cancel", json!([running]))["result"]["cancelled"], true);
        assert_eq!(*code(&first.answer(&running)), -32005);
        assert_eq!(second.call("fn.price", json!(["tea"]))["result"], 2.5, "{limits:?}");
    }
}

#[test]
fn queries_and_hints_show_only_permitted_functions() {
    let (server, _directory) = shop(&[]);
    let mut wire = server.connect();
    let candidates = |answer: Value| -> Vec<String> {
        let all = answer["result"]["candidates"].as_array().expect("candidates").clone();
        all.iter().map(|candidate| candidate["text"].as_str().expect("a text").to_owned()).collect()
    };
    // In a fresh environment, before any play.
    let shown = candidates(wire.call("complete", json!(["circle::", 8])));
    assert!(
        shown.iter().any(|text| text.starts_with("price")) && !shown.iter().any(|text| text.contains("vault")),
        "{shown:?}"
    );
    let nested = candidates(wire.call("complete", json!(["circle::price::", 15])));
    assert!(nested.iter().any(|text| text.starts_with("list")), "{nested:?}");
    assert_eq!(wire.call("lookup", json!(["circle::vault"]))["result"]["functions"], json!([]));
    assert_ne!(wire.call("lookup", json!(["circle::price"]))["result"]["functions"], json!([]));
    assert_eq!(wire.value("circle::price(\"tea\") * 2"), 5.0);
    let [forbidden, unknown] =
        ["circle::vault(1)", "circle::vaulx(1)"].map(|script| wire.error(script)["message"].clone());
    assert_eq!(forbidden.as_str().map(|text| text.replace("vault", "vaulx")).as_deref(), unknown.as_str());
    let hint = wire.error("circle::valut(1)")["data"]["hint"].clone();
    assert!(!hint.to_string().contains("vault"), "{hint}");
    assert_eq!(*code(&wire.call("fn.vault", json!([1]))), -32601);
    assert_eq!(*code(&wire.call("fn.nowhere", json!([1]))), -32601);
}

#[test]
fn traceback_of_a_function_hides_its_source() {
    let (server, directory) = shop(&[]);
    let mut wire = server.connect();
    let failed = wire.call("fn.price.fail", json!([])).to_string();
    assert!(failed.contains("Variable not found: nowhere") && failed.contains("price.rhai"), "{failed}");
    let path = directory.path().parent().expect("a parent").to_str().expect("UTF-8");
    assert!(!failed.contains(path) && !failed.contains("fn fail"), "{failed}");
}

#[test]
fn mistake_in_a_file_keeps_a_circle_from_starting() {
    for (source, place) in [
        ("fn price( {}", "price.rhai:1:11"),
        ("/// @parm {int} item\nfn price(item) {}", "price.rhai:1:"),
        ("let x = nowhere;\nfn price() {}", "price.rhai:1:9"),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("price.rhai"), source).expect("written");
        let roles = json!({ "roles": { "visitor": { "call": ["*"] } }, "anyone": "visitor" }).to_string();
        let arguments =
            ["serve", "--port", "0", "--functions", directory.path().to_str().expect("UTF-8"), "--roles", &roles];
        let ran = crate::support::Home::new().run(&arguments);
        assert!(ran.code != Some(0) && ran.stderr.contains(place), "{source}: {}", ran.stderr);
    }
}
