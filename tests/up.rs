//! `circles up`, `down`, `restart`, `status` and `logs`: circles in the background.

mod faults;
mod places;
mod watch;

use std::{fs, path::PathBuf, process::Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{
    WAIT_TIMEOUT,
    background::BackgroundCircles,
    eventually, free_port,
    process::{children, is_inspectable, wait_for_end},
};

const TWO: &str =
    r#"{ "circles": [{ "name": "a", "port": 0 }, { "name": "b", "port": 0, "access": "authenticated" }] }"#;

#[test]
fn up_waits_until_ready_and_down_leaves_nothing() {
    use std::os::unix::fs::PermissionsExt;

    let here = BackgroundCircles::start(TWO);
    let output = here.run_ok(&["up"]);
    assert!(output.contains("a  ready  ws://127.0.0.1:") && output.contains("b  ready  ws://"), "{output}");
    let mut wire = here.connect("a");
    assert_eq!(wire.value("40 + 2"), 42);
    // The supervisor learns it with the next heartbeat.
    eventually(|| (here.status("a")["connections"] == 1).then_some(()).ok_or("the connection is not counted"));
    let status = here.status("b");
    let fields: Vec<&str> = status.as_object().expect("an object").keys().map(String::as_str).collect();
    let documented =
        "access connections identity memory_bytes name pid plays restarts sandbox state uptime_s url workers";
    assert_eq!(fields.join(" "), documented);
    assert_eq!((&status["access"], &status["restarts"]), (&"authenticated".into(), &0.into()));
    assert!(status["uptime_s"].is_u64());
    let table = here.run_ok(&["status"]);
    assert!(table.starts_with("NAME  STATE  URL") && table.lines().count() == 3, "{table}");

    let [socket] = &here.files("/socket")[..] else { panic!("one socket") };
    for private in [socket.clone(), here.files("a.log").pop().expect("a log")] {
        assert_eq!(fs::metadata(private).expect("it is there").permissions().mode() & 0o777, 0o600);
    }
    let supervisor = here.supervisor("a");
    let circles = children(supervisor);
    assert_eq!(circles.len(), 2);
    assert_eq!(here.run_ok(&["down"]), "a  down\nb  down\n");
    circles.into_iter().chain([supervisor]).for_each(wait_for_end);
    assert!(here.files("/socket").is_empty());
    assert_eq!((here.state("a"), here.state("b")), ("down".into(), "down".into()));
    assert_eq!(here.run_ok(&["down"]), "nothing is up\n");
}

#[test]
fn supervisor_has_no_terminal_and_no_passphrase() {
    let here = BackgroundCircles::start(TWO);
    here.run_ok(&["up", "a"]);
    let supervisor = here.supervisor("a");
    let session = |pid: Pid| rustix::process::getsid(Some(pid)).expect("it is there");
    assert_eq!(session(supervisor), supervisor);
    for pid in [supervisor, here.pid("a")].into_iter().filter(|pid| is_inspectable(*pid)) {
        let environment = fs::read(format!("/proc/{pid}/environ")).expect("it is ours");
        assert!(!String::from_utf8_lossy(&environment).contains("PASSPHRASE"));
    }
    for descriptor in 0..3 {
        let file = fs::read_link(format!("/proc/{supervisor}/fd/{descriptor}")).expect("it is open");
        assert_eq!(file, PathBuf::from("/dev/null"));
    }
}

#[test]
fn status_of_named_circles_fails_unless_they_are_ready() {
    let here = BackgroundCircles::start(r#"{ "circles": [{ "name": "a", "port": 0 }, { "name": "b", "port": 0 }] }"#);
    here.run_ok(&["up", "a"]);
    here.run_ok(&["status"]);
    here.run_ok(&["status", "a"]);
    let ran = here.run(&["down", "aa"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("did you mean 'a'?"), "{ran:?}");
    let ran = here.run(&["status", "a", "b"]);
    assert!(ran.code == Some(3) && ran.stdout.contains("down") && ran.stderr.is_empty(), "{ran:?}");
}

#[test]
fn names_select_circles() {
    let here = BackgroundCircles::start(TWO);
    here.run_ok(&["up", "a"]);
    assert_eq!((here.state("a"), here.state("b")), ("ready".into(), "down".into()));
    here.run_ok(&["up"]);
    let (mut wire, kept) = (here.connect("a"), here.pid("a"));
    let before = here.pid("b");
    wire.value("let kept = 7;");
    here.run_ok(&["restart", "b"]);
    assert_ne!(here.pid("b"), before);
    assert_eq!(here.run_ok(&["down", "b"]), "b  down\n");
    assert_eq!((here.state("b"), here.pid("a")), ("down".into(), kept));
    assert_eq!(wire.value("kept"), 7);
    let ran = here.run(&["up", "c"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("there is no circle 'c'"), "{ran:?}");
    let ran = here.run(&["down", "c"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("there is no circle 'c'"), "{ran:?}");
    // The supervisor keeps running: the user may start circles again.
    here.run_ok(&["down", "a"]);
    here.run_ok(&["up", "b"]);
    assert_eq!((here.state("a"), here.state("b")), ("down".into(), "ready".into()));
}

#[test]
fn concurrent_ups_start_one_supervisor() {
    let here = BackgroundCircles::start(TWO);
    let ups: Vec<_> = (0..4).map(|_| here.home.command().arg("up").spawn().expect("it runs")).collect();
    for up in ups {
        let output = up.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
    }
    let supervisor = here.supervisor("a");
    assert_eq!((here.supervisor("b"), children(supervisor).len()), (supervisor, 2));
}

#[test]
fn up_during_a_down_starts_a_new_supervisor() {
    let here = BackgroundCircles::start(TWO);
    here.run_ok(&["up"]);
    let before = here.supervisor("a");
    for _ in 0..3 {
        let down = here.home.command().arg("down").stdout(Stdio::null()).spawn().expect("it runs");
        here.run_ok(&["up"]);
        assert!(down.wait_with_output().expect("it ends").status.success());
        here.run_ok(&["up"]);
    }
    wait_for_end(before);
    assert_eq!(here.connect("a").value("40 + 2"), 42);
}

#[test]
fn launch_and_up_share_one_supervisor() {
    let here = BackgroundCircles::start(TWO);
    here.run_ok(&["up", "a"]);
    let ran = here.run(&["launch"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("is already running"), "{ran:?}");
    here.run_ok(&["down"]);
    for _ in 0..4 {
        let mut launch = here.home.command().arg("launch").stdout(Stdio::null()).spawn().expect("it runs");
        // Whichever of the two is first, one supervisor has all circles.
        here.run_ok(&["up"]);
        let launched = Pid::from_child(&launch);
        let is_launched = here.supervisor("a") == launched;
        if !is_launched {
            // The launcher must see the running supervisor before that ends.
            wait_for_end(launched);
        }
        here.run_ok(&["down"]);
        wait_for_end(launched);
        let code = launch.wait().expect("it was started here").code();
        assert_eq!(code, Some(if is_launched { 0 } else { 2 }));
    }
}

#[test]
fn logs_are_kept_and_followed_through_a_restart() {
    use std::io::{BufRead, BufReader};

    let here = BackgroundCircles::start(TWO);
    assert_eq!(here.run_ok(&["logs", "a"]), "");
    let mut following = here.home.command().args(["logs", "-f", "a"]).spawn().expect("it runs");
    let (sender, lines) = std::sync::mpsc::channel();
    let stdout = BufReader::new(following.stdout.take().expect("piped"));
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut following = crate::support::process::ReapedChild(following);
    let next = |piece: &str| {
        while !lines.recv_timeout(WAIT_TIMEOUT).expect(piece).contains(piece) {}
    };
    here.run_ok(&["up"]);
    next("listening on ws://");
    here.run_ok(&["restart", "a"]);
    next("draining");
    next("listening on ws://");
    following.0.kill().expect("it is there");
    let last = here.run_ok(&["logs", "--tail", "1", "a"]);
    assert!(last.contains("listening on ws://") && last.lines().count() == 1, "{last}");
    let both = here.run_ok(&["logs"]);
    assert!(both.lines().any(|line| line.starts_with("b | ")) && both.lines().any(|line| line.starts_with("a | ")));
}
