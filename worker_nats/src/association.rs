//! An association: what a server and a machine know of each other while the server has links to workers there.
//!
//! Each side sends a [`Heartbeat`] each [`Timeouts::heartbeat`] for the pair, not for each link. An [`Association`] is a
//! pure state machine like a [`Link`](crate::link::Link): its owner tells it what happens and the time.
//!
//! | the side sees | and then |
//! | --- | --- |
//! | a new [`connection`](Heartbeat::connection) number | messages to the peer may be lost: [`Change::Resend`] |
//! | no payload of the peer for one and a half heartbeats, or nobody subscribes to its subject | [the peer is silent](Association::take_silence) |
//! | no payload of the peer for [`Timeouts::silence`] | gives the peer up |
//! | nobody subscribes to the peer's subject for [`Timeouts::absence`] | gives the peer up; no placements meanwhile |
//! | its own connection to NATS is down | does not count the silence; gives the peer up after [`Timeouts::outage`] |
//!
//! A side that has given the peer up ends all links of the association: the server as unreachable, the machine by
//! killing their workers. It forgets the association. The id of the association is random and the next association of
//! the pair has another one, so it stands for the epoch: a heartbeat of an unknown association gets the answer
//! [`Message::Closed`](crate::wire::Message::Closed) for the [`link_id`](Association::link_id) of the association, and the
//! peer ends its links, too. Until then, the server must refuse placements with the id of an association that it has
//! given up.
//!
//! NATS says that nobody subscribes ("no responders") only if a message has a reply subject, so heartbeats have one.
//! One such answer has no meaning: a peer that reconnects looks the same. So [`Timeouts::absence`] is longer than the
//! attempt to connect that hangs when NATS comes back, and the next one. [`Timeouts::silence`] is longer than that with
//! the time after which a client gives up a connection that does not answer its pings.

use std::time::{Duration, Instant};

use crate::{
    ids::{AssociationId, LinkId},
    wire::Heartbeat,
};

/// The timeouts of an association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Interval of heartbeats.
    pub heartbeat: Duration,
    /// Time without a payload after which the peer is given up.
    pub silence: Duration,
    /// Time without a subscriber after which the peer is given up.
    pub absence: Duration,
    /// Time without a connection to NATS after which the peer is given up.
    pub outage: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(1),
            silence: Duration::from_secs(8),
            absence: Duration::from_secs(3),
            outage: Duration::from_secs(30),
        }
    }
}

/// What the links of an association have to do after a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// [`Link::resend`](crate::link::Link::resend).
    Resend,
}

/// One side's knowledge of its peer.
#[derive(Debug)]
pub struct Association {
    id: AssociationId,
    timeouts: Timeouts,
    /// The number of the peer's connection in its last heartbeat.
    peer_connection: Option<u64>,
    is_peer_draining: bool,
    /// The time of the peer's last payload, or of the own reconnection.
    heard_at: Instant,
    /// The time since which nobody subscribes to the peer's subject.
    absent_since: Option<Instant>,
    /// Whether the owner knows that the peer is silent.
    is_silence_known: bool,
    /// The time since which the own connection is down.
    down_since: Option<Instant>,
    heartbeat_at: Instant,
    /// The peer has given this side up.
    has_ended: bool,
}

impl Association {
    /// Starts an association. The own connection to NATS is up, and the first heartbeat is due.
    pub fn new(id: AssociationId, timeouts: Timeouts, now: Instant) -> Self {
        Self {
            id,
            timeouts,
            peer_connection: None,
            is_peer_draining: false,
            heard_at: now,
            absent_since: None,
            is_silence_known: false,
            down_since: None,
            heartbeat_at: now,
            has_ended: false,
        }
    }

    /// The id.
    pub fn id(&self) -> AssociationId {
        self.id
    }

    /// The id that stands for all links in [`Message::Close`](crate::wire::Message::Close) and
    /// [`Message::Closed`](crate::wire::Message::Closed).
    pub fn link_id(id: AssociationId) -> LinkId {
        LinkId::from_bytes(id.to_bytes())
    }

    /// Counts a payload of the peer, of any content.
    pub fn hear(&mut self, now: Instant) {
        self.heard_at = now;
        self.absent_since = None;
        self.is_silence_known = false;
    }

