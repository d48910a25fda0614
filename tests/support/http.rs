//! HTTP requests by hand.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use super::{WAIT_TIMEOUT, process::ServeProcess};

/// Headers of a WebSocket handshake.
pub(crate) const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// `Host` header with the server's own authority.
pub(crate) fn own(server: &ServeProcess) -> String {
    format!("host: {}\r\n", server.authority())
}

/// Sends a GET request; returns status and body.
pub(crate) fn get(authority: &str, path: &str, headers: &str) -> (u16, String) {
    let (status, _, body) = exchange(authority, path, headers);
    (status, body)
}

/// Sends a GET request; returns status, head and body.
pub(crate) fn exchange(authority: &str, path: &str, headers: &str) -> (u16, String, String) {
    let Response { status, head, body } = request(authority, "GET", path, headers);
    (status, head, String::from_utf8(body).expect("UTF-8"))
}

/// A response whose body may be binary.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(bytes[..end].to_vec()).expect("UTF-8");
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    /// Returns the value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Sends a request.
pub(crate) fn request(authority: &str, method: &str, path: &str, headers: &str) -> Response {
    read_response(&mut send_request(authority, method, path, headers))
}

/// Sends a request; its response is still to be read.
pub(crate) fn send_request(authority: &str, method: &str, path: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(authority).expect("it listens");
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("a timeout");
    // An upgrade keeps the connection open, so the test closes its sending side instead.
    let close = if headers.contains("upgrade: ") { "" } else { "connection: close\r\n" };
    write!(stream, "{method} {path} HTTP/1.1\r\n{headers}{close}\r\n").expect("it takes requests");
    stream.shutdown(Shutdown::Write).expect("a socket");
    stream
}

/// Reads a response to its end.
pub(crate) fn read_response(stream: &mut impl Read) -> Response {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("it answers");
    Response::parse(&bytes)
}
