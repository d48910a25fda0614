//! What goes wrong with circles in the background, and what comes of it.

use super::*;
use crate::support::{
    process::{Server, wait_until_stopped},
    ran,
};

#[test]
fn a_circle_that_is_killed_is_started_again_and_counted() {
    let here = Background::with(TWO);
    here.ok(&["up"]);
    let other = here.pid("b");
    here.kill("a");
    // Told while it waits to be started again or after that: it is up then.
    here.ok(&["up", "a"]);
    assert_eq!(here.connect("a").value("40 + 2"), 42);
    assert_eq!(here.pid("b"), other);
    assert!(here.ok(&["logs", "a"]).contains("it was ended by signal 9"));
}

#[test]
fn no_circle_outlives_a_supervisor_that_is_killed_and_the_next_up_works() {
    // The port stays the same, so the next circle can have it only once this one has ended.
    let here = Background::with(&format!(r#"{{ "circles": [{{ "name": "a", "port": {} }}] }}"#, free_port()));
    here.ok(&["up"]);
    let (supervisor, circle) = (here.supervisor("a"), here.pid("a"));
    // A play that runs keeps the circle draining for a while.
    let mut wire = here.connect("a");
    wire.send(r#"{"jsonrpc":"2.0","id":1,"method":"play","params":["print(1); loop {}"]}"#);
    wire.next();
    kill_process(supervisor, Signal::KILL).expect("it is there");
    wait_for_end(supervisor);
    here.ok(&["up"]);
    wait_for_end(circle);
    assert_ne!(here.supervisor("a"), supervisor);
    assert!(here.ok(&["logs", "a"]).contains("draining"), "it went on to log when its supervisor was gone");
    assert_eq!(here.connect("a").value("40 + 2"), 42);
    assert_eq!(here.status("a")["restarts"], 0, "it waited for the port");
}

#[test]
fn what_does_not_start_is_told_with_its_log_and_holds_up_no_other() {
    let taken = Server::open();
    let port = taken.port();
    let here = Background::with(&format!(
        r#"{{ "circles": [{{ "name": "a", "port": {port} }}, {{ "name": "b", "port": 0 }}] }}"#
    ));
    let ran = here.run(&["up"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stdout.contains("b  ready") && !ran.stdout.contains("a  ready"), "{ran:?}");
    let owner = format!("port {port} is taken by `circles` (pid {})", taken.pid());
    assert!(ran.stderr.contains("a | ") && ran.stderr.contains(&owner), "{ran:?}");
    let why = ran.stderr.split_once("not up: 'a' (it ended with exit code 2: ").expect("it is said").1;
    assert!(why.contains(&owner), "{ran:?}");
    assert!(matches!(&*here.state("a"), "backing-off" | "starting"));
    let status = here.ok(&["status"]);
    assert!(status.contains("it ended with exit code 2") && status.contains(&owner), "{status}");
    drop(taken);
    here.ok(&["up"]);
    assert_eq!(here.connect("a").value("40 + 2"), 42);
}

#[test]
fn an_init_script_that_fails_is_told_and_one_that_does_not_end_is_late() {
    let here = Background::with(r#"{ "circles": [{ "name": "a", "port": 0, "init": "a.rhai", "restart": "never" }] }"#);
    let script = here.home.path().join("a.rhai");
    fs::write(&script, "throw \"no such day\"").expect("written");
    let ran = here.run(&["up"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("no such day"), "{ran:?}");
    assert_eq!(here.state("a"), "failed");
    fs::write(&script, "loop {}").expect("written");
    let ran = here.run(&["up", "--timeout", "300ms"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("not ready after 0.3 s"), "{ran:?}");
    fs::write(&script, "const DAY = 1;").expect("written");
    here.ok(&["restart"]);
    assert_eq!(here.connect("a").value("DAY"), 1);
}

#[test]
fn a_mistake_in_circles_json_changes_nothing() {
    let here = Background::with(r#"{ "circles": [{ "name": "a" }] }"#);
    for verb in ["up", "status", "restart"] {
        let ran = here.run(&[verb]);
        assert!(ran.code == Some(2) && ran.stderr.contains("'a' needs a port"), "{ran:?}");
    }
    here.configure(TWO);
    here.ok(&["up"]);
    let before = here.pid("a");
    here.configure("{");
    assert_eq!(here.run(&["restart"]).code, Some(2));
    // How they are, and their end, need no circles.json that is right.
    assert_eq!(here.pid("a"), before);
    here.ok(&["down", "b"]);
    here.ok(&["down"]);
}

#[test]
fn a_supervisor_that_stands_still_is_told() {
    let here = Background::with(TWO);
    here.ok(&["up", "a"]);
    let supervisor = here.supervisor("a");
    kill_process(supervisor, Signal::STOP).expect("it is there");
    wait_until_stopped(supervisor);
    // And it does not do later what was told to have failed.
    let commands = [&["status"][..], &["reload"], &["down", "a"]];
    let running = commands.map(|args| here.home.command().args(args).spawn().expect("it runs"));
    for (args, command) in commands.into_iter().zip(running) {
        let ran = ran(&command.wait_with_output().expect("it ends"));
        assert!(ran.code == Some(3) && ran.stderr.contains("has not answered within 5 s"), "{args:?}: {ran:?}");
    }
    kill_process(supervisor, Signal::CONT).expect("it is there");
    assert_eq!(here.state("a"), "ready");
}

#[test]
fn a_signal_to_the_supervisor_drains_and_leaves_nothing() {
    let here = Background::with(TWO);
    here.ok(&["up"]);
    let supervisor = here.supervisor("a");
    let circles = children(supervisor);
    kill_process(supervisor, Signal::TERM).expect("it is there");
    circles.into_iter().chain([supervisor]).for_each(wait_for_end);
    assert!(here.files("/socket").is_empty());
    assert_eq!(here.state("a"), "down");
}

/// Lines that are sent to the control socket, and the code of the error that each is answered with.
#[test]
fn what_makes_no_sense_at_the_control_socket_is_answered_and_changes_nothing() {
    use std::{
        io::{BufRead, BufReader, Write},
        os::unix::net::UnixStream,
    };

    let here = Background::with(TWO);
    here.ok(&["up", "a"]);
    let [path] = &here.files("/socket")[..] else { panic!("one socket") };
    let mut socket = UnixStream::connect(path).expect("it listens");
    let mut answers = BufReader::new(socket.try_clone().expect("a socket")).lines();
    let cases = [
        ("hello", -32700),
        ("{}", -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"status"}]"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"play","params":["1"]}"#, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"down","params":{"name":"a"}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"down","params":{"names":"a"}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"down","params":{"names":["c"]}}"#, -32602),
    ];
    for (line, code) in cases {
        writeln!(socket, "{line}").expect("it reads");
        let answer: Value = serde_json::from_str(&answers.next().expect(line).expect("UTF-8")).expect("JSON");
        assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
    }
    // Longer than any message: it is not read to its end.
    let flood = vec![b'x'; 2 << 20];
    let _cut_off = socket.write_all(&flood);
    assert_eq!(here.state("a"), "ready");
}
