//! All peers of a server or of a machine, and the ends of their links.
//!
//! [`Peers`] moves bytes and signals between the links and their ends: the handles of workers at the server, the workers
//! at the machine. An end wakes its own link only, so the work does not grow with the number of idle links.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    task::{Context, Waker},
    time::Instant,
};

use async_nats::{Subject, message::OutboundMessage};
use bytes::Bytes;

use crate::{
    association::{Association, Timeouts},
    ids::{AssociationId, LinkId},
    link::{Link, Side, Violation},
    peer::Peer,
    subjects::SubjectName,
    wakes::WakeQueue,
    wire::{Channel, Message, Signals},
};

mod ending;
mod heartbeats;

/// Maximum number of peers.
const MAX_PEERS: usize = 1024;

/// The reason why a link has ended although its end did not close it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The peer is out of reach, or does not have the link.
    Unreachable,
    /// The peer violated the rules.
    Violation(Violation),
}

/// What a link connects to at this side.
pub(crate) trait End {
    /// Moves bytes and signals between the end and its link, as many as possible now. Registers the waker of the
    /// context for what may be possible later.
    fn pump(&mut self, link: &mut LinkAccess<'_>, context: &mut Context<'_>);

    /// The peer drains.
    fn leave(&mut self);

    /// The peer is silent: it is given up at this time unless it is heard before.
    fn note_silence(&mut self, lost_at: Instant);

    /// The link has failed. The end is dropped after that.
    fn fail(&mut self, failure: Failure);
}

/// A link among the others of its peer.
#[derive(Debug)]
pub(crate) struct LinkAccess<'a> {
    peer: &'a mut Peer,
    id: LinkId,
    now: Instant,
}

impl LinkAccess<'_> {
    pub(crate) fn room(&mut self, channel: Channel) -> usize {
        self.peer.room(self.id, channel)
    }

    pub(crate) fn write(&mut self, channel: Channel, bytes: &[u8]) -> usize {
        self.peer.write(self.id, channel, bytes)
    }

    pub(crate) fn arrived(&self, channel: Channel) -> &[u8] {
        self.peer.link(self.id).map_or(&[], |link| link.arrived(channel))
    }

    pub(crate) fn consume(&mut self, channel: Channel, bytes: usize) {
        if bytes > 0 {
            self.peer.update(self.id, |link| link.consume(channel, bytes));
        }
    }

    pub(crate) fn has_ended(&self, channel: Channel) -> bool {
        self.peer.link(self.id).is_none_or(|link| link.has_ended(channel))
    }

    pub(crate) fn take_signals(&mut self) -> Signals {
        self.peer.update(self.id, Link::take_signals).unwrap_or_default()
    }

    pub(crate) fn signal(&mut self, signals: Signals) {
        if !signals.is_empty() {
            self.peer.update(self.id, |link| link.signal(signals));
        }
    }

    /// Closes the link: the end needs it no more.
    pub(crate) fn close(&mut self) {
        let now = self.now;
        self.peer.update(self.id, |link| link.close(now));
    }
}

#[derive(Debug)]
struct LinkEnd<E> {
    end: E,
    waker: Waker,
}

/// A peer with its subjects and the ends of its links.
#[derive(Debug)]
struct Entry<E> {
    name: SubjectName,
    peer: Peer,
    /// The subject of payloads for the peer.
    subject: Subject,
    /// The own subject for answers to heartbeats.
    reply: Subject,
    ends: HashMap<LinkId, LinkEnd<E>>,
    is_leaving: bool,
    /// Since when the peer has no links.
    unused_since: Option<Instant>,
}

/// All peers.
#[derive(Debug)]
pub(crate) struct Peers<E> {
    side: Side,
    timeouts: Timeouts,
    entries: HashMap<AssociationId, Entry<E>>,
    /// The order in which the peers publish.
    turns: VecDeque<AssociationId>,
    given_up: VecDeque<AssociationId>,
    wakes: Arc<WakeQueue>,
    /// The number of the last own connection, and whether it is up.
    connection: (u64, bool),
    is_draining: bool,
    /// The number of messages that were sent again.
    resent: u64,
}

impl<E: End> Peers<E> {
    pub(crate) fn new(side: Side, timeouts: Timeouts) -> Self {
        Self {
            side,
            timeouts,
            entries: HashMap::new(),
            turns: VecDeque::new(),
            given_up: VecDeque::new(),
            wakes: Arc::default(),
            connection: (0, false),
            is_draining: false,
            resent: 0,
        }
    }

    pub(crate) fn wakes(&self) -> Arc<WakeQueue> {
        self.wakes.clone()
    }

    /// Makes sure that there is a peer with this association. Returns false if the association was given up or belongs
    /// to a peer of another name, or if there are too many peers.
    pub(crate) fn add(&mut self, id: AssociationId, name: &SubjectName, subjects: [String; 2], now: Instant) -> bool {
        if let Some(entry) = self.entries.get(&id) {
            return entry.name == *name;
        }
        if self.given_up.contains(&id) || self.entries.len() >= MAX_PEERS {
            return false;
        }
        let (number, is_connected) = self.connection;
        let mut peer = Peer::new(Association::new(id, self.timeouts, now), self.side, number);
        if !is_connected {
            peer.disconnect(now);
        }
        if self.is_draining {
            peer.drain(now);
        }
        let [subject, reply] = subjects.map(Subject::from);
        let ends = HashMap::new();
        self.entries.insert(
            id,
            Entry { name: name.clone(), peer, subject, reply, ends, is_leaving: false, unused_since: None },
        );
        self.turns.push_back(id);
        true
    }

