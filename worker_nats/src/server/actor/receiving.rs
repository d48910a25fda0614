//! What the task of a hub receives.

use std::{sync::Weak, time::Instant};

use async_nats::Message;

use super::{Actor, lock};
use crate::{
    connection::has_no_subscriber,
    ids::{AssociationId, LinkId},
    messages::{self, MachineState, PartRequest, PlacementAnswer},
    server::{HubError, PlaceError, Placed, opening::ServerIdentity, placement::Placement, remote_end::ServerEnd},
    subjects::SubjectName,
};

/// Maximum number of other builds in an error.
const MAX_BUILDS: usize = 5;

impl Actor {
    /// Handles a message to a subject of this server.
    pub(super) fn receive(&mut self, message: Message) {
        let now = Instant::now();
        let Some(subject) = message.subject.strip_prefix(self.own_prefix.as_str()) else { return };
        let is_valid = if subject == "link" {
            self.endpoint.receive_payload(message, |reply| self.subjects.is_of_machine(reply), now)
        } else if subject == "blob" {
            self.send_part(&message)
        } else if let Some(link) = subject.strip_prefix("inbox.place.") {
            LinkId::from_hex(link).is_some_and(|link| self.receive_answer(link, &message, now))
        } else if let Some(association) = subject.strip_prefix("inbox.beat.") {
            self.endpoint.receive_beat(
                AssociationId::from_hex(association),
                message,
                |reply| self.subjects.is_of_machine(reply),
                now,
            )
        } else {
            // The subjects of the client's own requests begin otherwise.
            is_permission_check(&message)
        };
        if !is_valid {
            lock(&self.shared).status.malformed += 1;
        }
    }

    /// Answers a request of a part of a setup.
    fn send_part(&mut self, message: &Message) -> bool {
        let Some(PartRequest { setup, part, offset }) = messages::decode(&message.payload) else { return false };
        let Some(reply) = message.reply.clone() else { return false };
        let Some(machine) = self.subjects.machine_of_part_answer(&reply) else { return false };
        let setup = self.setups.get(&setup).and_then(Weak::upgrade);
        let part = setup.as_ref().and_then(|setup| setup.part(part)).map(|part| (part, offset));
        self.endpoint.outbox.push_part(machine, reply.clone(), || messages::encode_part(part));
        true
    }

    /// Handles the answer to a placement request.
    fn receive_answer(&mut self, link: LinkId, message: &Message, now: Instant) -> bool {
        if has_no_subscriber(message) {
            if let Some(placement) = self.placements.remove(link) {
                let error = self.no_machine(now);
                // A machine with room is about to reconnect, or has ended without a last message.
                if error == PlaceError::TimedOut {
                    let retry = placement.refuse(&self.options.timings, now);
                    self.retry(retry, error);
                } else {
                    self.fail(placement, error);
                }
            }
            return true;
        }
        match messages::decode(&message.payload) {
            None => return false,
            Some(PlacementAnswer::Preparing) => {
                self.placements.extend(link, &self.options.timings, now);
            }
            Some(PlacementAnswer::Full) => {
                if let Some(placement) = self.placements.remove(link) {
                    let timings = &self.options.timings;
                    let retry = if self.is_room_known(now) {
                        placement.pass(timings, now)
                    } else {
                        placement.refuse(timings, now)
                    };
                    self.retry(retry, PlaceError::Full);
                }
            }
            Some(PlacementAnswer::Failed { message }) => {
                if let Some(placement) = self.placements.remove(link) {
                    // Another machine may be able to.
                    let retry = placement.refuse(&self.options.timings, now);
                    self.retry(retry, PlaceError::Refused(messages::short_text(&message)));
                }
            }
            Some(PlacementAnswer::Placed { machine, association, pid, memory_bytes }) => {
                let Some(placement) = self.placements.remove(link) else {
                    // The machine has a worker for which nobody waits, and perhaps others soon. If it were unknown, the
                    // answer to its heartbeat would end all of them; the link alone is closed.
                    if self.placements.take_late(link) {
                        self.add_machine(association, &machine, now);
                    }
                    return true;
                };
                let delay = now.saturating_duration_since(placement.begun);
                let placed = Placed { machine, pid, memory_base: memory_bytes, delay };
                self.open(link, association, placed, placement, now);
            }
        }
        true
    }

