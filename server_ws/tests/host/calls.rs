//! The arguments and results of host functions.

use std::{os::fd::BorrowedFd, sync::mpsc};

use keys::KeyPair;
use serde_json::json;
use server_ws::{Access, Circle, Workers, host};
use worker::rhai::Engine;

use super::{Test, receive, serve};

pub(crate) const TESTS: &[Test] = &[
    ("arguments_and_results_follow_serde", arguments_and_results_follow_serde),
    ("caller_is_authenticated_key", caller_is_authenticated_key),
    ("host_error_is_catchable_and_has_call_position", host_error_is_catchable_and_has_call_position),
    ("invalid_argument_error_names_parameter", invalid_argument_error_names_parameter),
    ("function_pointers_are_rejected_as_arguments", function_pointers_are_rejected_as_arguments),
    ("panic_message_is_not_disclosed", panic_message_is_not_disclosed),
    ("functions_are_completed_and_documented", functions_are_completed_and_documented),
    ("contract_has_host_functions", contract_has_host_functions),
];

/// Registers what a compromised worker could do: exit, and write to its file descriptors (false if that fails).
pub(crate) fn natives(engine: &mut Engine) {
    engine.register_fn("end_process", || -> () { std::process::exit(3) });
    engine.register_fn("panic", || assert!(std::hint::black_box(false), "as natives may"));
    engine.register_fn("write_to", |descriptor: i64, bytes: worker::rhai::Blob| {
        #[expect(unsafe_code, reason = "the test does what a compromised worker could do")]
        // SAFETY: the descriptor is not closed, and its effect on others is the subject of the test.
        let socket = unsafe { BorrowedFd::borrow_raw(i32::try_from(descriptor).unwrap_or(0)) };
        rustix::io::write(socket, &bytes).is_ok()
    });
}

/// Makes a module that reports its arguments.
pub(crate) fn echo(sender: mpsc::Sender<String>) -> host::Module {
    let say = move |call: &host::Call, text: String| {
        let caller = call.caller().map_or("nobody".into(), keys::PublicKey::to_hex);
        // A test that does not listen has dropped its receiver.
        let _receiver_gone = sender.send(format!("{caller}: {text}"));
    };
    host::Module::new("echo")
        .function("pair", ["item", "count"], "Returns both.", move |call: host::Call, (item, count): (String, u8)| {
            say(&call, format!("{count} of {item}"));
            async move { Ok((count, item)) }
        })
        .function("nothing", [], "Returns nothing.", |_: host::Call, (): ()| async { Ok(()) })
        .function("sum", ["numbers"], "Adds them up.", |_: host::Call, (numbers,): (Vec<i64>,)| async move {
            Ok(json!({ "sum": numbers.iter().sum::<i64>(), "of": numbers.len() }))
        })
        .function("refuse", [], "Refuses.", |_: host::Call, (): ()| async {
            Err::<(), _>(host::Error::new("not today").with_data(json!({ "after": 7 })))
        })
        .function("panic", [], "Panics.", |_: host::Call, (): ()| async {
            assert!(std::hint::black_box(false), "the password is 1234");
            Ok(())
        })
}

fn arguments_and_results_follow_serde(workers: &Workers) {
    let (sender, receiver) = mpsc::channel();
    let circle = serve(workers, Circle::builder("test").host_module(echo(sender)));
    let mut wire = circle.connect();
    assert_eq!(wire.value("echo::pair(\"tea\", 2)"), json!([2, "tea"]));
    assert_eq!(receive(&receiver), "nobody: 2 of tea");
    assert_eq!(wire.value("echo::nothing()"), json!(null));
    assert_eq!(wire.value("let s = echo::sum([1, 2, 39]); s.sum * s.of"), 126);
    // Also from inside functions and callbacks.
    assert_eq!(wire.value("fn inner(n) { echo::sum([n]).sum } [1, 2].map(|n| inner(n))"), json!([1, 2]));
    assert_eq!(wire.value("let f = |n| echo::sum([n, 1]).sum; f.call(4)"), 5);
}

fn caller_is_authenticated_key(workers: &Workers) {
    let (sender, receiver) = mpsc::channel();
    let circle = serve(workers, Circle::builder("test").host_module(echo(sender)));
    let (mut wire, keypair) = (circle.connect(), KeyPair::generate().expect("a key"));
    let forged = format!("let CALLER_PUBLIC_KEY = \"{}\"; echo::pair(CALLER_PUBLIC_KEY, 1);", keypair.public_key());
    wire.value(&forged);
    assert!(receive(&receiver).starts_with("nobody: 1 of 0"));
    assert_eq!(wire.authenticate(&keypair)["result"]["authenticated"], true);
    wire.value("echo::pair(\"tea\", 1);");
    assert_eq!(receive(&receiver), format!("{}: 1 of tea", keypair.public_key().to_hex()));
}

