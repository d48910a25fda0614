//! The pauses between attempts to reconnect.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use tokio::time::Instant;

use super::{core::Core, pending::RetryState};

/// The pause before the first reconnection attempt. Each pause is twice as long as the one before.
pub(super) const MIN_BACKOFF: Duration = Duration::from_millis(250);

const MAX_BACKOFF: Duration = Duration::from_secs(10);

impl Core {
    pub(super) fn schedule_retry(&mut self) {
        if !self.reconnection.is_kept {
            return;
        }
        let backoff =
            self.reconnection.retry.as_ref().map_or(MIN_BACKOFF, |retry| (retry.backoff * 2).min(MAX_BACKOFF));
        let is_expected = self.is_starting();
        self.reconnection.retry =
            Some(RetryState { at: Some(Instant::now() + jitter(backoff)), backoff, is_starting: is_expected });
    }
}

/// Returns between half and all of a pause, so that clients do not reconnect to a restarted circle all at once.
fn jitter(backoff: Duration) -> Duration {
    let random = RandomState::new().hash_one(()) % 512;
    backoff / 2 + backoff * u32::try_from(random).unwrap_or(0) / 1024
}
