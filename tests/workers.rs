//! What one client's scripts cost another: nothing.

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use serde_json::json;

use crate::support::{
    Home,
    process::{Server, threads, wait_for_end, wait_until_stopped},
    skip,
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
fn descriptors_that_run_out_make_a_session_busy_and_cost_it_nothing() {
    let server = Server::open();
    let mut wire = server.connect();
    // Nothing is closed that is open, and nothing new can be opened.
    let none = Rlimit { current: Some(0), ..getrlimit(Resource::Nofile) };
    let before = prlimit(Some(server.pid()), Resource::Nofile, none).expect("the process is ours");
    let error = wire.error("1");
    assert_eq!((&error["code"], &error["data"]["limit"]), (&json!(-32006), &json!("workers")), "{error}");
    prlimit(Some(server.pid()), Resource::Nofile, before).expect("the process is ours");
    assert_eq!(wire.value("40 + 2"), 42);
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

/// At the least: how long more it takes is the machine's affair.
#[test]
fn a_session_whose_workers_crash_again_and_again_waits_for_the_next_one() {
    let server = Server::open();
    let mut wire = server.connect();
    wire.value("1");
    let started = Instant::now();
    for _ in 0..5 {
        let [worker] = server.workers()[..] else { panic!("one worker") };
        let running = wire.request("play", json!(["print(\"begun\"); loop {}"]));
        wire.printed("begun");
        kill_process(worker, Signal::ABORT).expect("it is there");
        assert_eq!(wire.answer(&running)["error"]["data"]["reason"], "crash");
        assert_eq!(wire.value("1"), 1);
    }
    // After the third, fourth and fifth.
    assert!(started.elapsed() >= Duration::from_millis(100 + 200 + 400), "{:?}", started.elapsed());
}

#[test]
fn a_session_that_resets_again_and_again_waits_for_its_next_worker() {
    let server = Server::open();
    let mut wire = server.connect();
    wire.value("1");
    let started = Instant::now();
    for _ in 0..4 {
        wire.call("reset", json!([]));
        assert_eq!(wire.value("1"), 1);
    }
    // The first one is free.
    assert!(started.elapsed() >= Duration::from_millis(3 * 250), "{:?}", started.elapsed());
}

/// As while a huge script is parsed, which cannot be interrupted: only the kill ends it.
#[test]
fn a_play_that_does_not_stop_is_killed_a_second_later() {
    let server = Server::open();
    let (mut wire, mut other) = (server.connect(), server.connect());
    wire.value("1");
    let [worker] = server.workers()[..] else { panic!("one worker") };
    kill_process(worker, Signal::STOP).expect("it is there");
    wait_until_stopped(worker);
    let play = wire.request("play", json!({ "script": "1", "timeout_ms": 10 }));
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
    let templates = server.templates();
    assert_eq!(templates.len(), 1);
    server.signal(Signal::KILL);
    server.wait();
    workers.into_iter().chain(templates).for_each(wait_for_end);
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
fn a_worker_inherits_nothing_of_its_server_and_has_nothing_of_another_worker() {
    let server = Server::open();
    let (mut first, mut second) = (server.connect(), server.connect());
    first.value("1");
    second.value("1");
    let (workers, templates) = (server.workers(), server.templates());
    let ([first, second], [template]) = (&workers[..], &templates[..]) else { panic!("two of one") };
    let [of_first, of_second] = [first, second].map(|worker| descriptors(&worker.to_string()));
    let (Some(of_first), Some(of_second)) = (of_first, of_second) else {
        // What is to be seen here, tests/template.rs of `worker` sees from inside.
        skip("a process that is not dumpable shows its descriptors to root alone");
        return;
    };
    assert_eq!(std::fs::read(format!("/proc/{first}/environ")).expect("readable"), b"");
    let [of_template, of_server] =
        [*template, server.pid()].map(|pid| descriptors(&pid.to_string()).expect("readable"));
    for (open, other) in [(&of_first, &of_second), (&of_second, &of_first)] {
        let sockets: Vec<_> = open.iter().filter(|name| name.starts_with("socket:")).collect();
        // Work and control.
        assert_eq!(sockets.len(), 2, "{open:?}");
        let elsewhere = [other, &of_template, &of_server];
        assert!(sockets.iter().all(|socket| elsewhere.iter().all(|there| !there.contains(socket))), "{open:?}");
        let others: Vec<_> = open.iter().filter(|name| !name.starts_with("socket:") && *name != "/dev/null").collect();
        assert!(others.is_empty(), "{others:?}");
    }
    // All of the same name and user, of one session that is not the server's.
    let sessions = [*first, *second, *template].map(|pid| threads(pid)[0][3].clone());
    assert_eq!(sessions, [(); 3].map(|()| template.to_string()));
}

/// Of a process that shows them.
fn descriptors(pid: &str) -> Option<Vec<String>> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    Some(open.filter_map(|entry| Some(std::fs::read_link(entry.ok()?.path()).ok()?.display().to_string())).collect())
}

#[test]
fn what_one_worker_changes_no_other_sees_that_is_forked_later() {
    let home = Home::new();
    let init = home.path().join("init.rhai");
    std::fs::write(&init, "let list = [1]; const GIVEN = 7; fn common() { 1 }").expect("written");
    let server = Server::start(&["--init", &init.display().to_string()]);
    let (mut first, mut second) = (server.connect(), server.connect());
    first.value("list.push(2); let mine = 1; fn common() { 2 } fn own() { 3 }");
    assert_eq!(first.value("list.len() + common()"), 4);
    assert_eq!(second.value("list.len() + common() + GIVEN"), 9);
    assert_eq!(second.error("mine")["code"], -32000);
    assert_eq!(second.error("own()")["code"], -32000);
    first.call("reset", json!([]));
    assert_eq!(first.value("list.len() + common()"), 2);
}

#[test]
fn a_template_that_is_killed_costs_its_sessions_their_variables_and_the_next_play_has_another() {
    let server = Server::open();
    let (mut busy, mut quiet) = (server.connect(), server.connect());
    quiet.value("let mine = 1;");
    let play = busy.request("play", json!(["print(\"begun\"); loop {}"]));
    busy.printed("begun");
    let (workers, templates) = (server.workers(), server.templates());
    let [template] = &templates[..] else { panic!("one template") };
    kill_process(*template, Signal::KILL).expect("it is there");
    let error = busy.answer(&play)["error"].clone();
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32009), &json!("killed")));
    assert_eq!(quiet.notification("session.reset"), json!({ "reason": "killed" }));
    workers.into_iter().for_each(wait_for_end);
    assert_eq!(quiet.error("mine")["code"], -32000);
    assert_eq!(busy.value("40 + 2"), 42);
    assert!(server.templates().len() == 1 && !server.templates().contains(template));
}

