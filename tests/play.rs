//! `circles play`.

mod authority;
mod several;
mod traces;

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{
    CommandOutput, Home, background::BackgroundCircles, eventually, fake, free_port, process::ServeProcess,
    pty::Terminal,
};

/// Plays on a scratch circle.
fn play(args: &[&str]) -> CommandOutput {
    Home::new().run(&[&["play"], args].concat())
}

#[test]
fn prints_and_the_value_go_to_stdout_and_debugs_to_stderr() {
    let ran = play(&["-e", "print(\"hi\"); debug(\"x\"); let a = 40; a + 2"]);
    assert_eq!(ran, CommandOutput { code: Some(0), stdout: "hi\n42\n".into(), stderr: "[1:14] \"x\"\n".into() });
    assert_eq!(play(&["-e", "let quiet = 1;"]).stdout, "");
}

#[test]
fn script_comes_from_a_file_or_standard_input() {
    let home = Home::new();
    std::fs::write(home.path().join("script.rhai"), "#!/usr/bin/env -S circles play\nARGS[0] + nowhere")
        .expect("written");
    let ran = home.run(&["play", "script.rhai", "a"]);
    assert_eq!(ran.code, Some(1));
    // The shebang line is blanked, so positions are those of the file.
    assert!(ran.stderr.starts_with("2 | ARGS[0] + nowhere\n              ^\n"), "{}", ran.stderr);
    assert_eq!(home.run_with(&["play", "-"], "6 * 7").stdout, "42\n");
}

#[test]
fn arguments_reach_the_script_as_they_are() {
    let ran = play(&["--json", "-e", "ARGS", "plain", "q\"b\\", "${x}\u{1b}\n", "--", "-v"]);
    let object: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(object["value"], json!(["plain", "q\"b\\", "${x}\u{1b}\n", "-v"]));
    assert_eq!(play(&["-e", "ARGS.len()"]).stdout, "0\n");
}

#[test]
fn script_with_a_shebang_gets_all_arguments() {
    let home = Home::new();
    std::fs::write(home.path().join("x.rhai"), "#!/usr/bin/env -S circles play --\nARGS").expect("written");
    let ran = home.run(&["play", "--", "x.rhai", "-n", "3", "--json", "--", "-e"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "[\"-n\", \"3\", \"--json\", \"--\", \"-e\"]\n"), "{ran:?}");
    // Without `--`, options are recognized anywhere.
    let ran = home.run(&["play", "x.rhai", "3", "--json"]);
    assert!(ran.stdout.starts_with('{') && ran.stdout.contains("[\"3\"]"), "{ran:?}");
}

#[test]
fn json_is_one_object_with_the_prints() {
    let ran = play(&["--json", "-e", "print(1); debug([1]); #{a: 1.5}"]);
    let object: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(object["prints"], json!([{ "stream": "print", "text": "1" }, { "stream": "debug", "text": "[1]" }]));
    assert_eq!((&object["value"], &object["type"]), (&json!({ "a": 1.5 }), &json!("map")));
    let ran = play(&["--json", "-e", "throw 7"]);
    let object: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((ran.code, &object["error"]["code"]), (Some(1), &json!(-32000)));
    assert_eq!(object["error"]["data"]["thrown"], 7);
    let ran = play(&["--json", "--circle", "1", "-e", "1"]);
    let object: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((ran.code, &object["error"]["code"]), (Some(3), &Value::Null));
}

/// JSON itself escapes only the control characters of ASCII.
#[test]
fn json_output_escapes_control_characters() {
    let (server, home) = (ServeProcess::open(), Home::new());
    let script = "print(\"\\u009b2J\"); \"\\u202e\"";
    let one = ["play", "--json", "--circle", &server.url, "-e", script];
    let several = ["play", "--json", "--circle", &server.url, "--circle", "1", "-e", script];
    let failing = ["play", "--json", "--circle", &server.url, "-e", "throw \"\\u009b2J\""];
    for args in [&one[..], &several, &failing] {
        let output = Terminal::run(&home, args).wait_for("}\r\n");
        assert!(output.contains('\u{fffd}') && !output.contains(['\u{9b}', '\u{202e}']), "{output:?}");
    }
    // A pipe gets the text unchanged.
    assert!(home.run(&one).stdout.contains('\u{9b}'));
}

