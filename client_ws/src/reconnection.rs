//! Automatic reconnection.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::future;

use crate::{
    ClientError, Notice,
    client::{Connection, Shared},
    request_channel::EndReason,
    transport::platform,
};

/// The close code for a connection that did not authenticate in time, among others.
const POLICY_VIOLATION: u16 = 1008;

/// The policy of a client that reconnects after the loss of its connection.
///
/// The client verifies the circle's identity at each connection, by the rules of its builder. In addition, it expects a
/// persistent identity that the circle has shown before. It authenticates with the same key as before.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use client_ws::{CircleWsClient, ReconnectPolicy};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let policy = ReconnectPolicy::default().max_delay(Duration::from_secs(60)).max_attempts(20);
/// let client = CircleWsClient::builder("ws://127.0.0.1:9001").reconnect(policy).build()?;
/// # drop(client);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReconnectPolicy {
    min_delay: Duration,
    max_delay: Duration,
    max_attempts: Option<u32>,
}

impl Default for ReconnectPolicy {
    /// Delays between 250 milliseconds and 10 seconds, and no limit of attempts.
    fn default() -> Self {
        Self { min_delay: Duration::from_millis(250), max_delay: Duration::from_secs(10), max_attempts: None }
    }
}

impl ReconnectPolicy {
    /// Sets the delay before the first attempt. Each delay is twice as long as the one before; a random part of up to
    /// half of it is left out, so that not all clients of a circle come back at once.
    #[must_use]
    pub fn min_delay(mut self, delay: Duration) -> Self {
        self.min_delay = delay;
        self
    }

    /// Sets the longest delay between attempts.
    #[must_use]
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// Sets the number of attempts after which the client gives up.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// The delay before an attempt, counted from 0. `random` is uniform over all values.
    fn delay(&self, attempt: u32, random: u32) -> Duration {
        let full = self.min_delay.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(self.max_delay);
        full.saturating_sub((full / 2).mul_f64(f64::from(random) / f64::from(u32::MAX)))
    }
}

/// Keeps a client connected, until it disconnects, is dropped, or gives up.
pub(crate) async fn run(client: Weak<Shared>, policy: ReconnectPolicy, mut connection: Arc<Connection>) {
    loop {
        let (reason, unanswered) = connection.ended().await;
        let Some(shared) = client.upgrade().filter(|shared| shared.is_current(&connection)) else { break };
        let (code, reason) = match reason {
            EndReason::Closed => break,
            EndReason::Lost { code: Some(POLICY_VIOLATION), .. } | EndReason::NotACircle { .. }
                if connection.authenticated().is_none() =>
            {
                shared.give_up(&connection, &connection.requests.end_error());
                break;
            }
            EndReason::Lost { code, reason } => (code, reason),
            EndReason::NotACircle { reason } => (None, reason),
        };
        shared.notices().push(Notice::ConnectionLost { code, reason, unanswered });
        drop(shared);
        match reconnect(&client, policy, &connection).await {
            Some(Ok(newer)) => connection = newer,
            Some(Err(error)) => {
                if let Some(shared) = client.upgrade() {
                    shared.give_up(&connection, &error);
                }
                break;
            }
            None => break,
        }
    }
}

/// Reconnects, and puts the new connection in the place of the lost one. Returns `None` if the client no longer wants
/// it, and an error if it gives up.
async fn reconnect(
    client: &Weak<Shared>,
    policy: ReconnectPolicy,
    lost: &Arc<Connection>,
) -> Option<Result<Arc<Connection>, ClientError>> {
    let mut attempt = 0;
    loop {
        let delay = policy.delay(attempt, getrandom::u32().unwrap_or(0));
        platform::timeout(delay, future::pending::<()>()).await;
        attempt = attempt.saturating_add(1);
        // The client may be dropped while it waits, and must not be kept alive.
        let shared = client.upgrade().filter(|shared| shared.is_current(lost))?;
        match shared.reopen(lost).await {
            Ok(newer) => {
                let newer = Arc::new(newer);
                if !shared.replace_lost(lost, newer.clone(), attempt) {
                    newer.requests.close();
                    return None;
                }
                return Some(Ok(newer));
            }
            Err(error) if is_final(&error) || policy.max_attempts.is_some_and(|max| attempt >= max) => {
                return Some(Err(error));
            }
            Err(_) => {}
        }
    }
}

/// Whether another attempt would fail in the same way, or must not be made: the client does not trust the circle, or
/// the circle does not admit the key.
fn is_final(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. }
        | ClientError::ConnectionLost { .. }
        | ClientError::TimedOut { .. }
        | ClientError::NotConnected
        // A program in the circle's place for a moment, such as a proxy while the circle restarts.
        | ClientError::NotACircle { .. }
        | ClientError::NotUpgraded { .. }
        | ClientError::Random(_) => false,
        ClientError::Refused { status, .. } => !matches!(status, 429 | 503),
        ClientError::Rpc(error) => !matches!(
            error,
            protocol::RpcError::RateLimited { .. } | protocol::RpcError::Busy { .. } | protocol::RpcError::ShuttingDown
        ),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_doubles_up_to_maximum_and_is_spread() {
        let policy = ReconnectPolicy::default();
        let milliseconds = |attempt, random| policy.delay(attempt, random).as_millis();
        assert_eq!(
            [0, 1, 2, 6, 40, u32::MAX].map(|attempt| milliseconds(attempt, 0)),
            [250, 500, 1000, 10_000, 10_000, 10_000]
        );
        assert_eq!(milliseconds(0, u32::MAX), 125);
        assert_eq!(milliseconds(40, u32::MAX), 5000);
    }
}
