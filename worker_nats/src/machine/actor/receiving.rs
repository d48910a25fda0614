//! What the task of a machine receives.

use std::time::Instant;

use async_nats::Message;

use super::Actor;
use crate::{
    connection::has_no_subscriber,
    ids::AssociationId,
    machine::{Circles, WorkerStarter},
    subjects::{PART_ANSWER, Subjects},
};

impl<S: WorkerStarter> Actor<S> {
    /// Publishes the state to the servers of this circle, too, from now on.
    pub(super) fn learn(&mut self, circle: &Subjects) {
        if self.options.circles == Circles::All && self.circles.learn(circle, Instant::now()) {
            if self.drain.is_none() {
                tracing::info!(circle = circle.circle(), "machine offers its places to a circle");
            }
            // The other circles have the state already.
            if self.endpoint.connected().1 {
                let state = self.encode_state(false);
                self.endpoint.outbox.push(circle.machines(), None, state);
            }
        }
    }

    /// Handles a message to a subject of this machine, or an announcement of a server.
    pub(super) fn receive(&mut self, message: Message) {
        let now = Instant::now();
        let subject = message.subject.clone();
        if let Some(circle) = Subjects::of_servers(&subject) {
            return self.learn(&circle);
        }
        let Some((subjects, rest)) = Subjects::of_machine(&subject, &self.options.name) else { return };
        let is_valid = if rest == "link" {
            self.endpoint.receive_payload(message, |reply| subjects.is_of_server(reply), now)
        } else if let Some(association) = rest.strip_prefix("inbox.beat.") {
            self.endpoint.receive_beat(
                AssociationId::from_hex(association),
                message,
                |reply| subjects.is_of_server(reply),
                now,
            )
        } else if let Some(token) = rest.strip_prefix(PART_ANSWER) {
            // Without a subscriber there is no answer, and the request times out.
            has_no_subscriber(&message) || self.starter.requests.answer(&subjects, token, &message.payload)
        } else {
            // The client's own requests.
            true
        };
        if !is_valid {
            tracing::debug!(%subject, "malformed message");
        }
    }
}
