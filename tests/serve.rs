//! `circles serve`: start, shutdown, and HTTP routes.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use rustix::process::Signal;

use crate::support::{
    Home, eventually,
    http::{UPGRADE, exchange, get, own},
    process::ServeProcess,
};

#[test]
fn taken_port_is_reported_with_its_owner() {
    let server = ServeProcess::open();
    let port = server.authority().rsplit_once(':').expect("a port").1;
    let ran = Home::new().run(&["serve", "--port", port]);
    assert_eq!(ran.code, Some(2));
    let owner = format!("port {port} is taken by `circles` (pid {})", server.pid());
    assert!(ran.stderr.contains(&owner) && ran.stderr.contains("another --port"), "{ran:?}");
}

#[test]
fn invalid_arguments_are_reported_before_start() {
    let cases: &[(&[&str], &str)] = &[
        (&["--host", "0.0.0.0"], "--allow-open"),
        (&["--name", "Not A Name"], "lower-case letters, digits and dashes"),
        (&["--member", "02ff"], "66"),
        (&["--access", "open", "--member", &"02".repeat(33)], "leave one of the two out"),
        (&["--access", "secret"], "open, authenticated or members"),
        (&["--limit", "play_ms"], "NAME=VALUE"),
        (&["--limit", "play_ms=soon"], "whole number"),
        (&["--limit", "luck=1"], "luck"),
        (&["--limit", "workers=0"], "cannot be 0"),
        (&["--limit", "string_kib=0"], "cannot be 0"),
        (&["--modules", "nowhere"], "nowhere"),
    ];
    for (args, piece) in cases {
        let ran = Home::new().run(&[&["serve", "--port", "0"], *args].concat());
        assert_eq!(ran.code, Some(2), "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(piece) && ran.stdout.is_empty(), "{args:?}: {ran:?}");
    }
}

#[test]
fn first_signal_drains_and_exits_with_success() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = ServeProcess::open();
        let mut wire = server.connect();
        // Two seconds fit into the grace period of five, even on a slow machine.
        let script = "print(\"begun\"); let begun = timestamp(); while begun.elapsed < 2.0 {} 42";
        let id = wire.request("play", serde_json::json!([script]));
        wire.expect_print("begun");
        server.signal(signal);
        // The running play continues, new ones are rejected.
        let mut late = wire.call("play", serde_json::json!(["1"]));
        while late["error"]["code"] != -32008 {
            late = wire.call("play", serde_json::json!(["1"]));
        }
        assert_eq!(wire.answer(&id)["result"]["value"], 42);
        assert_eq!(wire.close_code(), 1001);
        assert_eq!(server.wait().code(), Some(0));
        assert_eq!(server.rest_of_stdout(), "");
    }
}

