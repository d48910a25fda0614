//! The rate of a session's requests: what counts towards the limit of its caller, and what a stranger's refusal costs.

use std::time::Duration;

use protocol::RpcError;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{Session, inbound::Inbound};
use crate::quota::Caller;

/// Requests of a stranger that do not count, in each connection: enough to identify, describe and authenticate. So a
/// stranger who uses up the limit of an address locks out nobody else at the address.
const FREE_REQUESTS: u32 = 8;

/// The time for which a session does not read after it has refused a request of a stranger. Other connections of the address
/// wait for the same request of the bucket, so the time until there is one would be too short.
const REFUSAL_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct RequestRate {
    /// Free requests that were made.
    free: u32,
    paused_until: Option<Instant>,
}

impl RequestRate {
    /// Waits for what the client sends next, and before that until the session reads again. Cancel safe.
    pub(super) async fn next(&mut self, inbound: &mut mpsc::Receiver<Inbound>) -> Option<Inbound> {
        if let Some(until) = self.paused_until {
            sleep_until(until).await;
            self.paused_until = None;
        }
        inbound.recv().await
    }
}

impl Session {
    /// The caller of what the session is asked for now.
    pub(super) fn caller(&self) -> Caller {
        self.auth.identity().map_or_else(|| Caller::anonymous(self.address), Caller::Key)
    }

    /// Counts a request towards the limit of its caller.
    ///
    /// # Errors
    ///
    /// The caller has made as many requests as one may in a minute. After that a session reads nothing of a stranger for a
    /// moment: to refuse a request costs nearly as much as to answer it, and a stranger has nothing to cancel.
    pub(crate) fn count_request(&mut self) -> Result<(), RpcError> {
        let is_stranger = !self.is_admitted();
        if is_stranger && self.request_rate.free < FREE_REQUESTS {
            self.request_rate.free += 1;
            return Ok(());
        }
        let now = Instant::now();
        let taken = self.circle.rate_limit.take(self.caller(), is_stranger, now);
        if taken.is_err() {
            self.counts.count_rate_limited();
            if is_stranger {
                self.request_rate.paused_until = Some(now + REFUSAL_PAUSE);
            }
        }
        taken
    }
}