    /// This side has lost messages that had arrived, perhaps all of the peer: its silence begins anew.
    pub fn excuse(&mut self, now: Instant) {
        self.heard_at = now;
        self.is_silence_known = false;
    }

    /// Handles a heartbeat.
    pub fn receive(&mut self, heartbeat: Heartbeat, now: Instant) -> Change {
        self.hear(now);
        self.is_peer_draining = heartbeat.is_draining;
        match self.peer_connection.replace(heartbeat.connection) {
            Some(earlier) if earlier != heartbeat.connection => Change::Resend,
            _ => Change::None,
        }
    }

    /// Handles the answer that nobody subscribes to the peer's subject.
    pub fn miss(&mut self, now: Instant) {
        self.absent_since.get_or_insert(now);
    }

    /// The own connection to NATS has ended.
    pub fn disconnect(&mut self, now: Instant) {
        self.down_since.get_or_insert(now);
    }

    /// Whether the own connection is down.
    pub fn is_disconnected(&self) -> bool {
        self.down_since.is_some()
    }

    /// The own connection is up again: the peer gets the whole time anew, and a heartbeat at once. All links have to
    /// resend.
    pub fn reconnect(&mut self, now: Instant) {
        self.down_since = None;
        self.hear(now);
        self.heartbeat_at = now;
    }

    /// The peer does not have this association (any more).
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    /// Makes a heartbeat due now, because it has news.
    pub fn hurry_heartbeat(&mut self, now: Instant) {
        self.heartbeat_at = now;
    }

    /// Whether a heartbeat has to be sent now. If so, the next one is due after the interval.
    pub fn is_heartbeat_due(&mut self, now: Instant) -> bool {
        let is_due = self.down_since.is_none() && !self.has_ended && now >= self.heartbeat_at;
        if is_due {
            self.heartbeat_at = now + self.timeouts.heartbeat;
        }
        is_due
    }

    /// Returns the time at which the peer is given up, if it has become silent: it may be lost, and may be late or about to
    /// reconnect as well. Until the next payload of the peer, it returns the time once.
    pub fn take_silence(&mut self, now: Instant) -> Option<Instant> {
        self.silent_at().filter(|at| *at <= now)?;
        self.is_silence_known = true;
        Some(self.gives_up_at())
    }

    /// Whether the peer has to be given up.
    pub fn is_given_up(&self, now: Instant) -> bool {
        self.has_ended || now >= self.gives_up_at()
    }

    /// Whether new workers may be placed at the peer.
    pub fn accepts_placements(&self) -> bool {
        !self.has_ended && self.down_since.is_none() && self.absent_since.is_none() && !self.is_peer_draining
    }

    /// Whether the peer drains.
    pub fn is_peer_draining(&self) -> bool {
        self.is_peer_draining
    }

    /// The time at which a heartbeat is due or the peer is given up. After [`end`](Self::end), it says nothing.
    pub fn deadline(&self) -> Instant {
        match self.down_since {
            Some(_) => self.gives_up_at(),
            None => self.silent_at().into_iter().fold(self.gives_up_at().min(self.heartbeat_at), Instant::min),
        }
    }

    /// The time at which the peer becomes silent: a heartbeat may be late by half of the interval.
    fn silent_at(&self) -> Option<Instant> {
        let is_expected = self.down_since.is_none() && !self.has_ended && !self.is_silence_known;
        is_expected.then(|| self.absent_since.unwrap_or(self.heard_at + self.timeouts.heartbeat * 3 / 2))
    }

