//! Stores of circles that run.

use std::{io::Read, path::Path};

use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::support::{
    background::BackgroundCircles,
    eventually,
    process::{ServeProcess, wait_until_stopped},
    skip,
};

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
    let authority = background.status("a")["url"].as_str().expect("a URL").replace("ws://", "");
    let holder = format!("the circle 'a' on {authority} (process {} on ", background.pid("a"));
    for args in [&["store", "check"][..], &["store", "import", "circles.json"]] {
        eventually(|| {
            let ran = background.run(args);
            assert!(ran.code == Some(2) && ran.stderr.contains("stop the circle: circles down a"), "{ran:?}");
            // The circle may be ready before it has said so.
            if ran.stderr.replace("\n  ", " ").contains(&holder) { Ok(()) } else { Err(ran.stderr) }
        });
    }
    assert!(background.run(&["check"]).stderr.is_empty(), "a store that a circle has open is fine");
}

#[test]
fn second_server_of_a_store_names_the_first_and_takes_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("a.redb");
    let args = ["--name", "a", "--store", store.to_str().expect("UTF-8")];
    let mut first = ServeProcess::start(&args);
    let holder = format!("the circle 'a' on {} (process {} on ", first.authority(), first.pid());
    let standby = Home::new();
    let refused = || standby.run(&[&["serve", "--port", "0"], &args[..]].concat());
    eventually(|| {
        let ran = refused();
        assert!(ran.code == Some(2) && ran.stderr.contains("has the store open: stop it"), "{ran:?}");
        if ran.stderr.contains(&holder) { Ok(()) } else { Err(ran.stderr) }
    });
    first.connect().value("store::put(\"k\", 1)");
    // A killed server leaves its name, and no lock.
    first.signal(Signal::KILL);
    first.wait();
    assert!(directory.path().join("a.redb.holder").exists());
    let mut second = ServeProcess::start(&args);
    assert_eq!(second.connect().value("store::get(\"k\")"), 1);
    second.signal(Signal::TERM);
    second.wait();
    let files: Vec<_> =
        fs::read_dir(directory.path()).expect("readable").map(|file| file.expect("readable").file_name()).collect();
    assert_eq!(files, ["a.redb"]);
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
    // Another process than that of the circle has the store open.
    background.run_ok(&["down"]);
    let files = fs::read_dir(background.home.path().join("data")).expect("a directory").count();
    assert_eq!(files, 1, "no file stays beside the store");
    let _store = open(&background.home, "a");
    let locked = background.run(&["store", "export"]);
    let holder = format!("process {} on ", std::process::id());
    assert!(locked.code == Some(2) && locked.stderr.contains(&holder), "{locked:?}");
}

#[test]
fn signal_ends_an_export_that_waits_for_its_reader() {
    let background = start();
    // More than a pipe holds.
    let value = "x".repeat(60_000);
    for number in 0..4 {
        background.run_ok(&["store", "put", "--text", &format!("k/{number}"), &value]);
    }
    // The store, and the note of the process that has it open.
    let files = || fs::read_dir(background.home.path().join("data")).expect("a directory").count();
    for signal in [Signal::INT, Signal::TERM] {
        let mut exporting = background.home.command().args(["store", "export"]).spawn().expect("the binary runs");
        let mut first = [0];
        exporting.stdout.as_mut().expect("piped").read_exact(&mut first).expect("it writes");
        assert_eq!(files(), 2, "the export has no name while it is copied");
        kill_process(Pid::from_child(&exporting), signal).expect("it runs");
        assert_eq!(exporting.wait().expect("it ends").code(), Some(128 + signal.as_raw()));
    }
    assert_eq!(files(), 2);
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
    let mut server = ServeProcess::start_in(home, &["--store", "data/served.redb"]);
    let mut client = server.connect();
    let played = client.call("play", json!({ "script": "store::put(\"k\", 41); store::get(\"k\") + 1" }));
    assert_eq!(played["result"]["value"], 42, "{played}");
    kill_process(server.pid(), Signal::TERM).expect("it runs");
    assert!(server.wait().success());
}

