//! A peer: the association with it and all links to it. The server has one [`Peer`] for each machine, the machine one for
//! each server.
//!
//! A [`Peer`] is a pure state machine like its parts. It finds the link of a message, answers for links that it does not
//! have, collects what the links have to send into payloads, in turn, and keeps their timers. Its work depends on the
//! links with something to do and not on all links, except after a reconnection.
//!
//! All links of a peer together hold at most [`MAX_BUFFERED`] bytes without an acknowledgement. The bound is on what
//! [`Peer::write`] accepts and not on what is sent, so acknowledgements and signals always pass. When there is room again,
//! [`Peer::changed`] names the links that wait for it, in the order in which they began to wait.

use std::{
    collections::{BTreeSet, HashMap, VecDeque, hash_map::Entry},
    time::Instant,
};

use bytes::Bytes;

use crate::{
    association::{Association, Change},
    ids::{AssociationId, LinkId},
    link::{Link, Side, Violation},
    wire::{Channel, Message, PayloadBuilder},
};

mod heartbeat;
#[cfg(test)]
mod tests;

/// Maximum number of bytes to one peer without an acknowledgement. A NATS server closes the connection of a client for
/// which more than `max_pending` wait, 64 MiB by default.
pub const MAX_BUFFERED: usize = 16 << 20;

/// Maximum number of answers that wait. The peer repeats the message of one that is left out.
const MAX_ANSWERS: usize = 1024;

/// A payload to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The payload.
    pub payload: Bytes,
    /// Whether it needs a reply subject, because it has a heartbeat.
    pub needs_reply: bool,
    /// The number of messages in it that were sent before.
    pub resent: u64,
}

/// A link that its owner has to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// The link.
    pub link: LinkId,
    /// The violation for which it was closed just now.
    pub violation: Option<Violation>,
}

/// A link with its places in the lists.
#[derive(Debug)]
struct PeerLink {
    link: Link,
    /// The number of its buffered bytes that [`Peer::buffered`] includes.
    buffered: usize,
    timer: Option<Instant>,
    violation: Option<Violation>,
    is_ready: bool,
    is_changed: bool,
    is_starved: bool,
}

/// A peer.
#[derive(Debug)]
pub struct Peer {
    association: Association,
    side: Side,
    /// The number of the own connection.
    connection: u64,
    is_draining: bool,
    links: HashMap<LinkId, PeerLink>,
    /// The links that may have a message to send.
    ready: VecDeque<LinkId>,
    /// The links that the owner has to look at.
    changed: VecDeque<LinkId>,
    /// The links that wait for room among the bytes of all links.
    starved: VecDeque<LinkId>,
    timers: BTreeSet<(Instant, LinkId)>,
    answers: VecDeque<Message>,
    buffered: usize,
}

impl Peer {
    /// Makes a peer without links. `side` is the own one, and `connection` the number of the own connection.
    pub fn new(association: Association, side: Side, connection: u64) -> Self {
        Self {
            association,
            side,
            connection,
            is_draining: false,
            links: HashMap::new(),
            ready: VecDeque::new(),
            changed: VecDeque::new(),
            starved: VecDeque::new(),
            timers: BTreeSet::new(),
            answers: VecDeque::new(),
            buffered: 0,
        }
    }

    /// The association.
    pub fn association(&self) -> &Association {
        &self.association
    }

    /// The number of the own connection, as [`connect`](Self::connect) has set it.
    pub fn connection(&self) -> u64 {
        self.connection
    }

    /// The number of links.
    pub fn link_count(&self) -> usize {
        self.links.len()
    }

    /// The ids of all links, in no particular order.
    pub fn link_ids(&self) -> impl Iterator<Item = LinkId> {
        self.links.keys().copied()
    }

    /// Opens a link. Returns false if there is one with this id, which is unchanged.
    pub fn open(&mut self, id: LinkId) -> bool {
        let Entry::Vacant(entry) = self.links.entry(id) else { return false };
        entry.insert(PeerLink {
            link: Link::new(id, self.side),
            buffered: 0,
            timer: None,
            violation: None,
            is_ready: false,
            is_changed: false,
            is_starved: false,
        });
        true
    }