#[test]
fn queued_requests_are_answered_while_draining() {
    for _ in 0..10 {
        let mut server = ServeProcess::open();
        let mut wires: Vec<_> = (0..4).map(|_| server.connect()).collect();
        let ids: Vec<Vec<_>> = wires
            .iter_mut()
            .map(|wire| (0..40).map(|_| wire.request("play", serde_json::json!(["1"]))).collect())
            .collect();
        // The answer shows that the circle has accepted all earlier requests.
        for wire in &mut wires {
            wire.call("describe", serde_json::json!([]));
        }
        server.signal(Signal::TERM);
        for (wire, ids) in wires.iter_mut().zip(&ids) {
            for id in ids {
                let answer = wire.answer(id);
                assert!(answer["result"]["value"] == 1 || answer["error"]["code"] == -32008, "{answer}");
            }
            assert_eq!(wire.close_code(), 1001);
        }
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn init_script_runs_in_every_session_and_before_serving() {
    let home = Home::new();
    std::fs::write(home.path().join("good.rhai"), "const RATE = 7; fn rated(x) { x * global::RATE }").expect("written");
    std::fs::write(home.path().join("bad.rhai"), "let a = 1;\na + nowhere").expect("written");
    let server = ServeProcess::start(&["--init", &home.path().join("good.rhai").display().to_string()]);
    assert_eq!(server.connect().value("rated(6)"), 42);
    assert_eq!(server.connect().value("rated(RATE)"), 49);
    let ran = home.run(&["serve", "--port", "0", "--init", "bad.rhai"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.starts_with("2 | a + nowhere\n        ^\nerror: the circle cannot start"), "{ran:?}");
    assert!(ran.stderr.contains("Variable not found: nowhere (line 2, column 5)\n  fix bad.rhai"), "{ran:?}");
    assert_eq!(home.run(&["serve", "--port", "0", "--init", "none.rhai"]).code, Some(2));
}

#[test]
fn http_routes_answer() {
    let server = ServeProcess::start(&["--name", "team"]);
    let own = own(&server);
    assert_eq!(get(server.authority(), "/healthz", "host: anything\r\n"), (200, "ok".into()));
    let (status, contract) = get(server.authority(), "/openrpc.json", &own);
    assert_eq!((status, contract.as_str()), (200, protocol::OPENRPC));
    let (status, greeting) = get(server.authority(), "/", &own);
    assert!(status == 200 && greeting.contains("team") && greeting.contains("circles repl"), "{greeting}");
    assert_eq!(get(server.authority(), "/nowhere", &own).0, 404);
}

#[test]
fn http_answers_tell_browsers_neither_to_guess_nor_to_embed() {
    let server = ServeProcess::open();
    let own = own(&server);
    for (path, host) in
        [("/", &*own), ("/openrpc.json", &own), ("/nowhere", &own), ("/healthz", &own), ("/", "host: evil\r\n")]
    {
        let (_, head, _) = exchange(server.authority(), path, host);
        let head = head.to_lowercase();
        for header in [
            "x-content-type-options: nosniff",
            "cross-origin-resource-policy: same-origin",
            "x-frame-options: deny",
            "referrer-policy: no-referrer",
        ] {
            assert!(head.contains(header), "{path}: {head}");
        }
    }
}

#[test]
fn foreign_host_gets_421_with_the_setting() {
    let server = ServeProcess::start(&["--hosts", "circle.example:8443"]);
    let port = server.authority().rsplit_once(':').expect("a port").1;
    for (host, status) in [
        (server.authority().to_owned(), 200),
        (format!("localhost:{port}"), 200),
        (format!("LOCALHOST:{port}"), 200),
        ("Circle.Example:8443".into(), 200),
        ("circle.example".into(), 421),
        ("127.0.0.1".into(), 421),
        ("evil.example".into(), 421),
        (String::new(), 421),
    ] {
        let (got, body) = get(server.authority(), "/openrpc.json", &format!("host: {host}\r\n"));
        assert_eq!(got, status, "{host}: {body}");
        assert!(status == 200 || body.contains("`hosts`"), "{host}: {body}");
        let (got, _) = get(server.authority(), "/nowhere", &format!("host: {host}\r\n"));
        assert_eq!(got, if status == 200 { 404 } else { 421 }, "{host}");
    }
}

#[test]
fn foreign_origin_gets_403_with_the_setting() {
    let server = ServeProcess::start(&["--origins", "https://console.example"]);
    let own = own(&server);
    for origin in ["https://evil.example", "null", "https://console.example.evil", "ws://127.0.0.1"] {
        let (status, body) = get(server.authority(), "/", &format!("{own}{UPGRADE}origin: {origin}\r\n"));
        assert!(status == 403 && body.contains("`origins`"), "{origin}: {status} {body}");
    }
    let both = format!("{own}{UPGRADE}origin: https://console.example\r\norigin: https://evil.example\r\n");
    assert_eq!(get(server.authority(), "/", &both).0, 403);
    for origin in ["https://console.example".to_owned(), format!("http://{}", server.authority())] {
        let mut stream = TcpStream::connect(server.authority()).expect("it listens");
        write!(stream, "GET / HTTP/1.1\r\n{own}{UPGRADE}origin: {origin}\r\n\r\n").expect("it takes requests");
        let mut status = [0; 12];
        stream.read_exact(&mut status).expect("it answers");
        assert_eq!(&status, b"HTTP/1.1 101", "{origin}");
    }
}

#[test]
fn invalid_handshake_is_not_upgraded() {
    let server = ServeProcess::open();
    let own = own(&server);
    assert_eq!(get(server.authority(), "/", &format!("{own}{}", UPGRADE.replace("13", "8"))).0, 426);
    assert_eq!(
        get(server.authority(), "/", &format!("{own}upgrade: websocket\r\nsec-websocket-version: 13\r\n")).0,
        400
    );
    assert_eq!(get(server.authority(), "http://evil.example/openrpc.json", &own).0, 421);
}

#[test]
fn connection_limit_answers_503() {
    let server = ServeProcess::start(&["--limit", "connections=2"]);
    let (_one, two) = (server.connect(), server.connect());
    let headers = format!("{}{UPGRADE}", own(&server));
    let (status, body) = get(server.authority(), "/", &headers);
    assert!(status == 503 && body.contains("limits.connections"), "{status} {body}");
    let metrics = get(server.authority(), "/metrics", &own(&server)).1;
    assert!(metrics.contains("circles_connections_refused_total{reason=\"full\"} 1\n"), "{metrics}");
    drop(two);
    // The connection counts until the server notices its end.
    eventually(|| {
        let mut stream = TcpStream::connect(server.authority()).expect("it listens");
        write!(stream, "GET / HTTP/1.1\r\n{headers}\r\n").expect("it takes requests");
        let mut status = [0; 12];
        stream.read_exact(&mut status).expect("it answers");
        (&status == b"HTTP/1.1 101").then_some(()).ok_or("the place is not free")
    });
}

#[test]
fn sandbox_can_be_required() {
    let server = ServeProcess::start(&["--sandbox", "required"]);
    assert_eq!(server.connect().value("40 + 2"), 42);
    let ran = Home::new().run(&["serve", "--port", "0", "--sandbox", "perhaps"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("required or best-effort"), "{ran:?}");
}

#[test]
fn circle_starts_with_minimal_play_limits() {
    let server = ServeProcess::start(&["--limit", "play_ms=1"]);
    assert_eq!(
        server.connect().error("loop {}")["data"],
        serde_json::json!({ "limit": "time", "max": 1, "setting": "play_ms" })
    );
}

/// Nine links in each directory would be an exponential number of directories, so each is read once.
#[test]
fn modules_with_links_to_themselves_are_read_once() {
    let home = Home::new();
    let modules = home.path().join("modules");
    std::fs::create_dir(&modules).expect("made");
    std::fs::write(modules.join("a.rhai"), "fn one() { 1 }").expect("written");
    for number in 0..9 {
        std::os::unix::fs::symlink(".", modules.join(format!("l{number}"))).expect("linked");
    }
    let mut server = ServeProcess::start(&["--modules", modules.to_str().expect("UTF-8")]);
    assert_eq!(server.connect().value("import \"a\" as a; a::one()"), 1);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let config = r#"{ "circles": [{ "name": "a", "port": 0, "modules": "modules" }] }"#;
    std::fs::write(home.path().join("circles.json"), config).expect("written");
    assert_eq!(home.run(&["check"]).code, Some(0));
}

#[test]
fn modules_of_too_large_a_directory_are_refused() {
    let home = Home::new();
    for verb in [&["serve", "--port", "0", "--modules", "/"][..], &["check"]] {
        let config = r#"{ "circles": [{ "name": "a", "port": 0, "modules": "/" }] }"#;
        std::fs::write(home.path().join("circles.json"), config).expect("written");
        let ran = home.run(verb);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("there are more than 10000 files and folders below it"), "{ran:?}");
    }
}

#[test]
fn hosts_and_origins_that_would_match_nothing_are_refused() {
    let home = Home::new();
    for flags in [["--hosts", "*"], ["--hosts", "*.example:80"], ["--origins", "http://*"], ["--origins", "a.example"]]
    {
        let ran = home.run(&[&["serve", "--port", "0"], &flags[..]].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        let why = if flags[1].contains('*') { "a * matches nothing" } else { "expected https://HOST" };
        assert!(ran.stderr.contains(why), "{ran:?}");
    }
}

#[test]
fn init_script_that_is_no_file_is_refused() {
    let home = Home::new();
    let fifo = home.path().join("init.rhai");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().expect("there is mkfifo");
    assert!(made.success());
    let ran = home.run(&["serve", "--port", "0", "--init", "init.rhai"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("it is not a regular file"), "{ran:?}");
}

#[test]
fn second_signal_ends_the_server_at_once() {
    let mut server = ServeProcess::open();
    let mut wire = server.connect();
    // The play would have five seconds while the circle drains.
    wire.request("play", serde_json::json!(["print(\"begun\"); loop {}"]));
    wire.expect_print("begun");
    server.signal(Signal::TERM);
    while wire.call("play", serde_json::json!(["1"]))["error"]["code"] != -32008 {}
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(130));
}

/// The parent process may have blocked the signals.
#[test]
fn signals_blocked_at_start_end_the_server() {
    use std::io::{BufRead, BufReader};

    let home = Home::new();
    let own = home.command();
    let mut command = std::process::Command::new("env");
    command.args(["--block-signal=TERM", crate::support::BINARY, "serve", "--port", "0"]);
    command.env_clear().envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut server = command.stdout(std::process::Stdio::piped()).spawn().expect("there is env");
    let mut line = String::new();
    BufReader::new(server.stdout.as_mut().expect("piped")).read_line(&mut line).expect("it can be read");
    if line.is_empty() {
        server.wait().expect("it was started here");
        return crate::support::skip("this env(1) blocks no signals");
    }
    let pid = rustix::process::Pid::from_child(&server);
    rustix::process::kill_process(pid, Signal::TERM).expect("it is there");
    crate::support::process::wait_for_end(pid);
    assert_eq!(server.wait().expect("it was started here").code(), Some(0));
}
