//! Heartbeats of their own: a peer with much to send must not keep those of the others waiting.

use std::time::Instant;

use bytes::Bytes;

use super::Peer;
use crate::wire::{Heartbeat, Message, PayloadBuilder};

impl Peer {
    /// Returns a payload with a heartbeat and nothing else, if a heartbeat is due. It needs a reply subject.
    pub fn next_heartbeat(&mut self, now: Instant) -> Option<Bytes> {
        self.association.is_heartbeat_due(now).then(|| {
            let mut payload = PayloadBuilder::new(self.association.id());
            let _is_first = payload.push(&self.heartbeat());
            payload.finish()
        })
    }

    pub(super) fn heartbeat(&self) -> Message {
        Message::Heartbeat(Heartbeat { connection: self.connection, is_draining: self.is_draining })
    }
}
