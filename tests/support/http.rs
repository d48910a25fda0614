//! HTTP requests by hand.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use super::{WAIT_TIMEOUT, process::ServeProcess};

/// What asks for a WebSocket.
pub(crate) const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The host that a server answers to.
pub(crate) fn own(server: &ServeProcess) -> String {
    format!("host: {}\r\n", server.authority())
}

/// Status and body.
pub(crate) fn get(authority: &str, path: &str, headers: &str) -> (u16, String) {
    let (status, _, body) = exchange(authority, path, headers);
    (status, body)
}

/// Status, head and body.
pub(crate) fn exchange(authority: &str, path: &str, headers: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(authority).expect("it listens");
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("a timeout");
    // A request for an upgrade keeps its connection, so this end says in another way that nothing follows.
    let close = if headers.contains("upgrade: ") { "" } else { "connection: close\r\n" };
    write!(stream, "GET {path} HTTP/1.1\r\n{headers}{close}\r\n").expect("it takes requests");
    stream.shutdown(Shutdown::Write).expect("a socket");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("it answers");
    let status = response.split(' ').nth(1).expect("a status").parse().expect("a number");
    let (head, body) = response.split_once("\r\n\r\n").expect("a body");
    (status, head.to_owned(), body.to_owned())
}
