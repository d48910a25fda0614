//! The size budget of an answer.

use crate::message::ENTRY_COST;

/// The remaining bytes of an answer within the output limit.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) left: u64,
}

impl Budget {
    /// Takes the bytes of one entry. Returns false if the budget is too small.
    pub(super) fn take(&mut self, texts: &[&str]) -> bool {
        self.take_bytes(ENTRY_COST + texts.iter().map(|text| text.len()).sum::<usize>())
    }

    /// Takes a number of bytes. Returns false if the budget is too small.
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
