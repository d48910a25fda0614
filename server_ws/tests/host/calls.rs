//! What a function gets, and what a script gets of it.

use std::{os::fd::BorrowedFd, sync::mpsc};

use keys::KeyPair;
use serde_json::json;
use server_ws::{Circle, Workers, host};
use worker::rhai::Engine;

use super::{Test, receive, serve};

pub(crate) const TESTS: &[Test] = &[
    ("arguments_and_results_are_what_serde_makes_of_them", arguments_and_results_follow_serde),
    ("the_caller_is_the_key_that_the_session_proved", caller_is_authenticated_key),
    ("an_error_can_be_caught_and_points_at_its_call", host_error_is_catchable_and_has_call_position),
    ("a_wrong_argument_names_its_parameter", invalid_argument_error_names_parameter),
    ("function_pointers_are_no_arguments", function_pointers_are_rejected_as_arguments),
    ("a_panic_says_nothing_of_the_inside", panic_message_is_not_disclosed),
    ("functions_are_completed_and_looked_up", functions_are_completed_and_documented),
];

/// Of what a worker process alone can do.
pub(crate) const PROCESS_TESTS: &[Test] =
    &[("a_worker_that_lies_is_ended_and_nothing_is_carried_out", worker_with_forged_call_is_killed)];

/// What a script could do that has taken its worker over: end it, and write to its descriptors; false if that fails.
pub(crate) fn natives(engine: &mut Engine) {
    engine.register_fn("end_process", || -> () { std::process::exit(3) });
    engine.register_fn("panic", || assert!(std::hint::black_box(false), "as natives may"));
    engine.register_fn("write_to", |descriptor: i64, bytes: worker::rhai::Blob| {
        #[expect(unsafe_code, reason = "it does what must not be done")]
        // SAFETY: it is not closed, and what it does to others is what the test is about.
        let socket = unsafe { BorrowedFd::borrow_raw(i32::try_from(descriptor).unwrap_or(0)) };
        rustix::io::write(socket, &bytes).is_ok()
    });
}

/// A module that says what it was called with.
fn echo(sender: mpsc::Sender<String>) -> host::Module {
    let say = move |call: &host::Call, text: String| {
        let caller = call.caller().map_or("nobody".into(), keys::PublicKey::to_hex);
        // A test that wants to hear nothing has dropped its end.
        let _receiver_gone = sender.send(format!("{caller}: {text}"));
    };
    host::Module::new("echo")
        .function("pair", ["item", "count"], "Says both.", move |call: host::Call, (item, count): (String, u8)| {
            say(&call, format!("{count} of {item}"));
            async move { Ok((count, item)) }
        })
        .function("nothing", [], "Gives nothing.", |_: host::Call, (): ()| async { Ok(()) })
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
    // From wherever a script calls it.
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
    assert_eq!(error["data"]["hint"], "it is called as echo::pair(item, count)");
    assert!(receiver.try_recv().is_err(), "none of them was carried out");
}

fn function_pointers_are_rejected_as_arguments(workers: &Workers) {
    let (sender, receiver) = mpsc::channel();
    let circle = serve(workers, Circle::builder("test").host_module(echo(sender)));
    let mut wire = circle.connect();
    for argument in ["|| 1", "{ let f = || 1; let g = || f; f }", "Fn(\"abs\")", "[1, #{ f: || 2 }]"] {
        let error = wire.error(&format!("echo::pair({argument}, 2)"));
        let message = error["message"].as_str().expect("a message");
        assert!(message.contains("argument 1 is a function or holds one"), "{argument}: {error}");
    }
    let caught = "let of = (); try { echo::pair(\"tea\", || 1) } catch (e) { of = e.function } of";
    assert_eq!(wire.value(caught), "echo::pair");
    assert!(receiver.try_recv().is_err(), "nothing is carried out");
    // As long as it goes no further than the script.
    assert_eq!(wire.value("[1, 2].map(|n| echo::pair(\"tea\", n)[0])"), json!([1, 2]));
}

fn panic_message_is_not_disclosed(workers: &Workers) {
    let circle = serve(workers, Circle::builder("test").host_module(echo(mpsc::channel().0)));
    let mut wire = circle.connect();
    let error = wire.error("echo::panic()");
    assert_eq!(error["message"], "echo::panic: it failed; the circle's log says how");
    assert!(!error.to_string().contains("1234"));
    assert_eq!(wire.value("echo::sum([1]).sum"), 1);
}

fn functions_are_completed_and_documented(workers: &Workers) {
    let circle = serve(workers, Circle::builder("test").host_module(echo(mpsc::channel().0)));
    let mut wire = circle.connect();
    let completed = wire.call("complete", json!({ "script": "let x = echo::pa", "cursor": 16 }));
    let candidates = json!([
        { "text": "pair", "kind": "function", "detail": "pair(item, count)" },
        { "text": "panic", "kind": "function", "detail": "panic()" },
    ]);
    assert_eq!(completed["result"], json!({ "start": 14, "candidates": candidates }));
    let found = wire.call("lookup", json!(["echo::pair"]));
    let pair = json!({ "signature": "echo::pair(item, count)", "doc": "Says both.", "origin": "host" });
    assert_eq!(found["result"]["functions"], json!([pair]));
}

/// A script that says to the server what a worker says: a length, then the call in postcard.
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
    // What is right is no lie, whoever says it: it comes from a worker, and is done for its own session.
    let work = (3..16).find(|&descriptor| {
        let script = format!("{} loop {{}}", host_call(descriptor, 1, 1, 0, valid_args));
        let answer = circle.connect().call("play", json!({ "script": script, "timeout_ms": 500 }));
        answer["error"]["code"] == -32004 && receiver.try_recv().is_ok_and(|sender| sender == "nobody: 3 of tea")
    });
    let work = work.expect("one of them is what it says its calls on");
    for lie in [
        // Another play, a number out of order, a function that is not there, no JSON, too few arguments.
        host_call(work, 2, 1, 0, valid_args),
        host_call(work, 1, 2, 0, valid_args),
        host_call(work, 1, 1, 99, valid_args),
        host_call(work, 1, 1, 0, "nonsense"),
        host_call(work, 1, 1, 0, r#"["tea"]"#),
        // One while another waits for its answer.
        format!("{} {}", host_call(work, 1, 1, 2, "[[1]]"), host_call(work, 1, 3, 0, valid_args)),
    ] {
        let mut wire = circle.connect();
        let error = wire.error(&format!("{lie} loop {{}}"));
        assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32009), &json!("crash")), "{lie}");
        assert_eq!(wire.value("1"), 1);
    }
    assert!(receiver.try_recv().is_err(), "nothing of it was carried out");
    assert_eq!(neighbour.value("mine"), 7);
}
