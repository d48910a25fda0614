//! The limits of host calls: a waiting script ends in time, and its function runs on.

use std::sync::{Arc, mpsc};

use keys::KeyPair;
use protocol::Limits;
use serde_json::json;
use server_ws::{Circle, Workers, host};
use tokio::sync::Semaphore;

use super::{Test, eventually, receive, serve};

pub(crate) const TESTS: &[Test] = &[
    ("cancelled_script_ends_while_function_runs_on", cancelled_script_ends_while_function_runs_on),
    ("function_can_observe_cancellation", function_can_observe_cancellation),
    ("waiting_script_ends_at_deadline", waiting_script_ends_at_deadline),
    ("caller_may_have_four_detached_calls", caller_may_have_four_detached_calls),
    ("calls_are_limited_in_number_and_size", calls_are_limited_in_number_and_size),
    ("excess_call_waits_for_grant", excess_call_waits_for_grant),
    ("calls_of_one_caller_do_not_block_another", calls_of_one_caller_do_not_block_another),
    ("call_in_callback_ends_with_play", call_in_callback_ends_with_play),
    ("stopping_circle_waits_for_functions", stopping_circle_waits_for_functions),
];

/// Functions that report when they begin and end, and end when the test releases them.
struct SlowModule {
    gate: Arc<Semaphore>,
    messages: mpsc::Receiver<&'static str>,
}

fn slow_module() -> (SlowModule, host::Module) {
    let (gate, (sender, messages)) = (Arc::new(Semaphore::new(0)), mpsc::channel());
    let (opened, heed_sender) = (gate.clone(), sender.clone());
    let module = host::Module::new("slow")
        .function("wait", [], "Waits.", move |_: host::Call, (): ()| {
            let (gate, sender) = (opened.clone(), sender.clone());
            async move {
                sender.send("begun").expect("the test listens");
                gate.acquire().await.expect("not closed").forget();
                // A test that does not listen has dropped its receiver.
                let _result = sender.send("ended");
                Ok(7)
            }
        })
        .function("heed", [], "Waits until its play is cancelled.", move |call: host::Call, (): ()| {
            let sender = heed_sender.clone();
            async move {
                sender.send("begun").expect("the test listens");
                call.cancelled().await;
                sender.send(if call.is_cancelled() { "heeded" } else { "not cancelled" }).expect("the test listens");
                Ok(())
            }
        })
        .function("long", ["bytes"], "Returns so many bytes.", |_: host::Call, (bytes,): (usize,)| async move {
            Ok("x".repeat(bytes))
        })
        .function("take", ["text"], "Takes it.", |_: host::Call, (text,): (String,)| async move { Ok(text.len()) });
    (SlowModule { gate, messages }, module)
}

fn cancelled_script_ends_while_function_runs_on(workers: &Workers) {
    let (slow, module) = slow_module();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    let mut wire = circle.connect();
    let play = wire.request("play", json!(["let kept = 1; try { slow::wait() } catch { } kept = 2;"]));
    assert_eq!(receive(&slow.messages), "begun");
    // Queries are answered meanwhile.
    assert_eq!(wire.call("scope", json!([]))["result"]["functions"], json!([]));
    assert_eq!(wire.call("cancel", json!([play]))["result"]["cancelled"], true);
    assert_eq!(wire.answer(&play)["error"]["code"], -32005);
    assert_eq!(wire.value("kept"), 1);
    assert!(slow.messages.try_recv().is_err(), "it is still running");
    slow.gate.add_permits(1);
    assert_eq!(receive(&slow.messages), "ended");
    slow.gate.add_permits(1);
    assert_eq!(wire.value("slow::wait()"), 7);
}

fn function_can_observe_cancellation(workers: &Workers) {
    let (slow, module) = slow_module();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    let mut wire = circle.connect();
    let play = wire.request("play", json!(["slow::heed()"]));
    assert_eq!(receive(&slow.messages), "begun");
    wire.request("cancel", json!([play]));
    assert_eq!(receive(&slow.messages), "heeded");
    // A lost connection also cancels the call.
    wire.request("play", json!(["slow::heed()"]));
    assert_eq!(receive(&slow.messages), "begun");
    drop(wire);
    assert_eq!(receive(&slow.messages), "heeded");
}

fn waiting_script_ends_at_deadline(workers: &Workers) {
    let (slow, module) = slow_module();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    let mut wire = circle.connect();
    let answer = wire.call("play", json!({ "script": "let kept = 1; slow::wait()", "timeout_ms": 50 }));
    assert_eq!(answer["error"]["data"], json!({ "limit": "time", "max": 50, "setting": "timeout_ms" }));
    assert_eq!(wire.value("kept"), 1);
    slow.gate.add_permits(1);
}

fn caller_may_have_four_detached_calls(workers: &Workers) {
    let (slow, module) = slow_module();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    let mut wire = circle.connect();
    for _ in 0..host::MAX_DETACHED_CALLS {
        let play = wire.request("play", json!(["slow::wait()"]));
        assert_eq!(receive(&slow.messages), "begun");
        assert_eq!(wire.call("cancel", json!([play]))["result"]["cancelled"], true);
        assert_eq!(wire.answer(&play)["error"]["code"], -32005);
    }
    // The limit holds for all connections of a caller and all functions.
    let mut second = circle.connect();
    for wire in [&mut wire, &mut second] {
        let error = wire.error("let kept = 1; try { slow::take(\"x\") } catch { }");
        assert_eq!((&error["code"], &error["data"]), (&json!(-32006), &json!({ "limit": "running", "max": 4 })));
        assert_eq!(wire.value("kept"), 1);
    }
    // Another caller has no detached calls.
    assert_eq!(second.authenticate(&KeyPair::generate().expect("a key"))["result"]["authenticated"], true);
    assert_eq!(second.value("slow::take(\"x\")"), 1);
    slow.gate.add_permits(1);
    assert_eq!(receive(&slow.messages), "ended");
    // The call stops counting shortly after its message.
    eventually(|| {
        let answer = wire.play("slow::take(\"x\")");
        if answer.get("error").is_some() { Err(answer) } else { Ok(()) }
    });
    slow.gate.add_permits(3);
}

