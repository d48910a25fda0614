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

    /// Derives the limit from the output limit that the circle states.
    pub(crate) fn set_stated(&self, output_kib: u64) {
        let output = usize::try_from(output_kib).unwrap_or(usize::MAX).saturating_mul(1024);
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

/// The error text for a message over the limit.
pub(crate) fn limit_message(size: usize, max: usize) -> String {
    let kib = |bytes: usize| bytes.div_ceil(1024);
    format!("the circle sent a message of {} KiB; this client accepts at most {} KiB", kib(size), kib(max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_limit_follows_stated_output_up_to_maximum() {
        let limit = MessageLimit::new();
        // (stated output_kib, the largest message)
        for (output_kib, max) in
            [(1, 7 * 1024 + ENVELOPE), (1024, 8 << 20), (100_000_000, MAX_MESSAGE), (u64::MAX, MAX_MESSAGE)]
        {
            limit.set_stated(output_kib);
            assert_eq!(limit.check(max), Ok(()), "{output_kib}");
            assert!(limit.check(max + 1).is_err(), "{output_kib}");
        }
        limit.set_stated(1);
        limit.forget_stated();
        assert_eq!(limit.check(MAX_MESSAGE), Ok(()));
        assert_eq!(
            limit.check(MAX_MESSAGE + 1),
            Err("the circle sent a message of 32769 KiB; this client accepts at most 32768 KiB".to_owned())
        );
    }
}