/// Script, exit code, a piece of stderr.
#[test]
fn exit_code_reflects_the_outcome() {
    let cases: &[(&[&str], i32, &str)] = &[
        (&["-e", "1 +"], 1, "error: "),
        (&["-e", "if true {\n  1\n"], 1, "2 |   1\n       ^\nerror: "),
        (&["-e", "throw \"boom\""], 1, "boom"),
        (&["-e", "eval(\"1\")"], 1, "`eval` is disabled"),
        (&["--timeout", "50ms", "-e", "loop {}"], 5, "stopped: ran longer than 50 ms"),
        (&["-e", "fn f(n) { f(n + 1) } f(1)"], 5, "stopped: called functions more than 256 levels deep\n  look for"),
        (&["-e", "loop { print(1) }"], 5, "produced more than 1024 KiB of output\n  raise the circle's output_kib ("),
        (&[], 2, "-e SCRIPT"),
        (&["missing.rhai"], 2, "cannot read the script missing.rhai: no such file or directory"),
        (&["--timeout", "soon", "-e", "1"], 2, "soon"),
        (&["--circle", "team", "-e", "1"], 2, "give a port"),
        (&["--circle", "http://x", "-e", "1"], 2, "ws://"),
        (&["--circle", "wss://x?y", "-e", "1"], 2, "must not contain a query"),
        (&["--circle", "1", "-e", "1"], 3, "circles serve"),
        (&["--key", "a/b", "-e", "1"], 2, "key's name"),
        (&["--key", "alice", "-e", "1"], 2, "--circle WHERE"),
        (&["/", "-e", "1"], 0, ""),
        (&["/"], 2, "is a directory"),
        (&["--circle", "1", "--key", "nobody", "-e", "1"], 6, "nobody"),
    ];
    for (args, code, piece) in cases {
        let ran = play(args);
        assert_eq!(ran.code, Some(*code), "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(piece), "{args:?}: {ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{args:?}: {ran:?}");
    }
}

#[test]
fn down_circle_is_reported_with_its_start_command() {
    let home = Home::new();
    let port = free_port();
    let circles = json!({ "circles": [{ "name": "team", "port": port }, { "name": "free", "port": 0 }] });
    for file in ["circles.json", "my circles.json"] {
        std::fs::write(home.path().join(file), circles.to_string()).expect("written");
    }
    let cases = [
        (
            vec!["play", "--circle", "team", "-e", "1"],
            "circle 'team' at ws",
            "connection refused\n  start it: circles up team\n",
        ),
        (vec!["repl", "team"], "circle 'team' at ws", "connection refused\n  start it: circles up team\n"),
        (
            vec!["play", "--config", "my circles.json", "--circle", "team", "-e", "1"],
            "circle 'team' at ws",
            "start it: circles up team --config 'my circles.json'\n",
        ),
        (
            vec!["play", "--circle", "free", "-e", "1"],
            "circle 'free': it uses a free port, and is down",
            "start it: circles up free\n",
        ),
    ];
    for (args, what, end) in cases {
        let ran = home.run(&args);
        assert_eq!(ran.code, Some(3), "{args:?}: {ran:?}");
        assert!(ran.stderr.starts_with(&format!("error: cannot reach {what}")), "{args:?}: {ran:?}");
        assert!(ran.stderr.ends_with(end), "{args:?}: {ran:?}");
    }
}

#[test]
fn circle_on_a_free_port_is_found_by_its_name() {
    let background = BackgroundCircles::start(r#"{ "circles": [{ "name": "free", "port": 0 }] }"#);
    background.run_ok(&["up"]);
    assert_eq!(background.run_ok(&["play", "--circle", "free", "-e", "CIRCLE_NAME"]), "free\n");
}

#[test]
fn internal_error_asks_for_a_bug_report() {
    let broken = fake::serve_websocket(|text| {
        let call: Value = serde_json::from_str(text).expect("JSON");
        if call["method"] == "describe" {
            let description = json!({
                "name": "broken", "version": "1", "protocol": 1, "access": "open", "modules": [],
                "you": { "public_key": null, "admitted": true }, "sandbox": [], "limits": { "play_ms": 30000 },
            });
            return json!({ "jsonrpc": "2.0", "id": call["id"], "result": description }).to_string();
        }
        let error = json!({ "code": -32603, "message": "Internal error" });
        json!({ "jsonrpc": "2.0", "id": call["id"], "error": error }).to_string()
    });
    let ran = play(&["--circle", &broken, "-e", "1"]);
    assert_eq!(ran.code, Some(70), "{ran:?}");
    assert!(ran.stderr.contains("please report it"), "{ran:?}");
}

#[test]
fn server_that_is_no_circle_is_reported() {
    let echo = fake::serve_websocket(str::to_owned);
    let cases = [
        (fake::serve_bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"), "HTTP 200"),
        (fake::serve_bytes(b"SSH-2.0-OpenSSH_9.2\r\n"), "no circle"),
        (echo, "no circle"),
        (fake::serve_websocket(|_| "hello \x1b[2J".into()), "not JSON-RPC"),
        (
            fake::serve_websocket(|_| {
                r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"Method not found","data":{"method":"describe"}}}"#.into()
            }),
            "describe",
        ),
        (fake::serve_websocket(|_| r#"{"jsonrpc":"2.0","id":2,"result":{"name":"x"}}"#.into()), "is invalid"),
    ];
    for (authority, piece) in cases {
        let ran = play(&["--circle", &authority, "-e", "1"]);
        assert_eq!(ran.code, Some(3), "{piece}: {ran:?}");
        assert!(ran.stderr.contains(piece) && !ran.stderr.contains('\x1b'), "{piece}: {ran:?}");
    }
}

#[test]
fn member_plays_with_its_authenticated_key() {
    let home = Home::new();
    let (alice, bob) = (home.add_key("alice").public_key().to_hex(), home.add_key("bob"));
    let server = ServeProcess::start(&["--name", "team", "--member", &alice]);
    let at = ["play", "--circle", server.url.as_str()];
    let ran = home.run(&[&at[..], &["-e", "CIRCLE_NAME + CALLER_PUBLIC_KEY"]].concat());
    assert_eq!(ran.stdout, format!("team{alice}\n"), "{ran:?}");
    let ran = home.run(&[&at[..], &["--key", "bob", "-e", "1"]].concat());
    assert_eq!(ran.code, Some(4), "{} {ran:?}", bob.public_key());
    assert!(ran.stderr.contains("public key (circles keys show bob)"), "{ran:?}");
    let output = home.command().args(at).args(["-e", "1"]).env("CIRCLES_PASSPHRASE", "wrong").output().expect("runs");
    assert_eq!(output.status.code(), Some(6));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("wrong passphrase for the key `alice`"), "{stderr}");
    assert!(stderr.contains("the passphrase comes from CIRCLES_PASSPHRASE: correct it"), "{stderr}");
    let ran = Home::new().run(&[&at[..], &["-e", "1"]].concat());
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("circles keygen"), "{ran:?}");
}

#[test]
fn open_circle_is_authenticated_to_only_on_request() {
    let home = Home::new();
    let alice = home.add_key("alice").public_key().to_hex();
    let server = ServeProcess::open();
    let mut command = home.command();
    command.args(["play", "-e", "type_of(CALLER_PUBLIC_KEY)"]).env("CIRCLES_CIRCLE", &server.url);
    assert_eq!(String::from_utf8_lossy(&command.output().expect("runs").stdout), "()\n");
    let ran = home.run(&["play", "--circle", server.authority(), "--key", "alice", "-e", "CALLER_PUBLIC_KEY"]);
    assert_eq!(ran.stdout, format!("{alice}\n"));
}

#[test]
fn oversized_script_is_reported() {
    let server = ServeProcess::open();
    let home = Home::new();
    std::fs::write(home.path().join("large.rhai"), "1;".repeat(150_000)).expect("written");
    let ran = home.run(&["play", "--circle", &server.url, "large.rhai"]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(ran.stderr.contains("message_kib"), "{ran:?}");
}

#[test]
fn pipe_gets_prints_unchanged() {
    assert_eq!(play(&["-e", "print(\"\\x1b[2Jboo\")"]).stdout, "\x1b[2Jboo\n");
}

#[test]
fn array_of_maps_is_a_table_on_a_terminal_and_unchanged_in_a_pipe() {
    let home = Home::new();
    let script = "[#{ name: \"tea\", price: 2 }, #{ name: \"jam\" }]";
    let mut terminal = Terminal::run(&home, &["play", "-e", script]);
    terminal.wait_for(" name │ price\r\n");
    terminal.wait_for(" tea  │     2\r\n");
    terminal.wait_for(" jam  │\r\n");
    assert_eq!(terminal.end(), Some(0));
    let piped = home.run(&["play", "-e", script]);
    assert_eq!(piped.stdout, "[#{\"name\": \"tea\", \"price\": 2}, #{\"name\": \"jam\"}]\n");
    // Other values look the same.
    let shown = Terminal::run(&home, &["play", "-e", "\"text\""]).wait_for("text\r\n");
    assert!(!shown.contains('"'), "{shown:?}");
}

#[test]
fn ctrl_c_cancels_the_play() {
    let server = ServeProcess::open();
    let mut child = Home::new()
        .command()
        .args(["play", "--circle", &server.url, "-e", "print(\"begun\"); loop {}"])
        .spawn()
        .expect("runs");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("it prints");
    assert_eq!(line, "begun\n");
    kill_process(Pid::from_child(&child), Signal::INT).expect("it is there");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    // The worker ends with the connection.
    for worker in server.workers() {
        crate::support::process::wait_for_end(worker);
    }
}

#[test]
fn paused_reader_loses_nothing_and_ctrl_c_works() {
    let lines = "for i in 0..800 { let s = \"\"; s.pad(1000, 'x'); print(s) }";
    let server = ServeProcess::open();
    let home = Home::new();
    let spawn =
        |script: &str| home.command().args(["play", "--circle", &server.url, "-e", script]).spawn().expect("runs");
    // More output than a pipe holds, and nobody reads it.
    let mut child = spawn(&format!("{lines} loop {{}}"));
    let deaf = child.stdout.take().expect("piped");
    eventually(|| (!server.workers().is_empty()).then_some(()).ok_or("there is no worker"));
    kill_process(Pid::from_child(&child), Signal::INT).expect("it is there");
    crate::support::process::wait_for_end(Pid::from_child(&child));
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    drop(deaf);
    // A reader gets the whole output.
    let output = spawn(&format!("{lines} \"end\"")).wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 801);
}

/// Changing the terminal would stop a background process instead of ending it.
#[test]
fn inherited_ignored_signal_stays_ignored() {
    let home = Home::new();
    let server = ServeProcess::open();
    let script = "print(\"begun\"); let begun = timestamp(); while begun.elapsed < 0.5 {} 42";
    let mut child = std::process::Command::new("nohup")
        .args([crate::support::BINARY, "play", "--circle", &server.url, "-e", script])
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("nohup of coreutils is there");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("it prints");
    kill_process(Pid::from_child(&child), Signal::HUP).expect("it is there");
    line.clear();
    stdout.read_line(&mut line).expect("it goes on");
    assert_eq!((line.as_str(), child.wait().expect("it ends").code()), ("42\n", Some(0)));
}

#[test]
fn closed_reader_ends_play_quietly() {
    let mut child = Home::new()
        .command()
        .args(["play", "-e", "print(1); loop { print(\"more\") }"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    stdout.read_line(&mut line).expect("it prints");
    drop(stdout);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr)), (Some(0), "".into()));
}

#[test]
fn unwritable_output_is_an_error_and_hides_no_other() {
    let home = Home::new();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux");
    let code =
        |args: &[&str]| home.command().args(args).stdout(full()).stderr(Stdio::null()).status().expect("runs").code();
    assert_eq!(code(&["play", "-e", "40 + 2"]), Some(2));
    assert_eq!(code(&["openrpc"]), Some(2));
    assert_eq!(code(&["play", "--json", "-e", "throw 1"]), Some(1));
}

#[test]
fn invalid_script_file_is_reported() {
    let home = Home::new();
    std::fs::write(home.path().join("binary"), [0xff, 0xfe]).expect("written");
    std::fs::write(home.path().join("marked"), "\u{feff}40 + 2").expect("written");
    let ran = home.run(&["play", "binary"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("save it as UTF-8"), "{ran:?}");
    assert_eq!(home.run(&["play", "marked"]).stdout, "42\n");
}

#[test]
fn program_without_a_command_shows_the_first_steps() {
    let ran = Home::new().run(&[]);
    insta::assert_snapshot!(ran.stdout, @r"
    circles: live Rhai, guarded by keys

      circles tui               open the terminal interface: circles, keys, a REPL, logs
      circles repl              type Rhai now, on a scratch circle in this process
      circles keygen alice      make a key to sign in with

    circles --help lists all commands.
    ");
}
