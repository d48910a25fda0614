//! Memory that clients can make a circle hold, and its effect on other clients.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use keys::KeyPair;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::{Attacker, MESSAGE, circle_of, circle_of_bounded, discover, frame, padded};
use crate::support::{
    eventually,
    http::{get, own},
    process::{ServeProcess, memory_kib},
    skip,
    wire::WireClient,
};

/// Memory of connections, according to the circle's metrics.
fn counted_bytes(server: &ServeProcess) -> u64 {
    let page = get(server.authority(), "/metrics", &own(server)).1;
    let line = page.lines().find_map(|line| line.strip_prefix("circles_memory_bytes{of=\"connections\"} "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or_else(|| panic!("{page}"))
}

fn member_of(server: &ServeProcess, member: &KeyPair) -> WireClient {
    let mut wire = server.connect();
    wire.authenticate(member);
    wire
}

/// Sends as many of the bytes as the kernel takes at once.
fn send_all_at_once(stream: &TcpStream, bytes: &[u8]) {
    stream.set_nonblocking(true).expect("a socket");
    let _is_full = (&*stream).write_all(bytes).is_err();
    stream.set_nonblocking(false).expect("a socket");
}

/// A request of a few bytes takes kilobytes once it is parsed.
#[test]
fn requests_in_a_row_cannot_kill_a_circle() {
    let member = KeyPair::generate().expect("a key");
    let server = circle_of_bounded(&member, &[]);
    let mut wire = member_of(&server, &member);
    let baseline = server.resident_kib();
    for path in ["/", "/healthz", "/openrpc.json"] {
        let requests = format!("GET {path} HTTP/1.1\nHost:x\n\n").repeat(16_000);
        let attackers: Vec<_> = (0..250)
            .filter_map(|_| Attacker::open_socket(&server).ok())
            .inspect(|stream| send_all_at_once(stream, requests.as_bytes()))
            .collect();
        assert_eq!(wire.value("40 + 2"), 42);
        let most = server.resident_kib();
        assert!(most < baseline + (32 << 10), "{baseline} KiB before, {most} KiB with {} sockets", attackers.len());
    }
}

#[test]
fn socket_is_closed_after_one_request_and_with_an_endless_head() {
    let server = ServeProcess::open();
    let request = format!("GET /healthz HTTP/1.1\r\n{}\r\n", own(&server));
    let mut stream = TcpStream::connect(server.authority()).expect("it listens");
    stream.write_all(request.repeat(2).as_bytes()).expect("it takes requests");
    let mut answer = Vec::new();
    // A reset is an end, too: the circle does not read the second request.
    let _is_reset = stream.read_to_end(&mut answer).is_err();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.matches("HTTP/1.1 200").count() == 1 && answer.contains("connection: close"), "{answer}");

    let before = server.descriptors();
    let endless: Vec<_> = (0..20)
        .map(|_| {
            let stream = TcpStream::connect(server.authority()).expect("it listens");
            send_all_at_once(&stream, format!("GET / HTTP/1.1\r\na: {}", "b".repeat(17_000)).as_bytes());
            stream
        })
        .collect();
    for mut stream in endless {
        let mut byte = [0];
        assert!(!stream.read(&mut byte).is_ok_and(|read| read > 0), "there is no answer to it");
    }
    server.wait_until_at_most(0, before);
}

/// One byte of the next message must not keep the whole buffer alive.
#[test]
fn start_of_a_next_message_does_not_keep_the_one_before() {
    let member = KeyPair::generate().expect("a key");
    let server = circle_of_bounded(&member, &[]);
    let message = padded(15 * MESSAGE);
    let mut held = Vec::new();
    for _ in 0..900 {
        let mut wire = member_of(&server, &member);
        assert!(wire.exchange(&message)["result"].is_object());
        // Either the header of a large frame, or one byte of another frame.
        let next = if held.len() % 2 == 0 { frame(0x81, 15 * MESSAGE, 0) } else { vec![0x81] };
        wire.socket.get_mut().write_all(&next).expect("it takes bytes");
        held.push(wire);
    }
    let resident = server.resident_kib();
    assert!(resident < 160 << 10, "{resident} KiB with {} connections", held.len());
    assert_eq!(member_of(&server, &member).value("40 + 2"), 42);
}

#[test]
fn end_of_an_answer_does_not_keep_all_of_it() {
    const LEFT: usize = 600 << 10;
    let member = KeyPair::generate().expect("a key");
    let server = circle_of_bounded(&member, &[]);
    let batch = vec![json!({ "jsonrpc": "2.0", "id": 1, "method": "rpc.discover" }); 64];
    let batch = json!(batch).to_string();
    let mut held = Vec::new();
    for _ in 0..60 {
        let mut wire = member_of(&server, &member);
        wire.send(batch.clone());
        let stream = wire.socket.get_mut();
        let mut header = [0; 10];
        stream.read_exact(&mut header).expect("an answer");
        let length = header.last_chunk::<8>().map(|length| u64::from_be_bytes(*length)).expect("eight bytes");
        let length = usize::try_from(length).expect("a length");
        assert!(header[1] == 127 && length > LEFT + (350 << 10), "{length}");
        stream.read_exact(&mut vec![0; length - LEFT]).expect("the answer");
        held.push(wire);
    }
    // Without the program's own text, of which the kernel keeps more or less in memory.
    let (private, counted) = (memory_kib(server.pid(), "RssAnon:") << 10, counted_bytes(&server));
    let baseline = 4 << 20;
    assert!(private < baseline + 2 * counted, "{private} bytes in memory, {counted} counted");
    drop(held);
}

#[test]
fn member_who_holds_almost_all_memory_keeps_no_other_out() {
    let (greedy, modest) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let key = greedy.public_key().to_hex();
    let server = circle_of_bounded(&modest, &["--member", &key]);
    let mut held = Vec::new();
    // The circle counts twice the received bytes, up to 64 MiB.
    while counted_bytes(&server) < 63 << 20 {
        let mut wire = member_of(&server, &greedy);
        wire.socket.get_mut().write_all(&frame(0x81, 15 * MESSAGE, 14 * MESSAGE)).expect("it takes bytes");
        held.push(wire);
        assert!(held.len() < 400, "the circle counts them");
    }
    for _ in 0..40 {
        assert_eq!(member_of(&server, &modest).value("40 + 2"), 42);
    }
}

#[test]
fn malformed_requests_count_towards_the_rate() {
    let member = KeyPair::generate().expect("a key");
    let server = circle_of(&member, &["--limit", "per_minute=20"]);
    let mut wire = member_of(&server, &member);
    let codes: Vec<_> = (0..30)
        .map(|number| {
            let message = if number % 2 == 0 { "{" } else { r#"{"jsonrpc":"2.0","id":1}"# };
            wire.exchange(message)["error"]["code"].as_i64().expect("an error")
        })
        .collect();
    assert!(codes.contains(&-32700) && codes.contains(&-32600), "{codes:?}");
    assert_eq!(codes.last(), Some(&-32007), "{codes:?}");
}

/// Memory of a wave of unauthenticated clients goes back to the system when they are gone.
#[test]
fn memory_of_strangers_is_returned_to_the_system() {
    const STRANGERS: usize = 2000;
    let files = getrlimit(Resource::Nofile);
    if files.maximum.is_some_and(|maximum| maximum < 2 * STRANGERS as u64 + 1000) {
        return skip("too few open files for 2000 connections");
    }
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files }).expect("within the maximum");
    let member = KeyPair::generate().expect("a key");
    let limits = ["--limit", "unauthenticated_per_address=100000", "--limit", "connection_mib=4096"];
    let server = circle_of(&member, &limits);
    let mut wire = server.connect();
    wire.authenticate(&member);
    wire.value("1");
    let baseline = server.resident_kib();
    let strangers: Vec<_> = (0..STRANGERS)
        .map(|_| {
            let mut stranger = Attacker::connect(&server).expect("there is room");
            stranger.send(&discover().repeat(100));
            stranger
        })
        .collect();
    drop(strangers);
    eventually(|| {
        let now = server.resident_kib();
        (now * 10 <= baseline * 12).then_some(()).ok_or_else(|| format!("{baseline} KiB before, {now} KiB now"))
    });
    assert_eq!(wire.value("40 + 2"), 42);
}