    fn open(&mut self, link: LinkId, association: AssociationId, placed: Placed, placement: Placement, now: Instant) {
        if !self.add_machine(association, &placed.machine, now) {
            // The hub has given the association up while the answer was on its way: the machine starts another one.
            let retry = placement.refuse(&self.options.timings, now);
            return self.retry(retry, PlaceError::TimedOut);
        }
        let delay = placed.delay;
        if let Some(end) = (placement.accept)(Ok(placed))
            && self.endpoint.peers.open(association, link, ServerEnd::new(end), now)
        {
            lock(&self.shared).status.count_placement(delay);
        }
    }

    /// Makes sure that the machine with this association is a peer. Returns false if it cannot be one.
    fn add_machine(&mut self, association: AssociationId, machine: &SubjectName, now: Instant) -> bool {
        let subject = self.subjects.machine_link(machine);
        let reply = format!("{}inbox.beat.{}", self.own_prefix, association.to_hex());
        self.endpoint.peers.add(association, machine, [subject, reply], now)
    }

    /// Whether a machine of the server's build said last that it has room.
    fn is_room_known(&self, now: Instant) -> bool {
        let machines = lock(&self.shared).machines.list(now);
        machines.iter().any(|machine| machine.has_room && machine.build == self.options.build)
    }

    /// The reason why no machine listens for placement requests.
    fn no_machine(&self, now: Instant) -> PlaceError {
        let build = &self.options.build;
        let (same, others): (Vec<_>, Vec<_>) =
            lock(&self.shared).machines.list(now).into_iter().partition(|machine| machine.build == *build);
        let mut others: Vec<_> = others.into_iter().map(|machine| machine.build).collect();
        others.sort();
        others.dedup();
        others.truncate(MAX_BUILDS);
        if same.iter().any(|machine| machine.has_room) {
            return PlaceError::TimedOut;
        }
        match (same.is_empty(), others.is_empty()) {
            // A machine that is full or drains does not listen.
            (false, _) => PlaceError::Full,
            (true, true) => PlaceError::NoMachine,
            (true, false) => PlaceError::OtherBuilds { build: build.clone(), others },
        }
    }

    pub(super) fn receive_state(&mut self, message: &Message) {
        if is_permission_check(message) {
            return;
        }
        let mut shared = lock(&self.shared);
        match messages::decode::<MachineState>(&message.payload) {
            Some(state) => {
                let (now, machine) = (Instant::now(), state.machine.clone());
                shared.machines.forget(now);
                if shared.machines.receive(state, now) {
                    tracing::error!(%machine, "several worker machines have one name: give each its own with --name");
                }
            }
            None => shared.status.malformed += 1,
        }
    }

    /// Handles the identity of another server of a circle with this name.
    pub(super) fn receive_identity(&mut self, message: &Message) {
        if is_permission_check(message) {
            return;
        }
        let Some(other) = messages::decode::<ServerIdentity>(&message.payload) else {
            lock(&self.shared).status.malformed += 1;
            return;
        };
        if other.server == self.server {
            return;
        }
        if other.is_new {
            self.endpoint.outbox.push(self.subjects.servers(), None, messages::encode(self.identity()));
        }
        if other.identity != self.options.identity {
            let other = messages::short_text(&other.identity);
            let circle = self.options.circle.clone();
            let text = HubError::NameTaken { circle, other, own: self.options.identity.clone() }.to_string();
            self.conflict_seen = Some(Instant::now());
            let status = &mut lock(&self.shared).status;
            if status.conflict.is_none() {
                tracing::error!("{text}");
            }
            status.conflict = Some(text);
        }
    }
}

/// Whether the sender checks whether NATS permits to publish to the subject.
fn is_permission_check(message: &Message) -> bool {
    message.payload.is_empty()
}
