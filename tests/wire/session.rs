//! `play`, `cancel`, `reset` and `describe`.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::process::ServeProcess;

#[test]
fn session_keeps_its_environment_private() {
    let server = ServeProcess::open();
    let (mut mine, mut other) = (server.connect(), server.connect());
    mine.value("let x = 1; const C = 7; fn f(n) { n + global::C } let up = || { x += 1; x };");
    assert_eq!(mine.value("up.call(); up.call(); [x, f(1), C]"), json!([3, 8, 7]));
    mine.value("fn f(n) { n * 100 }");
    assert_eq!(mine.value("f(2)"), 200);
    assert_eq!(other.error("x")["data"]["kind"], "runtime");
    assert_eq!(mine.call("reset", json!([]))["result"], json!({ "reset": true }));
    assert_eq!(mine.error("x")["message"], "Variable not found: x");
}

#[test]
fn imports_persist_across_plays() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("geo.rhai"), "fn area(a, b) { a * b }").expect("written");
    let server = ServeProcess::start(&["--modules", &directory.path().display().to_string()]);
    let mut wire = server.connect();
    assert_eq!(wire.call("describe", json!([]))["result"]["modules"], json!(["geo"]));
    wire.value("import \"geo\" as g;");
    assert_eq!(wire.value("g::area(6, 7)"), 42);
    assert_eq!(wire.error("import \"../geo\" as h;")["data"]["kind"], "runtime");
}

/// Script, output, type, value.
#[test]
fn values_have_the_documented_forms() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let cases = [
        ("", "", "()", Value::Null),
        ("9223372036854775807", "9223372036854775807", "i64", json!(9_223_372_036_854_775_807_i64)),
        ("1.0", "1.0", "f64", json!(1.0)),
        ("0.0 / 0.0", "NaN", "f64", Value::Null),
        ("'x'", "x", "char", json!("x")),
        ("\"a\\n\"", "a\n", "string", json!("a\n")),
        ("true", "true", "bool", json!(true)),
        ("[1, \"x\", ()]", "[1, \"x\", ()]", "array", json!([1, "x", null])),
        ("#{b: 1, a: [2]}", "#{\"a\": [2], \"b\": 1}", "map", json!({ "a": [2], "b": 1 })),
        ("blob(3, 255)", "[ffffff]", "blob", json!("////")),
        ("1..3", "1..3", "range", json!("1..3")),
        ("Fn(\"f\")", "Fn(f)", "Fn", json!("Fn(f)")),
    ];
    for (script, output, type_name, value) in cases {
        let result = wire.play(script)["result"].clone();
        assert_eq!(
            (&result["output"], &result["type"], &result["value"]),
            (&json!(output), &json!(type_name), &value),
            "{script}"
        );
        assert!(result["elapsed_us"].is_u64() && result["operations"].is_u64(), "{script}");
    }
}

#[test]
fn value_over_a_limit_keeps_the_environment() {
    let server = ServeProcess::start(&["--limit", "output_kib=2"]);
    let mut wire = server.connect();
    assert_eq!(wire.error("let a = 1; for i in 0..64 { a = [a]; } let kept = 1; a").get("code"), None);
    let error = wire.error("a = [a]; a");
    assert_eq!((&error["code"], &error["data"]), (&json!(-32004), &json!({ "limit": "depth", "max": 64 })));
    let error = wire.error("let s = \"\"; s.pad(3000, 'x'); s");
    assert_eq!(
        (&error["code"], &error["data"]),
        (&json!(-32004), &json!({ "limit": "output", "max": 2, "setting": "output_kib" }))
    );
    assert_eq!(error["message"], "Limit exceeded: output");
    assert_eq!(wire.value("kept"), 1);
}

