//! Workers isolate sessions: scripts of one client do not affect another.

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use serde_json::json;

use crate::support::{
    Home,
    process::{ServeProcess, threads, wait_for_end, wait_until_stopped},
    skip,
    wire::WireClient,
};

#[test]
fn endless_loop_disturbs_nobody_and_cancel_keeps_variables() {
    let server = ServeProcess::open();
    let (mut looping, mut other) = (server.connect(), server.connect());
    looping.value("let kept = 1;");
    let play = looping.request("play", json!(["kept = 2; print(\"begun\"); loop {}"]));
    looping.expect_print("begun");
    assert_eq!(other.value("40 + 2"), 42);
    assert_eq!(looping.call("cancel", json!([play]))["result"], json!({ "cancelled": true }));
    assert_eq!(looping.answer(&play)["error"]["code"], -32005);
    assert_eq!(looping.value("kept"), 2);
}

#[test]
fn killed_worker_loses_only_its_sessions_environment() {
    let server = ServeProcess::open();
    let (mut victim, mut other) = (server.connect(), server.connect());
    victim.value("let mine = 1;");
    let [worker] = server.workers()[..] else { panic!("one worker") };
    other.value("let mine = 2;");
    let running = victim.request("play", json!(["print(\"begun\"); loop {}"]));
    let waiting = victim.request("play", json!(["mine"]));
    let reset = victim.request("reset", json!([]));
    victim.expect_print("begun");
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
fn worker_killed_between_plays_is_reported() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.value("let mine = 1;");
    let [worker] = server.workers()[..] else { panic!("one worker") };
    kill_process(worker, Signal::KILL).expect("it is there");
    assert_eq!(wire.notification("session.reset"), json!({ "reason": "killed" }));
    assert_eq!(wire.error("mine")["data"]["kind"], "runtime");
}

#[test]
fn descriptor_exhaustion_makes_sessions_busy_without_loss() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    // Open descriptors stay open, but the process can open no more.
    let none = Rlimit { current: Some(0), ..getrlimit(Resource::Nofile) };
    let before = prlimit(Some(server.pid()), Resource::Nofile, none).expect("the process is ours");
    let error = wire.error("1");
    assert_eq!((&error["code"], &error["data"]["limit"]), (&json!(-32006), &json!("workers")), "{error}");
    prlimit(Some(server.pid()), Resource::Nofile, before).expect("the process is ours");
    assert_eq!(wire.value("40 + 2"), 42);
}

#[test]
fn script_over_its_memory_limit_is_stopped_and_its_session_kept() {
    let server = ServeProcess::start(&["--limit", "memory_mib=16"]);
    let (mut wire, mut other) = (server.connect(), server.connect());
    wire.value("let kept = 7; let f = |x| x; let big = []; big.pad(10000, 0);");
    // The engine does not count captured values of closures; only the memory limit does.
    let error = wire.error("loop { f = f.curry(big); }");
    assert_eq!(
        (&error["code"], &error["data"]),
        (&json!(-32004), &json!({ "limit": "memory", "max": 16, "setting": "memory_mib" }))
    );
    // A session at its limit can still free memory.
    assert_eq!(wire.value("kept"), 7);
    wire.value("f = 0;");
    assert_eq!(wire.value("f = |x| x; for i in 0..50 { f = f.curry(big); } 1"), 1);
    assert_eq!(other.value("1"), 1);
}

#[test]
fn script_over_memory_in_one_operation_loses_only_its_environment() {
    let server = ServeProcess::open();
    let (mut wire, mut other) = (server.connect(), server.connect());
    other.value("let mine = 2;");
    let bomb = "let a = \"x\"; let b = \"x\"; a.pad(60000, \"a\"); b.pad(60000, \"b\"); a.replace(\"a\", b);";
    let error = wire.error(bomb);
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32009), &json!("memory")));
    assert_eq!(wire.value("1"), 1);
    assert_eq!(other.value("mine"), 2);
}

