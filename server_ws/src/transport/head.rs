//! The detection of the end of an HTTP/1 request head, in bytes as they arrive.

/// The maximum length of a request head in bytes.
pub(super) const MAX_HEAD: usize = 16 << 10;

/// The state of a request head that is arriving.
#[derive(Debug, Default)]
pub(super) struct RequestHead {
    length: usize,
    /// Whether anything but line ends has arrived. Empty lines before a request do not end it (RFC 9112 §2.2).
    has_begun: bool,
    /// Whether the last byte, not counting carriage returns, was a line feed.
    is_line_start: bool,
    is_complete: bool,
}

impl RequestHead {
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Consumes the bytes of the head from `bytes`. Returns how many they are; `None` if the head is too long.
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

    /// Returns how many bytes belong to the head if they arrive in chunks of this length.
    fn taken(bytes: &[u8], chunk_length: usize) -> Option<usize> {
        let mut head = RequestHead::default();
        let mut sum = 0;
        for chunk in bytes.chunks(chunk_length) {
            sum += head.take(chunk)?;
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
            for length in 1..=bytes.len() {
                assert_eq!(taken(bytes.as_bytes(), length), Some(head.len()), "{bytes:?} in chunks of {length}");
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
