//! An examination of the connection of a circle, without a hub.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::time::timeout;

use super::{
    HubError, HubOptions, MachineInfo,
    machines::Machines,
    opening::{SharedSubjects, subscribe},
};
use crate::messages::{self, MachineState};

/// Connects as a server of the circle does, checks the permissions, and listens to the machines for a time, which should
/// be longer than the interval of their states. Returns the machines. It announces no server, and places no worker.
///
/// # Errors
///
/// Returns a [`HubError`] if no connection is possible, or if a permission is missing.
pub async fn examine(options: &HubOptions, listening: Duration) -> Result<Vec<MachineInfo>, HubError> {
    let (opened, SharedSubjects { machines: mut states, .. }) = subscribe(options).await?;
    let mut machines = Machines::new(options.timings.association.heartbeat);
    opened.check_permissions(&options.build).await?;
    let listen = async {
        while let Some(message) = states.next().await {
            if let Some(state) = messages::decode::<MachineState>(&message.payload) {
                let _is_duplicate = machines.receive(state, Instant::now());
            }
        }
    };
    let _until_then = timeout(listening, listen).await;
    // The connection lives until here.
    drop(opened);
    Ok(machines.list(Instant::now()))
}
