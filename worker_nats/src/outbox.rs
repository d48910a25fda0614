//! What a server or a machine publishes: messages of its own, and those of its peers.

use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll},
    time::Instant,
};

use async_nats::{Client, Subject, message::OutboundMessage};
use bytes::Bytes;
use futures_util::Sink;

use self::{in_flight::InFlight, parts::PartQueue};
use crate::peers::{End, Peers, message};

mod in_flight;
mod parts;
#[cfg(test)]
mod tests;

/// Maximum number of messages that wait.
const MAX_MESSAGES: usize = 4096;

/// Maximum number of bytes that wait.
const MAX_BYTES: usize = 32 << 20;

/// The messages that wait for the client. All of them may be lost: their senders repeat them or have a timeout.
#[derive(Debug)]
pub(crate) struct Outbox {
    client: Client,
    in_flight: InFlight,
    messages: VecDeque<OutboundMessage>,
    bytes: usize,
    /// The heartbeats that wait, at most one for each peer.
    heartbeats: VecDeque<OutboundMessage>,
    /// Sent only while neither a message nor a peer waits.
    parts: PartQueue,
    /// The messages that were left out, because too many wait.
    dropped: u64,
}

impl Outbox {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            in_flight: InFlight::new(client.clone()),
            client,
            messages: VecDeque::new(),
            bytes: 0,
            heartbeats: VecDeque::new(),
            parts: PartQueue::default(),
            dropped: 0,
        }
    }

    /// Adds a message.
    pub(crate) fn push(&mut self, subject: impl Into<Subject>, reply: Option<Subject>, payload: Bytes) {
        self.push_message(message(subject.into(), reply, payload));
    }

    /// Adds a part of a setup for a subject of a machine, behind the messages of all peers. Leaves the part out if too
    /// many wait: the machine requests the part again.
    pub(crate) fn push_part(&mut self, machine: &str, subject: Subject, encode: impl FnOnce() -> Bytes) {
        self.parts.push(machine, subject, encode);
    }

    pub(crate) fn push_message(&mut self, message: OutboundMessage) {
        let bytes = message.payload.len();
        if self.messages.len() >= MAX_MESSAGES || self.bytes.saturating_add(bytes) > MAX_BYTES {
            self.dropped += 1;
            if self.dropped.is_power_of_two() {
                tracing::warn!(dropped = self.dropped, "messages to NATS dropped: the connection is too slow");
            }
            return;
        }
        self.bytes += bytes;
        self.messages.push_back(message);
    }

    /// Discards all messages: the connection has ended.
    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
        self.heartbeats.clear();
        self.parts.clear();
    }

    /// Publishes as much as the client accepts now. Returns whether more waits for [`ready`](Self::ready).
    pub(crate) fn publish<E: End>(&mut self, peers: &mut Peers<E>, now: Instant) -> bool {
        // Whether the client is ready; `ready` registers the task.
        let mut context = Context::from_waker(std::task::Waker::noop());
        if self.heartbeats.is_empty() {
            self.heartbeats.extend(peers.heartbeats(now));
        }
        loop {
            match self.poll_ready(&mut context) {
                Poll::Pending => return true,
                Poll::Ready(false) => return false,
                Poll::Ready(true) => {}
            }
            let own = self.messages.pop_front();
            self.bytes -= own.as_ref().map_or(0, |message| message.payload.len());
            let own = own.or_else(|| self.heartbeats.pop_front());
            let next = own.or_else(|| peers.next_message(now)).or_else(|| self.parts.pop());
            let Some(message) = next else { return false };
            self.in_flight.add(&message);
            // An error is a limit of the server for payloads that was lowered: the status says it.
            if let Err(error) = Sink::start_send(std::pin::Pin::new(&mut self.client), message) {
                tracing::debug!(%error, "message to NATS rejected");
            }
        }
    }

    /// Waits until the client accepts a message. Cancel safe.
    pub(crate) async fn ready(&mut self) {
        if !poll_fn(|context| self.poll_ready(context)).await {
            // There is nothing to publish.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the client accepts a message. Returns false if the client has ended.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let in_flight = self.in_flight.poll_ready(context);
        let client = Sink::poll_ready(std::pin::Pin::new(&mut self.client), context);
        match client {
            Poll::Ready(Ok(())) => in_flight.map(|()| true),
            Poll::Ready(Err(_)) => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    }
}
