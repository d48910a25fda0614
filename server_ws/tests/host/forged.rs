//! Calls that a compromised worker sends.

use std::sync::mpsc;

use serde_json::json;
use server_ws::{AccessDefinition, Circle, PublicKey, Workers, host};

use super::{Test, calls::echo, serve};

/// For all of them, workers must be processes.
pub(crate) const PROCESS_TESTS: &[Test] = &[
    ("worker_with_forged_call_is_killed", worker_with_forged_call_is_killed),
    ("worker_with_forged_call_has_the_rights_of_the_caller", worker_with_forged_call_has_the_rights_of_the_caller),
];

/// Returns a script that sends the server a host call as a worker does: a length, then the call in postcard.
fn host_call(descriptor: u8, play: u8, number: u8, function: u8, args: &str) -> String {
    let mut payload = vec![2, play, number, function, u8::try_from(args.len()).expect("short")];
    payload.extend_from_slice(args.as_bytes());
    let mut frame = u32::try_from(payload.len()).expect("short").to_le_bytes().to_vec();
    frame.extend(payload);
    let pushed: Vec<String> = frame.iter().map(|byte| format!("b.push({byte});")).collect();
    format!("let b = blob(); {} if !write_to({descriptor}, b) {{ throw `not open`; }}", pushed.join(" "))
}

fn worker_with_forged_call_is_killed(workers: &Workers) {
    let (sender, receiver) = mpsc::channel();
    let circle = serve(workers, Circle::builder("test").host_module(echo(sender)));
    let (mut neighbour, valid_args) = (circle.connect(), r#"["tea",3]"#);
    neighbour.value("let mine = 7;");
    // A well-formed call is accepted, because it comes from a worker and affects only its own session.
    let work = (3..16).find(|&descriptor| {
        let script = format!("{} loop {{}}", host_call(descriptor, 1, 1, 0, valid_args));
        let answer = circle.connect().call("play", json!({ "script": script, "timeout_ms": 500 }));
        answer["error"]["code"] == -32004 && receiver.try_recv().is_ok_and(|sender| sender == "nobody: 3 of tea")
    });
    let work = work.expect("one of the descriptors is the worker's socket");
    for forged in [
        // Another play, a number out of order, an unknown function, invalid JSON, and too few arguments.
        host_call(work, 2, 1, 0, valid_args),
        host_call(work, 1, 2, 0, valid_args),
        host_call(work, 1, 1, 99, valid_args),
        host_call(work, 1, 1, 0, "nonsense"),
        host_call(work, 1, 1, 0, r#"["tea"]"#),
        // A call while another waits for its return.
        format!("{} {}", host_call(work, 1, 1, 2, "[[1]]"), host_call(work, 1, 3, 0, valid_args)),
    ] {
        let mut wire = circle.connect();
        let error = wire.error(&format!("{forged} loop {{}}"));
        assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32009), &json!("crash")), "{forged}");
        assert_eq!(wire.value("1"), 1);
    }
    assert!(receiver.try_recv().is_err(), "none of the calls was executed");
    assert_eq!(neighbour.value("mine"), 7);
}

/// Reports that a function has run.
fn reporter(
    sender: &mpsc::Sender<&'static str>,
    name: &'static str,
) -> impl Fn(host::Call, ()) -> std::future::Ready<host::Result<()>> + Send + Sync + use<> {
    let sender = sender.clone();
    move |_, ()| {
        // A test that does not listen has dropped its receiver.
        let _receiver_gone = sender.send(name);
        std::future::ready(Ok(()))
    }
}

fn worker_with_forged_call_has_the_rights_of_the_caller(workers: &Workers) {
    let (sender, receiver) = mpsc::channel();
    let vault = host::Module::new("vault").function("look", [], "Looks.", reporter(&sender, "look")).function(
        "open",
        [],
        "Opens.",
        reporter(&sender, "open"),
    );
    let roles = json!({
        "roles": {
            "visitor": { "play": true, "call": ["price"], "use": ["vault::look"] },
            "owner": { "extends": "visitor", "call": ["*"], "use": ["*"] },
        },
        "anyone": "visitor",
    });
    let roles: AccessDefinition<String> = serde_json::from_value(roles).expect("a definition");
    let roles = roles.try_map_keys(|_, _, key| key.parse::<PublicKey>()).expect("no members");
    let circle = Circle::builder("test")
        .roles(roles)
        .host_module(vault)
        .function("grant", [], "Grants.", reporter(&sender, "grant"))
        .function("price", [], "Has a price.", reporter(&sender, "price"));
    let circle = serve(workers, circle);
    let play = |descriptor: u8, function: u8| {
        let script = format!("{} loop {{}}", host_call(descriptor, 1, 1, function, "[]"));
        circle.connect().call("play", json!({ "script": script, "timeout_ms": 500 }))
    };
    let work =
        (3..16).find(|&descriptor| play(descriptor, 0)["error"]["code"] == -32004 && receiver.try_recv().is_ok());
    let work = work.expect("one of the descriptors is the worker's socket");
    // The functions of modules, then those of the circle. A number beyond them is malformed.
    let codes: Vec<_> = (0..5).map(|function| play(work, function)["error"]["code"].as_i64()).collect();
    assert_eq!(codes, [-32004, -32004, -32004, -32004, -32009].map(Some));
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), ["look", "price"]);
}
