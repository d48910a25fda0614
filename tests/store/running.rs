//! Stores of circles that run.

use std::io::Read;

use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::support::{background::BackgroundCircles, eventually};

fn config(store: &str, limits: &Value) -> String {
    json!({ "watch": false, "circles": [{ "name": "a", "port": 0, "store": store, "limits": limits }] }).to_string()
}

fn start() -> BackgroundCircles {
    let background = BackgroundCircles { home: home() };
    background.configure(&config("data/a.redb", &json!({})));
    background.run_ok(&["up"]);
    background
}

#[test]
fn circle_creates_its_store_and_keeps_it_over_restarts() {
    let background = start();
    assert_eq!(mode(&store_file(&background.home, "a")), 0o600);
    background.run_ok(&["store", "put", "k", "1"]);
    background.run_ok(&["restart"]);
    assert_eq!(background.run_ok(&["store", "get", "k"]), "1\n");
    background.kill("a");
    eventually(|| if background.state("a") == "ready" { Ok(()) } else { Err(background.state("a")) });
    assert_eq!(background.run_ok(&["store", "get", "k"]), "1\n");
    background.run_ok(&["down"]);
    assert_eq!(entries(&background.home, "a"), [("k".to_owned(), 1.into())]);
}

#[test]
fn commands_that_need_the_file_name_the_running_circle() {
    let background = start();
    for args in [&["store", "check"][..], &["store", "import", "circles.json"]] {
        let ran = background.run(args);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        let stop = "the circle is running, or another command uses the store\n  stop the circle: circles down a";
        assert!(ran.stderr.contains(stop), "{ran:?}");
    }
    assert!(background.run(&["check"]).stderr.is_empty(), "a store that a circle has open is fine");
}

#[test]
fn running_circle_exports_its_store() {
    let background = start();
    let path = background.home.path().join("export.jsonl");
    assert_eq!(background.run_ok(&["store", "export"]), "{\"entries\":0}\n");
    background.run_ok(&["store", "put", "k/ä", "[1, 2.5]"]);
    background.run_ok(&["store", "put", "n", "1"]);
    let line = "{\"key\":\"k/ä\",\"value\":[1,2.5]}\n{\"key\":\"n\",\"value\":1}\n{\"entries\":2}\n";
    assert_eq!(background.run_ok(&["store", "export"]), line);
    let written = background.run(&["store", "export", "export.jsonl"]);
    assert!(
        written.code == Some(0) && written.stderr.contains("exported 2 entries of 'a' to export.jsonl"),
        "{written:?}"
    );
    assert_eq!((fs::read_to_string(&path).expect("a file"), mode(&path)), (line.to_owned(), 0o600));
    let again = background.run(&["store", "export", "export.jsonl"]);
    assert!(again.code == Some(3) && again.stderr.contains("file exists"), "{again:?}");
    let files = fs::read_dir(background.home.path().join("data")).expect("a directory").count();
    assert_eq!(files, 1, "no file stays beside the store");
    // Another process than that of the circle has the store open.
    background.run_ok(&["down"]);
    let _store = open(&background.home, "a");
    let locked = background.run(&["store", "export"]);
    assert!(locked.code == Some(2) && locked.stderr.contains("another command uses the store"), "{locked:?}");
}

#[test]
fn signal_ends_an_export_that_waits_for_its_reader() {
    let background = start();
    // More than a pipe holds.
    let value = "x".repeat(60_000);
    for number in 0..4 {
        background.run_ok(&["store", "put", "--text", &format!("k/{number}"), &value]);
    }
    let files = || fs::read_dir(background.home.path().join("data")).expect("a directory").count();
    for signal in [Signal::INT, Signal::TERM] {
        let mut exporting = background.home.command().args(["store", "export"]).spawn().expect("the binary runs");
        let mut first = [0];
        exporting.stdout.as_mut().expect("piped").read_exact(&mut first).expect("it writes");
        assert_eq!(files(), 1, "the export has no name while it is copied");
        kill_process(Pid::from_child(&exporting), signal).expect("it runs");
        assert_eq!(exporting.wait().expect("it ends").code(), Some(128 + signal.as_raw()));
    }
    assert_eq!(files(), 1);
}

#[test]
fn reload_keeps_the_store_and_another_file_restarts_the_circle() {
    let background = start();
    background.run_ok(&["store", "put", "k", "1"]);
    let pid = background.pid("a");
    // The limits of the store apply at the next start, all others at once.
    background.configure(&config("data/a.redb", &json!({ "store_writes": 1, "play_ms": 1234 })));
    background.run_ok(&["reload"]);
    assert_eq!(background.pid("a"), pid);
    let describe = || background.connect("a").call("describe", json!({}))["result"]["limits"].clone();
    let limits = describe();
    assert_eq!((&limits["play_ms"], &limits["store_writes"]), (&json!(1234), &json!(1000)));
    let two_keys = "store::put(\"x\", 1); store::put(\"y\", 1);";
    assert_eq!(background.run(&["play", "--circle", "a", "-e", two_keys]).code, Some(0));
    background.run_ok(&["restart"]);
    assert_eq!(describe()["store_writes"], 1);
    let beyond = background.run(&["play", "--circle", "a", "-e", two_keys]);
    assert!(beyond.code != Some(0) && beyond.stderr.contains("1 keys"), "{beyond:?}");

    let pid = background.pid("a");
    background.configure(&config("data/b.redb", &json!({})));
    let diff = background.run_ok(&["diff"]);
    assert!(diff.contains("restart") && diff.contains("store"), "{diff}");
    background.run_ok(&["reload"]);
    assert_ne!(background.pid("a"), pid);
    assert_eq!(background.run_ok(&["store", "get", "k"]), "");
    // Without a store there is nothing to keep.
    background.configure(r#"{ "watch": false, "circles": [{ "name": "a", "port": 0 }] }"#);
    background.run_ok(&["reload"]);
    assert_eq!(background.run(&["play", "--circle", "a", "-e", "store::get(\"k\")"]).code, Some(1));
}

#[test]
fn served_circle_has_a_store() {
    let home = home();
    let mut server = crate::support::process::ServeProcess::start_in(home, &["--store", "data/served.redb"]);
    let mut client = server.connect();
    let played = client.call("play", json!({ "script": "store::put(\"k\", 41); store::get(\"k\") + 1" }));
    assert_eq!(played["result"]["value"], 42, "{played}");
    kill_process(server.pid(), Signal::TERM).expect("it runs");
    assert!(server.wait().success());
}
