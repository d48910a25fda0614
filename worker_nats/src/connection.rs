//! The connection to NATS.
//!
//! [`connect`] makes one attempt and says what is wrong; the caller decides whether to try again
//! ([`ConnectError::is_transient`]). Once connected, the NATS client reconnects without end, each time with the secret and
//! the certificates that the files have then. [`Connection::status`] says
//! how it is, and [`Connection::number`] how often it has connected: a new number means that messages in both directions
//! may have been lost.
//!
//! What the caller has to know of the NATS client:
//!
//! - While it has no connection, `publish` succeeds until its queue is full, and then waits. So publish only while
//!   [`Connection::is_connected`].
//! - A message that finds a subscription full is lost without a reliable event, so never wait for anything but the
//!   subscription where it is read.
//! - NATS reports missing permissions after the operation, without ending the connection
//!   ([`Connection::check_permissions`], [`Status::violation`]).
//! - Log events of the target `async_nats` below WARN are one for each event of the connection. Filter them.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use async_nats::{Client, Event, Message, RequestErrorKind, Statistics, StatusCode, connection::State};
use tokio::{sync::watch, time::timeout};
use tokio_rustls::rustls::crypto::ring;

use crate::{config::NatsConfig, server::NatsTraffic, wire::MAX_PAYLOAD};

mod authentication;
mod error;
mod status;

pub use error::{ConnectError, PermissionError, TlsFault};
pub use status::Status;
pub(crate) use status::{log_connection, log_refusal, printable};

/// Time for the event of a missing permission to pass from the client's task to its observer.
const VIOLATION_DELAY: Duration = Duration::from_millis(100);

/// Number of messages that wait in a subscription before others are lost. Links send again what is lost; the memory for
/// messages that nobody reads in time is more important.
const SUBSCRIPTION_CAPACITY: usize = 1024;

/// Maximum delay before an attempt to reconnect.
pub(crate) const MAX_RECONNECT_DELAY: Duration = Duration::from_millis(500);

/// The timeouts of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionTimeouts {
    /// Time to connect to one address of a server.
    pub connect: Duration,
    /// Interval of pings. The client gives a connection up that has not answered two of them.
    pub ping: Duration,
    /// Time to wait for the answer to a request.
    pub request: Duration,
}

impl Default for ConnectionTimeouts {
    fn default() -> Self {
        let one_second = Duration::from_secs(1);
        Self { connect: one_second, ping: one_second, request: Duration::from_secs(2) }
    }
}

/// What a connection is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionOptions {
    /// The name that the monitoring of the NATS server shows.
    pub name: String,
    /// The subject below which answers to requests arrive. NATS permissions can confine it to a circle.
    pub inbox_prefix: String,
    /// The timeouts.
    pub timeouts: ConnectionTimeouts,
}

/// A connection to NATS. Dropping it and all clones of its client ends it.
#[derive(Debug)]
pub struct Connection {
    client: Client,
    statistics: Arc<Statistics>,
    status: watch::Receiver<Status>,
    servers: usize,
    /// The number of servers in lame duck mode that this side has left.
    lame_ducks_left: u64,
}

/// Connects to one of the servers. If the process has no default provider of rustls, it installs that of ring.
///
/// # Errors
///
/// Returns a [`ConnectError`] if the files of the settings are not valid, or if no server accepts the connection; then
/// with the error of the last one.
pub async fn connect(config: &NatsConfig, options: ConnectionOptions) -> Result<Connection, ConnectError> {
    let read = tokio::task::spawn_blocking({
        let config = config.clone();
        move || config.read_files()
    });
    // The client takes the provider of the process, and would panic in a program that links two and has installed none.
    let _already_installed = ring::default_provider().install_default();
    let secret = read.await.map_err(|error| ConnectError::other(config, &error))??;
    let ConnectionOptions { name, inbox_prefix, timeouts } = options;
    let (status_sender, status) = watch::channel(Status::default());
    let mut client = authentication::options(config, status_sender.clone())
        .name(name)
        .custom_inbox_prefix(inbox_prefix)
        .connection_timeout(timeouts.connect)
        .ping_interval(timeouts.ping)
        .request_timeout(Some(timeouts.request))
        .reconnect_delay_callback(reconnect_delay)
        // A server names others before TLS begins, so anybody on the way could name one without TLS.
        .ignore_discovered_servers()
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .require_tls(config.requires_tls())
        .event_callback(move |event| {
            status_sender.send_modify(|status| status.apply(&event));
            std::future::ready(())
        });
    if let Some(ca) = config.ca() {
        // Not as a TLS configuration of ours: with that, the client would need the CAs of the system, too.
        client = client.add_root_certificates(ca.to_owned());
    }
    if let Some((cert, key)) = config.client_certificate() {
        client = client.add_client_certificate(cert.to_owned(), key.to_owned());
    }
    let servers = config.server_addresses();
    // The client bounds each attempt, but not the resolution of names.
    let count = u32::try_from(servers.len()).unwrap_or(u32::MAX).saturating_add(1);
    let all_timeout = timeouts.connect.saturating_mul(count).saturating_mul(2);
    // The future of the client is large.
    let client = match timeout(all_timeout, Box::pin(client.connect(servers))).await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return Err(ConnectError::classify(config, &secret, &error)),
        Err(_) => return Err(ConnectError::TimedOut { servers: config.servers() }),
    };
    let connection =
        Connection { statistics: client.statistics(), client, status, servers: servers.len(), lame_ducks_left: 0 };
    match connection.payload_limit() {
        Some(max_payload) => Err(ConnectError::SmallPayload { servers: config.servers(), max_payload }),
        None => Ok(connection),
    }
}

