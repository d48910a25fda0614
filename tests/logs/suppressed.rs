//! Suppression of repeated log lines of one caller, so that they evict nothing else from the log.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Stdio,
};

use keys::KeyPair;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{
    Home,
    http::UPGRADE,
    process::{ReapedChild, wait_for_end},
    wire::WireClient,
};

/// Starts a server with a log file; returns it with the file and its authority.
fn logged(home: &Home, args: &[&str]) -> (ReapedChild, PathBuf, String) {
    let log = home.path().join("a.log");
    let mut command = home.command();
    command.args(["serve", "--port", "0", "--log-file"]).arg(&log).args(args);
    command.env("CIRCLES_LOG", "info").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = ReapedChild(command.spawn().expect("it runs"));
    let mut line = String::new();
    BufReader::new(server.0.stdout.as_mut().expect("piped")).read_line(&mut line).expect("it says where it is");
    let authority = line.trim().strip_prefix("listening on ws://").expect("a URL").to_owned();
    (server, log, authority)
}

/// Ends a server and reads its log.
fn log_at_the_end(server: &ReapedChild, log: &Path) -> String {
    let pid = rustix::process::Pid::from_child(&server.0);
    kill_process(pid, Signal::TERM).expect("it is there");
    wait_for_end(pid);
    fs::read_to_string(log).expect("it is there")
}

#[test]
fn failed_authentications_are_logged_with_address_and_key_and_not_each() {
    let home = Home::new();
    let (server, log, authority) = logged(&home, &[]);
    let connect = || WireClient::connect(&authority);
    let key = KeyPair::generate().expect("a key").public_key().to_hex();
    for _ in 0..100 {
        let mut wire = connect();
        let params = json!({ "pubkey": key, "signature": "00".repeat(64) });
        assert_eq!(wire.call("authenticate", params)["error"]["code"], -32002);
    }
    // The log does not repeat an invalid key.
    connect().call("authenticate", json!({ "pubkey": "no\nkey", "signature": "" }));
    let mut wire = connect();
    for _ in 0..1000 {
        wire.value("1");
    }
    let text = log_at_the_end(&server, &log);
    let failed: Vec<&str> = text.lines().filter(|line| line.contains("authentication failed")).collect();
    assert!(failed[0].contains("address=127.0.0.1") && failed[0].contains(&format!("key=\"{key}\"")), "{failed:?}");
    assert!(failed.iter().all(|line| line.contains("session{number=")), "{failed:?}");
    assert!(failed.len() < 50 && !text.contains("no\\nkey"), "{failed:?}");
    assert!((1..500).contains(&text.matches("play finished").count()), "plays of one caller are suppressed, too");
}

#[test]
fn refused_connections_are_logged_with_their_address_and_not_each() {
    let home = Home::new();
    let (server, log, authority) = logged(&home, &["--limit", "connections=1"]);
    let mut wire = WireClient::connect(&authority);
    for _ in 0..100 {
        let mut stream = TcpStream::connect(&authority).expect("it listens");
        write!(stream, "GET / HTTP/1.1\r\nhost: {authority}\r\n{UPGRADE}\r\n").expect("it takes requests");
        let mut status = [0; 12];
        stream.read_exact(&mut status).expect("it answers");
        assert_eq!(&status, b"HTTP/1.1 503");
    }
    // Sockets beyond the limit are not answered.
    let silent: Vec<_> = (0..50).map(|_| TcpStream::connect(&authority).expect("it listens")).collect();
    assert_eq!(wire.value("40 + 2"), 42);
    drop(silent);
    let text = log_at_the_end(&server, &log);
    let refused: Vec<&str> = text.lines().filter(|line| line.contains("connection refused")).collect();
    assert!(refused[0].contains("address=127.0.0.1") && refused[0].contains("reason=\"full\""), "{refused:?}");
    assert!(refused.len() < 50, "{refused:?}");
}

#[test]
fn faults_of_functions_are_logged_with_their_session_and_not_each() {
    let home = Home::new();
    let functions = home.path().join("shop");
    fs::create_dir(&functions).expect("made");
    fs::write(functions.join("fail.rhai"), "fn fail() { nowhere }").expect("written");
    let roles = json!({ "roles": { "visitor": { "call": ["fail"], "play": true } }, "anyone": "visitor" }).to_string();
    let directory = functions.to_str().expect("UTF-8");
    let audit = home.path().join("a.audit");
    let audit_file = audit.to_str().expect("UTF-8");
    let arguments = ["--functions", directory, "--roles", &roles, "--audit-file", audit_file];
    let (server, log, authority) = logged(&home, &arguments);
    let mut wire = WireClient::connect(&authority);
    let failed = wire.play("try { circle::fail() } catch {}");
    assert_eq!(failed["result"]["output"], "", "{failed}");
    for _ in 0..300 {
        assert_eq!(wire.call("fn.fail", json!([]))["error"]["code"], -32000);
    }
    let text = log_at_the_end(&server, &log);
    let lines = |text: &str, what: &str| -> Vec<String> {
        text.lines().filter(|line| line.contains(what)).map(ToOwned::to_owned).collect()
    };
    for what in ["function failed", "call finished"] {
        let logged = lines(&text, what);
        assert!((1..100).contains(&logged.len()), "{what}: {logged:?}");
        assert!(logged.iter().all(|line| line.contains("session{number=1}")), "{logged:?}");
        assert!(logged[0].contains("function=\"fail\""), "{logged:?}");
    }
    let from_plays = lines(&text, "from_play=true");
    assert!(from_plays.len() == 1 && from_plays[0].contains("code=-32000"), "{from_plays:?}");
    let audit = fs::read_to_string(audit).expect("it is there");
    let records: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of_play = &records[0];
    assert_eq!((&of_play["function"], &of_play["from_play"]), (&json!("fail"), &json!(true)), "{of_play}");
    // The JSON of no arguments.
    let hash = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945";
    assert_eq!((&of_play["arguments_sha256"], &of_play["outcome"]), (&json!(hash), &json!("script_error")));
    assert!(records[1]["script_sha256"].is_string() && records[2]["from_play"].is_null(), "{records:?}");
}
