//! What one client's scripts cost another: nothing.

use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::support::{
    process::{Server, wait_for_end},
    wire::Wire,
};

#[test]
fn an_endless_loop_disturbs_nobody_and_can_be_cancelled_with_its_variables_kept() {
    let server = Server::open();
    let (mut looping, mut other) = (server.connect(), server.connect());
    looping.value("let kept = 1;");
    let play = looping.request("play", json!(["kept = 2; print(\"begun\"); loop {}"]));
    looping.printed("begun");
    assert_eq!(other.value("40 + 2"), 42);
    assert_eq!(looping.call("cancel", json!([play]))["result"], json!({ "cancelled": true }));
    assert_eq!(looping.answer(&play)["error"]["code"], -32005);
    assert_eq!(looping.value("kept"), 2);
}

#[test]
fn a_worker_that_is_killed_costs_its_own_session_its_variables() {
    let server = Server::open();
    let (mut victim, mut other) = (server.connect(), server.connect());
    victim.value("let mine = 1;");
    let [worker] = server.workers()[..] else { panic!("one worker") };
    other.value("let mine = 2;");
    let running = victim.request("play", json!(["print(\"begun\"); loop {}"]));
    let waiting = victim.request("play", json!(["mine"]));
    let reset = victim.request("reset", json!([]));
    victim.printed("begun");
    kill_process(worker, Signal::KILL).expect("it is there");
    for play in [running, waiting] {
        let error = victim.answer(&play)["error"].clone();
        assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32009), &json!("killed")));
    }
    assert_eq!(victim.answer(&reset)["result"]["reset"], true);
    assert_eq!(victim.error("mine")["code"], -32000);
    assert_eq!(other.value("mine"), 2);
}

#[test]
fn a_worker_that_is_killed_between_plays_is_told_of() {
    let server = Server::open();
    let mut wire = server.connect();
    wire.value("let mine = 1;");
    let [worker] = server.workers()[..] else { panic!("one worker") };
    kill_process(worker, Signal::KILL).expect("it is there");
    assert_eq!(wire.notification("session.reset"), json!({ "reason": "killed" }));
    assert_eq!(wire.error("mine")["data"]["kind"], "runtime");
}

#[test]
fn a_script_that_fills_its_memory_is_ended_and_its_session_kept() {
    let server = Server::start(&["--limit", "memory_mib=16"]);
    let (mut wire, mut other) = (server.connect(), server.connect());
    wire.value("let kept = 7; let f = |x| x; let big = []; big.pad(10000, 0);");
    // What a closure captured is counted by no limit of the engine.
    let error = wire.error("loop { f = f.curry(big); }");
    assert_eq!((&error["code"], &error["data"]), (&json!(-32004), &json!({ "limit": "memory", "max": 16 })));
    // A session that is full may still make room.
    assert_eq!(wire.value("kept"), 7);
    wire.value("f = 0;");
    assert_eq!(wire.value("f = |x| x; for i in 0..50 { f = f.curry(big); } 1"), 1);
    assert_eq!(other.value("1"), 1);
}

#[test]
fn a_script_that_would_fill_its_memory_in_one_operation_costs_its_own_session_its_variables() {
    let server = Server::open();
    let (mut wire, mut other) = (server.connect(), server.connect());
    other.value("let mine = 2;");
    let bomb = "let a = \"x\"; let b = \"x\"; a.pad(60000, \"a\"); b.pad(60000, \"b\"); a.replace(\"a\", b);";
    let error = wire.error(bomb);
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32009), &json!("memory")));
    assert_eq!(wire.value("1"), 1);
    assert_eq!(other.value("mine"), 2);
}

#[test]
fn a_worker_that_fails_costs_its_own_session_its_variables() {
    let server = Server::open();
    let (mut wire, mut other) = (server.connect(), server.connect());
    wire.value("let mine = 1;");
    let [worker] = server.workers()[..] else { panic!("one worker") };
    other.value("let mine = 2;");
    let running = wire.request("play", json!(["print(\"begun\"); loop {}"]));
    wire.printed("begun");
    // As what cannot be caught in there would.
    kill_process(worker, Signal::ABORT).expect("it is there");
    let error = wire.answer(&running)["error"].clone();
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32009), &json!("crash")));
    assert_eq!(wire.value("1"), 1);
    assert_eq!(other.value("mine"), 2);
}

/// Parsing cannot be interrupted, so only the kill ends it.
#[test]
fn a_play_that_does_not_stop_is_killed_a_second_later() {
    let server = Server::start(&["--limit", "message_kib=16384", "--limit", "memory_mib=4096"]);
    let (mut wire, mut other) = (server.connect(), server.connect());
    let properties: Vec<String> = (0..700_000).map(|n| format!("k{n}:1")).collect();
    let huge = format!("#{{{}}}", properties.join(","));
    let play = wire.request("play", json!({ "script": huge, "timeout_ms": 10 }));
    assert_eq!(other.value("1"), 1);
    let error = wire.answer(&play)["error"].clone();
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32009), &json!("time")));
    assert_eq!(wire.value("1"), 1);
}

#[test]
fn an_idle_connection_costs_no_worker() {
    let server = Server::open();
    let mut wire = server.connect();
    wire.call("describe", json!([]));
    assert_eq!(server.workers(), []);
    wire.value("1");
    assert_eq!(server.workers().len(), 1);
}

#[test]
fn nothing_is_left_when_a_connection_closes() {
    let server = Server::open();
    let (mut quiet, mut busy) = (server.connect(), server.connect());
    quiet.value("1");
    busy.request("play", json!(["print(\"begun\"); loop {}"]));
    busy.printed("begun");
    let workers = server.workers();
    assert_eq!(workers.len(), 2);
    drop((quiet, busy));
    workers.into_iter().for_each(wait_for_end);
}

