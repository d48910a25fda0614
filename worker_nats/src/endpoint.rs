//! What the task of a hub and the task of a machine have in common: the connection to NATS, the peers, and the messages
//! to them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::Message;
use futures_util::{FutureExt, Stream, StreamExt};

use crate::{
    association::Timeouts,
    connection::{Connection, has_no_subscriber, log_connection, log_refusal},
    ids::AssociationId,
    link::Side,
    outbox::Outbox,
    peer::farewell,
    peers::{End, Peers, Received},
    subjects::SubjectName,
    wakes::WakeQueue,
    wire,
};

/// Number of messages that a task handles before it looks at its other inputs.
pub(crate) const BATCH: usize = 256;

/// Time between two turns after which a task may be late.
const LATE: Duration = Duration::from_millis(250);

/// Number of messages that a task handles before it calls any peer silent or lost, if it may be late.
const LATE_BATCH: usize = 16 * BATCH;

/// Number of times that a task that may be late lets the others of its thread run: the runtime has to see that the socket
/// is readable, and the client has to read it and to report what it could not keep.
const LATE_YIELDS: usize = 8;

/// Time to send the last messages.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// One side of the links between a server and machines, for the task that owns it. In each turn, the task calls
/// [`begin_turn`](Self::begin_turn), [`give_up`](Self::give_up) and [`publish`](Self::publish), and then waits for
/// [`changed`](Self::changed), its subscriptions and its [`deadline`](Self::deadline).
#[derive(Debug)]
pub(crate) struct Endpoint<E> {
    connection: Connection,
    /// The number of the connection, and whether it is up, as the peers know it.
    connected: (u64, bool),
    /// The last refusal of a permission or of the credentials that was logged.
    logged_refusal: Option<String>,
    pub(crate) outbox: Outbox,
    pub(crate) peers: Peers<E>,
    wakes: Arc<WakeQueue>,
    /// The begin of the last turn.
    turn_at: Instant,
    /// The number of messages that were lost before the last turn, because the subscriptions were full.
    lost: u64,
}

impl<E: End> Endpoint<E> {
    pub(crate) fn new(connection: Connection, side: Side, timeouts: Timeouts) -> Self {
        let peers = Peers::new(side, timeouts);
        Self {
            outbox: Outbox::new(connection.client().clone()),
            connection,
            connected: (0, false),
            logged_refusal: None,
            wakes: peers.wakes(),
            peers,
            turn_at: Instant::now(),
            lost: 0,
        }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The number of the connection, and whether it is up, as of the begin of the turn.
    pub(crate) fn connected(&self) -> (u64, bool) {
        self.connected
    }

    /// Begins a turn: the peers learn whether the connection is up. Returns the number of messages that the task has to
    /// handle before the deadlines of peers: if the thread may have had no time for the task, what has arrived meanwhile
    /// shows that the peers are there.
    pub(crate) async fn begin_turn(&mut self, now: Instant) -> usize {
        let connected = (self.connection.number(), self.connection.is_connected());
        let status = self.connection.status();
        log_refusal(&mut self.logged_refusal, &status);
        if connected != self.connected {
            log_connection(self.connected, connected, &status);
            self.connected = connected;
            if !connected.1 {
                self.outbox.clear();
            }
            self.peers.set_connection(connected, now);
        }
        let is_late = now.saturating_duration_since(std::mem::replace(&mut self.turn_at, now)) > LATE;
        if is_late {
            for _ in 0..LATE_YIELDS {
                tokio::task::yield_now().await;
            }
        }
        let lost = self.connection.full_subscriptions();
        if std::mem::replace(&mut self.lost, lost) != lost {
            // One machine that publishes too much must not cost the workers of the others.
            self.peers.excuse_all(now);
        }
        if is_late { LATE_BATCH } else { 0 }
    }

    /// Handles a payload of a peer. An unknown one gets an answer if its subject is one of a peer. Returns whether the
    /// payload is valid.
    pub(crate) fn receive_payload(
        &mut self,
        message: Message,
        is_of_peer: impl FnOnce(&str) -> bool,
        now: Instant,
    ) -> bool {
        let Ok((association, messages)) = wire::decode(message.payload) else { return false };
        if self.peers.receive(association, &messages, now) == Received::Unknown
            && let Some(reply) = message.reply
            && is_of_peer(&reply)
        {
            self.outbox.push(reply, None, farewell(association));
        }
        true
    }

    /// Handles a message to the reply subject of heartbeats, which names the association in hexadecimal digits. Returns
    /// whether the message is valid.
    pub(crate) fn receive_beat(
        &mut self,
        association: Option<AssociationId>,
        message: Message,
        is_of_peer: impl FnOnce(&str) -> bool,
        now: Instant,
    ) -> bool {
        if has_no_subscriber(&message) {
            association.map(|association| self.peers.miss(association, now)).is_some()
        } else {
            self.receive_payload(message, is_of_peer, now)
        }
    }

    /// Gives up the peers that are out of reach. Returns the names of those whose loss costs workers unexpectedly.
    pub(crate) fn give_up(&mut self, now: Instant) -> Vec<SubjectName> {
        let mut lost = Vec::new();
        for (peer, farewell) in self.peers.give_up(now) {
            lost.extend(peer);
            self.outbox.push_message(farewell);
        }
        lost
    }

    /// Publishes as much as the client accepts now. Returns whether more waits.
    pub(crate) fn publish(&mut self, now: Instant) -> bool {
        self.connected.1 && self.outbox.publish(&mut self.peers, now)
    }

    /// The earliest deadline of the peers, unless more waits for the client: a peer with something to send would be overdue
    /// all the time.
    pub(crate) fn deadline(&self, is_blocked: bool) -> Option<Instant> {
        self.peers.deadline().filter(|_| !is_blocked)
    }

    /// Waits for the ends of links, for the connection, and for room if more [waits](Self::publish) for the client.
    /// Cancel safe.
    pub(crate) async fn changed(&mut self, is_blocked: bool) {
        tokio::select! {
            () = self.wakes.wait() => self.peers.pump_woken(Instant::now()),
            _ = self.connection.changed() => {}
            () = self.outbox.ready(), if is_blocked => {}
        }
    }

    /// Gives all peers up, and tells them: this side ends.
    pub(crate) fn give_up_all(&mut self) {
        for (_, farewell) in self.peers.give_up_all() {
            self.outbox.push_message(farewell);
        }
    }

    /// Publishes the last messages.
    pub(crate) async fn finish(&mut self) {
        if self.connection.is_connected() {
            let _more = self.outbox.publish(&mut self.peers, Instant::now());
            // The peers notice the silence otherwise.
            let _late = tokio::time::timeout(END_TIMEOUT, self.connection.client().flush()).await;
        }
    }
}

/// Handles messages that have arrived, at most so many.
pub(crate) fn receive_arrived(
    messages: &mut (impl Stream<Item = Message> + Unpin),
    maximum: usize,
    mut receive: impl FnMut(Message),
) {
    for _ in 0..maximum {
        let Some(Some(message)) = messages.next().now_or_never() else { break };
        receive(message);
    }
}
