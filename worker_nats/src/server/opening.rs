//! The start of a hub's connection.

use async_nats::{Client, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use serde::{Deserialize, Serialize};

use super::{HubError, HubOptions};
use crate::{
    config::NatsConfig,
    connection::{ConnectError, Connection, ConnectionOptions, PermissionError, connect},
    messages,
    subjects::{SubjectName, Subjects},
};

/// The identity of a server, which the servers of a circle announce to each other. The answers are announcements, too: only
/// servers may publish to their subject, so no machine can answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ServerIdentity {
    pub(super) server: SubjectName,
    pub(super) identity: String,
    /// Whether the other servers have to announce theirs.
    pub(super) is_new: bool,
}

/// A connection with the subscription of its own subjects.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) server: SubjectName,
    pub(super) subjects: Subjects,
    /// The subscription of all subjects of this server, so that their messages keep their order.
    pub(super) own: Subscriber,
}

/// The subscriptions of what all tasks of a hub would receive: the first task has them.
pub(super) struct SharedSubjects {
    pub(super) machines: Subscriber,
    pub(super) servers: Subscriber,
}

impl Opened {
    fn identity(&self, identity: &str) -> ServerIdentity {
        ServerIdentity { server: self.server.clone(), identity: identity.to_owned(), is_new: true }
    }

    /// Checks the permissions of all that a server does. Empty messages have no other effect.
    pub(super) async fn check_permissions(&self, build: &SubjectName) -> Result<(), PermissionError> {
        let client = self.connection.client();
        for subject in self.subjects.server_probes(build) {
            // An error means that the client has ended: there is no answer to the probe either.
            let _ended = client.publish(subject, Bytes::new()).await;
        }
        self.connection.check_permissions(self.subjects.probe()).await
    }
}

/// Connects, subscribes and checks the permissions and the name of the circle.
pub(super) async fn open(options: &HubOptions) -> Result<(Opened, SharedSubjects), HubError> {
    let HubOptions { config, circle, identity, build, .. } = options;
    let (opened, mut shared) = subscribe(options).await?;
    let announced = announce(opened.connection.client(), &opened.subjects, &opened.identity(identity)).await;
    announced.map_err(|error| ended(config, error.to_string()))?;
    opened.check_permissions(build).await?;
    // The other servers have answered while the check waited.
    while let Some(Some(message)) = shared.servers.next().now_or_never() {
        if let Some(other) = messages::decode::<ServerIdentity>(&message.payload)
            && other.server != opened.server
            && other.identity != *identity
        {
            let other = messages::short_text(&other.identity);
            return Err(HubError::NameTaken { circle: circle.clone(), other, own: identity.clone() });
        }
    }
    Ok((opened, shared))
}

fn ended(config: &NatsConfig, reason: String) -> ConnectError {
    ConnectError::Unreachable { servers: config.servers(), reason }
}

/// Connects and subscribes as the first task of a hub.
pub(super) async fn subscribe(options: &HubOptions) -> Result<(Opened, SharedSubjects), HubError> {
    let opened = subscribe_own(options).await?;
    let subscribe = async |subject| subscribe_to(opened.connection.client(), &options.config, subject).await;
    let machines = subscribe(opened.subjects.machines()).await?;
    let servers = subscribe(opened.subjects.servers()).await?;
    Ok((opened, SharedSubjects { machines, servers }))
}

/// Connects as a server, and subscribes to its own subjects alone.
pub(super) async fn subscribe_own(options: &HubOptions) -> Result<Opened, HubError> {
    let HubOptions { config, circle, timings, .. } = options;
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(std::io::Error::from)?;
    let server = SubjectName::new(&hex::encode(random)).map_err(std::io::Error::other)?;
    let subjects = Subjects::new(circle);
    let connection_options = ConnectionOptions {
        name: format!("circles server {circle} {server}"),
        inbox_prefix: subjects.server_requests(&server),
        timeouts: timings.connection,
    };
    let connection = connect(config, connection_options).await?;
    let own = subscribe_to(connection.client(), config, subjects.server_all(&server)).await?;
    Ok(Opened { connection, server, subjects, own })
}

async fn subscribe_to(client: &Client, config: &NatsConfig, subject: String) -> Result<Subscriber, ConnectError> {
    client.subscribe(subject).await.map_err(|error| ended(config, error.to_string()))
}

/// Tells the other servers of the circle the identity of this one.
async fn announce(
    client: &Client,
    subjects: &Subjects,
    identity: &ServerIdentity,
) -> Result<(), async_nats::PublishError> {
    client.publish(subjects.servers(), messages::encode(identity)).await
}