#[test]
fn failed_worker_loses_only_its_sessions_environment() {
    let server = ServeProcess::open();
    let (mut wire, mut other) = (server.connect(), server.connect());
    wire.value("let mine = 1;");
    let [worker] = server.workers()[..] else { panic!("one worker") };
    other.value("let mine = 2;");
    let running = wire.request("play", json!(["print(\"begun\"); loop {}"]));
    wire.expect_print("begun");
    // Stands for a crash that the worker cannot catch.
    kill_process(worker, Signal::ABORT).expect("it is there");
    let error = wire.answer(&running)["error"].clone();
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32009), &json!("crash")));
    assert_eq!(wire.value("1"), 1);
    assert_eq!(other.value("mine"), 2);
}

/// Asserts only lower bounds: a busy machine may take longer.
#[test]
fn session_with_crashing_workers_backs_off() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.value("1");
    let started = Instant::now();
    for _ in 0..5 {
        let [worker] = server.workers()[..] else { panic!("one worker") };
        let running = wire.request("play", json!(["print(\"begun\"); loop {}"]));
        wire.expect_print("begun");
        kill_process(worker, Signal::ABORT).expect("it is there");
        assert_eq!(wire.answer(&running)["error"]["data"]["reason"], "crash");
        assert_eq!(wire.value("1"), 1);
    }
    // Delays after the third, fourth and fifth crash.
    assert!(started.elapsed() >= Duration::from_millis(100 + 200 + 400), "{:?}", started.elapsed());
}

#[test]
fn session_with_repeated_resets_backs_off() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.value("1");
    let started = Instant::now();
    for _ in 0..4 {
        wire.call("reset", json!([]));
        assert_eq!(wire.value("1"), 1);
    }
    // The first reset has no delay.
    assert!(started.elapsed() >= Duration::from_millis(3 * 250), "{:?}", started.elapsed());
}

/// Only a kill ends a worker that cannot be interrupted, as while it parses a huge script.
#[test]
fn play_that_does_not_stop_is_killed_after_a_second() {
    let server = ServeProcess::open();
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
fn idle_connection_has_no_worker() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.call("describe", json!([]));
    assert_eq!(server.workers(), []);
    wire.value("1");
    assert_eq!(server.workers().len(), 1);
}

#[test]
fn connection_close_leaves_no_process() {
    let server = ServeProcess::open();
    let (mut quiet, mut busy) = (server.connect(), server.connect());
    quiet.value("1");
    busy.request("play", json!(["print(\"begun\"); loop {}"]));
    busy.expect_print("begun");
    let workers = server.workers();
    assert_eq!(workers.len(), 2);
    drop((quiet, busy));
    workers.into_iter().for_each(wait_for_end);
}

#[test]
fn killed_server_leaves_no_process() {
    let mut server = ServeProcess::open();
    let (mut quiet, mut busy) = (server.connect(), server.connect());
    quiet.value("1");
    busy.request("play", json!(["print(\"begun\"); loop {}"]));
    busy.expect_print("begun");
    let workers = server.workers();
    assert_eq!(workers.len(), 2);
    let fork_servers = server.fork_servers();
    assert_eq!(fork_servers.len(), 1);
    server.signal(Signal::KILL);
    server.wait();
    workers.into_iter().chain(fork_servers).for_each(wait_for_end);
}

#[test]
fn server_stop_with_an_endless_play_leaves_no_process() {
    let mut server = ServeProcess::open();
    let mut busy = server.connect();
    let play = busy.request("play", json!(["print(\"begun\"); loop {}"]));
    busy.expect_print("begun");
    let workers = server.workers();
    server.signal(Signal::TERM);
    assert_eq!(busy.answer(&play)["error"]["code"], -32008);
    assert_eq!(busy.close_code(), 1001);
    assert_eq!(server.wait().code(), Some(0));
    workers.into_iter().for_each(wait_for_end);
}

