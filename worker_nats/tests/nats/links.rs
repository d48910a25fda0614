//! Links over a NATS server that is killed in the middle, and peers that go away.

use std::{collections::HashMap, time::Instant};

use async_nats::Subscriber;
use futures_util::StreamExt;
use tokio::sync::oneshot;
use worker_nats::{
    AssociationId, LinkId,
    association::{Association, Timeouts},
    connection::{Connection, has_no_subscriber},
    link::Side,
    peer::{Peer, farewell},
    subjects::{SubjectName, Subjects},
    wire::{Channel, decode},
};

use super::{connect_with, server::NatsServer, settings, within};

const ASSOCIATION: AssociationId = AssociationId::from_bytes([2; 16]);

/// Bytes of each link in each direction: many windows.
const LENGTH: u64 = 4 << 20;

const LINKS: u8 = 3;

fn byte(position: u64) -> u8 {
    (position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// The bytes that have passed one link.
#[derive(Debug, Default, PartialEq, Eq)]
struct Progress {
    written: u64,
    read: u64,
}

/// One side: writes [`LENGTH`] bytes to each of its links, and reads as many.
struct End {
    connection: Connection,
    subscription: Subscriber,
    own_subject: String,
    peer_subject: String,
    peer: Peer,
    links: HashMap<LinkId, Progress>,
    /// Tells the test that half of the bytes have been read.
    half: Option<oneshot::Sender<()>>,
    /// Tells the test the number of the connection, once all bytes have arrived on both sides.
    done: Option<oneshot::Sender<u64>>,
    /// Tells the test that the peer was given up.
    given_up: Option<oneshot::Sender<()>>,
}

impl End {
    async fn start(url: &str, side: Side, timeouts: Timeouts) -> Self {
        let name = |name| SubjectName::new(name).expect("valid");
        let subjects = Subjects::new(&name("team"));
        let (server, machine) = (subjects.server_link(&name("s1")), subjects.machine_link(&name("m1")));
        let (own_subject, peer_subject) = match side {
            Side::Server => (server, machine),
            Side::Machine => (machine, server),
        };
        let connection = connect_with(settings(url)).await.expect("connected");
        let subscription = connection.client().subscribe(own_subject.clone()).await.expect("subscribed");
        connection.check_permissions(subjects.probe()).await.expect("allowed");
        let association = Association::new(ASSOCIATION, timeouts, Instant::now());
        let mut peer = Peer::new(association, side, connection.number());
        let ids = (0..LINKS).map(|number| LinkId::from_bytes([number; 16]));
        let links: HashMap<_, _> = ids.map(|id| (id, Progress::default())).collect();
        for id in links.keys() {
            assert!(peer.open(*id));
        }
        let (half, done, given_up) = (None, None, None);
        Self { connection, subscription, own_subject, peer_subject, peer, links, half, done, given_up }
    }

    /// Moves the bytes of the application at one link.
    fn drive(&mut self, id: LinkId) {
        let room = self.peer.room(id, Channel::Work) as u64;
        let progress = self.links.get_mut(&id).expect("a link");
        let bytes: Vec<u8> = (progress.written..LENGTH.min(progress.written + room)).map(byte).collect();
        progress.written += self.peer.write(id, Channel::Work, &bytes) as u64;
        let read = self.peer.update(id, |link| {
            let arrived = link.arrived(Channel::Work);
            assert!(arrived.iter().zip(progress.read..).all(|(arrived, position)| *arrived == byte(position)));
            let length = arrived.len();
            link.consume(Channel::Work, length);
            length as u64
        });
        progress.read += read.expect("a link");
    }

    async fn send(&mut self) {
        while self.connection.is_connected()
            && let Some(outgoing) = self.peer.next_payload(Instant::now())
        {
            let (client, subject) = (self.connection.client(), self.peer_subject.clone());
            let published = if outgoing.needs_reply {
                client.publish_with_reply(subject, self.own_subject.clone(), outgoing.payload).await
            } else {
                client.publish(subject, outgoing.payload).await
            };
            published.expect("published");
        }
    }

    async fn receive(&mut self, message: async_nats::Message) {
        if has_no_subscriber(&message) {
            return self.peer.miss(Instant::now());
        }
        let (association, messages) = decode(message.payload).expect("valid");
        if association == self.peer.association().id() {
            self.peer.receive(&messages, Instant::now());
        } else if let Some(reply) = message.reply {
            self.connection.client().publish(reply, farewell(association)).await.expect("published");
        }
    }

    /// Runs until it is dropped: the other side may need an answer for longer than this one.
    async fn run(mut self) {
        let ids: Vec<_> = self.links.keys().copied().collect();
        for id in ids {
            self.drive(id);
        }
        loop {
            while let Some(changed) = self.peer.changed() {
                assert_eq!(changed.violation, None);
                self.drive(changed.link);
            }
            self.send().await;
            self.report();
            tokio::select! {
                message = self.subscription.next() => self.receive(message.expect("a subscription")).await,
                _ = self.connection.changed() => {}
                () = tokio::time::sleep_until(self.peer.deadline().into()) => {}
            }
            if !self.connection.is_connected() {
                self.peer.disconnect(Instant::now());
            } else if self.peer.connection() != self.connection.number() {
                self.peer.connect(self.connection.number(), Instant::now());
            }
        }
    }

    /// Tells the test what it waits for. The test may have ended.
    fn report(&mut self) {
        let read: u64 = self.links.values().map(|progress| progress.read).sum();
        if read >= LENGTH * u64::from(LINKS) / 2
            && let Some(half) = self.half.take()
        {
            let _test_ended = half.send(());
        }
        let is_done = self.links.values().all(|progress| *progress == Progress { written: LENGTH, read: LENGTH });
        let mut links = self.links.keys().filter_map(|id| self.peer.link(*id));
        if is_done
            && links.all(|link| link.buffered_bytes() == 0)
            && let Some(done) = self.done.take()
        {
            let _test_ended = done.send(self.connection.number());
        }
        if self.peer.is_given_up(Instant::now())
            && let Some(given_up) = self.given_up.take()
        {
            let _test_ended = given_up.send(());
        }
    }
}

#[tokio::test]
async fn killed_nats_server_loses_and_doubles_no_byte() {
    let Some(mut server) = NatsServer::start("killed_nats_server", "") else { return };
    let (half, at_half) = oneshot::channel();
    let (machine_done, machine_number) = oneshot::channel();
    let (circle_done, circle_number) = oneshot::channel();
    let url = server.url();
    let mut machine = End::start(&url, Side::Machine, Timeouts::default()).await;
    (machine.half, machine.done) = (Some(half), Some(machine_done));
    let mut circle = End::start(&url, Side::Server, Timeouts::default()).await;
    circle.done = Some(circle_done);
    let restart = async {
        at_half.await.expect("half of the bytes");
        server.kill();
        server.launch("");
        (machine_number.await.expect("all bytes"), circle_number.await.expect("all bytes"))
    };
    let numbers = within("all bytes", async {
        tokio::select! {
            numbers = restart => numbers,
            () = machine.run() => unreachable!(),
            () = circle.run() => unreachable!(),
        }
    });
    assert_eq!(numbers.await, (2, 2));
}

/// Timeouts of which only the absence can pass during a test.
fn only_absence() -> Timeouts {
    let long = 10 * super::WAIT_TIMEOUT;
    Timeouts { silence: long, outage: long, absence: std::time::Duration::from_millis(100), ..Timeouts::default() }
}

#[tokio::test]
async fn peer_that_is_gone_is_given_up_long_before_it_would_be_silent() {
    let Some(server) = NatsServer::start("gone_peer", "") else { return };
    let (given_up, is_given_up) = oneshot::channel();
    let mut circle = End::start(&server.url(), Side::Server, only_absence()).await;
    circle.given_up = Some(given_up);
    // Nobody subscribes to the subject of the machine.
    within("the end of the peer", async {
        tokio::select! {
            given_up = is_given_up => given_up.expect("given up"),
            () = circle.run() => unreachable!(),
        }
    })
    .await;
}

#[tokio::test]
async fn peer_that_has_lost_the_association_says_so() {
    let Some(server) = NatsServer::start("lost_association", "") else { return };
    let (given_up, is_given_up) = oneshot::channel();
    let long = Timeouts { absence: super::WAIT_TIMEOUT * 10, ..only_absence() };
    let mut circle = End::start(&server.url(), Side::Server, long).await;
    circle.given_up = Some(given_up);
    // A machine that was started again under its name.
    let mut machine = End::start(&server.url(), Side::Machine, long).await;
    let association = Association::new(AssociationId::from_bytes([3; 16]), long, Instant::now());
    (machine.peer, machine.links) = (Peer::new(association, Side::Machine, 1), HashMap::new());
    within("the end of the peer", async {
        tokio::select! {
            given_up = is_given_up => given_up.expect("given up"),
            () = circle.run() => unreachable!(),
            () = machine.run() => unreachable!(),
        }
    })
    .await;
}
