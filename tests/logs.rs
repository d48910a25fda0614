//! Logs of a circle: the audit of plays, the log in both formats, and `circles logs`.

mod full;
mod suppressed;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
};

use keys::KeyPair;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    Home, WAIT_TIMEOUT,
    background::BackgroundCircles,
    eventually,
    process::{ReapedChild, ServeProcess, wait_for_end},
    pty::Terminal,
    skip,
    wire::WireClient,
};

/// Reads a file with a JSON object per line.
fn objects(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("it is there");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

/// Reads a file until its text satisfies a condition.
fn until(path: &Path, is_so: impl Fn(&str) -> bool) -> String {
    eventually(|| {
        let text = fs::read_to_string(path).unwrap_or_default();
        if is_so(&text) { Ok(text) } else { Err(text) }
    })
}

/// Starts a circle with an audit; returns it with the path of the audit.
fn audited(home: &Home, args: &[&str]) -> (ServeProcess, PathBuf) {
    let path = home.path().join("a.audit");
    let args = [&["--audit-file", path.to_str().expect("UTF-8")], args].concat();
    (ServeProcess::start(&args), path)
}

/// Outcomes by script; a script with several lines has several outcomes.
fn outcomes(plays: &[Value]) -> BTreeMap<&str, Vec<&str>> {
    let mut outcomes = BTreeMap::<_, Vec<_>>::new();
    for play in plays {
        let text = |name: &str| play[name].as_str().expect(name);
        outcomes.entry(text("script")).or_default().push(text("outcome"));
    }
    outcomes
}

fn hash(script: &str) -> String {
    hex::encode(Sha256::digest(script))
}

#[test]
fn audit_has_one_line_for_each_play() {
    let home = Home::new();
    let limits = ["--limit", "queued_plays=1", "--limit", "queued_kib=1", "--limit", "output_kib=1"];
    let (mut server, path) = audited(&home, &[&["--audit", "scripts"], &limits[..]].concat());
    let long = format!("/*{}*/ 1", "x".repeat(2000));

    let mut wire = server.connect();
    wire.value("`o`");
    wire.error("throw `f`");
    wire.error("(");
    wire.call("play", json!({ "script": "loop { `t` }", "timeout_ms": 50 }));
    wire.call("play", json!({ "script": "`bind`", "bind": "no name" }));
    wire.error(r#""x" * 5000 + "x".len; let a = "x"; a.pad(5000, "x"); a"#);
    wire.send(r#"{"jsonrpc":"2.0","method":"play","params":["`notification`"]}"#);
    wire.send(
        r#"[{"jsonrpc":"2.0","id":1,"method":"play","params":["`batch 1`"]},{"jsonrpc":"2.0","method":"play","params":["`batch 2`"]}]"#,
    );
    assert_eq!(wire.next()[0]["result"]["value"], "batch 1");
    // One play runs, one waits, and the queue is full.
    let running = wire.request("play", json!(["print(`r`); loop { `running` }"]));
    wire.expect_print("r");
    let waiting = wire.request("play", json!(["`waiting`"]));
    assert_eq!(wire.error("`busy`")["code"], -32006);
    assert_eq!(wire.error(&long)["code"], -32006);
    wire.call("cancel", json!([waiting]));
    wire.call("cancel", json!([running]));
    assert_eq!(wire.answer(&running)["error"]["code"], -32005);
    // A lost environment, with a play that waits for it.
    let running = wire.request("play", json!(["print(`k`); loop { `killed` }"]));
    wire.expect_print("k");
    let waiting = wire.request("play", json!(["`lost with it`"]));
    wire.call("fetch_nonce", json!([KeyPair::generate().expect("a key").public_key().to_hex()]));
    server.workers().into_iter().for_each(|worker| kill_process(worker, Signal::KILL).expect("it is there"));
    assert_eq!(wire.answer(&running)["error"]["code"], -32009);
    assert_eq!(wire.answer(&waiting)["error"]["code"], -32009);
    // Invalid requests are no plays.
    wire.call("play", json!({ "script": "`typo`", "timout_ms": 1 }));
    // A client disconnects while one play runs and one waits.
    let mut gone = server.connect();
    gone.request("play", json!(["print(`g`); loop { `gone` }"]));
    gone.expect_print("g");
    gone.request("play", json!(["`gone, too`"]));
    drop(gone);
    // The circle has noticed the disconnection before it ends.
    until(&path, |text| ["{ `gone` }", "`gone, too`"].iter().all(|script| text.contains(script)));
    // The circle ends while one play runs and one waits.
    let running = wire.request("play", json!(["print(`s`); loop { `shut down` }"]));
    wire.expect_print("s");
    let waiting = wire.request("play", json!(["`not begun`"]));
    server.signal(Signal::TERM);
    assert_eq!(wire.answer(&waiting)["error"]["code"], -32008);
    assert_eq!(wire.call("play", json!(["`late`"]))["error"]["code"], -32008);
    assert_eq!(wire.answer(&running)["error"]["code"], -32008);
    assert_eq!(server.wait().code(), Some(0));

    let (counts, plays): (Vec<_>, Vec<_>) = objects(&path).into_iter().partition(|line| line["plays"].is_u64());
    // A rejected notification, and the two plays beyond the queue.
    assert!(counts.iter().all(|count| count["outcome"] == "busy_queued" && count["code"] == -32006), "{counts:?}");
    assert_eq!(counts.iter().filter_map(|count| count["plays"].as_u64()).sum::<u64>(), 3);
    let expected = [
        ("`o`", "ok"),
        ("throw `f`", "script_error"),
        ("(", "script_error"),
        ("loop { `t` }", "limit_time"),
        ("`bind`", "invalid"),
        (r#""x" * 5000 + "x".len; let a = "x"; a.pad(5000, "x"); a"#, "script_error"),
        ("`notification`", "ok"),
        ("`batch 1`", "ok"),
        ("print(`r`); loop { `running` }", "cancelled"),
        ("`waiting`", "cancelled"),
        ("print(`k`); loop { `killed` }", "lost_killed"),
        ("`lost with it`", "lost_killed"),
        ("print(`g`); loop { `gone` }", "disconnected"),
        ("`gone, too`", "disconnected"),
        ("print(`s`); loop { `shut down` }", "shutting_down"),
        ("`not begun`", "shutting_down"),
        ("`late`", "shutting_down"),
    ];
    let expected: BTreeMap<_, _> = expected.into_iter().map(|(script, outcome)| (script, vec![outcome])).collect();
    assert_eq!(outcomes(&plays), expected);
    let killed = plays.iter().find(|play| play["outcome"] == "limit_time").expect("one");
    assert_eq!(killed["code"], -32004);
    assert!(killed["elapsed_us"].as_u64().expect("a number") >= 50_000);
}

#[test]
fn audit_records_callers_and_scripts_only_on_request() {
    use std::os::unix::fs::PermissionsExt;

    let home = Home::new();
    let key = KeyPair::generate().expect("a key");
    let (mut server, path) = audited(&home, &[]);
    let mut wire = server.connect();
    wire.value("`before`");
    wire.authenticate(&key);
    wire.value("`after`");
    server.signal(Signal::TERM);
    server.wait();
    let plays = objects(&path);
    let fields = |play: &Value| play.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    for (play, script) in plays.iter().zip(["`before`", "`after`"]) {
        assert_eq!(
            fields(play),
            ["caller", "circle", "elapsed_us", "outcome", "script_sha256", "session", "timestamp"]
        );
        assert_eq!((&play["script_sha256"], &play["session"]), (&hash(script).into(), &1.into()));
    }
    assert_eq!((plays.len(), &plays[0]["caller"]), (2, &"127.0.0.1".into()));
    assert_eq!(plays[1]["caller"], key.public_key().to_hex());
    assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn disabled_audit_writes_nothing() {
    let home = Home::new();
    let (mut server, path) = audited(&home, &["--audit", "off"]);
    assert_eq!(server.connect().value("1"), 1);
    server.signal(Signal::TERM);
    server.wait();
    assert!(!path.exists());
}

/// Readers of a log must learn neither keys nor scripts.
#[test]
fn logs_contain_no_secret_and_no_script_at_any_level() {
    let home = Home::new();
    let key = home.add_key("alice");
    for format in ["text", "json"] {
        let log = home.path().join(format!("{format}.log"));
        let mut command = home.command();
        command
            .args(["serve", "--port", "0", "--log-format", format, "--init", "init.rhai", "--access", "authenticated"])
            .arg("--log-file")
            .arg(&log)
            .env("CIRCLES_LOG", "trace")
            .stderr(Stdio::piped());
        fs::write(home.path().join("init.rhai"), "const HIDDEN = \"init-secret\";").expect("written");
        let mut server = ReapedChild(command.spawn().expect("it runs"));
        let mut line = String::new();
        BufReader::new(server.0.stdout.as_mut().expect("piped")).read_line(&mut line).expect("it says where it is");
        let url = line.trim().strip_prefix("listening on ").expect("a URL");
        let mut stderr = BufReader::new(server.0.stderr.take().expect("piped"));
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut stderr, &mut text).map(|_| text)
        });

        let ran = home.run(&[
            "play",
            "--circle",
            url,
            "--key",
            "alice",
            "-e",
            "print(\"printed-secret\"); throw \"thrown-secret\"",
        ]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let mut wire = WireClient::connect(url.strip_prefix("ws://").expect("a ws URL"));
        let nonce = wire.request_nonce(&key);
        let signature = key.sign_nonce(&nonce).to_string();
        wire.call("authenticate", json!([key.public_key().to_hex(), signature.clone()]));
        wire.value("let held = \"value-secret\"; held");
        wire.send("{ \"torn-secret");
        wire.call("complete", json!({ "script": "completed_secret", "cursor": 3 }));
        kill_process(rustix::process::Pid::from_child(&server.0), Signal::TERM).expect("it is there");
        wait_for_end(rustix::process::Pid::from_child(&server.0));
        let outputs =
            [fs::read_to_string(&log).expect("it is there"), reading.join().expect("no panic").expect("UTF-8")];
        for text in outputs {
            assert!(text.contains("authenticated") && text.contains("play finished"), "{text}");
            for secret in ["secret", "correct horse", nonce.as_str(), &signature] {
                assert!(!text.contains(secret), "{secret}: {text}");
            }
        }
    }
}

#[test]
fn json_log_has_only_json_lines_and_is_shown_as_text() {
    let here = BackgroundCircles::start(r#"{ "circles": [{ "name": "a", "port": 0, "log": "json" }] }"#);
    here.run_ok(&["up"]);
    here.connect("a").error("throw 1");
    here.kill("a");
    here.run_ok(&["up"]);
    here.run_ok(&["down"]);
    let [path] = &here.files("a.log")[..] else { panic!("one log") };
    let lines = objects(path);
    for line in &lines {
        let fields = line.as_object().expect("an object");
        assert!(["timestamp", "level", "message"].iter().all(|name| fields[*name].is_string()), "{line}");
    }
    let messages: Vec<&str> = lines.iter().map(|line| line["message"].as_str().expect("text")).collect();
    assert!(messages[0].starts_with("created identity "), "{messages:?}");
    assert!(messages[1].starts_with("listening on ws://"), "{messages:?}");
    for piece in ["killed by signal 9", "draining"] {
        assert!(messages.iter().any(|message| message.contains(piece)), "{piece}: {messages:?}");
    }
    let shown = here.run_ok(&["logs"]);
    assert!(shown.contains("Z  INFO listening on ws://") && shown.contains("Z  WARN killed by signal 9"), "{shown}");
    let with_circle = lines.iter().cloned().map(|mut line| {
        line["circle"] = "a".into();
        line
    });
    let printed = here.run_ok(&["logs", "--json", "a"]);
    let printed = printed.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object"));
    assert_eq!(printed.collect::<Vec<_>>(), with_circle.collect::<Vec<_>>());
}

#[test]
fn logs_print_json_for_any_format_and_short_times_on_a_terminal() {
    let here = BackgroundCircles::start(
        r#"{ "circles": [{ "name": "a", "port": 0, "audit": "hashes" }, { "name": "b", "port": 0, "log": "json" }] }"#,
    );
    here.run_ok(&["up"]);
    here.connect("a").value("1");
    here.run_ok(&["down"]);
    let lines: Vec<Value> =
        here.run_ok(&["logs", "--json"]).lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    for name in ["a", "b"] {
        let own: Vec<&Value> = lines.iter().filter(|line| line["circle"] == name).collect();
        assert!(own.len() > 2, "{lines:?}");
        for line in own {
            assert!(["timestamp", "level", "message"].iter().all(|field| line[field].is_string()), "{line}");
        }
    }
    let mut terminal = Terminal::run(&here.home, &["logs", "a"]);
    let shown = terminal.wait_for("listening on");
    let (date, line) = shown.split_once(" (UTC)").expect("a date");
    assert!(date.len() == 10 && date.starts_with("20"), "{shown}");
    let line = line.lines().last().expect("a line");
    assert!(line.ends_with("  INFO ") && line.trim_start().find(' ') == Some(8), "{shown}");
    let mut terminal = Terminal::run(&here.home, &["logs", "--audit", "a"]);
    let titles = terminal.wait_for("CALLER");
    assert!(titles.contains("TIME") && titles.contains("OUTCOME"), "{titles}");
    terminal.wait_for("  ok  ");
}

#[test]
fn logs_of_several_circles_are_merged_by_time() {
    let here = BackgroundCircles::start(
        r#"{ "circles": [{ "name": "a", "port": 0 }, { "name": "b", "port": 0, "log": "json" }] }"#,
    );
    // Alternately, so that lines of both circles are interleaved.
    for name in ["a", "b", "a", "b"] {
        here.run_ok(&["up", name]);
        here.run_ok(&["down", name]);
    }
    let names = |text: &str| -> Vec<String> {
        let mut names: Vec<_> = text.lines().map(|line| line[..1].to_owned()).collect();
        names.dedup();
        names
    };
    let all = here.run_ok(&["logs"]);
    assert_eq!(names(&all), ["a", "b", "a", "b"], "{all}");
    let time = |line: &str| line.split_whitespace().nth(2).expect("a time").to_owned();
    let third = all.lines().find(|line| line.starts_with("b | ") && line.contains("listening")).expect("a line");
    let since = here.run_ok(&["logs", "--since", &time(third)]);
    assert_eq!(names(&since), ["b", "a", "b"], "{since}");
    assert_eq!(since.lines().next(), Some(third));
    assert_eq!(here.run_ok(&["logs", "--since", "1h"]), all);
    assert_eq!(here.run_ok(&["logs", "--since", "2100-01-01T00:00:00+01:00"]), "");
    assert_eq!(names(&here.run_ok(&["logs", "--since", "1h", "--tail", "1"])), ["a", "b"]);
    let ran = here.run(&["logs", "--since", "yesterday"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("RFC 3339"), "{ran:?}");
}

#[test]
fn audit_is_shown_in_columns_and_followed_through_a_restart() {
    let here = BackgroundCircles::start(r#"{ "circles": [{ "name": "a", "port": 0, "audit": "scripts" }] }"#);
    let mut following = here.home.command().args(["logs", "-f", "--audit", "a"]).spawn().expect("it runs");
    let stdout = BufReader::new(following.stdout.take().expect("piped"));
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut following = ReapedChild(following);
    here.run_ok(&["up"]);
    here.connect("a").value("1 +\n 1");
    let line = lines.recv_timeout(WAIT_TIMEOUT).expect("a line");
    let end = format!(" µs  {}  127.0.0.1  1 +␊ 1", &hash("1 +\n 1")[..12]);
    assert!(line.contains("  #1  ok ") && line.ends_with(&end), "{line}");
    here.run_ok(&["restart"]);
    here.connect("a").error("throw 2");
    let line = lines.recv_timeout(WAIT_TIMEOUT).expect("a line");
    assert!(line.contains("  script_error ") && line.ends_with("  throw 2"), "{line}");
    following.0.kill().expect("it is there");
    let raw = here.run_ok(&["logs", "--audit", "--json"]);
    let play: Value = serde_json::from_str(raw.lines().next().expect("a line")).expect("JSON");
    assert_eq!((raw.lines().count(), &play["script"]), (2, &"1 +\n 1".into()));
}

/// Number of plays in the lines of an audit, by caller and outcome.
fn counted(lines: &[Value]) -> BTreeMap<(String, String), u64> {
    let mut plays = BTreeMap::new();
    for line in lines {
        let text = |name: &str| line[name].as_str().expect(name).to_owned();
        *plays.entry((text("caller"), text("outcome"))).or_default() += line["plays"].as_u64().unwrap_or(1);
    }
    plays
}

/// A key plays once; then an anonymous caller plays as fast as possible, with accepted and with rejected plays.
#[test]
fn audit_records_of_a_caller_are_not_evicted_by_another() {
    const PLAYS: u64 = 10_000;
    let home = Home::new();
    let rotation = ["--audit-rotation", "file_mib=1,files=2", "--limit", "queued_plays=100"];
    let (mut server, path) = audited(&home, &rotation);
    let key = KeyPair::generate().expect("a key");
    let mut deed = server.connect();
    deed.authenticate(&key);
    deed.value("`the deed`");
    let mut wire = server.connect();
    // Without a quota these plays would fill 3 MiB of lines, more than the 2 MiB of the files.
    let busy = wire.request("play", json!(["print(`r`); loop {}"]));
    wire.expect_print("r");
    for _ in 0..PLAYS {
        wire.send(r#"{"jsonrpc":"2.0","method":"play","params":["1"]}"#);
    }
    wire.call("cancel", json!([busy]));
    assert_eq!(wire.answer(&busy)["error"]["code"], -32005);
    for _ in 0..PLAYS {
        wire.value("1");
    }
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));

    let lines = objects(&path);
    let found = lines.iter().find(|line| line["script_sha256"] == hash("`the deed`")).expect("it is there");
    assert_eq!(found["caller"], key.public_key().to_hex());
    assert!(!path.with_extension("audit.1").exists(), "a tenth of the plays has lines");
    let plays = counted(&lines);
    let of = |outcome: &str| plays.get(&("127.0.0.1".into(), outcome.into())).copied().unwrap_or_default();
    assert_eq!((of("ok") + of("busy_queued"), of("cancelled")), (2 * PLAYS, 1), "none is lost: {plays:?}");
    assert!(of("busy_queued") >= PLAYS - 100);
    assert!(lines.len() < 2000, "{}", lines.len());
}

/// Plays more than the files hold: all lines are whole, and the files stay within their limits.
#[test]
fn audit_is_bounded_and_has_only_whole_lines() {
    let home = Home::new();
    // Enough files that the caller stays within its quota.
    let (server, path) = audited(&home, &["--audit", "scripts", "--audit-rotation", "files=32"]);
    let mut wire = server.connect();
    // 10 MiB; a file has 8.
    let padding = "x".repeat(100 << 10);
    for number in 0..100 {
        wire.value(&format!("{number}; \"{padding}\".len"));
    }
    let older = PathBuf::from(format!("{}.1", path.display()));
    until(&path, |text| text.contains("\"script\":\"99; "));
    let (newer, older) = (objects(&path), objects(&older));
    assert_eq!(newer.len() + older.len(), 100);
    assert!(fs::metadata(&path).expect("it is there").len() <= 8 << 20);
}