impl Connection {
    /// The NATS client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// How often the client has connected, from 1.
    pub fn number(&self) -> u64 {
        self.statistics.connects.load(Relaxed)
    }

    /// What has passed the connections of the client.
    pub(crate) fn traffic(&self) -> NatsTraffic {
        let Statistics { in_messages, in_bytes, out_messages, out_bytes, .. } = &*self.statistics;
        let [messages_in, bytes_in, messages_out, bytes_out] =
            [in_messages, in_bytes, out_messages, out_bytes].map(|counter| counter.load(Relaxed));
        NatsTraffic { messages_in, bytes_in, messages_out, bytes_out }
    }

    /// The number of times that a message found its subscription full, and was lost.
    pub(crate) fn full_subscriptions(&self) -> u64 {
        self.status.borrow().full_subscriptions
    }

    /// Whether there is a connection now.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// What has happened to the connection.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// The limit of the NATS server for payloads in bytes, if it is too small for [`MAX_PAYLOAD`]. Another server may
    /// have another limit, so check it after each reconnection.
    pub fn payload_limit(&self) -> Option<usize> {
        let limit = self.client.max_payload();
        (limit < MAX_PAYLOAD).then_some(limit)
    }

    /// Waits until the [`status`](Self::status) changes, and leaves a NATS server in lame duck mode for another one.
    /// Cancel safe.
    pub async fn changed(&mut self) -> Status {
        self.leave_lame_duck().await;
        if self.status.changed().await.is_err() {
            // The client reports no further events, because it has ended.
            std::future::pending::<()>().await;
        }
        self.leave_lame_duck().await;
        self.status()
    }

    /// Checks that NATS has accepted what was subscribed and published before. `probe` is a subject to which this side
    /// may publish; the check publishes one message of zero bytes to it, with a reply subject.
    ///
    /// # Errors
    ///
    /// Returns a [`PermissionError`] if a permission is missing, also that of the probe or of its answer.
    pub async fn check_permissions(&self, probe: String) -> Result<(), PermissionError> {
        // NATS handles the operations of a connection in order, so the answer says that the earlier ones are done.
        let answer = self.client.request(probe.clone(), Vec::new().into()).await;
        // For all of them, not only the first.
        tokio::time::sleep(VIOLATION_DELAY).await;
        if let Some(violation) = self.status().violation {
            return Err(PermissionError::Denied { violation });
        }
        match answer {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == RequestErrorKind::NoResponders => Ok(()),
            Err(error) => Err(PermissionError::NoAnswer { subject: probe, reason: error.to_string() }),
        }
    }

    /// A server in lame duck mode still serves its connections for a while, and the client stays until it ends them.
    async fn leave_lame_duck(&mut self) {
        let lame_ducks = self.status.borrow().lame_ducks;
        if lame_ducks > self.lame_ducks_left {
            if self.servers > 1 {
                // An error means that the client has ended.
                let _ended = self.client.force_reconnect().await;
            }
            self.lame_ducks_left = lame_ducks;
        }
    }
}

/// Whether a message is the answer of NATS that nobody subscribes to the subject of a message with a reply subject.
pub fn has_no_subscriber(message: &Message) -> bool {
    message.status == Some(StatusCode::NO_RESPONDERS)
}

/// The delay before an attempt to connect: none before the first one, then a growing one with a random part, so that
/// the clients of a server that restarts do not return all at once.
fn reconnect_delay(attempt: usize) -> Duration {
    if attempt <= 1 {
        return Duration::ZERO;
    }
    let doublings = u32::try_from(attempt - 2).unwrap_or(u32::MAX).min(8);
    let delay = Duration::from_millis(20).saturating_mul(1 << doublings).min(MAX_RECONNECT_DELAY);
    // Without random bytes, the delay is the shortest one.
    delay / 2 + (delay / 2).mul_f64(f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX))
}

/// Whether the event is the refusal of a permission.
fn is_violation(event: &Event) -> Option<&str> {
    match event {
        Event::ServerError(async_nats::ServerError::Other(text)) if status::is_permission_text(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_grows_to_half_a_second() {
        assert_eq!((reconnect_delay(0), reconnect_delay(1)), (Duration::ZERO, Duration::ZERO));
        for attempt in 2..100 {
            let delay = reconnect_delay(attempt);
            assert!(delay >= Duration::from_millis(10) && delay <= MAX_RECONNECT_DELAY, "{attempt}: {delay:?}");
        }
        assert!(reconnect_delay(usize::MAX) >= MAX_RECONNECT_DELAY / 2);
    }
}
