//! Reloads (`circles reload`, SIGHUP, saved files) and `circles diff`: only changes in circles.json are applied.

mod faults;
mod occasions;

use rustix::process::Pid;
use serde_json::{Value, json};

use crate::support::{
    background::BackgroundCircles,
    eventually, free_port,
    process::{children, wait_for_end},
    wire::WireClient,
};

const A: &str = r#"{ "name": "a", "port": 0 }"#;
const B: &str = r#"{ "name": "b", "port": 0 }"#;
const C: &str = r#"{ "name": "c", "port": 0 }"#;

/// Piece of the supervisor's log message about an invalid circles.json.
const REFUSAL: &str = "still using the previous version";

/// Text of a circles.json with these circles.
fn of(circles: &[&str]) -> String {
    format!("{{ \"circles\": [\n{}\n] }}", circles.join(",\n"))
}

impl BackgroundCircles {
    /// Output of `status --json`.
    fn statuses(&self) -> Value {
        serde_json::from_str(&self.run_ok(&["status", "--json"])).expect("JSON")
    }

    fn names(&self) -> Vec<String> {
        let circles = self.statuses()["circles"].take();
        circles.as_array().expect("a list").iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// Waits until `status` satisfies a condition.
    fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        eventually(|| {
            let statuses = self.statuses();
            if is_so(&statuses) { Ok(()) } else { Err(format!("{what}: {statuses}")) }
        });
    }

    /// Counts a piece of text in the supervisor's log.
    fn times_logged(&self, piece: &str) -> usize {
        let log = self.files("(supervisor).log").pop().and_then(|path| std::fs::read_to_string(path).ok());
        log.unwrap_or_default().matches(piece).count()
    }

    /// Waits until the supervisor's log contains the piece more than `times_before` times.
    fn wait_until_logged(&self, piece: &str, times_before: usize) {
        let is_logged = || self.times_logged(piece) > times_before;
        eventually(|| is_logged().then_some(()).ok_or_else(|| format!("{piece:?} is not logged")));
    }
}

#[test]
fn unwatched_file_is_applied_by_reload_alone() {
    let text =
        |circles: &[&str], is_watched: bool| of(circles).replacen('{', &format!("{{ \"watch\": {is_watched},"), 1);
    let here = BackgroundCircles::start(&text(&[A], false));
    here.run_ok(&["up"]);
    assert_eq!(here.run_ok(&["diff"]), "nothing to change\n");
    here.configure(&text(&[A, B], false));
    here.wait_until_logged("circles reload applies it", 0);
    assert_eq!((here.names(), here.run_ok(&["diff"])), (vec!["a".into()], "a  no change\nb  starts\n".into()));
    here.run_ok(&["reload"]);
    assert_eq!(here.names(), ["a", "b"]);
    assert_eq!(here.run_ok(&["reload"]), "nothing to change\n");
    // A file that says that it is watched applies as it is saved.
    here.configure(&text(&[A, B, C], true));
    here.until("c is ready", |statuses| statuses["circles"][2]["state"] == "ready");
    // An error of the file is over once the file is valid, watched or not.
    here.configure("{ \"circles\": 1 }");
    here.until("the error", |statuses| statuses["refused"].is_string());
    here.configure(&text(&[A, B, C], false));
    here.until("no error", |statuses| statuses["refused"].is_null());
}