    /// A link.
    pub fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.get(&id).map(|entry| &entry.link)
    }

    /// Changes a link. Use [`write`](Self::write) for bytes. Returns `None` if there is no such link.
    pub fn update<T>(&mut self, id: LinkId, update: impl FnOnce(&mut Link) -> T) -> Option<T> {
        let entry = self.links.get_mut(&id)?;
        let result = update(&mut entry.link);
        self.make_ready(id);
        // A link that was closed has left its room to the others.
        self.feed();
        Some(result)
    }

    /// The number of bytes that [`write`](Self::write) accepts on a channel of a link now. If that is 0,
    /// [`changed`](Self::changed) names the link when it may be more.
    pub fn room(&mut self, id: LinkId, channel: Channel) -> usize {
        let Some(entry) = self.links.get_mut(&id) else { return 0 };
        let room = entry.link.room(channel);
        let room_of_all = MAX_BUFFERED.saturating_sub(self.buffered);
        if room > 0 && room_of_all == 0 && !std::mem::replace(&mut entry.is_starved, true) {
            self.starved.push_back(id);
        }
        room.min(room_of_all)
    }

    /// Accepts bytes for a link, up to the [`room`](Self::room). Returns how many.
    pub fn write(&mut self, id: LinkId, channel: Channel, bytes: &[u8]) -> usize {
        let accepted = bytes.len().min(self.room(id, channel));
        let Some(entry) = self.links.get_mut(&id) else { return 0 };
        let accepted = entry.link.write(channel, &bytes[..accepted]);
        self.make_ready(id);
        accepted
    }

    /// Removes a link without a message to the peer: because it is closed.
    pub fn remove(&mut self, id: LinkId) {
        if let Some(entry) = self.links.remove(&id) {
            self.buffered -= entry.buffered;
            if let Some(timer) = entry.timer {
                self.timers.remove(&(timer, id));
            }
            if entry.is_starved {
                self.starved.retain(|starved| *starved != id);
            }
            self.feed();
        }
    }

    /// Handles the messages of a payload with this association.
    pub fn receive(&mut self, messages: &[Message], now: Instant) {
        self.association.hear(now);
        for message in messages {
            match message {
                Message::Heartbeat(heartbeat) => {
                    if self.association.receive(*heartbeat, now) == Change::Resend {
                        self.resend(now);
                    }
                }
                Message::Data(data) => self.receive_of_link(data.link, message, now),
                Message::Close(id) | Message::Closed(id) => {
                    if *id == Association::link_id(self.association.id()) {
                        self.association.end();
                    } else {
                        self.receive_of_link(*id, message, now);
                    }
                }
            }
        }
        self.feed();
    }

    fn receive_of_link(&mut self, id: LinkId, message: &Message, now: Instant) {
        // The sender of `Close` waits for an answer, whether there is the link or not.
        let needs_answer = matches!(message, Message::Close(_)) || !self.links.contains_key(&id);
        if needs_answer
            && self.answers.len() < MAX_ANSWERS
            && let Some(answer) = message.answer_without_link()
        {
            self.answers.push_back(answer);
        }
        let Some(entry) = self.links.get_mut(&id) else { return };
        if let Err(violation) = entry.link.receive(message, now) {
            entry.link.close(now);
            entry.violation = Some(violation);
        }
        self.make_ready(id);
        self.make_changed(id);
    }

    /// Handles the answer of NATS that nobody subscribes to the peer's subject.
    pub fn miss(&mut self, now: Instant) {
        self.association.miss(now);
    }

    /// Returns the next link that the owner has to look at: it has signals, bytes, or room for bytes, a channel has
    /// ended, or the link is closed. The owner [removes](Self::remove) a link that is closed.
    pub fn changed(&mut self) -> Option<Changed> {
        while let Some(id) = self.changed.pop_front() {
            // The link may have been removed.
            if let Some(entry) = self.links.get_mut(&id) {
                entry.is_changed = false;
                return Some(Changed { link: id, violation: entry.violation.take() });
            }
        }
        None
    }

    /// Returns the next payload to publish, if there is one now.
    pub fn next_payload(&mut self, now: Instant) -> Option<Outgoing> {
        while let Some(&(at, id)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            if let Some(entry) = self.links.get_mut(&id) {
                entry.timer = None;
            }
            // Its timer starts again when the link has nothing to send.
            self.enqueue(id);
        }
        let needs_reply = self.association.is_heartbeat_due(now);
        if !needs_reply && self.answers.is_empty() && self.ready.is_empty() {
            return None;
        }
        let (mut payload, mut resent) = (PayloadBuilder::new(self.association.id()), 0);
        if needs_reply {
            let _is_first = payload.push(&self.heartbeat());
        }
        while let Some(answer) = self.answers.front()
            && payload.push(answer)
        {
            self.answers.pop_front();
        }
        while payload.has_room()
            && let Some(id) = self.ready.pop_front()
        {
            let Some(entry) = self.links.get_mut(&id) else { continue };
            if let Some(message) = entry.link.next_message(now) {
                resent += entry.link.take_resent();
                // There is room for any message.
                let _has_room = payload.push(&message);
                // Behind the others: a link with much to send does not keep them waiting.
                self.ready.push_back(id);
            } else {
                entry.is_ready = false;
                self.account(id);
            }
        }
        (!payload.is_empty()).then(|| Outgoing { payload: payload.finish(), needs_reply, resent })
    }

    /// The time at which [`next_payload`](Self::next_payload) may return a payload although nothing else has happened,
    /// or at which the peer has to be given up. While the own connection is down, it is only the latter.
    pub fn deadline(&self) -> Instant {
        let deadline = self.association.deadline();
        match self.timers.first() {
            Some((timer, _)) if !self.association.is_disconnected() => deadline.min(*timer),
            _ => deadline,
        }
    }

    /// The own connection has ended.
    pub fn disconnect(&mut self, now: Instant) {
        self.association.disconnect(now);
    }

    /// The own connection is up again, with this number.
    pub fn connect(&mut self, connection: u64, now: Instant) {
        self.connection = connection;
        self.association.reconnect(now);
        self.resend(now);
    }

    /// Tells the peer that this machine drains.
    pub fn drain(&mut self, now: Instant) {
        self.is_draining = true;
        self.association.hurry_heartbeat(now);
    }

    /// Whether the peer has to be given up, or has given this side up.
    pub fn is_given_up(&self, now: Instant) -> bool {
        self.association.is_given_up(now)
    }

    /// This side has lost messages that had arrived, perhaps some of the peer.
    pub fn excuse(&mut self, now: Instant) {
        self.association.excuse(now);
    }

    /// Returns the time at which the peer is given up, once after it has become silent.
    pub fn take_silence(&mut self, now: Instant) -> Option<Instant> {
        self.association.take_silence(now)
    }

    fn resend(&mut self, now: Instant) {
        let ids: Vec<_> = self.links.keys().copied().collect();
        for id in ids {
            if let Some(entry) = self.links.get_mut(&id) {
                entry.link.resend(now);
            }
            self.make_ready(id);
        }
    }

    fn make_ready(&mut self, id: LinkId) {
        self.account(id);
        self.enqueue(id);
    }

    fn enqueue(&mut self, id: LinkId) {
        if let Some(entry) = self.links.get_mut(&id)
            && !std::mem::replace(&mut entry.is_ready, true)
        {
            self.ready.push_back(id);
        }
    }

    fn make_changed(&mut self, id: LinkId) {
        if let Some(entry) = self.links.get_mut(&id)
            && !std::mem::replace(&mut entry.is_changed, true)
        {
            self.changed.push_back(id);
        }
    }

    /// Brings the buffered bytes and the timer of a link up to date.
    fn account(&mut self, id: LinkId) {
        let Some(entry) = self.links.get_mut(&id) else { return };
        self.buffered -= entry.buffered;
        entry.buffered = entry.link.buffered_bytes();
        self.buffered += entry.buffered;
        let timer = entry.link.deadline();
        if timer != entry.timer {
            if let Some(earlier) = std::mem::replace(&mut entry.timer, timer) {
                self.timers.remove(&(earlier, id));
            }
            if let Some(timer) = timer {
                self.timers.insert((timer, id));
            }
        }
    }

    /// Names links that wait for room, once there is some: as many as can use a message of it.
    fn feed(&mut self) {
        let mut room = MAX_BUFFERED.saturating_sub(self.buffered);
        while room > 0
            && let Some(id) = self.starved.pop_front()
        {
            if let Some(entry) = self.links.get_mut(&id) {
                entry.is_starved = false;
                room = room.saturating_sub(crate::wire::MAX_DATA);
                self.make_changed(id);
            }
        }
    }
}

/// The payload that tells the other side of an association that this side does not have it (any more).
pub fn farewell(association: AssociationId) -> Bytes {
    let mut payload = PayloadBuilder::new(association);
    let _is_first = payload.push(&Message::Closed(Association::link_id(association)));
    payload.finish()
}