#[test]
fn limit_errors_name_the_limit_and_keep_the_environment() {
    let server = ServeProcess::start(&[
        "--limit",
        "play_ms=60000",
        "--limit",
        "operations=200000",
        "--limit",
        "call_depth=10",
        "--limit",
        "expression_depth=20",
        "--limit",
        "string_kib=1",
        "--limit",
        "array_items=50",
        "--limit",
        "map_items=20",
        "--limit",
        "output_kib=4",
    ]);
    let mut wire = server.connect();
    wire.value("let kept = 1;");
    let deep = format!("{}1{}", "(".repeat(30), ")".repeat(30));
    let cases = [
        ("loop {}", "operations", 200_000, "operations"),
        ("fn f(n) { f(n + 1) } f(0)", "depth", 10, "call_depth"),
        (deep.as_str(), "depth", 20, "expression_depth"),
        ("let s = \"x\"; loop { s += s; }", "size", 1, "string_kib"),
        ("let a = []; loop { a.push(1); }", "size", 50, "array_items"),
        (
            "let m = #{}; for i in 0..100 { m += [#{}, #{}][0]; let n = #{}; n[`k${i}`] = i; m.mixin(n); }",
            "size",
            20,
            "map_items",
        ),
        ("loop { print(`x`) }", "output", 4, "output_kib"),
    ];
    for (script, limit, max, setting) in cases {
        let error = wire.error(script);
        assert_eq!(
            (&error["code"], &error["data"]),
            (&json!(-32004), &json!({ "limit": limit, "max": max, "setting": setting })),
            "{script}"
        );
    }
    let error = wire.call("play", json!(["let n = 0; while n < 10000000 { n += 1; }", 1]))["error"].clone();
    // Either limit may come first, depending on the machine.
    assert_eq!(error["code"], -32004);
    assert_eq!(wire.value("kept"), 1);
}

#[test]
fn play_timeout_only_shortens_the_circle_limit() {
    let server = ServeProcess::start(&["--limit", "play_ms=300"]);
    let mut wire = server.connect();
    for (timeout, max) in
        [(json!(50), 50), (json!(3_600_000), 300), (json!(u64::MAX), 300), (Value::Null, 300), (json!(0), 1)]
    {
        let error = wire.call("play", json!(["loop {}", timeout]))["error"].clone();
        let setting = if max < 300 { "timeout_ms" } else { "play_ms" };
        assert_eq!(
            (&error["code"], &error["data"]),
            (&json!(-32004), &json!({ "limit": "time", "max": max, "setting": setting }))
        );
    }
}

#[test]
fn prints_arrive_in_order_before_the_response() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.send(r#"{"jsonrpc":"2.0","id":"p","method":"play","params":["for i in 0..3 { print(i) }\n  debug(`x`); 9"]}"#);
    for text in ["0", "1", "2"] {
        let message = wire.next();
        assert_eq!(message["method"], "play.output");
        assert!(message.get("id").is_none());
        assert_eq!(message["params"], json!({ "play": "p", "stream": "print", "text": text }));
    }
    let debug = json!({ "play": "p", "stream": "debug", "text": "\"x\"", "position": { "line": 2, "column": 3 } });
    assert_eq!(wire.next()["params"], debug);
    assert_eq!(wire.next()["result"]["value"], 9);
}

#[test]
fn long_play_sends_progress() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let play = wire.request("play", json!(["progress(40, 100, `loading`); loop {}"]));
    let progress = wire.notification("play.progress");
    assert_eq!(
        (&progress["play"], &progress["done"], &progress["total"], &progress["text"]),
        (&play, &json!(40), &json!(100), &json!("loading"))
    );
    assert!(
        progress["elapsed_us"].as_u64() >= Some(500_000) && progress["operations"].as_u64() > Some(0),
        "{progress}"
    );
    let next = wire.notification("play.progress");
    assert!(next["elapsed_us"].as_u64() > progress["elapsed_us"].as_u64(), "{progress} {next}");
    wire.call("cancel", json!([play]));
    // A script that reports no progress itself has progress messages, too.
    let play = wire.request("play", json!(["loop {}"]));
    let progress = loop {
        let progress = wire.notification("play.progress");
        if progress["play"] == play {
            break progress;
        }
    };
    assert!(progress.get("done").is_none(), "{progress}");
}

#[test]
fn cancel_ends_running_and_queued_plays_only() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let running = wire.request("play", json!(["let done = []; done.push(1); print(`begun`); loop {}"]));
    let waiting = wire.request("play", json!(["done.push(2)"]));
    let last = wire.request("play", json!(["done.push(3); done"]));
    wire.expect_print("begun");
    assert_eq!(wire.call("cancel", json!([waiting]))["result"]["cancelled"], true);
    assert_eq!(wire.answer(&waiting)["error"]["code"], -32005);
    assert_eq!(wire.call("cancel", json!({ "play": running }))["result"]["cancelled"], true);
    assert_eq!(wire.answer(&running)["error"]["code"], -32005);
    // The queue continues, with the variables of earlier plays.
    assert_eq!(wire.answer(&last)["result"]["value"], json!([1, 3]));
    for play in [running, waiting, last, json!("never"), Value::Null] {
        assert_eq!(wire.call("cancel", json!([play]))["result"]["cancelled"], false);
    }
}

