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
    let mut stream = TcpStream::connect(authority).expect("it listens");
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("a timeout");
    // An upgrade keeps the connection open, so the test closes its sending side instead.
    let close = if headers.contains("upgrade: ") { "" } else { "connection: close\r\n" };
    write!(stream, "GET {path} HTTP/1.1\r\n{headers}{close}\r\n").expect("it takes requests");
    stream.shutdown(Shutdown::Write).expect("a socket");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("it answers");
    let status = response.split(' ').nth(1).expect("a status").parse().expect("a number");
    let (head, body) = response.split_once("\r\n\r\n").expect("a body");
    (status, head.to_owned(), body.to_owned())
}
