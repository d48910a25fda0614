//! `circles watch`: events as JSON Lines.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ExitStatus},
    sync::mpsc::{Receiver, channel},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::support::{WAIT_TIMEOUT, background::BackgroundCircles, eventually, free_port};

/// A circle with a store in a file, and functions that write.
struct StoreCircle(BackgroundCircles);

/// A running `circles watch`.
struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl StoreCircle {
    fn up() -> Self {
        let circle = json!({
            "name": "shop", "port": free_port(), "store": "shop.redb", "functions": "functions/",
            "roles": { "visitor": { "call": ["*"], "subscribe": ["keys:stock/", "topic:orders"] } },
            "anyone": "visitor",
        });
        let background = BackgroundCircles::start(&json!({ "circles": [circle] }).to_string());
        let functions = background.home.path().join("functions");
        std::fs::create_dir(&functions).expect("a directory");
        let data =
            "fn put(key, value) { store::put(key, value); }\nfn publish(data) { events::publish(\"orders\", data); }";
        std::fs::write(functions.join("data.rhai"), data).expect("written");
        background.run_ok(&["up"]);
        Self(background)
    }

    fn call(&self, name: &str, args: &Value) {
        self.0.run_ok(&["call", name, "--args", &args.to_string()]);
    }

    fn watch(&self, args: &[&str]) -> Watch {
        let mut child = self.0.home.command().arg("watch").args(args).spawn().expect("the binary runs");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let is_sent = |line: std::io::Result<String>| line.is_ok_and(|line| sender.send(line).is_ok());
            stdout.lines().all(is_sent)
        });
        Watch { child, lines }
    }
}

impl Watch {
    fn next(&mut self) -> Value {
        let line = self.lines.recv_timeout(WAIT_TIMEOUT).expect("a line");
        serde_json::from_str(&line).expect("JSON")
    }

    fn interrupt(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, Signal::INT).expect("it runs");
    }

    fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }
}

#[test]
fn watch_prints_events_as_lines_and_ends_with_ctrl_c() {
    let shop = StoreCircle::up();
    shop.call("data.put", &json!(["stock/tea", 1]));
    let mut watch = shop.watch(&["--keys", "stock/"]);
    let first = watch.next();
    assert_eq!((&first["entries"], &first["snapshot"]), (&json!([{ "key": "stock/tea", "value": 1 }]), &json!("end")));
    shop.call("data.put", &json!(["stock/tea", { "left": 2 }]));
    let second = watch.next();
    assert_eq!(second["entries"], json!([{ "key": "stock/tea", "value": { "left": 2 } }]));
    assert!(second["cursor"].is_string() && second.get("snapshot").is_none(), "{second}");
    watch.interrupt();
    assert_eq!(watch.wait().code(), Some(0));

    // Another watch goes on where the first one was.
    let cursor = first["cursor"].as_str().expect("a cursor");
    let mut watch = shop.watch(&["--keys", "stock/", "--since", cursor]);
    assert_eq!(watch.next(), second);
}

#[test]
fn watch_goes_on_after_a_restart_of_the_circle() {
    let shop = StoreCircle::up();
    let mut watch = shop.watch(&["--topic", "orders"]);
    let mut keys = shop.watch(&["--keys", "stock/tea"]);
    assert_eq!(keys.next()["snapshot"], "end");
    // Nothing says when the subscription to the topic has begun.
    eventually(|| {
        shop.call("data.publish", &json!(["before"]));
        watch.lines.try_recv().map(drop)
    });
    shop.0.kill("shop");
    shop.0.run_ok(&["up"]);
    shop.call("data.publish", &json!(["after"]));
    shop.call("data.put", &json!(["stock/tea", 7]));
    while watch.next()["data"] != "after" {}
    let line = keys.next();
    assert_eq!(line["entries"], json!([{ "key": "stock/tea", "value": 7 }]), "no entry comes twice");
    assert!(line.get("gap").is_none());
}

#[test]
fn watch_ends_when_nobody_reads_it() {
    let shop = StoreCircle::up();
    let mut child = shop.0.home.command().args(["watch", "--keys", "stock/"]).spawn().expect("the binary runs");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    stdout.read_line(&mut String::new()).expect("a line");
    drop(stdout);
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "although no event follows");
}

#[test]
fn watch_ends_with_ctrl_c_although_its_reader_does_not_read() {
    /// The size of each of two values in bytes: together they do not fit into the pipe, which has 64 KiB.
    const VALUE_BYTES: usize = 40_000;
    /// The bytes in the pipe from which on the second line does not fit.
    const FULL_PIPE_BYTES: u64 = 60_000;
    let shop = StoreCircle::up();
    let mut child = shop.0.home.command().args(["watch", "--keys", "stock/"]).spawn().expect("the binary runs");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    stdout.read_line(&mut String::new()).expect("a line");
    for key in ["stock/milk", "stock/tea"] {
        shop.call("data.put", &json!([key, "x".repeat(VALUE_BYTES)]));
    }
    // Then the thread that prints waits for the reader.
    eventually(|| {
        let waiting = rustix::io::ioctl_fionread(stdout.get_ref()).expect("a pipe");
        if waiting >= FULL_PIPE_BYTES { Ok(()) } else { Err(waiting) }
    });
    let watch = Watch { child, lines: channel().1 };
    watch.interrupt();
    assert_eq!(watch.wait().code(), Some(130));
    drop(stdout);
}

#[test]
fn watch_that_is_refused_says_why() {
    let shop = StoreCircle::up();
    let run = |args: &[&str]| shop.0.run(args);
    let refused = run(&["watch", "--keys", "secrets/"]);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(refused.stdout.is_empty() && refused.stderr.starts_with("error: "), "{refused:?}");
    let invalid = run(&["watch", "--topic", "orders", "--since", "yesterday"]);
    assert!(invalid.code != Some(0) && invalid.stderr.contains("cursor"), "{invalid:?}");
    assert_eq!(run(&["watch"]).code, Some(2));
    assert_eq!(run(&["watch", "--keys", "a/", "--topic", "b"]).code, Some(2));
}
