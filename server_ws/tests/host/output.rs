//! What host functions print and report to the caller of the play.

use std::sync::mpsc;

use serde_json::json;
use server_ws::{Circle, Limits, Workers, host};

use super::{Test, receive, serve};

pub(crate) const TESTS: &[Test] = &[
    ("prints_come_in_order", prints_come_in_order),
    ("prints_of_host_functions_are_limited", prints_of_host_functions_are_limited),
    ("progress_of_host_function_replaces_that_of_script", progress_of_host_function_replaces_that_of_script),
    ("print_after_play_is_dropped", print_after_play_is_dropped),
];

/// A module that prints, and sends a message when a function waits for the end of its play.
fn talking(waits: mpsc::Sender<()>) -> host::Module {
    let waits_after = waits.clone();
    host::Module::new("talk")
        .function("say", ["texts"], "Prints.", |call: host::Call, (texts,): (Vec<String>,)| async move {
            for text in texts {
                call.print(text);
            }
            Ok(())
        })
        .function("repeat", ["count"], "Prints often.", |call: host::Call, (count,): (u32,)| async move {
            for number in 0..count {
                call.print(number.to_string());
            }
            Ok(())
        })
        .function("progress", [], "Reports progress.", move |call: host::Call, (): ()| {
            let waits = waits.clone();
            async move {
                call.progress(1, 3, "one of three");
                call.progress(2, 3, None);
                waits.send(()).expect("the test listens");
                call.cancelled().await;
                Ok(())
            }
        })
        .function("late", [], "Prints after its play.", move |call: host::Call, (): ()| {
            let waits = waits_after.clone();
            async move {
                waits.send(()).expect("the test listens");
                call.cancelled().await;
                call.print("late");
                waits.send(()).expect("the test listens");
                Ok(())
            }
        })
}

fn prints_come_in_order(workers: &Workers) {
    let circle = serve(workers, Circle::builder("test").host_module(talking(mpsc::channel().0)));
    let mut wire = circle.connect();
    let play = wire.request("play", json!(["print(`a`); talk::say([`b`, `c`]); print(`d`); talk::say([`e`]); 1"]));
    for text in ["a", "b", "c", "d", "e"] {
        assert_eq!(wire.notification("play.output")["text"], text);
    }
    assert_eq!(wire.answer(&play)["result"]["value"], 1);
    assert_eq!(wire.value("for i in 0..20 { talk::repeat(20); } 2"), 2);
}

fn prints_of_host_functions_are_limited(workers: &Workers) {
    let limits = Limits { output_kib: 2, ..Limits::default() };
    let circle = serve(workers, Circle::builder("test").limits(limits).host_module(talking(mpsc::channel().0)));
    let mut wire = circle.connect();
    let play = wire.request("play", json!(["let kept = 1; try { talk::repeat(1000000) } catch { } kept = 2; loop {}"]));
    // Each print counts 256 bytes more than its text.
    for number in 0..7 {
        assert_eq!(wire.notification("play.output")["text"], number.to_string());
    }
    let error = &wire.answer(&play)["error"];
    let expected = json!({ "limit": "output", "max": 2, "setting": "output_kib" });
    assert_eq!((&error["code"], &error["data"]), (&json!(-32004), &expected));
    assert_eq!(wire.value("kept"), 1);
    // The limit is that of a play.
    let play = wire.request("play", json!(["talk::repeat(1)"]));
    assert_eq!(wire.notification("play.output")["text"], "0");
    assert!(wire.answer(&play).get("result").is_some());
}

fn progress_of_host_function_replaces_that_of_script(workers: &Workers) {
    let (waits, waiting) = mpsc::channel();
    let circle = serve(workers, Circle::builder("test").host_module(talking(waits)));
    let mut wire = circle.connect();
    let play = wire.request("play", json!(["progress(1, 10); talk::progress()"]));
    receive(&waiting);
    let report = wire.notification("play.progress");
    assert_eq!((&report["done"], &report["total"], report.get("text")), (&json!(2), &json!(3), None));
    wire.call("cancel", json!([play]));
    assert_eq!(wire.answer(&play)["error"]["code"], -32005);
}

fn print_after_play_is_dropped(workers: &Workers) {
    let (waits, waiting) = mpsc::channel();
    let circle = serve(workers, Circle::builder("test").host_module(talking(waits)));
    let mut wire = circle.connect();
    let play = wire.request("play", json!(["talk::late()"]));
    receive(&waiting);
    wire.call("cancel", json!([play]));
    receive(&waiting);
    assert_eq!(wire.answer(&play)["error"]["code"], -32005);
    // The next print is that of the next play.
    wire.request("play", json!(["print(`next`)"]));
    assert_eq!(wire.notification("play.output")["text"], "next");
}