#[test]
fn a_worker_is_in_a_class_that_interrupts_nobody_and_gives_way_once_a_play_takes_long() {
    let server = Server::open();
    let (mut long, mut short) = (server.connect(), server.connect());
    let nicenesses = || -> Vec<Vec<String>> {
        server.workers().into_iter().map(|pid| threads(pid).iter().map(|fields| fields[16].clone()).collect()).collect()
    };
    long.value("1");
    let [worker] = server.workers()[..] else { panic!("one worker") };
    // SCHED_BATCH, of both threads.
    assert_eq!(threads(worker).iter().map(|fields| fields[38].as_str()).collect::<Vec<_>>(), ["3", "3"]);
    let play = long.request("play", json!(["loop { for i in 0..10000 {} print(\"on\"); }"]));
    while nicenesses() != [["19", "19"]] {
        long.printed("on");
    }
    assert_eq!(long.call("cancel", json!([play]))["result"], json!({ "cancelled": true }));
    // For good, and for itself alone.
    assert_eq!(long.answer(&play)["error"]["code"], -32005);
    assert_eq!(long.value("1"), 1);
    short.value("1");
    let mut all = nicenesses();
    all.sort();
    assert_eq!(all, [["0", "0"], ["19", "19"]]);
}

#[test]
fn many_sessions_at_once_get_a_worker_each() {
    let server = Server::open();
    let mut wires: Vec<Wire> = (0..200).map(|_| server.connect()).collect();
    let plays: Vec<_> = (0..).zip(&mut wires).map(|(n, wire)| wire.request("play", json!([format!("{n}")]))).collect();
    for (n, (wire, play)) in wires.iter_mut().zip(plays).enumerate() {
        assert_eq!(wire.answer(&play)["result"]["value"], n);
    }
    let workers = server.workers();
    assert_eq!(workers.len(), 200);
    drop(wires);
    workers.into_iter().for_each(wait_for_end);
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