#[test]
fn no_watch_holds_for_a_supervisor_that_the_command_starts() {
    let here = BackgroundCircles::start(&of(&[A]));
    here.run_ok(&["up", "--no-watch"]);
    here.configure(&of(&[A, B]));
    here.wait_until_logged("circles reload applies it", 0);
    assert_eq!(here.names(), ["a"]);
    let ran = here.run(&["up", "--no-watch"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("is running already"), "{ran:?}");
    assert_eq!(here.names(), ["a"]);
}

#[test]
fn reload_starts_new_drains_removed_and_keeps_unchanged_circles() {
    let here = BackgroundCircles::start(&of(&[A, B]));
    here.run_ok(&["up"]);
    let (mut kept, mut drained) = (here.connect("a"), here.connect("b"));
    kept.value("let kept = 7;");
    drained.value("1");
    let (before, gone) = (here.pid("a"), here.pid("b"));
    let play = kept.request("play", json!({ "script": "print(`runs`); loop {}" }));
    kept.expect_print("runs");
    here.configure(&of(&[C, A]));
    here.run_ok(&["reload"]);
    assert_eq!(here.names(), ["c", "a"]);
    assert_eq!(here.connect("c").value("CIRCLE_NAME"), "c");
    assert_eq!(drained.close_code(), 1001);
    wait_for_end(gone);
    // The play runs undisturbed until it is cancelled.
    assert_eq!(here.pid("a"), before);
    assert_eq!(kept.call("cancel", json!([play]))["result"]["cancelled"], true);
    assert_eq!(kept.answer(&play)["error"]["code"], -32005);
    assert_eq!(kept.value("kept"), 7);
}

#[test]
fn reload_keeps_stopped_circles_down() {
    let here = BackgroundCircles::start(&of(&[A, B]));
    here.run_ok(&["up"]);
    here.run_ok(&["down", "b"]);
    here.configure(&of(&[A, B, C]));
    here.run_ok(&["reload"]);
    assert_eq!((here.state("b"), here.state("c")), ("down".into(), "ready".into()));
    here.run_ok(&["down"]);

    here.configure(&of(&[A, B]));
    here.run_ok(&["up", "a"]);
    here.configure(&of(&[A, B, C]));
    here.run_ok(&["reload"]);
    assert_eq!((here.state("b"), here.state("c")), ("down".into(), "down".into()));
    // `up` without names includes circles that are added later.
    here.run_ok(&["up"]);
    here.configure(&of(&[A, B, C, r#"{ "name": "d", "port": 0 }"#]));
    here.run_ok(&["reload"]);
    assert_eq!((here.state("b"), here.state("d")), ("ready".into(), "ready".into()));
    // A circle that returns counts as new.
    here.run_ok(&["down", "c"]);
    here.configure(&of(&[A]));
    here.run_ok(&["reload"]);
    assert_eq!(here.names(), ["a"]);
    here.configure(&of(&[A, C]));
    here.run_ok(&["reload"]);
    assert_eq!(here.state("c"), "ready");
}

/// Each case says whether the change restarts the circle.
#[test]
fn reload_restarts_only_for_host_port_and_access() {
    let free = free_port();
    let here = BackgroundCircles::start(&of(&[A, B]));
    std::fs::write(here.home.path().join("b.rhai"), "fn b() { 1 }").expect("written");
    here.run_ok(&["up"]);
    let mut untouched = here.connect("a");
    untouched.value("let kept = 7;");
    let key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    let cases = [
        (r#""description": "ours""#.to_owned(), false),
        (r#""description": "ours", "limits": { "batch": 3 }"#.into(), false),
        (r#""description": "ours", "hosts": ["b.example"], "origins": ["https://b.example"]"#.into(), false),
        (r#""description": "ours", "init": "b.rhai", "modules": ".""#.into(), false),
        (r#""description": "ours", "restart": "never""#.into(), false),
        (r#""description": "ours", "host": "127.0.0.2""#.into(), true),
        (r#""description": "ours", "access": "authenticated""#.into(), true),
        (format!(r#""description": "ours", "members": ["{key}"]"#), true),
        (r#""description": "ours", "members": []"#.into(), false),
    ];
    let (before, mut last) = (here.pid("a"), here.pid("b"));
    for (fields, is_restarted) in cases {
        here.configure(&of(&[A, &format!(r#"{{ "name": "b", "port": 0, {fields} }}"#)]));
        here.run_ok(&["reload"]);
        let now = here.pid("b");
        assert_eq!(now != last, is_restarted, "{fields}");
        assert_eq!(here.state("b"), "ready");
        let description = here.connect("b").call("describe", json!([]))["result"]["description"].take();
        assert_eq!(description, "ours", "{fields}");
        last = now;
    }
    here.configure(&of(&[A, &format!(r#"{{ "name": "b", "port": {free} }}"#)]));
    here.run_ok(&["reload"]);
    assert_eq!(here.status("b")["url"], format!("ws://127.0.0.1:{free}"));
    assert_eq!((here.pid("a"), untouched.value("kept")), (before, json!(7)));
    assert_eq!(children(here.supervisor("a")).len(), 2);
}

#[test]
fn diff_shows_what_reload_does_and_changes_nothing() {
    let here = BackgroundCircles::start(&of(&[A, B]));
    let output = here.run(&["diff"]);
    assert!(output.stdout == "a  starts\nb  starts\n" && output.stderr.contains("no supervisor runs"), "{output:?}");
    assert_eq!(here.run(&["reload"]).code, Some(3));
    here.run_ok(&["up"]);
    assert_eq!(here.run_ok(&["diff"]), "nothing to change\n");
    // The watcher may apply a change before `reload` does; then the test tries another one.
    let is_done_when_asked_for = (0..20).any(|number| {
        here.configure(&of(&[A, B]));
        here.run_ok(&["reload"]);
        let (a, b) = (here.pid("a"), here.pid("b"));
        here.configure(&of(&[&format!(r#"{{ "name": "a", "port": 0, "description": "{number}" }}"#), C]));
        let (diff, names) = (here.run_ok(&["diff"]), here.names());
        let reloaded: Value = serde_json::from_str(&here.run_ok(&["reload", "--json"])).expect("JSON");
        assert_eq!((here.pid("a"), here.names()), (a, vec!["a".to_owned(), "c".into()]));
        wait_for_end(b);
        if names != ["a", "b"] || reloaded["circles"][0]["action"] == "nothing" {
            return false;
        }
        assert_eq!(diff, "a  changes without a restart: description\nc  starts\nb  drains, and is removed\n");
        let expected = json!({ "circles": [
            { "name": "a", "action": "change", "fields": ["description"] },
            { "name": "c", "action": "start", "fields": [] },
            { "name": "b", "action": "drain", "fields": [] },
        ] });
        assert_eq!(reloaded, expected);
        true
    });
    assert!(is_done_when_asked_for);
}

#[test]
fn dry_run_shows_what_would_be_done_and_changes_nothing() {
    let here = BackgroundCircles::start(&of(&[A, B]));
    let output = here.run_ok(&["up", "--dry-run"]);
    assert_eq!(output, "the supervisor would be started\na  would be started\nb  would be started\n");
    assert!(here.files("/socket").is_empty());
    here.run_ok(&["up", "a"]);
    assert_eq!(here.run_ok(&["up", "--dry-run"]), "a  is up\nb  would be started\n");
    let output = here.run_ok(&["restart", "--dry-run"]);
    assert_eq!(output, "a  would be drained and restarted\nb  would be started\n");
    let ran = here.run(&["up", "--dry-run", "c"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("there is no circle 'c'"), "{ran:?}");
    assert_eq!((here.state("a"), here.state("b")), ("ready".into(), "down".into()));
}

#[test]
fn concurrent_reloads_act_as_one() {
    let here = BackgroundCircles::start(&of(&[A, B]));
    here.run_ok(&["up"]);
    let before = here.pid("a");
    here.configure(&of(&[A, C]));
    let reloads: Vec<_> = (0..4).map(|_| here.home.command().arg("reload").spawn().expect("it runs")).collect();
    for reload in reloads {
        let output = reload.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!((here.names(), here.pid("a")), (vec!["a".to_owned(), "c".into()], before));
    assert_eq!((here.state("c"), here.status("c")["restarts"].take()), ("ready".into(), json!(0)));
    let circles: Vec<Pid> = children(here.supervisor("a"));
    assert_eq!(circles.len(), 2);
}

#[test]
fn reload_waits_for_an_earlier_reload() {
    let here = BackgroundCircles::start(&of(&[A, B]));
    here.run_ok(&["up"]);
    // A running play keeps its circle draining for a while.
    let mut playing = here.connect("b");
    let _play = playing.request("play", json!({ "script": "print(`runs`); loop {}" }));
    playing.expect_print("runs");
    here.configure(&of(&[A]));
    here.until("b drains", |all| all["circles"][1]["state"] == "draining");
    assert_eq!(here.run_ok(&["reload"]), "a  no change\nb  drained\n");
    assert_eq!(here.names(), ["a"]);
}

/// Connects a client with a play that runs until it is cancelled.
fn playing(here: &BackgroundCircles, circle: &str) -> (WireClient, Value) {
    let mut wire = here.connect(circle);
    let play = wire.request("play", json!({ "script": "print(`runs`); loop {}" }));
    wire.expect_print("runs");
    (wire, play)
}

/// Cancels the play when its circle drains, which ends the circle.
fn cancel_when_draining(here: &BackgroundCircles, (mut wire, play): (WireClient, Value)) {
    let drains = |one: &Value| one["state"] == "draining";
    here.until("a circle drains", |all| all["circles"].as_array().expect("a list").iter().any(drains));
    assert_eq!(wire.call("cancel", json!([play]))["result"]["cancelled"], true);
    assert_eq!(wire.close_code(), 1001);
}

/// Each case replaces circles.json while a play still runs in the circle that has the port.
#[test]
fn circle_starts_after_the_previous_owner_of_its_port_drained() {
    let (one, two) = (free_port(), free_port());
    let at = |name: &str, port: u16| format!(r#"{{ "name": "{name}", "port": {port} }}"#);
    let here = BackgroundCircles::start(&of(&[&at("a", one), &at("b", two)]));
    here.run_ok(&["up"]);
    let cases = [
        ("a", of(&[&at("new", one), &at("b", two)])),
        // The circles swap their ports.
        ("new", of(&[&at("new", two), &at("b", one)])),
    ];
    for (circle, config) in cases {
        let play = playing(&here, circle);
        here.configure(&config);
        let reload = here.home.command().arg("reload").spawn().expect("it runs");
        cancel_when_draining(&here, play);
        let reload = reload.wait_with_output().expect("it ends");
        assert!(reload.status.success(), "{reload:?}");
        for name in ["new", "b"] {
            let status = here.status(name);
            assert_eq!((&status["state"], &status["restarts"]), (&json!("ready"), &json!(0)), "{status}");
        }
        assert_eq!(here.names(), ["new", "b"]);
    }
    assert_eq!(here.status("new")["url"], format!("ws://127.0.0.1:{two}"));

    // A circle that waits for its port can be stopped.
    let play = playing(&here, "b");
    here.configure(&of(&[&at("new", two), &at("c", one)]));
    here.until("c waits", |all| all["circles"][1]["name"] == "c" && all["circles"][1]["state"] == "starting");
    assert!(here.status("c")["pid"].is_null());
    here.run_ok(&["down", "c"]);
    cancel_when_draining(&here, play);
    here.run_ok(&["reload"]);
    assert_eq!((here.names(), here.state("c")), (vec!["new".to_owned(), "c".into()], "down".into()));
}