    fn gives_up_at(&self) -> Instant {
        let Timeouts { silence, absence, outage, .. } = self.timeouts;
        if let Some(since) = self.down_since {
            return since + outage;
        }
        let silent_until = self.heard_at + silence;
        self.absent_since.map_or(silent_until, |since| silent_until.min(since + absence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> (Association, Instant) {
        let now = Instant::now();
        (Association::new(AssociationId::from_bytes([1; 16]), Timeouts::default(), now), now)
    }

    const fn heartbeat(connection: u64) -> Heartbeat {
        Heartbeat { connection, is_draining: false }
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn new_connection_of_the_peer_needs_a_resend() {
        let (mut association, now) = start();
        let changes = [1, 1, 2, 2].map(|connection| association.receive(heartbeat(connection), now));
        assert_eq!(changes, [Change::None, Change::None, Change::Resend, Change::None]);
    }

    #[test]
    fn heartbeat_is_due_each_second_while_the_connection_is_up() {
        let (mut association, now) = start();
        assert!(association.is_heartbeat_due(now) && !association.is_heartbeat_due(now));
        assert_eq!(association.deadline(), now + seconds(1));
        assert!(association.is_heartbeat_due(now + seconds(1)));
        association.disconnect(now + seconds(1));
        assert!(!association.is_heartbeat_due(now + seconds(3)));
        association.reconnect(now + seconds(3));
        assert!(association.is_heartbeat_due(now + seconds(3)));
    }

    #[test]
    fn silent_peer_is_given_up() {
        let (mut association, now) = start();
        association.hear(now + seconds(1));
        assert!(!association.is_given_up(now + Duration::from_millis(8_999)));
        assert!(association.is_given_up(now + seconds(9)));
    }

    #[test]
    fn silence_is_returned_once_until_the_peer_is_heard() {
        let (mut association, now) = start();
        let half = Duration::from_millis(500);
        association.is_heartbeat_due(now + seconds(1));
        assert_eq!(association.take_silence(now + seconds(1)), None);
        assert_eq!(association.deadline(), now + half * 3);
        assert_eq!(association.take_silence(now + half * 3), Some(now + seconds(8)));
        assert_eq!(association.take_silence(now + seconds(2)), None);
        assert_eq!(association.deadline(), now + seconds(2));
        association.hear(now + seconds(2));
        assert_eq!(association.take_silence(now + half * 7), Some(now + seconds(10)));
        // Nobody subscribes.
        association.hear(now + seconds(4));
        association.miss(now + seconds(4));
        assert_eq!(association.take_silence(now + seconds(4)), Some(now + seconds(7)));
        // Without a connection of its own, a side cannot tell.
        association.reconnect(now + seconds(5));
        association.disconnect(now + seconds(5));
        assert_eq!(association.take_silence(now + seconds(9)), None);
    }

    #[test]
    fn peer_whose_messages_this_side_has_lost_is_not_silent() {
        let (mut association, now) = start();
        association.excuse(now + seconds(7));
        assert!(association.take_silence(now + seconds(8)).is_none() && !association.is_given_up(now + seconds(8)));
        // It says nothing about subscribers.
        association.miss(now + seconds(8));
        association.excuse(now + seconds(10));
        assert!(association.is_given_up(now + seconds(11)));
    }

    #[test]
    fn outage_of_the_own_connection_does_not_count_as_silence() {
        let (mut association, now) = start();
        association.disconnect(now + seconds(4));
        association.disconnect(now + seconds(10));
        assert!(!association.accepts_placements() && !association.is_given_up(now + seconds(33)));
        assert_eq!(association.deadline(), now + seconds(34));
        assert!(association.is_given_up(now + seconds(34)));
        association.reconnect(now + seconds(33));
        assert!(association.accepts_placements() && !association.is_given_up(now + seconds(40)));
        assert!(association.is_given_up(now + seconds(41)));
    }

    #[test]
    fn absent_peer_is_given_up_unless_it_comes_back() {
        let (mut association, now) = start();
        association.miss(now);
        association.miss(now + seconds(1));
        assert!(!association.accepts_placements() && !association.is_given_up(now + seconds(2)));
        assert!(association.is_given_up(now + seconds(3)));
        association.receive(heartbeat(2), now + seconds(2));
        assert!(association.accepts_placements() && !association.is_given_up(now + seconds(3)));
    }

    #[test]
    fn draining_peer_gets_no_placements() {
        let (mut association, now) = start();
        association.receive(Heartbeat { connection: 1, is_draining: true }, now);
        assert!(association.is_peer_draining() && !association.accepts_placements());
        let (mut association, now) = start();
        association.end();
        assert!(association.is_given_up(now) && !association.accepts_placements());
        assert!(!association.is_heartbeat_due(now));
        assert_eq!(Association::link_id(association.id()).to_bytes(), association.id().to_bytes());
    }
}
