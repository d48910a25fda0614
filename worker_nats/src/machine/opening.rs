//! The start of a machine's connection.

use async_nats::Subscriber;
use bytes::Bytes;

use super::{Circles, MachineError, MachineOptions, listening::subscribe_placements};
use crate::{
    connection::{ConnectError, Connection, ConnectionOptions, connect},
    subjects::Subjects,
};

/// A connection with its subscriptions.
pub(super) struct Opened {
    pub(super) connection: Connection,
    /// The subscriptions of the subjects of this machine in each circle.
    pub(super) own: Vec<Subscriber>,
    /// The subscriptions of placement requests, and their subjects.
    pub(super) placements: (Vec<Subscriber>, Vec<String>),
    /// The circles that learn the state of the machine.
    pub(super) circles: Vec<Subjects>,
}

/// Connects, subscribes and checks the permissions.
pub(super) async fn open(options: &MachineOptions) -> Result<Opened, MachineError> {
    let MachineOptions { config, circles, name, build, timings, .. } = options;
    let (subscribed, circles) = match circles {
        Circles::All => (vec![Subjects::of_all_circles()], Vec::new()),
        Circles::Named(names) => {
            let named: Vec<_> = names.iter().map(Subjects::new).collect();
            (named.clone(), named)
        }
    };
    let Some(first) = subscribed.first() else { return Err(MachineError::NoCircle) };
    let no_circle = Subjects::of_no_circle();
    let own_subjects = circles.first().unwrap_or(&no_circle);
    let connection_options = ConnectionOptions {
        name: format!("circles worker {name}"),
        inbox_prefix: own_subjects.machine_requests(name),
        timeouts: timings.connection,
    };
    let connection = connect(config, connection_options).await?;
    let ended = |error: async_nats::SubscribeError| ConnectError::Unreachable {
        servers: config.servers(),
        reason: error.to_string(),
    };
    let mut own = Vec::with_capacity(subscribed.len());
    for subjects in &subscribed {
        for subject in [subjects.machine_link(name), format!("{}.>", subjects.machine_inbox(name))] {
            own.push(connection.client().subscribe(subject).await.map_err(ended)?);
        }
    }
    if circles.is_empty() {
        // The machine learns from the announcements of servers which circles there are.
        own.push(connection.client().subscribe(Subjects::of_all_circles().servers()).await.map_err(ended)?);
    }
    let placements: Vec<_> = subscribed.iter().map(|subjects| subjects.placements(build)).collect();
    let requests = subscribe_placements(connection.client(), &placements).await.map_err(ended)?;
    // Nobody can publish to all circles at once.
    let publishers = if first == own_subjects { subscribed } else { vec![no_circle.clone()] };
    for subjects in &publishers {
        // Receivers ignore empty messages. An error means that the client has ended: then the check fails, too.
        let _ended = connection.client().publish(subjects.machines(), Bytes::new()).await;
    }
    connection.check_permissions(own_subjects.probe()).await?;
    Ok(Opened { connection, own, placements: (requests, placements), circles })
}
