//! The heartbeats of all peers.

use std::time::Instant;

use async_nats::message::OutboundMessage;

use super::{Peers, message};

impl<E> Peers<E> {
    /// The heartbeats that are due. They go before the payloads of all peers.
    pub(crate) fn heartbeats(&mut self, now: Instant) -> impl Iterator<Item = OutboundMessage> {
        self.entries.values_mut().filter_map(move |entry| {
            let payload = entry.peer.next_heartbeat(now)?;
            Some(message(entry.subject.clone(), Some(entry.reply.clone()), payload))
        })
    }
}