fn calls_are_limited_in_number_and_size(workers: &Workers) {
    let (_slow, module) = slow_module();
    let limits = Limits { host_calls: 10, host_kib: 4, ..Limits::default() };
    let circle = serve(workers, Circle::builder("test").host_module(module).limits(limits));
    let mut wire = circle.connect();
    assert_eq!(wire.value("let n = 0; for i in 0..10 { n += slow::take(\"x\"); } n"), 10);
    let over = wire.error("n = 0; loop { try { n += slow::take(\"x\"); } catch { } }");
    assert_eq!(
        (&over["code"], &over["data"]),
        (&json!(-32004), &json!({ "limit": "operations", "max": 10, "setting": "host_calls" }))
    );
    assert_eq!(wire.value("n"), 10);
    // The quotes take two bytes, and the brackets of arguments two more.
    assert_eq!(wire.value("slow::long(4094).len()"), 4094);
    assert_eq!(wire.value("let t = \"\"; t.pad(4092, 'x'); slow::take(t)"), 4092);
    for script in ["slow::long(4095)", "t.pad(4093, 'x'); slow::take(t)"] {
        let error = wire.error(script);
        let expected = (&json!(-32004), &json!({ "limit": "size", "max": 4, "setting": "host_kib" }));
        assert_eq!((&error["code"], &error["data"]), expected, "{script}");
    }
    assert_eq!(wire.value("n"), 10);
}

fn excess_call_waits_for_grant(workers: &Workers) {
    let (slow, module) = slow_module();
    let limits = Limits { running_host_calls: 1, ..Limits::default() };
    let circle = serve(workers, Circle::builder("test").host_module(module).limits(limits));
    let (mut first, mut second, mut third) = (circle.connect(), circle.connect(), circle.connect());
    let running = first.request("play", json!(["slow::wait()"]));
    assert_eq!(receive(&slow.messages), "begun");
    // A call that waits until its play ends is never executed.
    let gives_up = second.call("play", json!({ "script": "slow::wait()", "timeout_ms": 50 }));
    assert_eq!(gives_up["error"]["data"]["limit"], "time");
    let waiting = third.request("play", json!(["slow::take(\"xyz\")"]));
    slow.gate.add_permits(1);
    assert_eq!(first.answer(&running)["result"]["value"], 7);
    assert_eq!(third.answer(&waiting)["result"]["value"], 3);
    assert_eq!((receive(&slow.messages), slow.messages.try_recv().ok()), ("ended", None));
}

fn stopping_circle_waits_for_functions(workers: &Workers) {
    let (slow, module) = slow_module();
    let mut circle = serve(workers, Circle::builder("test").host_module(module));
    let mut wire = circle.connect();
    let play = wire.request("play", json!(["slow::wait()"]));
    assert_eq!(receive(&slow.messages), "begun");
    drop(circle.stop.take());
    assert_eq!(wire.answer(&play)["error"]["code"], -32008);
    slow.gate.add_permits(1);
    circle.stop();
    assert_eq!(receive(&slow.messages), "ended");
}

fn calls_of_one_caller_do_not_block_another(workers: &Workers) {
    let (slow, module) = slow_module();
    let limits = Limits { running_host_calls: 2, host_calls_per_caller: Some(1), ..Limits::default() };
    let circle = serve(workers, Circle::builder("test").host_module(module).limits(limits));
    let (mut first, mut second, mut other) = (circle.connect(), circle.connect(), circle.connect());
    let running = first.request("play", json!(["slow::wait()"]));
    assert_eq!(receive(&slow.messages), "begun");
    let waiting = second.request("play", json!(["slow::take(\"xyz\")"]));
    other.authenticate(&KeyPair::generate().expect("a key"));
    assert_eq!(other.value("slow::take(\"x\")"), 1);
    slow.gate.add_permits(1);
    assert_eq!(first.answer(&running)["result"]["value"], 7);
    assert_eq!(second.answer(&waiting)["result"]["value"], 3);
}

/// This holds for any script around the call.
fn call_in_callback_ends_with_play(workers: &Workers) {
    let (slow, module) = slow_module();
    let circle = serve(workers, Circle::builder("test").host_module(module));
    for script in [
        "[3, 1, 2].sort(|a, b| { slow::heed(); 0 }); loop {}",
        "[1, 2, 3].map(|n| slow::heed())",
        "loop { try { slow::heed() } catch { } }",
        "let f = || slow::heed(); f.call(); loop { f.call() }",
        "fn r(n) { if n == 0 { slow::heed() } else { r(n - 1) } } loop { try { r(9) } catch { } }",
        "let s = `${slow::heed()}`; loop {}",
        "#{a: [slow::heed(), 1]}; loop {}",
        "switch slow::heed() { 1 => 1, _ => 2 } loop {}",
    ] {
        let mut wire = circle.connect();
        wire.value("let kept = 7;");
        let play = wire.request("play", json!([script]));
        assert_eq!(receive(&slow.messages), "begun", "{script}");
        assert_eq!(wire.call("cancel", json!([play]))["result"]["cancelled"], true, "{script}");
        assert_eq!(wire.answer(&play)["error"]["code"], -32005, "{script}");
        assert_eq!(receive(&slow.messages), "heeded", "{script}");
        assert_eq!(wire.value("kept"), 7, "{script}");
    }
}
