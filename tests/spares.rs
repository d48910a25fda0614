//! Spare workers: started before a session needs them, and used once.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::process::{MAX_SPARES, ServeProcess, wait_for_end};

/// A circle with as many spare workers as it keeps, and one session that has played.
fn circle_with_spares() -> (ServeProcess, crate::support::wire::WireClient, Vec<Pid>) {
    let server = ServeProcess::open();
    let mut first = server.connect();
    assert_eq!(server.spares(), [], "a circle without sessions has none");
    first.value("let mine = 1;");
    let spares = server.wait_for_spares(MAX_SPARES);
    (server, first, spares)
}

#[test]
fn session_uses_spare_worker_and_shares_it_with_no_other() {
    let (server, mut first, spares) = circle_with_spares();
    let before = server.workers();
    assert_eq!(before.len(), 1);
    let mut sessions: Vec<_> = (0..MAX_SPARES - 1).map(|_| server.connect()).collect();
    for (n, wire) in (0..).zip(&mut sessions) {
        assert_eq!(wire.error("mine")["code"], -32000, "the environment is new");
        wire.value(&format!("let mine = {n};"));
    }
    let used = server.workers();
    assert_eq!(used.len(), MAX_SPARES, "each session has a process of its own");
    assert!(used.iter().all(|worker| before.contains(worker) || spares.contains(worker)), "{used:?}, {spares:?}");
    for (n, wire) in (0..).zip(&mut sessions) {
        assert_eq!(wire.value("mine"), n);
    }
    assert_eq!(first.value("mine"), 1);
    // Others replace them, and none of these has been used.
    let replaced = server.wait_for_spares(MAX_SPARES);
    assert!(replaced.iter().all(|spare| !used.contains(spare)));
}

#[test]
fn reset_session_uses_no_worker_again() {
    let (server, mut first, _) = circle_with_spares();
    let [worker] = server.workers()[..] else { panic!("one worker") };
    first.call("reset", json!([]));
    assert_eq!(first.error("mine")["code"], -32000);
    wait_for_end(worker);
    assert!(!server.wait_for_spares(MAX_SPARES).contains(&worker));
}

#[test]
fn killed_spare_workers_lose_no_play() {
    let (server, mut first, spares) = circle_with_spares();
    for spare in spares {
        kill_process(spare, Signal::KILL).expect("it is there");
        wait_for_end(spare);
    }
    let mut sessions: Vec<_> = (0..2 * MAX_SPARES).map(|_| server.connect()).collect();
    for wire in &mut sessions {
        assert_eq!(wire.value("40 + 2"), 42);
        assert!(wire.notifications.is_empty());
    }
    assert_eq!(first.value("mine"), 1);
    server.wait_for_spares(MAX_SPARES);
}

#[test]
fn lost_fork_server_takes_its_spare_workers_along() {
    let (server, mut first, spares) = circle_with_spares();
    let [fork_server] = server.fork_servers()[..] else { panic!("one fork server") };
    kill_process(fork_server, Signal::KILL).expect("it is there");
    assert_eq!(first.notification("session.reset"), json!({ "reason": "killed" }));
    let mut second = server.connect();
    assert_eq!(second.value("40 + 2"), 42);
    spares.into_iter().for_each(wait_for_end);
    server.wait_for_spares(MAX_SPARES);
}

#[test]
fn spare_workers_take_only_places_of_no_session() {
    let server = ServeProcess::start(&["--limit", "workers=3", "--limit", "sessions_per_caller=4"]);
    let mut sessions: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for (used, wire) in (1..).zip(&mut sessions[..3]) {
        wire.value("1");
        assert_eq!(server.workers().len(), used);
        server.wait_for_spares(3 - used);
    }
    let error = sessions[3].error("1");
    assert_eq!((&error["code"], &error["data"]), (&json!(-32006), &json!({ "limit": "workers", "max": 3 })));
}

#[test]
fn spare_workers_exceed_no_quota_of_a_caller() {
    let server = ServeProcess::start(&["--limit", "sessions_per_caller=2"]);
    let mut sessions: Vec<_> = (0..3).map(|_| server.connect()).collect();
    sessions[0].value("1");
    let spares = server.wait_for_spares(MAX_SPARES);
    sessions[1].value("1");
    let error = sessions[2].error("1");
    assert_eq!((&error["code"], &error["data"]), (&json!(-32006), &json!({ "limit": "sessions", "max": 2 })));
    // Another caller has its own quota.
    sessions[2].authenticate(&keys::KeyPair::generate().expect("a key"));
    assert_eq!(sessions[2].value("40 + 2"), 42);
    assert_eq!(server.workers().iter().filter(|worker| spares.contains(worker)).count(), 2);
}

#[test]
fn end_of_circle_ends_spare_workers() {
    for signal in [Signal::TERM, Signal::KILL] {
        let (mut server, _first, spares) = circle_with_spares();
        server.signal(signal);
        server.wait();
        spares.into_iter().for_each(wait_for_end);
    }
}

#[test]
fn draining_circle_ends_spare_workers_before_its_plays() {
    let (mut server, mut first, spares) = circle_with_spares();
    let play = first.request("play", json!(["print(\"begun\"); loop {}"]));
    first.expect_print("begun");
    server.signal(Signal::TERM);
    spares.into_iter().for_each(wait_for_end);
    // The play has not finished: its grace period of five seconds is not over.
    assert_eq!(first.call("cancel", json!([play]))["result"], json!({ "cancelled": true }));
    assert_eq!(first.answer(&play)["error"]["code"], -32005);
    assert_eq!(server.wait().code(), Some(0));
}
