//! Limits of concurrent queries of one caller and of one session.

use keys::KeyPair;
use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::support::{
    process::{ServeProcess, threads, wait_until_stopped},
    wire::WireClient,
};

#[test]
fn queries_of_one_caller_are_serialized_and_do_not_delay_others() {
    let server = ServeProcess::open();
    // The number of sessions of one caller whose queries run at the same time.
    let turns = std::thread::available_parallelism().expect("a number").get();
    let mut holders: Vec<WireClient> = (0..turns).map(|_| server.connect()).collect();
    for wire in &mut holders {
        wire.value("1");
    }
    let stopped = server.workers();
    for worker in &stopped {
        kill_process(*worker, Signal::STOP).expect("it is there");
        wait_until_stopped(*worker);
    }
    let mut waits = server.connect();
    waits.value("let x = 1;");
    for wire in &mut holders {
        wire.request("scope", json!([]));
        // The circle has accepted the earlier query.
        wire.call("describe", json!([]));
    }
    let question = waits.request("scope", json!([]));
    let play = waits.request("play", json!(["x"]));
    // The query waits for a grant of its caller, and the play does not wait for the query.
    assert_eq!(waits.next()["id"], play);
    let mut other = server.connect();
    other.authenticate(&KeyPair::generate().expect("a key"));
    assert!(other.call("scope", json!([]))["result"].is_object());
    for worker in stopped {
        kill_process(worker, Signal::CONT).expect("it is there");
    }
    assert_eq!(waits.answer(&question)["result"]["variables"][0]["name"], "x");
}

#[test]
fn worker_with_slow_queries_gets_lower_priority() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.value("1");
    let [worker] = server.workers()[..] else { panic!("one worker") };
    let script = "let a = [1, 2, #{ b: `c` }]; ".repeat(8000);
    for _ in 0..1000 {
        if threads(worker).iter().all(|fields| fields[16] == "19") {
            return;
        }
        let queries: Vec<_> = (0..8).map(|_| wire.request("complete", json!([script, script.len()]))).collect();
        for id in queries {
            wire.answer(&id);
        }
    }
    panic!("it has the niceness that it began with");
}