#[test]
fn worker_inherits_nothing_from_its_server_or_other_workers() {
    let server = ServeProcess::open();
    let (mut first, mut second) = (server.connect(), server.connect());
    first.value("1");
    second.value("1");
    let (workers, fork_servers) = (server.workers(), server.fork_servers());
    let ([first, second], [fork_server]) = (&workers[..], &fork_servers[..]) else { panic!("two of one") };
    let [of_first, of_second] = [first, second].map(|worker| descriptors(&worker.to_string()));
    let (Some(of_first), Some(of_second)) = (of_first, of_second) else {
        // The tests of the crate `worker` check the same from inside a worker.
        skip("a process that is not dumpable shows its descriptors to root alone");
        return;
    };
    assert_eq!(std::fs::read(format!("/proc/{first}/environ")).expect("readable"), b"");
    let [of_fork_server, of_server] =
        [*fork_server, server.pid()].map(|pid| descriptors(&pid.to_string()).expect("readable"));
    for (open, other) in [(&of_first, &of_second), (&of_second, &of_first)] {
        let own: Vec<_> = open.iter().filter(|name| *name != "/dev/null").collect();
        let kinds = own.iter().map(|name| name.split(':').next().unwrap_or_default()).collect::<Vec<_>>();
        // A pipe in each direction for plays, and a socket for control.
        assert_eq!(kinds, ["pipe", "pipe", "socket"], "{open:?}");
        // The server has the other end of each pipe, which has the same name.
        let elsewhere = [other, &of_fork_server];
        assert!(own.iter().all(|channel| elsewhere.iter().all(|there| !there.contains(channel))), "{open:?}");
        assert!(!of_server.contains(own[2]), "{open:?}");
    }
    // All have the same name and user, and one session, which is not the server's.
    let sessions = [*first, *second, *fork_server].map(|pid| threads(pid)[0][3].clone());
    assert_eq!(sessions, [(); 3].map(|()| fork_server.to_string()));
}

/// Open descriptors of a process; `None` if the kernel does not show them.
fn descriptors(pid: &str) -> Option<Vec<String>> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    Some(open.filter_map(|entry| Some(std::fs::read_link(entry.ok()?.path()).ok()?.display().to_string())).collect())
}

#[test]
fn worker_changes_are_invisible_to_later_workers() {
    let home = Home::new();
    let init = home.path().join("init.rhai");
    std::fs::write(&init, "let list = [1]; const GIVEN = 7; fn common() { 1 }").expect("written");
    let server = ServeProcess::start(&["--init", &init.display().to_string()]);
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
fn killed_fork_server_loses_environments_and_is_replaced() {
    let server = ServeProcess::open();
    let (mut busy, mut quiet) = (server.connect(), server.connect());
    quiet.value("let mine = 1;");
    let play = busy.request("play", json!(["print(\"begun\"); loop {}"]));
    busy.expect_print("begun");
    let (workers, fork_servers) = (server.workers(), server.fork_servers());
    let [fork_server] = &fork_servers[..] else { panic!("one fork server") };
    kill_process(*fork_server, Signal::KILL).expect("it is there");
    let error = busy.answer(&play)["error"].clone();
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32009), &json!("killed")));
    assert_eq!(quiet.notification("session.reset"), json!({ "reason": "killed" }));
    workers.into_iter().for_each(wait_for_end);
    assert_eq!(quiet.error("mine")["code"], -32000);
    assert_eq!(busy.value("40 + 2"), 42);
    assert!(server.fork_servers().len() == 1 && !server.fork_servers().contains(fork_server));
}

#[test]
fn worker_has_batch_scheduling_and_lower_priority_for_long_plays() {
    let server = ServeProcess::open();
    let (mut long, mut short) = (server.connect(), server.connect());
    let nicenesses = || -> Vec<Vec<String>> {
        server.workers().into_iter().map(|pid| threads(pid).iter().map(|fields| fields[16].clone()).collect()).collect()
    };
    long.value("1");
    let [worker] = server.workers()[..] else { panic!("one worker") };
    // Both threads have the policy SCHED_BATCH (3).
    assert_eq!(threads(worker).iter().map(|fields| fields[38].as_str()).collect::<Vec<_>>(), ["3", "3"]);
    let play = long.request("play", json!(["loop { for i in 0..10000 {} print(\"on\"); }"]));
    while nicenesses() != [["19", "19"]] {
        long.expect_print("on");
    }
    assert_eq!(long.call("cancel", json!([play]))["result"], json!({ "cancelled": true }));
    // The lower priority stays, and applies to this worker only.
    assert_eq!(long.answer(&play)["error"]["code"], -32005);
    assert_eq!(long.value("1"), 1);
    short.value("1");
    let mut all = nicenesses();
    all.sort();
    assert_eq!(all, [["0", "0"], ["19", "19"]]);
}

