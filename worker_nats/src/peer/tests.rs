use std::time::Duration;

use super::*;
use crate::{
    association::Timeouts,
    link::{ACK_DELAY, WINDOW},
    wire::{Heartbeat, Loss, decode},
};

const ASSOCIATION: AssociationId = AssociationId::from_bytes([9; 16]);

fn id(number: usize) -> LinkId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    LinkId::from_bytes(bytes)
}

struct Pair {
    server: Peer,
    machine: Peer,
    now: Instant,
}

impl Pair {
    /// A server and a machine with so many links, which have exchanged their first heartbeats.
    fn new(links: usize) -> Self {
        let now = Instant::now();
        let [mut server, mut machine] = [Side::Server, Side::Machine]
            .map(|side| Peer::new(Association::new(ASSOCIATION, Timeouts::default(), now), side, 1));
        for number in 0..links {
            assert!(server.open(id(number)) && machine.open(id(number)));
        }
        let mut pair = Self { server, machine, now };
        pair.exchange();
        pair
    }

    /// Delivers all payloads. Returns the numbers of those of the server and of the machine.
    fn exchange(&mut self) -> (usize, usize) {
        let mut counts = (0, 0);
        loop {
            let sent = deliver(&mut self.server, &mut self.machine, self.now);
            let answered = deliver(&mut self.machine, &mut self.server, self.now);
            (counts.0, counts.1) = (counts.0 + sent, counts.1 + answered);
            if sent + answered == 0 {
                return counts;
            }
        }
    }
}

fn deliver(from: &mut Peer, to: &mut Peer, now: Instant) -> usize {
    let mut count = 0;
    while let Some(outgoing) = from.next_payload(now) {
        let (association, messages) = decode(outgoing.payload).expect("valid");
        assert_eq!(association, to.association().id());
        to.receive(&messages, now);
        count += 1;
    }
    count
}

/// Reads and discards all that has arrived at the links that have changed.
fn read_changed(peer: &mut Peer) -> usize {
    let mut read = 0;
    while let Some(changed) = peer.changed() {
        peer.update(changed.link, |link| {
            for channel in Channel::ALL {
                let length = link.arrived(channel).len();
                link.consume(channel, length);
                read += length;
            }
        });
    }
    read
}

#[test]
fn messages_of_many_links_share_payloads() {
    let mut pair = Pair::new(100);
    for number in 0..100 {
        assert_eq!(pair.server.write(id(number), Channel::Work, b"play"), 4);
    }
    assert_eq!(pair.exchange(), (1, 0));
    assert_eq!(read_changed(&mut pair.machine), 400);
    pair.now += ACK_DELAY;
    assert_eq!(pair.machine.deadline(), pair.now);
    assert_eq!(pair.exchange(), (0, 1));
    // Nothing is left but the heartbeats.
    assert_eq!(pair.server.deadline(), pair.now + Duration::from_millis(900));
}

#[test]
fn link_with_much_to_send_does_not_keep_others_waiting() {
    let mut pair = Pair::new(2);
    let output = vec![7; WINDOW.work];
    assert_eq!(pair.machine.write(id(0), Channel::Work, &output), WINDOW.work);
    pair.machine.write(id(1), Channel::Work, b"short");
    let first = pair.machine.next_payload(pair.now).expect("a payload");
    let (_, messages) = decode(first.payload).expect("valid");
    assert!(matches!(&messages[..], [Message::Data(long), ..] if long.link == id(0)));
    // The second payload begins with the other link.
    let second = pair.machine.next_payload(pair.now).expect("a payload");
    let (_, messages) = decode(second.payload).expect("valid");
    assert!(matches!(&messages[..], [Message::Data(short), ..] if short.link == id(1)));
}

#[test]
fn heartbeats_go_each_second_and_need_a_reply_subject() {
    let mut pair = Pair::new(0);
    assert_eq!(pair.server.next_payload(pair.now), None);
    pair.now = pair.server.deadline();
    let outgoing = pair.server.next_payload(pair.now).expect("a heartbeat");
    assert!(outgoing.needs_reply);
    let (_, messages) = decode(outgoing.payload).expect("valid");
    assert_eq!(messages, [Message::Heartbeat(Heartbeat { connection: 1, is_draining: false })]);
    pair.machine.drain(pair.now);
    pair.exchange();
    assert!(pair.server.association().is_peer_draining());
}

#[test]
fn reconnection_of_either_side_resends() {
    for side in [Side::Server, Side::Machine] {
        let mut pair = Pair::new(1);
        pair.server.write(id(0), Channel::Work, b"play");
        pair.machine.write(id(0), Channel::Work, b"output");
        // Both are lost.
        assert!(pair.server.next_payload(pair.now).is_some() && pair.machine.next_payload(pair.now).is_some());
        assert_eq!(pair.exchange(), (0, 0));
        match side {
            Side::Server => pair.server.connect(2, pair.now),
            Side::Machine => pair.machine.connect(2, pair.now),
        }
        // The other side learns it by the heartbeat.
        pair.exchange();
        assert_eq!((read_changed(&mut pair.server), read_changed(&mut pair.machine)), (6, 4));
    }
}

