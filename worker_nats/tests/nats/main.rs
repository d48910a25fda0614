//! The connection and links over a real nats-server. Without one, the tests report that they are skipped.

mod connecting;
mod contrib;
mod links;
mod permissions;
#[expect(dead_code, reason = "the tests of the program use all of it")]
mod proxy;
mod reconnecting;
mod server;
mod tls;
mod workers;

use std::time::Duration;

use worker_nats::{
    config::{NatsConfig, NatsSettings},
    connection::{ConnectError, Connection, ConnectionOptions, ConnectionTimeouts, connect},
};

/// Maximum time of anything that a test waits for. It is long, because tests share the machine.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

fn settings(servers: &str) -> NatsSettings {
    NatsSettings { servers: servers.into(), ..NatsSettings::default() }
}

fn options(inbox_prefix: String) -> ConnectionOptions {
    let timeouts = ConnectionTimeouts { connect: Duration::from_secs(10), ..ConnectionTimeouts::default() };
    ConnectionOptions { name: "test".into(), inbox_prefix, timeouts }
}

async fn connect_with(settings: NatsSettings) -> Result<Connection, ConnectError> {
    connect_as(settings, "circles.team.server.s1.inbox".into()).await
}

async fn connect_as(settings: NatsSettings, inbox_prefix: String) -> Result<Connection, ConnectError> {
    connect(&NatsConfig::new(&settings).expect("valid settings"), options(inbox_prefix)).await
}

/// Waits for a future, at most [`WAIT_TIMEOUT`].
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(WAIT_TIMEOUT, future).await.unwrap_or_else(|_| panic!("{what}: longer than {WAIT_TIMEOUT:?}"))
}