    /// Opens a link of a peer, with its end. Returns false, and drops the end, if there is no such peer, or if there is a
    /// link with this id.
    pub(crate) fn open(&mut self, id: AssociationId, link: LinkId, end: E, now: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        if !entry.peer.open(link) {
            return false;
        }
        let waker = self.wakes.waker(id, link);
        let mut end = LinkEnd { end, waker };
        if entry.is_leaving {
            end.end.leave();
        }
        entry.ends.insert(link, end);
        entry.pump(link, now);
        true
    }

    /// Handles a payload. The answer for an unknown association goes to `reply`.
    pub(crate) fn receive(&mut self, id: AssociationId, messages: &[Message], now: Instant) -> Received {
        let Some(entry) = self.entries.get_mut(&id) else { return Received::Unknown };
        entry.peer.receive(messages, now);
        if entry.peer.association().is_peer_draining() && !std::mem::replace(&mut entry.is_leaving, true) {
            entry.ends.values_mut().for_each(|end| end.end.leave());
        }
        entry.pump_changed(now);
        Received::Known
    }

    /// Handles the answer of NATS that nobody subscribes to the subject of a peer.
    pub(crate) fn miss(&mut self, id: AssociationId, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.peer.miss(now);
        }
    }

    /// Looks at the links whose ends have woken the task.
    pub(crate) fn pump_woken(&mut self, now: Instant) {
        for woken in self.wakes.take() {
            if let Some(entry) = self.entries.get_mut(&woken.association) {
                entry.pump(woken.link, now);
                // A link that was removed leaves room for others.
                entry.pump_changed(now);
            }
        }
    }

    /// Passes on the number of the own connection, and whether it is up.
    pub(crate) fn set_connection(&mut self, connection: (u64, bool), now: Instant) {
        let (before, was_connected) = std::mem::replace(&mut self.connection, connection);
        let (number, is_connected) = connection;
        for entry in self.entries.values_mut() {
            if was_connected && (!is_connected || number != before) {
                entry.peer.disconnect(now);
            }
            if is_connected && (!was_connected || number != before) {
                entry.peer.connect(number, now);
            }
        }
    }

    /// Returns the next message to publish, of all peers in turn.
    pub(crate) fn next_message(&mut self, now: Instant) -> Option<OutboundMessage> {
        for _ in 0..self.turns.len() {
            self.turns.rotate_left(1);
            let entry = self.turns.back().and_then(|id| self.entries.get_mut(id))?;
            if let Some(outgoing) = entry.peer.next_payload(now) {
                self.resent += outgoing.resent;
                let reply = outgoing.needs_reply.then(|| entry.reply.clone());
                return Some(message(entry.subject.clone(), reply, outgoing.payload));
            }
        }
        None
    }

    /// The earliest deadline of all peers.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.entries.values().map(|entry| entry.peer.deadline()).min()
    }

    /// Tells all peers that this machine drains.
    pub(crate) fn drain(&mut self, now: Instant) {
        self.is_draining = true;
        self.entries.values_mut().for_each(|entry| entry.peer.drain(now));
    }

    /// The number of messages that were sent again, because an acknowledgement was missing.
    pub(crate) fn resent(&self) -> u64 {
        self.resent
    }

    /// The number of links with an end.
    pub(crate) fn end_count(&self) -> usize {
        self.entries.values().map(|entry| entry.ends.len()).sum()
    }

    /// The association with the peer of this name and subject.
    pub(crate) fn find(&self, name: &SubjectName, subject: &str) -> Option<AssociationId> {
        let found = self.entries.iter().find(|(_, entry)| entry.name == *name && &*entry.subject == subject);
        found.map(|(id, _)| *id)
    }

    /// The ends of all links.
    pub(crate) fn ends_mut(&mut self) -> impl Iterator<Item = &mut E> {
        self.entries.values_mut().flat_map(|entry| entry.ends.values_mut()).map(|end| &mut end.end)
    }

    /// Looks at all links.
    pub(crate) fn pump_all(&mut self, now: Instant) {
        for entry in self.entries.values_mut() {
            let links: Vec<_> = entry.ends.keys().copied().collect();
            for link in links {
                entry.pump(link, now);
            }
        }
    }
}

/// Whether there is a peer for a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    Known,
    Unknown,
}

impl<E: End> Entry<E> {
    fn pump_changed(&mut self, now: Instant) {
        while let Some(changed) = self.peer.changed() {
            if let Some(violation) = changed.violation
                && let Some(mut end) = self.ends.remove(&changed.link)
            {
                end.end.fail(Failure::Violation(violation));
            }
            self.pump(changed.link, now);
        }
    }

    /// Moves what the link and its end have for each other, and removes what has ended.
    fn pump(&mut self, id: LinkId, now: Instant) {
        if let Some(LinkEnd { end, waker }) = self.ends.get_mut(&id)
            && self.peer.link(id).is_some_and(Link::is_open)
        {
            end.pump(&mut LinkAccess { peer: &mut self.peer, id, now }, &mut Context::from_waker(waker));
        }
        let Some(link) = self.peer.link(id) else { return };
        if link.is_open() {
            return;
        }
        let is_closed = link.is_closed();
        if is_closed {
            self.peer.remove(id);
        }
        if let Some(mut end) = self.ends.remove(&id)
            && is_closed
        {
            end.end.fail(Failure::Unreachable);
        }
    }
}

/// Makes a message to publish.
pub(crate) fn message(subject: Subject, reply: Option<Subject>, payload: Bytes) -> OutboundMessage {
    OutboundMessage { subject, reply, payload, headers: None }
}

#[cfg(test)]
mod tests;