#[test]
fn bytes_of_all_links_are_bounded_and_those_that_wait_get_room_in_turn() {
    let count = MAX_BUFFERED / WINDOW.work + 2;
    let mut pair = Pair::new(count);
    let output = vec![7; WINDOW.work];
    let accepted: Vec<_> = (0..count).map(|number| pair.machine.write(id(number), Channel::Work, &output)).collect();
    assert_eq!(accepted.iter().sum::<usize>(), MAX_BUFFERED);
    assert_eq!(accepted[count - 2..], [0, 0]);
    // Signals pass.
    pair.machine.update(id(count - 1), |link| link.report_loss(Loss::Killed));
    assert_eq!(pair.machine.changed(), None);
    pair.exchange();
    pair.now += ACK_DELAY;
    pair.exchange();
    assert_eq!(
        pair.server.update(id(count - 1), Link::take_signals).and_then(|signals| signals.loss),
        Some(Loss::Killed)
    );
    let changed: Vec<_> = std::iter::from_fn(|| pair.machine.changed()).map(|changed| changed.link).collect();
    assert!(changed.contains(&id(count - 2)) && changed.contains(&id(count - 1)));
    assert_eq!(pair.machine.write(id(count - 2), Channel::Work, &output), WINDOW.work);
}

#[test]
fn link_that_ends_leaves_its_room_to_those_that_wait() {
    let count = MAX_BUFFERED / WINDOW.work + 3;
    let output = vec![7; WINDOW.work];
    for is_removed in [true, false] {
        let mut pair = Pair::new(count);
        for number in 0..count {
            pair.machine.write(id(number), Channel::Work, &output);
        }
        // The first one of those that wait is removed; another one gets its turn.
        pair.machine.remove(id(count - 3));
        assert_eq!(pair.machine.changed(), None);
        if is_removed {
            pair.machine.remove(id(0));
        } else {
            pair.machine.update(id(0), |link| link.close(pair.now));
        }
        assert_eq!(pair.machine.changed().map(|changed| changed.link), Some(id(count - 2)));
        assert_eq!(pair.machine.write(id(count - 2), Channel::Work, &output), WINDOW.work);
    }
}

#[test]
fn closed_link_is_removed_at_both_sides() {
    let mut pair = Pair::new(2);
    pair.machine.write(id(0), Channel::Work, b"output");
    let now = pair.now;
    pair.server.update(id(0), |link| link.close(now));
    pair.exchange();
    for peer in [&mut pair.server, &mut pair.machine] {
        let changed = peer.changed().expect("the link");
        assert_eq!(changed, Changed { link: id(0), violation: None });
        assert!(peer.link(id(0)).is_some_and(Link::is_closed));
        peer.remove(id(0));
        assert_eq!((peer.link_count(), peer.buffered), (1, 0));
        assert!(peer.link(id(0)).is_none() && peer.timers.is_empty());
    }
    pair.exchange();
    assert_eq!((pair.server.changed(), pair.machine.changed()), (None, None));
}

#[test]
fn link_that_the_peer_does_not_have_is_closed() {
    let mut pair = Pair::new(1);
    pair.machine.remove(id(0));
    pair.server.write(id(0), Channel::Work, b"play");
    pair.exchange();
    assert!(pair.server.link(id(0)).is_some_and(Link::is_closed));
    assert_eq!(pair.server.changed().map(|changed| changed.link), Some(id(0)));
    assert!(!pair.server.open(id(0)));
}

#[test]
fn violation_closes_its_link_alone() {
    let mut pair = Pair::new(2);
    let now = pair.now;
    pair.server.update(id(0), |link| link.report_loss(Loss::Killed));
    pair.server.update(id(1), Link::kill);
    pair.exchange();
    assert_eq!(pair.machine.changed(), Some(Changed { link: id(0), violation: Some(Violation::WrongDirection) }));
    assert_eq!(pair.machine.changed(), Some(Changed { link: id(1), violation: None }));
    assert!(
        !pair.machine.link(id(0)).is_some_and(Link::is_open) && pair.server.link(id(0)).is_some_and(Link::is_closed)
    );
    assert!(pair.machine.link(id(1)).is_some_and(Link::is_open) && !pair.machine.is_given_up(now));
}

#[test]
fn side_that_has_given_up_tells_the_other() {
    let mut pair = Pair::new(1);
    pair.now += Timeouts::default().silence;
    assert!(pair.server.is_given_up(pair.now));
    // The machine hears of it, whether by the farewell or as the answer to a heartbeat.
    let (association, messages) = decode(farewell(ASSOCIATION)).expect("valid");
    assert_eq!(association, ASSOCIATION);
    let mut fresh = Pair::new(1);
    fresh.machine.receive(&messages, fresh.now);
    assert!(fresh.machine.is_given_up(fresh.now));
    assert_eq!(fresh.machine.link_ids().collect::<Vec<_>>(), [id(0)]);
}

#[test]
fn outage_and_absence_reach_the_association() {
    let mut pair = Pair::new(1);
    pair.server.miss(pair.now);
    // A timer of a link that cannot expire must not keep the owner busy.
    pair.machine.write(id(0), Channel::Work, b"output");
    assert!(pair.machine.next_payload(pair.now).is_some());
    pair.machine.disconnect(pair.now);
    assert!(!pair.server.association().accepts_placements() && !pair.machine.association().accepts_placements());
    assert_eq!(pair.machine.deadline(), pair.now + Timeouts::default().outage);
    assert!(pair.server.is_given_up(pair.now + Timeouts::default().absence));
}