#[test]
fn status_has_the_store() {
    let background = start();
    background.run_ok(&["store", "put", "k", "1"]);
    let status = eventually(|| {
        let status: Value = serde_json::from_str(&background.run_ok(&["status", "--json"])).expect("JSON");
        let store = status["circles"][0]["store"].clone();
        if store["commits"] == 1 { Ok(store) } else { Err(status.to_string()) }
    });
    assert_eq!(
        (&status["state"], &status["revision"], &status["max_bytes"]),
        (&json!("ok"), &json!(1), &json!(1 << 30))
    );
    assert!(status["file_bytes"].as_u64() > Some(0), "{status}");
}

#[test]
fn signal_ends_an_export_to_a_file_without_a_trace() {
    let home = home();
    let store = open(&home, "a");
    for block in 0..40 {
        let mut transaction = store.begin();
        for number in 0..15 {
            transaction
                .put(&format!("k/{block}/{number}"), json_value(&format!("{:?}", "x".repeat(60_000))))
                .expect("a write");
        }
        transaction.commit().wait().expect("a commit");
    }
    drop(store);
    let directory = home.path().join("exports");
    fs::create_dir(&directory).expect("made");
    let directory = directory.canonicalize().expect("a directory");
    let files =
        || -> Vec<_> { fs::read_dir(&directory).expect("a directory").flatten().map(|file| file.path()).collect() };
    // The file system removes a file without a name, also if the process cannot.
    let has_unnamed_files = supports_unnamed_files(&directory);
    let signals = [(Signal::INT, 130), (Signal::TERM, 143)].map(|(signal, code)| (signal, Some(code)));
    for (signal, expected) in signals.into_iter().chain(has_unnamed_files.then_some((Signal::KILL, None))) {
        // The export may be faster than the signal.
        eventually(|| {
            let file = directory.join("export.jsonl");
            let mut exporting =
                home.command().args(["store", "export", "--circle", "a"]).arg(&file).spawn().expect("the binary runs");
            while !has_open_file(exporting.id(), &directory) && exporting.try_wait().expect("a process").is_none() {
                std::thread::yield_now();
            }
            let is_running = exporting.try_wait().expect("a process").is_none();
            if is_running {
                kill_process(Pid::from_child(&exporting), signal).expect("it runs");
            }
            let code = exporting.wait().expect("it ends").code();
            let left = files();
            // The signal may come after the last step, too.
            if code == Some(0) || left == [file.clone()] {
                assert_eq!(left, std::slice::from_ref(&file));
                fs::remove_file(&file).expect("removed");
                return Err("the export was faster".to_owned());
            }
            assert_eq!((code, left), (expected, vec![]));
            Ok(())
        });
    }
}

/// Whether a process has a file of the directory open, with a name or without one.
fn has_open_file(pid: u32, directory: &Path) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .any(|file| file != directory && file.starts_with(directory))
}

/// Whether the file system of a directory has files without a name.
fn supports_unnamed_files(directory: &Path) -> bool {
    use rustix::fs::{Mode, OFlags};

    let has = rustix::fs::open(directory, OFlags::TMPFILE | OFlags::WRONLY, Mode::RUSR | Mode::WUSR).is_ok();
    if !has {
        skip("no files without a name in the temporary directory");
    }
    has
}

#[test]
fn export_from_a_circle_that_is_not_ready_says_so() {
    let background = start();
    // The process holds the store, and does not answer.
    let pid = background.pid("a");
    kill_process(pid, Signal::STOP).expect("it runs");
    wait_until_stopped(pid);
    let mut stopping = background.home.command().args(["down", "a"]).spawn().expect("the binary runs");
    eventually(|| if background.state("a") == "draining" { Ok(()) } else { Err(background.state("a")) });
    let ran = background.run(&["store", "export"]);
    let why = "cannot export the store of 'a': the circle is draining; try again when that is over";
    assert!(ran.code == Some(3) && ran.stderr.contains(why), "{ran:?}");
    kill_process(pid, Signal::CONT).expect("it runs");
    assert!(stopping.wait().expect("it ends").success());
}
