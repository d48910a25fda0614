//! The end of the head of a request of HTTP/1, in bytes as they arrive.

/// Bytes that the head of a request may have.
pub(super) const MAX_HEAD: usize = 16 << 10;

/// What has arrived of the head of a request.
#[derive(Debug, Default)]
pub(super) struct RequestHead {
    length: usize,
    /// Whether anything but line ends has arrived. Empty lines before a request are no end (RFC 9112 §2.2).
    has_begun: bool,
    /// Whether the last byte, but for carriage returns, was a line feed.
    is_line_start: bool,
    is_complete: bool,
}

impl RequestHead {
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Takes the bytes of the head from the bytes that follow. Returns how many they are; `None` where the head is too long.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut taken = 0;
        for byte in bytes {
            if self.is_complete {
                break;
            }
            taken += 1;
            match byte {
                b'\n' if self.is_line_start && self.has_begun => self.is_complete = true,
                b'\n' => self.is_line_start = true,
                b'\r' => {}
                _ => (self.has_begun, self.is_line_start) = (true, false),
            }
        }
        self.length += taken;
        (self.length <= MAX_HEAD).then_some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes are of the head, where they arrive in pieces of that length.
    fn taken(bytes: &[u8], piece: usize) -> Option<usize> {
        let mut head = RequestHead::default();
        let mut sum = 0;
        for piece in bytes.chunks(piece) {
            sum += head.take(piece)?;
        }
        Some(sum)
    }

    #[test]
    fn head_ends_with_an_empty_line_however_it_arrives() {
        for (head, rest) in [
            ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"),
            ("\r\n\r\nGET / HTTP/1.1\n\n", "\n\n"),
            ("GET / HTTP/1.1\r\n\n", "x"),
            ("GET / HTTP/1.1\n\r\n", ""),
        ] {
            let bytes = [head, rest].concat();
            for piece in 1..=bytes.len() {
                assert_eq!(taken(bytes.as_bytes(), piece), Some(head.len()), "{bytes:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn head_is_bounded() {
        assert_eq!(taken(&vec![b'a'; MAX_HEAD], 1000), Some(MAX_HEAD));
        assert_eq!(taken(&vec![b'a'; MAX_HEAD + 1], 1000), None);
        assert_eq!(taken(&vec![b'\n'; MAX_HEAD + 1], 1000), None);
    }
}