#[test]
fn large_message_leaves_no_memory_with_its_connection() {
    const MEMBERS: u64 = 100;
    let member = KeyPair::generate().expect("a key");
    let server = circle_of(&member, &[]);
    let wire = || {
        let mut wire = server.connect();
        wire.authenticate(&member);
        wire
    };
    wire().exchange(&padded(15 * MESSAGE));
    let before = server.resident_kib();
    let held: Vec<_> = (0..MEMBERS)
        .map(|_| {
            let mut wire = wire();
            assert!(wire.exchange(&padded(15 * MESSAGE))["result"].is_object());
            wire
        })
        .collect();
    let after = server.resident_kib();
    assert!(after < before + MEMBERS * 128, "{before} KiB before, {after} KiB with {MEMBERS} connections");
    drop(held);
}

#[test]
fn queries_and_scripts_of_many_connections_cannot_kill_a_circle() {
    let member = KeyPair::generate().expect("a key");
    let server = circle_of_bounded(&member, &[]);
    let script = format!("/*{}*/ 1", "x".repeat(15 * MESSAGE));
    let question = json!({ "jsonrpc": "2.0", "id": 1, "method": "complete", "params": [script, 0] }).to_string();
    let play =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "play", "params": [format!("{script}; loop {{}}")] }).to_string();
    let mut held = Vec::new();
    for number in 0..400 {
        let mut wire = server.connect();
        wire.authenticate(&member);
        let messages = if number % 2 == 0 { vec![&question; 8] } else { vec![&play] };
        // The circle closes connections of the caller that holds most, perhaps this one.
        let _is_closed = messages.into_iter().any(|text| wire.socket.send(Message::text(text.as_str())).is_err());
        held.push(wire);
    }
    drop(held);
    let mut wire = server.connect();
    wire.authenticate(&member);
    let answer = eventually(|| {
        let answer = wire.call("play", json!(["40 + 2"]));
        if answer["error"]["code"] == -32006 { Err("busy") } else { Ok(answer) }
    });
    assert_eq!(answer["result"]["value"], 42, "{answer}");
}
