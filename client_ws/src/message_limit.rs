//! How large a message of the circle may be.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Bytes of one message from a circle, whatever the circle states.
pub(crate) const MAX_MESSAGE: usize = 32 << 20;

/// How many times its output a message can be: a value is there as text and as JSON, and one byte of text can
/// take six in JSON (see "Transport" in `docs/protocol.md`).
const OUTPUT_FACTOR: usize = 7;

/// Bytes of a message beside the output: what the output limit of a circle does not count, such as the names of its modules.
const ENVELOPE: usize = 1 << 20;

/// The limit that holds for the messages of one connection. Clones share the limit.
#[derive(Debug, Clone)]
pub(crate) struct MessageLimit(Arc<AtomicUsize>);

impl MessageLimit {
    /// The limit before the circle has stated its own.
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(MAX_MESSAGE)))
    }

    /// Takes over what the circle states as its limit of output.
    pub(crate) fn set_stated(&self, output_kib: u64) {
        let output = usize::try_from(output_kib).unwrap_or(usize::MAX).saturating_mul(1024);
        let stated = output.saturating_mul(OUTPUT_FACTOR).saturating_add(ENVELOPE).min(MAX_MESSAGE);
        self.0.store(stated, Ordering::Relaxed);
    }

    /// Forgets what the circle has stated: a fresh environment can have another limit of output.
    pub(crate) fn forget_stated(&self) {
        self.0.store(MAX_MESSAGE, Ordering::Relaxed);
    }

    /// Refuses a message of that many bytes if it is over the limit. The error says so.
    pub(crate) fn check(&self, size: usize) -> Result<(), String> {
        let max = self.0.load(Ordering::Relaxed);
        if size > max { Err(limit_message(size, max)) } else { Ok(()) }
    }
}

/// What is to be said of a message over the limit.
pub(crate) fn limit_message(size: usize, max: usize) -> String {
    let kib = |bytes: usize| bytes.div_ceil(1024);
    format!("the circle sent a message of {} KiB, and this client takes {} KiB from the circle", kib(size), kib(max))
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
            Err("the circle sent a message of 32769 KiB, and this client takes 32768 KiB from the circle".to_owned())
        );
    }
}
