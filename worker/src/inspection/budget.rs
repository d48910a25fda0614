//! How large an answer may be.

use crate::message::ENTRY_COST;

/// Counts the bytes of an answer against the output limit.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) left: u64,
}

impl Budget {
    /// Takes the room for one entry; false if there is not enough.
    pub(super) fn take(&mut self, texts: &[&str]) -> bool {
        self.take_bytes(ENTRY_COST + texts.iter().map(|text| text.len()).sum::<usize>())
    }

    /// The same, for one whose bytes are counted already.
    pub(super) fn take_bytes(&mut self, bytes: usize) -> bool {
        match self.left.checked_sub(bytes as u64) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}
