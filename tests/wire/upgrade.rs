//! The upgrade from HTTP to a WebSocket, byte by byte.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
};

use crate::support::{
    WAIT_TIMEOUT, eventually,
    http::{UPGRADE, get, own},
    process::ServeProcess,
};

/// The response to an upgrade.
struct Response {
    head: String,
    /// What follows the head, until the circle closes the socket.
    rest: Vec<u8>,
}

impl Response {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).expect("a status").parse().expect("a number")
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.rest).expect("a text")
    }
}

fn connect(server: &ServeProcess) -> TcpStream {
    let stream = TcpStream::connect(server.authority()).expect("it listens");
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("a timeout");
    stream
}

/// Sends bytes, and reads until the circle closes the socket.
fn exchange(server: &ServeProcess, bytes: &[u8]) -> Response {
    let mut stream = connect(server);
    stream.write_all(bytes).expect("it takes requests");
    let mut response = Vec::new();
    stream.read_to_end(&mut response).expect("a response, and an orderly end");
    let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
    let rest = response.split_off(end);
    Response { head: String::from_utf8(response).expect("ASCII").to_lowercase(), rest }
}

/// A masked frame with the mask 0.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short payload");
    assert!(length < 126, "the length has one byte");
    [&[0x80 | opcode, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

fn play(id: u64) -> Vec<u8> {
    frame(1, format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"play","params":["40 + {id}"]}}"#).as_bytes())
}

const CLOSE: u8 = 8;

fn upgrade(server: &ServeProcess) -> String {
    format!("GET / HTTP/1.1\r\n{}{UPGRADE}\r\n", own(server))
}

/// Whether the metrics of a circle contain this line.
fn has_metric(server: &ServeProcess, line: &str) -> bool {
    get(server.authority(), "/metrics", &own(server)).1.lines().any(|metric| metric == line)
}

/// As [`has_metric`], for a server that may close the connection because it has too many.
fn has_metric_if_answered(server: &ServeProcess, line: &str) -> bool {
    let answer = || {
        let mut stream = TcpStream::connect(server.authority())?;
        stream.set_read_timeout(Some(WAIT_TIMEOUT))?;
        write!(stream, "GET /metrics HTTP/1.1\r\n{}connection: close\r\n\r\n", own(server))?;
        io::read_to_string(stream)
    };
    answer().is_ok_and(|text| text.lines().any(|metric| metric == line))
}

#[test]
fn frames_in_the_packet_of_the_upgrade_are_answered() {
    let server = ServeProcess::open();
    let mut stream = connect(&server);
    // The close frame would end the play, so it waits for the answers.
    stream.write_all(&[upgrade(&server).as_bytes(), &play(1), &play(2)].concat()).expect("it takes requests");
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    while !String::from_utf8_lossy(&received).contains(r#""id":2"#) {
        let read = stream.read(&mut chunk).expect("answers");
        assert!(read > 0, "{}", String::from_utf8_lossy(&received));
        received.extend_from_slice(&chunk[..read]);
    }
    stream.write_all(&frame(CLOSE, b"")).expect("it is open");
    stream.read_to_end(&mut received).expect("an orderly end");
    let received = String::from_utf8_lossy(&received);
    assert!(received.starts_with("HTTP/1.1 101 "), "{received}");
    let (first, second) = (received.find(r#""value":41"#), received.find(r#""value":42"#));
    assert!(first.is_some() && first < second, "{received}");
}

#[test]
fn upgrade_response_has_only_the_frames_behind_it() {
    let server = ServeProcess::open();
    let response = exchange(&server, &[upgrade(&server).as_bytes(), &frame(CLOSE, b"")].concat());
    assert_eq!(response.status(), 101, "{}", response.head);
    assert_eq!(response.rest, [0x80 | CLOSE, 0]);
    for header in
        ["connection: upgrade", "upgrade: websocket", "x-content-type-options: nosniff", "sec-websocket-accept: "]
    {
        assert!(response.head.contains(header), "{}", response.head);
    }
    for header in ["content-length", "transfer-encoding"] {
        assert!(!response.head.contains(header), "{}", response.head);
    }
}

/// Each refusal is a whole response, even if the client has sent frames behind the request.
#[test]
fn refused_upgrade_gets_a_whole_response_and_closes() {
    let server = ServeProcess::start(&["--limit", "connections=1"]);
    let own = own(&server);
    let _connection = server.connect();
    let cases = [
        (426, "version", "GET / HTTP/1.1", format!("{own}{}", UPGRADE.replace("13", "8")), "version 13"),
        (403, "origin", "GET / HTTP/1.1", format!("{own}{UPGRADE}origin: https://evil.example\r\n"), "`origins`"),
        (400, "handshake", "GET / HTTP/1.1", format!("{own}{}", UPGRADE.replace("ZQ==", "ZR==")), "Sec-WebSocket-Key"),
        (400, "handshake", "GET / HTTP/1.0", format!("{own}{UPGRADE}"), "HTTP must be 1.1"),
        (400, "handshake", "GET / HTTP/1.1", format!("{own}{UPGRADE}content-length: 5\r\n"), "must not have a body"),
        (
            400,
            "handshake",
            "GET / HTTP/1.1",
            format!("{own}{UPGRADE}transfer-encoding: chunked\r\n"),
            "must not have a body",
        ),
        (
            400,
            "handshake",
            "GET / HTTP/1.1",
            format!("{own}{}", UPGRADE.replace("websocket\r", "websocket, x\r")),
            "'websocket'",
        ),
        (503, "full", "GET / HTTP/1.1", format!("{own}{UPGRADE}"), "limits.connections"),
        (421, "host", "GET / HTTP/1.1", format!("host: evil.example\r\n{UPGRADE}"), "`hosts`"),
        (404, "", "GET /nowhere HTTP/1.1", format!("{own}{UPGRADE}"), "not found"),
        (404, "", "POST / HTTP/1.1", format!("{own}{UPGRADE}"), "not found"),
        (200, "", "GET /healthz HTTP/1.1", format!("{own}{UPGRADE}"), "ok"),
        (200, "", "GET /openrpc.json HTTP/1.1", format!("{own}{UPGRADE}"), protocol::OPENRPC),
    ];
    let mut refused = std::collections::BTreeMap::new();
    for (status, reason, line, headers, expected) in cases {
        let request = format!("{line}\r\n{headers}\r\n");
        let response = exchange(&server, &[request.as_bytes(), &play(1).repeat(50)].concat());
        assert_eq!(response.status(), status, "{request}{}", response.head);
        assert!(response.text().contains(expected), "{request}{}", response.text());
        assert!(response.head.contains("x-content-type-options: nosniff"), "{request}{}", response.head);
        assert!(response.head.contains(&format!("content-length: {}\r\n", response.rest.len())), "{}", response.head);
        if !reason.is_empty() {
            *refused.entry(reason).or_insert(0) += 1;
        }
    }
    for (reason, count) in refused {
        let line = format!("circles_connections_refused_total{{reason=\"{reason}\"}} {count}");
        assert!(has_metric(&server, &line), "{line}");
    }
}

#[test]
fn head_and_connect_requests_are_not_upgraded() {
    let server = ServeProcess::open();
    let own = own(&server);
    let head = exchange(&server, format!("HEAD / HTTP/1.1\r\n{own}{UPGRADE}\r\n").as_bytes());
    assert!((head.status(), head.rest.len()) == (200, 0), "{}", head.head);
    for (target, status) in [(server.authority(), 404), ("evil.example:80", 421)] {
        for headers in ["", UPGRADE] {
            let request = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n{headers}\r\nfurther bytes");
            let response = exchange(&server, request.as_bytes());
            assert_eq!(response.status(), status, "{request}{}", response.head);
        }
    }
}

/// The circle frees the place of a connection whose client has gone.
#[test]
fn client_that_leaves_during_the_upgrade_frees_its_place() {
    let server = ServeProcess::start(&["--limit", "connections=4"]);
    for shutdown in [None, Some(Shutdown::Write), Some(Shutdown::Both)] {
        for behind in [&b""[..], &play(1)] {
            for _ in 0..8 {
                let mut stream = connect(&server);
                stream.write_all(&[upgrade(&server).as_bytes(), behind].concat()).expect("it takes requests");
                if let Some(shutdown) = shutdown {
                    stream.shutdown(shutdown).expect("a socket");
                }
            }
        }
    }
    eventually(|| has_metric_if_answered(&server, "circles_connections 0").then_some(()).ok_or("connections are left"));
    assert_eq!(server.connect().value("40 + 2"), 42);
}
