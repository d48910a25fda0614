//! Faults of circles in the background.

use super::*;
use crate::support::{
    command_output,
    process::{ServeProcess, wait_until_stopped},
};

#[test]
fn killed_circle_is_restarted_and_counted() {
    let here = BackgroundCircles::start(TWO);
    here.run_ok(&["up"]);
    let other = here.pid("b");
    here.kill("a");
    // `up` returns once the circle is up, whether or not it was waiting to restart.
    here.run_ok(&["up", "a"]);
    assert_eq!(here.connect("a").value("40 + 2"), 42);
    assert_eq!(here.pid("b"), other);
    assert!(here.run_ok(&["logs", "a"]).contains("killed by signal 9"));
}

#[test]
fn circles_end_when_the_supervisor_is_killed_and_up_works_again() {
    // With a fixed port the next process can listen only after this one has ended.
    let here = BackgroundCircles::start(&format!(r#"{{ "circles": [{{ "name": "a", "port": {} }}] }}"#, free_port()));
    here.run_ok(&["up"]);
    let (supervisor, circle) = (here.supervisor("a"), here.pid("a"));
    // A running play keeps the circle draining for a while.
    let mut wire = here.connect("a");
    wire.send(r#"{"jsonrpc":"2.0","id":1,"method":"play","params":["print(1); loop {}"]}"#);
    wire.next();
    kill_process(supervisor, Signal::KILL).expect("it is there");
    wait_for_end(supervisor);
    here.run_ok(&["up"]);
    wait_for_end(circle);
    assert_ne!(here.supervisor("a"), supervisor);
    assert!(here.run_ok(&["logs", "a"]).contains("draining"), "it went on to log when its supervisor was gone");
    assert_eq!(here.connect("a").value("40 + 2"), 42);
    assert_eq!(here.status("a")["restarts"], 0, "it waited for the port");
}

#[test]
fn failed_circle_is_reported_with_its_log_and_delays_no_other() {
    let taken = ServeProcess::open();
    let port = taken.port();
    let here = BackgroundCircles::start(&format!(
        r#"{{ "circles": [{{ "name": "a", "port": {port} }}, {{ "name": "b", "port": 0 }}] }}"#
    ));
    let ran = here.run(&["up"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stdout.contains("b  ready") && !ran.stdout.contains("a  ready"), "{ran:?}");
    let owner = format!("port {port} is taken by `circles` (pid {})", taken.pid());
    assert!(ran.stderr.contains("a | ") && ran.stderr.contains(&owner), "{ran:?}");
    // The log has the reason, and nothing repeats it.
    assert!(ran.stderr.contains("error: circles did not start: 'a'\n"), "{ran:?}");
    assert_eq!(ran.stderr.matches(&owner).count(), 1, "{ran:?}");
    assert!(matches!(&*here.state("a"), "backing-off" | "starting"));
    let status = here.run_ok(&["status"]);
    assert!(status.contains("exited with code 2") && status.contains(&owner), "{status}");
    drop(taken);
    here.run_ok(&["up"]);
    assert_eq!(here.connect("a").value("40 + 2"), 42);
}

#[test]
fn failing_and_endless_init_scripts_are_reported() {
    let here = BackgroundCircles::start(
        r#"{ "circles": [{ "name": "a", "port": 0, "init": "a.rhai", "restart": "never" }] }"#,
    );
    let script = here.home.path().join("a.rhai");
    fs::write(&script, "throw \"no such day\"").expect("written");
    let ran = here.run(&["up"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("no such day"), "{ran:?}");
    assert_eq!(here.state("a"), "failed");
    fs::write(&script, "loop {}").expect("written");
    let ran = here.run(&["up", "--timeout", "300ms"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("not ready after 0.3 s"), "{ran:?}");
    fs::write(&script, "const DAY = 1;").expect("written");
    here.run_ok(&["restart"]);
    assert_eq!(here.connect("a").value("DAY"), 1);
}

#[test]
fn invalid_config_changes_nothing() {
    let here = BackgroundCircles::start(r#"{ "circles": [{ "name": "a" }] }"#);
    for verb in ["up", "status", "restart"] {
        let ran = here.run(&[verb]);
        assert!(ran.code == Some(2) && ran.stderr.contains("'a' needs a port"), "{ran:?}");
    }
    here.configure(TWO);
    here.run_ok(&["up"]);
    let before = here.pid("a");
    here.configure("{");
    assert_eq!(here.run(&["restart"]).code, Some(2));
    // `status` and `down` need no valid circles.json.
    assert_eq!(here.pid("a"), before);
    here.run_ok(&["down", "b"]);
    here.run_ok(&["down"]);
}

#[test]
fn blocked_supervisor_is_reported() {
    let here = BackgroundCircles::start(TWO);
    here.run_ok(&["up", "a"]);
    let supervisor = here.supervisor("a");
    kill_process(supervisor, Signal::STOP).expect("it is there");
    wait_until_stopped(supervisor);
    // A request that has timed out is not executed later.
    let commands = [&["status"][..], &["reload"], &["down", "a"]];
    let running = commands.map(|args| here.home.command().args(args).spawn().expect("it runs"));
    for (args, command) in commands.into_iter().zip(running) {
        let ran = command_output(&command.wait_with_output().expect("it ends"));
        assert!(ran.code == Some(3) && ran.stderr.contains("has not answered within 5 s"), "{args:?}: {ran:?}");
    }
    kill_process(supervisor, Signal::CONT).expect("it is there");
    assert_eq!(here.state("a"), "ready");
}

#[test]
fn signal_to_the_supervisor_drains_all_circles() {
    let here = BackgroundCircles::start(TWO);
    here.run_ok(&["up"]);
    let supervisor = here.supervisor("a");
    let circles = children(supervisor);
    kill_process(supervisor, Signal::TERM).expect("it is there");
    circles.into_iter().chain([supervisor]).for_each(wait_for_end);
    assert!(here.files("/socket").is_empty());
    assert_eq!(here.state("a"), "down");
}

/// Sends invalid lines to the control socket, and checks the error code of each response.
#[test]
fn control_socket_rejects_invalid_requests() {
    use std::{
        io::{BufRead, BufReader, Write},
        os::unix::net::UnixStream,
    };

    let here = BackgroundCircles::start(TWO);
    here.run_ok(&["up", "a"]);
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
    // Longer than any message: the supervisor stops reading.
    let flood = vec![b'x'; 2 << 20];
    let _cut_off = socket.write_all(&flood);
    assert_eq!(here.state("a"), "ready");
}