#[test]
fn concurrent_sessions_get_a_worker_each() {
    let server = ServeProcess::open();
    let mut wires: Vec<WireClient> = (0..200).map(|_| server.connect()).collect();
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
fn workers_of_a_circle_are_bounded() {
    let server = ServeProcess::start(&["--limit", "workers=1", "--limit", "sessions_per_caller=2"]);
    let (mut first, mut second) = (server.connect(), server.connect());
    first.value("1");
    let error = second.error("1");
    assert_eq!((&error["code"], &error["data"]), (&json!(-32006), &json!({ "limit": "workers", "max": 1 })));
    first.call("reset", json!([]));
    assert_eq!(second.value("1"), 1);
}

#[test]
fn workers_of_one_caller_are_bounded() {
    let server = ServeProcess::start(&["--limit", "workers=8"]);
    let mut sessions = [(); 3].map(|()| server.connect());
    let [first, second, third] = &mut sessions;
    // A quarter of the workers, for all anonymous clients of one address.
    first.value("1");
    second.value("1");
    let error = third.error("1");
    assert_eq!((&error["code"], &error["data"]), (&json!(-32006), &json!({ "limit": "sessions", "max": 2 })));
    // An authenticated client is another caller.
    third.authenticate(&keys::KeyPair::generate().expect("a key"));
    assert_eq!(third.value("40 + 2"), 42);
    let mut fourth = server.connect();
    assert_eq!(fourth.error("1")["code"], -32006);
    first.call("reset", json!([]));
    assert_eq!(fourth.value("1"), 1);
}

#[test]
fn idle_anonymous_session_returns_its_worker() {
    let server = ServeProcess::start(&["--limit", "idle_s=1"]);
    let (mut known, mut anonymous) = (server.connect(), server.connect());
    known.authenticate(&keys::KeyPair::generate().expect("a key"));
    known.value("let mine = 1;");
    anonymous.value("let mine = 2;");
    assert_eq!(anonymous.notification("session.reset"), json!({ "reason": "idle" }));
    assert_eq!(anonymous.error("mine")["data"]["kind"], "runtime");
    // The authenticated session was idle for longer, and keeps its environment.
    assert_eq!(known.value("mine"), 1);
}

#[test]
fn caller_with_many_connections_does_not_delay_another() {
    let server = ServeProcess::start(&["--limit", "running_plays=2", "--limit", "running_per_caller=1"]);
    let mut greedy = [(); 3].map(|()| server.connect());
    let begin = |wire: &mut WireClient| wire.request("play", json!(["print(\"begun\"); loop {}"]));
    let first = begin(&mut greedy[0]);
    greedy[0].expect_print("begun");
    let (second, third) = (begin(&mut greedy[1]), begin(&mut greedy[2]));
    let mut other = server.connect();
    other.authenticate(&keys::KeyPair::generate().expect("a key"));
    assert_eq!(other.value("40 + 2"), 42);
    // A waiting play can be cancelled, and its session answers queries.
    assert_eq!(greedy[1].call("cancel", json!([second]))["result"]["cancelled"], true);
    assert_eq!(greedy[1].answer(&second)["error"]["code"], -32005);
    assert!(greedy[2].call("scope", json!([]))["result"].is_object());
    // The next play begins when the previous one has ended.
    greedy[0].call("cancel", json!([first]));
    greedy[2].expect_print("begun");
    greedy[2].call("cancel", json!([third]));
}