fn host_error_is_catchable_and_has_call_position(workers: &Workers) {
    let circle = serve(workers, Circle::builder("test").host_module(echo(mpsc::channel().0)));
    let mut wire = circle.connect();
    let caught = "let c; try { echo::refuse() } catch (e) { c = [e.message, e.data.after, e.function]; } c";
    assert_eq!(wire.value(caught), json!(["not today", 7, "echo::refuse"]));
    let error = wire.error("let kept = 7;\n\n   echo::refuse();");
    assert_eq!((&error["code"], &error["message"]), (&json!(-32000), &json!("echo::refuse: not today")));
    assert_eq!((&error["data"]["line"], &error["data"]["column"]), (&json!(3), &json!(10)));
    assert_eq!(error["data"]["thrown"]["data"], json!({ "after": 7 }));
    assert_eq!(wire.value("kept"), 7);
}

fn invalid_argument_error_names_parameter(workers: &Workers) {
    let (sender, receiver) = mpsc::channel();
    let circle = serve(workers, Circle::builder("test").host_module(echo(sender)));
    let mut wire = circle.connect();
    for (script, message) in [
        ("echo::pair(7, 1)", "echo::pair: argument 'item': invalid type: integer `7`, expected a string"),
        ("echo::pair(\"tea\", 256)", "echo::pair: argument 'count': invalid value: integer `256`, expected u8"),
        ("echo::sum([1, \"2\"])", "echo::sum: argument 'numbers': invalid type: string \"2\", expected i64"),
    ] {
        assert_eq!(wire.error(script)["message"], message, "{script}");
    }
    let error = wire.error("echo::pair(\"tea\")");
    assert_eq!(error["data"]["hint"], "call it as echo::pair(item: string, count: int) -> [int, string]");
    assert!(receiver.try_recv().is_err(), "none of the calls was executed");
}

fn function_pointers_are_rejected_as_arguments(workers: &Workers) {
    let (sender, receiver) = mpsc::channel();
    let circle = serve(workers, Circle::builder("test").host_module(echo(sender)));
    let mut wire = circle.connect();
    for argument in ["|| 1", "{ let f = || 1; let g = || f; f }", "Fn(\"abs\")", "[1, #{ f: || 2 }]"] {
        let error = wire.error(&format!("echo::pair({argument}, 2)"));
        let message = error["message"].as_str().expect("a message");
        assert!(message.starts_with("echo::pair: argument 'item': a value of type Fn"), "{argument}: {error}");
    }
    let caught = "let of = (); try { echo::pair(\"tea\", || 1) } catch (e) { of = e.function } of";
    assert_eq!(wire.value(caught), "echo::pair");
    assert!(receiver.try_recv().is_err(), "no call is executed");
    // A function pointer that stays in the script is allowed.
    assert_eq!(wire.value("[1, 2].map(|n| echo::pair(\"tea\", n)[0])"), json!([1, 2]));
}

fn panic_message_is_not_disclosed(workers: &Workers) {
    let circle = serve(workers, Circle::builder("test").host_module(echo(mpsc::channel().0)));
    let mut wire = circle.connect();
    let error = wire.error("echo::panic()");
    assert_eq!(error["message"], "echo::panic: internal error; see the log of the host");
    assert!(!error.to_string().contains("1234"));
    assert_eq!(wire.value("echo::sum([1]).sum"), 1);
}

fn functions_are_completed_and_documented(workers: &Workers) {
    let circle = serve(workers, Circle::builder("test").host_module(echo(mpsc::channel().0)));
    let mut wire = circle.connect();
    let completed = wire.call("complete", json!({ "script": "let x = echo::pa", "cursor": 16 }));
    let candidates = json!([
        { "text": "pair", "kind": "function", "detail": "pair(item: string, count: int) -> [int, string]" },
        { "text": "panic", "kind": "function", "detail": "panic()" },
    ]);
    assert_eq!(completed["result"], json!({ "start": 14, "candidates": candidates }));
    let found = wire.call("lookup", json!(["echo::pair"]));
    let signature = "echo::pair(item: string, count: int) -> [int, string]";
    let pair = json!({ "signature": signature, "doc": "Returns both.", "origin": "host" });
    assert_eq!(found["result"]["functions"], json!([pair]));
}

fn contract_has_host_functions(workers: &Workers) {
    let circle = Circle::builder("test").access(Access::Authenticated).host_module(echo(mpsc::channel().0));
    let circle = serve(workers, circle);
    let mut wire = circle.connect();
    let contract = wire.call("rpc.discover", json!([]));
    assert!(contract["result"]["methods"].is_array());
    // The functions are for callers that may play.
    assert_eq!(contract["result"].get("x-host-functions"), None);
    wire.authenticate(&KeyPair::generate().expect("a key"));
    let contract = wire.call("rpc.discover", json!([]));
    assert!(contract["result"]["methods"].is_array());
    let functions = &contract["result"]["x-host-functions"]["functions"];
    assert_eq!((&functions[0]["name"], &functions[0]["summary"]), (&json!("echo::pair"), &json!("Returns both.")));
    assert_eq!(functions[0]["signature"], "pair(item: string, count: int) -> [int, string]");
    let count = &functions[0]["params"][1];
    assert_eq!((&count["name"], &count["schema"]["type"]), (&json!("count"), &json!("integer")));
    assert_eq!((&count["schema"]["minimum"], &count["schema"]["maximum"]), (&json!(0), &json!(255)));
    assert_eq!(functions[0]["result"]["schema"]["type"], "array");
}
