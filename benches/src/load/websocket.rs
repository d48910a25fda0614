//! The client's side of WebSocket (RFC 6455), as far as the load generator needs it.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use crate::BoxError;

/// The mask of all frames of the client. Servers unmask with any mask alike.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The bit of the length that announces a mask.
const MASKED: u8 = 0x80;

/// The lengths that announce a longer one in the next bytes.
const LENGTH_OF_2_BYTES: u8 = 0x7e;
const LENGTH_OF_8_BYTES: u8 = 0x7f;

/// A final text frame.
pub(super) const TEXT: u8 = 0x81;

const PING: u8 = 0x89;

/// The answer to a ping.
pub(super) const PONG: u8 = 0x8a;

/// A frame of the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    Text(&'a [u8]),
    Ping(&'a [u8]),
    Pong,
}

/// Upgrades a connection, and reads the server's response up to its end.
pub(super) fn upgrade(stream: &mut TcpStream) -> Result<(), BoxError> {
    let authority = stream.peer_addr()?;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut response = Vec::new();
    let mut chunk = [0; 1024];
    // A server sends nothing after its response until it gets a request.
    while !response.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Err("the connection ended during the upgrade".into());
        }
        response.extend_from_slice(&chunk[..count]);
    }
    if response.starts_with(b"HTTP/1.1 101 ") {
        return Ok(());
    }
    Err(format!("no upgrade: {}", String::from_utf8_lossy(&response)).into())
}

/// Appends a masked frame.
pub(super) fn append_frame(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    match u16::try_from(payload.len()) {
        Ok(length @ 0..=125) => out.push(MASKED | length.to_le_bytes()[0]),
        Ok(length) => {
            out.push(MASKED | LENGTH_OF_2_BYTES);
            out.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            out.push(MASKED | LENGTH_OF_8_BYTES);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// Takes the first frame of the input, and the number of its bytes; none if the frame is incomplete.
pub(super) fn first_frame(input: &[u8]) -> Result<Option<(usize, Frame<'_>)>, BoxError> {
    let &[kind, short, ..] = input else { return Ok(None) };
    let (header, length): (usize, usize) = match short {
        LENGTH_OF_2_BYTES => match input.get(2..4) {
            Some(bytes) => (4, usize::from(u16::from_be_bytes(bytes.try_into()?))),
            None => return Ok(None),
        },
        LENGTH_OF_8_BYTES => match input.get(2..10) {
            Some(bytes) => (10, usize::try_from(u64::from_be_bytes(bytes.try_into()?))?),
            None => return Ok(None),
        },
        0..LENGTH_OF_2_BYTES => (2, usize::from(short)),
        MASKED.. => return Err("the server masked a frame".into()),
    };
    let end = header.checked_add(length).ok_or("a frame has no end")?;
    let Some(payload) = input.get(header..end) else { return Ok(None) };
    let frame = match kind {
        TEXT => Frame::Text(payload),
        PING => Frame::Ping(payload),
        PONG => Frame::Pong,
        0x88 => {
            let (code, reason) = payload.split_at(payload.len().min(2));
            return Err(format!("the server closed: {code:?} {}", String::from_utf8_lossy(reason)).into());
        }
        _ => return Err(format!("the server sent a frame that starts with {kind:#x}").into()),
    };
    Ok(Some((end, frame)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Removes the mask of a client's frame, as a server would send it.
    fn unmasked(payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        append_frame(TEXT, payload, &mut frame);
        let mask_at = frame.len() - payload.len() - MASK.len();
        frame[1] &= 0x7f;
        let masked = frame.split_off(mask_at + MASK.len());
        frame.truncate(mask_at);
        frame.extend(masked.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    #[test]
    fn frames_of_every_length_survive() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let frame = unmasked(&payload);
            let (end, read) = first_frame(&frame).expect("valid").expect("complete");
            assert_eq!((end, read), (frame.len(), Frame::Text(&payload)), "{length}");
            for cut in 0..frame.len().min(20) {
                assert_eq!(first_frame(&frame[..cut]).expect("valid"), None, "{length}, {cut}");
            }
        }
    }

    #[test]
    fn close_and_fragments_are_errors() {
        let closed = first_frame(&[0x88, 4, 3, 0xe8, b'n', b'o']).expect_err("a close");
        assert!(closed.to_string().ends_with("[3, 232] no"), "{closed}");
        assert!(first_frame(&[0x01, 1, b'x']).is_err(), "a fragment");
        assert!(first_frame(&[TEXT, 0x81, 0, 0, 0, 0, 0]).is_err(), "a mask");
    }
}
