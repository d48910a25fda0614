//! Bytes that a socket has not accepted yet.

use bytes::{Buf, Bytes};

/// The size of a buffer in bytes that may stay in memory as a whole until the socket has accepted the last of it.
const SMALL_BUFFER: usize = 16 << 10;

/// The bytes of a buffer that the socket has not accepted yet.
pub(super) struct UnsentBytes {
    bytes: Bytes,
    /// The size of the buffer that holds the bytes.
    buffer: usize,
}

impl UnsentBytes {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { buffer: bytes.len(), bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// Removes bytes that the socket has accepted.
    pub(super) fn advance(&mut self, accepted: usize) {
        self.bytes.advance(accepted);
        if self.buffer > SMALL_BUFFER && self.bytes.len() <= self.buffer / 2 {
            // Otherwise the whole buffer would stay in memory until a stalled client has read the last of it.
            *self = Self::new(Bytes::copy_from_slice(&self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsent_bytes_are_complete_and_keep_at_most_twice_their_size() {
        let text: Vec<u8> = (0..5 * SMALL_BUFFER + 7).map(|byte| u8::try_from(byte % 251).expect("a byte")).collect();
        let mut unsent = UnsentBytes::new(text.clone().into());
        let mut joined = Vec::new();
        while !unsent.is_empty() {
            assert!(unsent.buffer <= (2 * unsent.as_slice().len()).max(SMALL_BUFFER));
            let accepted = unsent.as_slice().len().min(1000);
            joined.extend_from_slice(&unsent.as_slice()[..accepted]);
            unsent.advance(accepted);
        }
        assert_eq!(joined, text);
    }
}
