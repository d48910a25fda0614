//! WebSocket frames, and the close codes of invalid ones (RFC 6455 §7.4).

use std::io::{Read, Write};

use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use crate::support::{process::ServeProcess, wire::WireClient};

fn frame(payload: impl Into<Vec<u8>>, opcode: Data, is_final: bool) -> Message {
    Message::Frame(Frame::message(payload.into(), OpCode::Data(opcode), is_final))
}

fn text(payload: &str, is_final: bool) -> Message {
    frame(payload, Data::Text, is_final)
}

fn more(payload: impl Into<Vec<u8>>, is_final: bool) -> Message {
    frame(payload, Data::Continue, is_final)
}

/// Sends frames until the circle closes the connection; returns the close code.
fn code_after(wire: &mut WireClient, frames: impl IntoIterator<Item = Message>) -> u16 {
    for frame in frames {
        // The circle may close the connection before the last frame.
        if wire.socket.send(frame).is_err() {
            break;
        }
    }
    wire.close_code()
}

#[test]
fn invalid_messages_close_with_their_code() {
    let server = ServeProcess::start(&["--limit", "message_kib=4"]);
    let spaces = " ".repeat(3000);
    let cases: Vec<(&str, Vec<Message>, u16)> = vec![
        ("binary", vec![Message::binary(vec![1])], 1003),
        ("binary fragment", vec![frame(vec![1], Data::Binary, false)], 1003),
        ("invalid UTF-8", vec![frame(vec![0xff], Data::Text, true)], 1007),
        ("invalid UTF-8 over fragments", vec![frame(vec![0xc3], Data::Text, false), more(vec![0x28], true)], 1007),
        ("too large", vec![Message::text(" ".repeat(5000))], 1009),
        ("too large over fragments", vec![text(&spaces, false), more(spaces.clone(), true)], 1009),
        (
            "endless empty fragments",
            std::iter::once(text("", false)).chain((0..10_000).map(|_| more("", false))).collect(),
            1009,
        ),
        ("a continuation of nothing", vec![more("x", true)], 1002),
        ("a message within a message", vec![text("x", false), text("y", true)], 1002),
        ("a reserved opcode", vec![frame(vec![], Data::Reserved(3), true)], 1002),
    ];
    for (what, frames, code) in cases {
        assert_eq!(code_after(&mut server.connect(), frames), code, "{what}");
    }
    // The circle still serves others.
    assert_eq!(server.connect().value("1"), 1);
}

/// The header alone is enough; no payload arrives.
#[test]
fn oversized_frame_header_closes_at_once() {
    let server = ServeProcess::open();
    for header in [
        &b"\x81\xff\0\0\x01\0\0\0\0\0"[..],
        b"\x01\xff\0\0\0\0\x7f\xff\xff\xff",
        b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut wire = server.connect();
        wire.socket.get_mut().write_all(header).expect("taken");
        assert_eq!(wire.close_code(), 1009, "{header:?}");
    }
    let mut wire = server.connect();
    wire.socket.get_mut().write_all(b"\x89\xfe\0\xff").expect("taken");
    assert_eq!(wire.close_code(), 1002, "a ping of 255 bytes");
}

#[test]
fn message_of_maximum_size_is_accepted() {
    let server = ServeProcess::start(&["--limit", "message_kib=4"]);
    let mut wire = server.connect();
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"play","params":["40 + 2"]}"#;
    let padded = format!("{call}{}", " ".repeat(4096 - call.len()));
    assert_eq!(wire.exchange(&padded)["result"]["value"], 42);
}

#[test]
fn fragments_are_joined_around_control_frames() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"play","params":["`ä`"]}"#;
    let (start, end) = call.as_bytes().split_at(call.find('ä').expect("it is there") + 1);
    wire.socket.send(frame(start, Data::Text, false)).expect("taken");
    wire.socket.send(Message::Ping(b"now".to_vec().into())).expect("taken");
    assert_eq!(wire.socket.read().expect("a frame"), Message::Pong(b"now".to_vec().into()));
    wire.socket.send(more("", false)).expect("taken");
    wire.socket.send(more(end, true)).expect("taken");
    assert_eq!(wire.next()["result"]["value"], "ä");
}

#[test]
fn unmasked_frame_closes_with_1002() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.socket.get_mut().write_all(b"\x81\x02hi").expect("taken");
    assert_eq!(wire.close_code(), 1002);
}

#[test]
fn close_frame_is_answered() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.socket.close(None).expect("sent");
    wire.closed();
    let mut rest = Vec::new();
    wire.socket.get_mut().read_to_end(&mut rest).expect("the circle ends the connection");
}

#[test]
fn compression_is_not_negotiated() {
    let server = ServeProcess::open();
    let mut stream = std::net::TcpStream::connect(server.authority()).expect("it listens");
    write!(
        stream,
        "GET / HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n",
        server.authority()
    )
    .expect("taken");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a response");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("ASCII").to_lowercase();
    assert!(head.starts_with("http/1.1 101") && !head.contains("extensions"), "{head}");
    // RFC 6455 §1.3 contains this pair of key and accept value.
    assert!(head.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
}
