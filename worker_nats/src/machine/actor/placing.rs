//! The placement requests of a machine, and their answers.

use std::time::Instant;

use async_nats::Message;

use super::Actor;
use crate::{
    ids::AssociationId,
    machine::{
        RelayedWorker, WorkerStarter,
        relay::MachineEnd,
        setups::SharedSetup,
        starting::{Accepted, Started},
    },
    messages::{self, PlacementAnswer, PlacementRequest},
    subjects::Subjects,
};

impl<S: WorkerStarter> Actor<S> {
    /// Handles a placement request.
    pub(super) fn place(&mut self, message: &Message) {
        let Some(subjects) = Subjects::of_placement(&message.subject) else { return };
        let Some(reply) = message.reply.clone().filter(|reply| subjects.is_of_server(reply)) else { return };
        let Some(request) = messages::decode::<PlacementRequest>(&message.payload) else {
            tracing::debug!(subject = %message.subject, "malformed placement request");
            return;
        };
        if !self.has_room() {
            return self.endpoint.outbox.push(reply, None, messages::encode(PlacementAnswer::Full));
        }
        self.learn(&subjects);
        self.starting += 1;
        tokio::spawn(self.starter.clone().run(Accepted { request, subjects, reply }));
    }

    /// Answers a placement request, and opens the link of the worker.
    pub(super) fn open(&mut self, started: Started<S>) {
        let now = Instant::now();
        self.starting = self.starting.saturating_sub(1);
        let Started { accepted: Accepted { request, subjects, reply }, result } = started;
        let answer = match result {
            // The servers would have to move the session at once.
            Ok(_) if self.drain.is_some() => PlacementAnswer::Full,
            Ok((worker, setup)) => match self.open_link(&request, &subjects, worker, setup, now) {
                Ok(answer) => answer,
                Err(message) => PlacementAnswer::Failed { message },
            },
            Err(message) => {
                tracing::warn!(reason = message, "worker not started");
                PlacementAnswer::Failed { message: messages::short_text(&message) }
            }
        };
        // The answer goes before the first message of the link, because the outbox sends its own messages first.
        self.endpoint.outbox.push(reply, None, messages::encode(answer));
    }

    fn open_link(
        &mut self,
        request: &PlacementRequest,
        subjects: &Subjects,
        worker: S::Worker,
        setup: SharedSetup<S>,
        now: Instant,
    ) -> Result<PlacementAnswer, String> {
        let subject = subjects.server_link(&request.server);
        let association = if let Some(association) = self.endpoint.peers.find(&request.server, &subject) {
            association
        } else {
            tracing::info!(circle = subjects.circle(), server = %request.server, "first worker for a server");
            AssociationId::generate().map_err(|error| error.to_string())?
        };
        let machine = self.options.name.clone();
        let reply = format!("{}.beat.{}", subjects.machine_inbox(&machine), association.to_hex());
        let pid = worker.pid();
        let end = MachineEnd::new(worker, setup);
        let memory_bytes = end.memory();
        self.memory = self.memory.saturating_add(memory_bytes);
        if !self.endpoint.peers.add(association, &request.server, [subject, reply], now) {
            return Err("the machine has workers of too many servers".into());
        }
        if !self.endpoint.peers.open(association, request.link, end, now) {
            return Err("the link exists".into());
        }
        Ok(PlacementAnswer::Placed { machine, association, pid, memory_bytes })
    }
}
