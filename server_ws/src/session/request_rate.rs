//! The request rate of a session: which requests count towards the limit of its caller, and what happens after a
//! refusal.

use std::time::Duration;

use protocol::RpcError;
use tokio::time::{Instant, sleep_until};

use super::{
    Session,
    inbound::{Message, Messages},
};
use crate::quota::{Caller, Slot};

/// The number of a stranger's requests on each connection that do not count: enough to identify, describe and
/// authenticate. So a stranger who uses up the limit of an address does not lock out others at that address.
const FREE_REQUESTS: u32 = 8;

/// How long a session does not read after it has refused a request of a stranger. The wait for the next free request
/// would be too short, because other connections of the address wait for the same one.
const REFUSAL_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct RequestRate {
    /// The number of free requests used.
    free: u32,
    paused_until: Option<Instant>,
}

impl RequestRate {
    /// Waits for the next message of the client, after any pause. Cancel safe.
    pub(super) async fn next(&mut self, slot: &Slot, messages: &mut Messages) -> Option<Message> {
        slot.ready_for_request().await;
        if let Some(until) = self.paused_until {
            sleep_until(until).await;
            self.paused_until = None;
        }
        messages.next().await
    }
}

impl Session {
    /// Returns the caller of the session's current request.
    pub(crate) fn caller(&self) -> Caller {
        self.circle.caller(self.auth.identity(), self.address)
    }

    /// Counts a request towards the limit of its caller.
    ///
    /// # Errors
    ///
    /// The caller has used up its requests per minute. If the caller is a stranger, the session then pauses reading,
    /// because refusing a request costs nearly as much as answering it, and a stranger has nothing to cancel.
    pub(crate) fn count_request(&mut self) -> Result<(), RpcError> {
        let is_stranger = !self.is_admitted();
        if is_stranger && self.request_rate.free < FREE_REQUESTS {
            self.request_rate.free += 1;
            return Ok(());
        }
        if self.circle.rate_limit.is_unlimited(is_stranger) {
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
