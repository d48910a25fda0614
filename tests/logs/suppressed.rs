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
use serde_json::json;

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
