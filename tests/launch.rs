//! `circles launch`.

use std::{
    io::{BufRead, BufReader},
    sync::mpsc::{Receiver, channel},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    Home, WAIT_TIMEOUT, eventually,
    process::{ReapedChild, ServeProcess, children, wait_for_end},
    wire::WireClient,
};

struct LaunchProcess {
    child: ReapedChild,
    lines: Receiver<String>,
    _home: Home,
}

impl LaunchProcess {
    fn start(config: &str, args: &[&str]) -> Self {
        let home = Home::new();
        std::fs::write(home.path().join("circles.json"), config).expect("written");
        let mut command = home.command();
        command.arg("launch").args(args).env("CIRCLES_LOG", "error").stderr(std::process::Stdio::inherit());
        let mut child = command.spawn().expect("runs");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child: ReapedChild(child), lines, _home: home }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child.0)
    }

    /// Waits for the next line that contains this piece.
    fn line(&mut self, piece: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(WAIT_TIMEOUT).unwrap_or_else(|_| panic!("{piece:?} does not come"));
            if line.contains(piece) {
                return line;
            }
        }
    }

    /// Waits until a circle has printed its address and `ready`, in any order, and connects to it.
    fn ready(&mut self, name: &str) -> WireClient {
        let (mut authority, mut is_ready) = (None, false);
        while authority.is_none() || !is_ready {
            let line = self.line(&format!("{name} | "));
            is_ready |= line.ends_with("| ready");
            authority = line.split_once("listening on ws://").map(|(_, url)| url.to_owned()).or(authority);
        }
        WireClient::connect(&authority.expect("it was said"))
    }

    fn end(&mut self, signal: Signal) -> Option<i32> {
        kill_process(self.pid(), signal).expect("it is there");
        wait_for_end(self.pid());
        self.child.0.wait().expect("it was started here").code()
    }
}

const ONE: &str = r#"{ "circles": [{ "name": "a", "port": 0, "limits": { "batch": 3 } }] }"#;

#[test]
fn launch_runs_a_process_per_circle_and_drains_them_at_the_end() {
    let config = r#"{ "circles": [{ "name": "a", "port": 0, "limits": { "batch": 3 } }, { "name": "b", "port": 0 }] }"#;
    for signal in [Signal::TERM, Signal::INT] {
        let mut launched = LaunchProcess::start(config, &["a", "b"]);
        // Either circle may be ready first.
        let (first, second) = (launched.line("listening on"), launched.line("listening on"));
        assert!(first != second, "{first} {second}");
        let circles = children(launched.pid());
        assert_eq!(circles.len(), 2);
        assert_eq!(launched.end(signal), Some(0));
        circles.into_iter().for_each(wait_for_end);
    }
    let mut launched = LaunchProcess::start(ONE, &[]);
    let mut wire = launched.ready("a");
    let description = wire.call("describe", serde_json::json!([]))["result"].clone();
    assert_eq!((&description["name"], &description["limits"]["batch"]), (&"a".into(), &3.into()));
}

#[test]
fn dead_circle_is_restarted() {
    let mut launched = LaunchProcess::start(ONE, &[]);
    let mut wire = launched.ready("a");
    assert_eq!(wire.value("40 + 2"), 42);
    let [circle] = children(launched.pid())[..] else { panic!("one circle") };
    kill_process(circle, Signal::KILL).expect("it is there");
    assert!(launched.line("down").contains("signal 9; restarting in 0."));
    assert_eq!(launched.ready("a").value("40 + 2"), 42);
}

#[test]
fn circles_end_when_the_launcher_is_killed() {
    let mut launched = LaunchProcess::start(ONE, &[]);
    let mut wire = launched.ready("a");
    wire.value("1");
    let circles = children(launched.pid());
    let workers: Vec<_> = circles.iter().flat_map(|circle| children(*circle)).collect();
    assert_eq!((circles.len(), workers.len()), (1, 1));
    launched.end(Signal::KILL);
    circles.into_iter().chain(workers).for_each(wait_for_end);
}

#[test]
fn unstartable_circle_is_reported_and_not_retried() {
    let taken = ServeProcess::open();
    let port = taken.port();
    let config = format!(r#"{{ "circles": [{{ "name": "a", "port": {port}, "restart": "never" }}] }}"#);
    let mut launched = LaunchProcess::start(&config, &[]);
    let owner = format!("port {port} is taken by `circles` (pid {})", taken.pid());
    assert!(launched.line("error: ").contains(&owner));
    assert!(launched.line("down: exited with code 2").contains(&owner));
    wait_for_end(launched.pid());
    assert_eq!(launched.child.0.wait().expect("it was started here").code(), Some(2));
}

#[test]
fn endless_init_script_ends_with_its_launcher() {
    let home = Home::new();
    let script = home.path().join("loop.rhai");
    std::fs::write(&script, "loop {}").expect("written");
    let config = format!(r#"{{ "circles": [{{ "name": "a", "port": 0, "init": {script:?} }}] }}"#);
    for signal in [Signal::TERM, Signal::KILL] {
        let mut launched = LaunchProcess::start(&config, &[]);
        let circles = eventually(|| {
            let circles = children(launched.pid());
            let is_running = circles.iter().any(|circle| !children(*circle).is_empty());
            if is_running { Ok(circles) } else { Err("no init script runs") }
        });
        let workers: Vec<_> = circles.iter().flat_map(|circle| children(*circle)).collect();
        launched.end(signal);
        circles.into_iter().chain(workers).for_each(wait_for_end);
    }
}

#[test]
fn blocked_reader_delays_neither_circles_nor_shutdown() {
    let home = Home::new();
    std::fs::write(home.path().join("circles.json"), ONE).expect("written");
    let mut child = home.command().arg("launch").env("CIRCLES_LOG", "info").spawn().expect("runs");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut launched = ReapedChild(child);
    let mut line = String::new();
    while !line.contains("listening on ws://") {
        line.clear();
        stdout.read_line(&mut line).expect("UTF-8");
    }
    let authority = line.trim_end().rsplit("ws://").next().expect("a URL").to_owned();
    let mut wire = WireClient::connect(&authority);
    // Each play logs a line: far more than the pipe holds, and nobody reads it.
    for _ in 0..3000 {
        assert_eq!(wire.value("1"), 1);
    }
    let pid = Pid::from_child(&launched.0);
    kill_process(pid, Signal::TERM).expect("it is there");
    wait_for_end(pid);
    assert_eq!(launched.0.wait().expect("it was started here").code(), Some(0));
}

#[test]
fn invalid_config_starts_nothing() {
    let home = Home::new();
    std::fs::write(home.path().join("circles.json"), r#"{ "circles": [{ "name": "a", "port": 1 }] }"#)
        .expect("written");
    let ran = home.run(&["launch", "b"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("available: a"), "{ran:?}");
    assert_eq!(Home::new().run(&["launch"]).code, Some(2));
}
