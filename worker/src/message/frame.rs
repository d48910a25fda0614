//! Frames: a length of four bytes, little endian, followed by the message in postcard's encoding.

use std::io::{self, Read, Write};

use serde::{Serialize, de::DeserializeOwned};

/// Size of the length field before each message, in bytes.
pub(crate) const HEADER: usize = 4;

/// Appends a framed message to `frame`.
pub(crate) fn encode(message: &impl Serialize, frame: Vec<u8>) -> Vec<u8> {
    let start = frame.len();
    let mut frame = frame;
    frame.extend_from_slice(&[0; HEADER]);
    let mut frame = postcard::to_extend(message, frame).expect("postcard can encode all messages");
    let length = u32::try_from(frame.len() - start - HEADER).expect("messages are bounded by the limits of a worker");
    frame[start..start + HEADER].copy_from_slice(&length.to_le_bytes());
    frame
}

/// The payload length in a frame's header.
pub(crate) fn length(header: [u8; HEADER]) -> usize {
    u32::from_le_bytes(header) as usize
}

pub(crate) fn decode<T: DeserializeOwned>(payload: &[u8]) -> io::Result<T> {
    postcard::from_bytes(payload).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Like [`decode`], for a message that borrows from its payload.
pub(crate) fn decode_borrowed<'a, T: serde::Deserialize<'a>>(payload: &'a [u8]) -> io::Result<T> {
    postcard::from_bytes(payload).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Splits the first frame off: its payload, and the bytes after it. `None` if the frame is not complete.
pub(crate) fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
    rest.split_at_checked(length(*header))
}

/// Whether the bytes begin with a complete frame.
pub(crate) fn is_complete(bytes: &[u8]) -> bool {
    split(bytes).is_some()
}

/// Reads the payload of one frame into `buffer`. Returns false if the stream ends between frames.
pub(crate) fn read_frame(mut from: impl Read, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut header = [0; HEADER];
    let first = loop {
        match from.read(&mut header) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    if first == 0 {
        return Ok(false);
    }
    from.read_exact(&mut header[first..])?;
    buffer.clear();
    let payload_length = length(header);
    // The buffer grows with the data that arrives, not by the length that the header claims.
    if from.take(payload_length as u64).read_to_end(buffer)? < payload_length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(true)
}

/// Writes a framed message with a single call.
pub(crate) fn write_frame(mut to: impl Write, message: &impl Serialize, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut frame = std::mem::take(buffer);
    frame.clear();
    *buffer = encode(message, frame);
    to.write_all(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::worker::{FromControl, FromWorker, ToControl};

    #[test]
    fn frames_are_read_in_sequence() {
        let frames = encode(&ToControl::Progress, encode(&ToControl::Stop { play: 7 }, Vec::new()));
        let mut from = frames.as_slice();
        let mut buffer = Vec::new();
        assert!(read_frame(&mut from, &mut buffer).expect("a frame"));
        assert!(matches!(decode(&buffer), Ok(ToControl::Stop { play: 7 })));
        assert!(read_frame(&mut from, &mut buffer).expect("a frame"));
        assert!(matches!(decode(&buffer), Ok(ToControl::Progress)));
        assert!(!read_frame(&mut from, &mut buffer).expect("the end"));
        assert!(is_complete(&frames) && !is_complete(&frames[..HEADER]) && !is_complete(&[]));
    }

    proptest::proptest! {
        /// A worker may be compromised by its script.
        #[test]
        fn decode_of_any_bytes_never_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            drop(decode::<FromWorker>(&bytes));
            drop(decode::<FromControl>(&bytes));
            drop(read_frame(bytes.as_slice(), &mut Vec::new()));
        }
    }

    #[test]
    fn truncated_frame_is_an_error() {
        let frame = encode(&ToControl::Stop { play: 7 }, Vec::new());
        for end in 1..frame.len() {
            assert!(read_frame(&frame[..end], &mut Vec::new()).is_err(), "{end}");
        }
    }
}
