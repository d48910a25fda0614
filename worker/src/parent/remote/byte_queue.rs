//! A bounded queue of bytes.

use std::collections::VecDeque;

/// The capacity that an empty queue keeps, in bytes: most messages are shorter.
const KEPT_CAPACITY: usize = 1 << 10;

/// A queue of at most a number of bytes.
#[derive(Debug)]
pub(super) struct ByteQueue {
    bytes: VecDeque<u8>,
    max: usize,
}

impl ByteQueue {
    pub(super) fn new(max: usize) -> Self {
        Self { bytes: VecDeque::new(), max }
    }

    /// Appends as many bytes as fit. Returns their number.
    pub(super) fn push(&mut self, bytes: &[u8]) -> usize {
        let fitting = &bytes[..bytes.len().min(self.max - self.bytes.len())];
        self.bytes.extend(fitting);
        fitting.len()
    }

    /// Passes the first bytes, at most `max`, to `take` in one or two parts, and removes them. Returns their number.
    pub(super) fn pop(&mut self, max: usize, mut take: impl FnMut(&[u8])) -> usize {
        let (first, second) = self.bytes.as_slices();
        let first = &first[..first.len().min(max)];
        let second = &second[..second.len().min(max - first.len())];
        let count = first.len() + second.len();
        [first, second].into_iter().filter(|part| !part.is_empty()).for_each(&mut take);
        self.bytes.drain(..count);
        if self.bytes.is_empty() {
            self.bytes.shrink_to(KEPT_CAPACITY);
        }
        count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() == self.max
    }

    /// Discards all bytes.
    pub(super) fn clear(&mut self) {
        self.bytes = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_is_bounded_and_keeps_order() {
        let mut queue = ByteQueue::new(5);
        assert_eq!((queue.push(b"abc"), queue.push(b"defg"), queue.push(b"h")), (3, 2, 0));
        assert!(queue.is_full());
        let mut all = Vec::new();
        assert_eq!(queue.pop(2, |part| all.extend_from_slice(part)), 2);
        // The rest and the new bytes are in two parts of the ring.
        assert_eq!(queue.push(b"fgh"), 2);
        assert_eq!(queue.pop(9, |part| all.extend_from_slice(part)), 5);
        assert_eq!((all.as_slice(), queue.is_empty()), (&b"abcdefg"[..], true));
        assert_eq!(queue.pop(9, |_| unreachable!("it is empty")), 0);
    }
}