#[test]
fn full_queue_is_busy() {
    let server = ServeProcess::start(&["--limit", "queued_plays=2", "--limit", "queued_kib=1"]);
    let mut wire = server.connect();
    let running = wire.request("play", json!(["print(`begun`); loop {}"]));
    wire.expect_print("begun");
    let large = format!("\"{}\".len()", "x".repeat(900));
    let (first, second) = (wire.request("play", json!([large])), wire.request("play", json!([large])));
    let error = wire.answer(&second)["error"].clone();
    assert_eq!((&error["code"], &error["data"]), (&json!(-32006), &json!({ "limit": "queued", "max": 1 })));
    let small = wire.request("play", json!(["2"]));
    assert_eq!(wire.call("reset", json!([]))["error"]["data"], json!({ "limit": "queued", "max": 2 }));
    wire.call("cancel", json!([running]));
    assert_eq!(
        (&wire.answer(&first)["result"]["value"], &wire.answer(&small)["result"]["value"]),
        (&json!(900), &json!(2))
    );
}

/// The circle sees all of these requests at once, and only those count as queued that wait for an earlier play.
#[test]
fn plays_that_arrive_together_fill_the_queue_behind_the_first() {
    let server = ServeProcess::start(&["--limit", "queued_plays=1"]);
    let mut wire = server.connect();
    for id in 1..=2 {
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": "play", "params": [format!("{id}")] });
        wire.socket.write(Message::text(call.to_string())).expect("it takes text");
    }
    wire.socket.flush().expect("sent");
    assert_eq!([wire.next(), wire.next()].map(|answer| answer["result"]["value"].clone()), [1, 2]);
}

#[test]
fn value_is_bound_on_request() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.call("play", json!({ "script": "6 * 7", "bind": "ans" }));
    wire.call("play", json!({ "script": "let x = 1;", "bind": "ans" }));
    assert_eq!(wire.value("ans"), 42);
}

#[test]
fn error_has_message_and_position() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let error = wire.error("let x = 1;\nx +");
    assert_eq!(
        (&error["code"], &error["data"]["kind"], &error["data"]["line"]),
        (&json!(-32000), &json!("parse"), &json!(2))
    );
    let error = wire.error("fn f(x) {\n  x.nope()\n}\nf(1)");
    assert_eq!(
        (&error["data"]["kind"], &error["data"]["line"], &error["data"]["column"]),
        (&json!("runtime"), &json!(2), &json!(5))
    );
    assert_eq!(error["data"]["function"], "f");
    let error = wire.error("throw #{code: 7, why: [\"x\"]}");
    assert_eq!(error["data"]["thrown"], json!({ "code": 7, "why": ["x"] }));
}

#[test]
fn error_is_bounded_and_keeps_the_environment() {
    let server = ServeProcess::start(&["--limit", "output_kib=1"]);
    let mut wire = server.connect();
    wire.value("let kept = 1;");
    let name = "f".repeat(120_000);
    let error = wire.error(&format!("fn {name}() {{ let t = `y`; t.pad(15000, 'y'); throw t }} {name}()"));
    assert_eq!((&error["code"], &error["data"]["kind"]), (&json!(-32000), &json!("runtime")));
    assert!(error.to_string().len() < 64 << 10, "{}", error.to_string().len());
    assert_eq!(wire.value("kept"), 1);
}

#[test]
fn describe_shows_the_circle_and_the_caller() {
    let server = ServeProcess::start(&[
        "--name",
        "team",
        "--description",
        "of the team",
        "--access",
        "authenticated",
        "--limit",
        "batch=5",
    ]);
    let mut wire = server.connect();
    let description = wire.call("describe", json!([]))["result"].clone();
    for (name, value) in [
        ("name", json!("team")),
        ("description", json!("of the team")),
        ("protocol", json!(1)),
        ("access", json!("authenticated")),
        ("you", json!({ "public_key": null, "admitted": false })),
        ("modules", json!([])),
    ] {
        assert_eq!(description[name], value);
    }
    // The layer `network` depends on the system.
    assert_eq!(description["sandbox"].as_array().expect("layers")[..3], ["process", "memory", "syscalls"]);
    assert_eq!((&description["limits"]["batch"], &description["limits"]["operations"]), (&json!(5), &Value::Null));
}
