//! The limit for the size of the circle's messages.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Maximum size of a message, in bytes, whatever limit the circle states.
pub(crate) const MAX_MESSAGE: usize = 32 << 20;

/// Maximum ratio of the size of a message to that of its output: a value is included as text and as JSON, where one
/// byte of text can take six (see "Transport" in `docs/protocol.md`).
const OUTPUT_FACTOR: usize = 7;

/// Allowance, in bytes, for what a circle's output limit does not count, such as the names of its modules.
const ENVELOPE: usize = 1 << 20;

/// The message limit of one connection. Clones share the limit.
#[derive(Debug, Clone)]
pub(crate) struct MessageLimit(Arc<AtomicUsize>);

impl MessageLimit {
    /// Creates the limit that applies until the circle states its own.
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(MAX_MESSAGE)))
    }

    /// Derives the limit from the limits that the circle states: of the output of a play, and of the changes of a
    /// transaction, which one event of a subscription has together.
    pub(crate) fn set_stated(&self, output_kib: u64, store_kib: u64) {
        let kib = output_kib.saturating_add(store_kib);
        let output = usize::try_from(kib).unwrap_or(usize::MAX).saturating_mul(1024);
        let stated = output.saturating_mul(OUTPUT_FACTOR).saturating_add(ENVELOPE).min(MAX_MESSAGE);
        self.0.store(stated, Ordering::Relaxed);
    }

    /// Forgets the stated limit: a fresh environment can have another output limit.
    pub(crate) fn forget_stated(&self) {
        self.0.store(MAX_MESSAGE, Ordering::Relaxed);
    }

    /// Checks the size of a message. The error is a text for the user.
    pub(crate) fn check(&self, size: usize) -> Result<(), String> {
        let max = self.0.load(Ordering::Relaxed);
        if size > max { Err(limit_message(size, max)) } else { Ok(()) }
    }
}

/// The beginning of the error text for a message over the limit.
const LIMIT_MESSAGE: &str = "the circle sent a message of ";

/// Whether a text is the error text for a message over the limit.
pub(crate) fn is_limit_message(text: &str) -> bool {
    text.starts_with(LIMIT_MESSAGE)
}

/// The error text for a message over the limit.
pub(crate) fn limit_message(size: usize, max: usize) -> String {
    let kib = |bytes: usize| bytes.div_ceil(1024);
    format!("{LIMIT_MESSAGE}{} KiB; this client accepts at most {} KiB", kib(size), kib(max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_limit_follows_stated_output_up_to_maximum() {
        let limit = MessageLimit::new();
        // (stated output_kib and store_kib, the largest message)
        for (output_kib, store_kib, max) in [
            (1, 0, 7 * 1024 + ENVELOPE),
            (1024, 0, 8 << 20),
            (1024, 1024, 15 << 20),
            (100_000_000, 1, MAX_MESSAGE),
            (u64::MAX, u64::MAX, MAX_MESSAGE),
        ] {
            limit.set_stated(output_kib, store_kib);
            assert_eq!(limit.check(max), Ok(()), "{output_kib}");
            assert!(limit.check(max + 1).is_err(), "{output_kib}");
        }
        limit.set_stated(1, 0);
        limit.forget_stated();
        assert_eq!(limit.check(MAX_MESSAGE), Ok(()));
        assert_eq!(
            limit.check(MAX_MESSAGE + 1),
            Err("the circle sent a message of 32769 KiB; this client accepts at most 32768 KiB".to_owned())
        );
    }
}