#[test]
fn nothing_is_left_when_a_server_is_killed() {
    let mut server = Server::open();
    let (mut quiet, mut busy) = (server.connect(), server.connect());
    quiet.value("1");
    busy.request("play", json!(["print(\"begun\"); loop {}"]));
    busy.printed("begun");
    let workers = server.workers();
    assert_eq!(workers.len(), 2);
    server.signal(Signal::KILL);
    server.wait();
    workers.into_iter().for_each(wait_for_end);
}

#[test]
fn nothing_is_left_when_a_server_stops_with_a_play_that_does_not_end() {
    let mut server = Server::open();
    let mut busy = server.connect();
    let play = busy.request("play", json!(["print(\"begun\"); loop {}"]));
    busy.printed("begun");
    let workers = server.workers();
    server.signal(Signal::TERM);
    assert_eq!(busy.answer(&play)["error"]["code"], -32008);
    assert_eq!(busy.close_code(), 1001);
    assert_eq!(server.wait().code(), Some(0));
    workers.into_iter().for_each(wait_for_end);
}

#[test]
fn a_worker_inherits_nothing_of_its_server() {
    let server = Server::open();
    let mut wire = server.connect();
    wire.value("1");
    let [worker] = server.workers()[..] else { panic!("one worker") };
    assert_eq!(std::fs::read(format!("/proc/{worker}/environ")).expect("readable"), b"");
    let open = descriptors(&worker.to_string());
    let sockets: Vec<_> = open.iter().filter(|name| name.starts_with("socket:")).collect();
    // Work and control.
    assert_eq!(sockets.len(), 2, "{open:?}");
    let servers = descriptors(&server.pid().to_string());
    assert!(sockets.iter().all(|socket| !servers.contains(socket)), "{open:?} {servers:?}");
    // What a test harness leaves open for every process is not the server's.
    let harness = descriptors("self");
    let others: Vec<_> = open
        .iter()
        .filter(|name| !name.starts_with("socket:") && *name != "/dev/null" && !harness.contains(name))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

fn descriptors(pid: &str) -> Vec<String> {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("readable")
        .filter_map(|entry| Some(std::fs::read_link(entry.ok()?.path()).ok()?.display().to_string()))
        .collect()
}

#[test]
fn the_circles_workers_are_bounded() {
    let server = Server::start(&["--limit", "workers=1", "--limit", "sessions_per_caller=2"]);
    let (mut first, mut second) = (server.connect(), server.connect());
    first.value("1");
    let error = second.error("1");
    assert_eq!((&error["code"], &error["data"]), (&json!(-32006), &json!({ "limit": "workers", "max": 1 })));
    first.call("reset", json!([]));
    assert_eq!(second.value("1"), 1);
}

#[test]
fn one_caller_cannot_take_the_workers_of_the_others() {
    let server = Server::start(&["--limit", "workers=8"]);
    let mut sessions = [(); 3].map(|()| server.connect());
    let [first, second, third] = &mut sessions;
    // A quarter of them, for all who come from one address and prove no key.
    first.value("1");
    second.value("1");
    let error = third.error("1");
    assert_eq!((&error["code"], &error["data"]), (&json!(-32006), &json!({ "limit": "sessions", "max": 2 })));
    // Who proves a key is someone else.
    third.authenticate(&keys::KeyPair::generate().expect("a key"));
    assert_eq!(third.value("40 + 2"), 42);
    let mut fourth = server.connect();
    assert_eq!(fourth.error("1")["code"], -32006);
    first.call("reset", json!([]));
    assert_eq!(fourth.value("1"), 1);
}

#[test]
fn an_anonymous_session_that_does_nothing_gives_its_worker_back() {
    let server = Server::start(&["--limit", "idle_s=1"]);
    let (mut known, mut anonymous) = (server.connect(), server.connect());
    known.authenticate(&keys::KeyPair::generate().expect("a key"));
    known.value("let mine = 1;");
    anonymous.value("let mine = 2;");
    assert_eq!(anonymous.notification("session.reset"), json!({ "reason": "idle" }));
    assert_eq!(anonymous.error("mine")["data"]["kind"], "runtime");
    // Who has proved a key was idle for longer.
    assert_eq!(known.value("mine"), 1);
}

#[test]
fn one_caller_with_many_connections_cannot_keep_another_waiting() {
    let server = Server::start(&["--limit", "running_plays=2", "--limit", "running_per_caller=1"]);
    let mut greedy = [(); 3].map(|()| server.connect());
    let begin = |wire: &mut Wire| wire.request("play", json!(["print(\"begun\"); loop {}"]));
    let first = begin(&mut greedy[0]);
    greedy[0].printed("begun");
    let (second, third) = (begin(&mut greedy[1]), begin(&mut greedy[2]));
    let mut other = server.connect();
    other.authenticate(&keys::KeyPair::generate().expect("a key"));
    assert_eq!(other.value("40 + 2"), 42);
    // One that waits for its turn can be cancelled, and asked about meanwhile.
    assert_eq!(greedy[1].call("cancel", json!([second]))["result"]["cancelled"], true);
    assert_eq!(greedy[1].answer(&second)["error"]["code"], -32005);
    assert!(greedy[2].call("scope", json!([]))["result"].is_object());
    // The next in turn begins when the one before has ended.
    greedy[0].call("cancel", json!([first]));
    greedy[2].printed("begun");
    greedy[2].call("cancel", json!([third]));
}
