//! What browsers and strangers may load, and what that costs the circle.

use std::io::{Read, Write};

use keys::KeyPair;

use super::{BROWSER, browse, directory, file_names};
use crate::support::{
    http::{own, read_response, send_request},
    process::ServeProcess,
};

/// A circle that needs a key, so that unauthenticated clients have limits.
fn members_circle(args: &[&str]) -> (ServeProcess, KeyPair) {
    let member = KeyPair::generate().expect("a key");
    let key = member.public_key().to_hex();
    (ServeProcess::start(&[&["--access", "members", "--member", &key], args].concat()), member)
}

/// A page load has one socket for each file, and a WebSocket. Browsers open all of them at the same time.
#[test]
fn many_pages_load_from_one_address_at_the_same_time() {
    const PAGES: usize = 32;
    let (server, member) = members_circle(&[]);
    let directory = directory(&server);
    let paths: Vec<_> =
        std::iter::once("/".to_owned()).chain(file_names().iter().map(|name| format!("{directory}{name}"))).collect();
    let headers = format!("{}{BROWSER}", own(&server));
    let mut wires: Vec<_> = (0..PAGES).map(|_| server.connect()).collect();
    let loads: Vec<_> =
        (0..PAGES).flat_map(|_| &paths).map(|path| send_request(server.authority(), "GET", path, &headers)).collect();
    for mut load in loads {
        let response = read_response(&mut load);
        assert_eq!(response.status, 200);
        let length: usize = response.header("content-length").expect("a length").parse().expect("a number");
        assert_eq!(response.body.len(), length);
    }
    for wire in &mut wires {
        wire.authenticate(&member);
    }
}

/// The bytes of a file belong to the program: a client that does not read keeps a chunk of them in memory.
#[test]
fn slow_downloads_share_the_file_and_complete() {
    const CLIENTS: usize = 64;
    /// The bytes that the circle counts for a socket, and two chunks of a response, in KiB.
    const KIB_EACH: u64 = 32 + 2 * 16;
    let (server, member) = members_circle(&[]);
    let directory = directory(&server);
    let largest = file_names()
        .into_iter()
        .map(|name| format!("{directory}{name}"))
        .max_by_key(|path| browse(&server, path).body.len())
        .expect("the console has files");
    let expected = browse(&server, &largest).body;
    let headers = format!("{}{BROWSER}", own(&server));
    let mut wire = server.connect();
    wire.authenticate(&member);
    assert_eq!(wire.value("40 + 2"), 42);
    let before = server.resident_kib();
    let mut slow: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut stream = send_request(server.authority(), "GET", &largest, &headers);
            let mut start = [0; 12];
            stream.read_exact(&mut start).expect("it answers");
            assert_eq!(&start, b"HTTP/1.1 200");
            stream
        })
        .collect();
    assert_eq!(wire.value("40 + 2"), 42);
    let now = server.resident_kib();
    assert!(now < before + CLIENTS as u64 * KIB_EACH, "{before} KiB before, {now} KiB with {CLIENTS} downloads");
    for stream in &mut slow {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("it answers");
        assert!(rest.ends_with(&expected));
    }
}

/// The circle closes the socket after one response, even if more requests follow.
#[test]
fn page_is_one_request_of_its_socket() {
    let server = ServeProcess::open();
    let headers = format!("{}{BROWSER}", own(&server));
    let mut stream = std::net::TcpStream::connect(server.authority()).expect("it listens");
    stream.set_read_timeout(Some(crate::support::WAIT_TIMEOUT)).expect("a timeout");
    let request = format!("GET / HTTP/1.1\r\n{headers}\r\n");
    stream.write_all(request.repeat(2).as_bytes()).expect("it takes requests");
    let mut answer = Vec::new();
    // A reset is an end, too: the circle does not read the second request.
    let _is_reset = stream.read_to_end(&mut answer).is_err();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.matches("HTTP/1.1 ").count() == 1 && answer.contains("connection: close"), "{answer}");
}
