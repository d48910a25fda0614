use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use tokio::{sync::mpsc, time::timeout};

use super::*;
use crate::{
    association::Timeouts,
    ids::{AssociationId, LinkId},
    link::Side,
    peers::{Failure, LinkAccess},
    subjects::SubjectName,
    wire::Channel,
};

/// Maximum time of anything that a test waits for.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of a message.
const PAYLOAD: usize = 64 << 10;

/// A message that a server got.
#[derive(Debug, PartialEq, Eq)]
struct Published {
    subject: String,
    has_reply: bool,
    bytes: usize,
}

/// Starts a NATS server for one client, which passes its messages on.
fn fake_server() -> (String, mpsc::UnboundedReceiver<Published>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("nats://{}", listener.local_addr().expect("an address"));
    let (sender, receiver) = mpsc::unbounded_channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream
            .write_all(b"INFO {\"server_id\":\"A\",\"version\":\"2.9.0\",\"max_payload\":1048576}\r\n")
            .expect("written");
        let mut reader = BufReader::new(stream.try_clone().expect("a descriptor"));
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
            let words: Vec<_> = line.split_whitespace().collect();
            match *words.as_slice() {
                ["PING"] => stream.write_all(b"PONG\r\n").expect("written"),
                ["PUB", subject, ref rest @ ..] => {
                    let bytes: usize = rest.last().and_then(|bytes| bytes.parse().ok()).expect("a size");
                    reader.read_exact(&mut vec![0; bytes + 2]).expect("a payload");
                    let published = Published { subject: subject.into(), has_reply: rest.len() > 1, bytes };
                    // The test may have ended.
                    let _ended = sender.send(published);
                }
                _ => {}
            }
            line.clear();
        }
    });
    (url, receiver)
}

/// An end with endless bytes.
struct Flood;

impl End for Flood {
    fn pump(&mut self, link: &mut LinkAccess<'_>, _: &mut Context<'_>) {
        while link.write(Channel::Work, &[0; 1024]) > 0 {}
    }

    fn leave(&mut self) {}

    fn note_silence(&mut self, _: Instant) {}

    fn fail(&mut self, _: Failure) {}
}

fn no_peers() -> Peers<Flood> {
    Peers::new(Side::Server, Timeouts::default())
}

async fn publish_all(outbox: &mut Outbox, peers: &mut Peers<Flood>) {
    let published = async {
        while outbox.publish(peers, Instant::now()) {
            outbox.ready().await;
        }
    };
    timeout(WAIT_TIMEOUT, published).await.expect("the server reads");
}

async fn next(published: &mut mpsc::UnboundedReceiver<Published>) -> Published {
    timeout(WAIT_TIMEOUT, published.recv()).await.expect("in time").expect("a message")
}

#[tokio::test]
async fn client_holds_a_bounded_number_of_bytes() {
    let (url, mut published) = fake_server();
    let client = async_nats::connect(&url).await.expect("connected");
    let mut outbox = Outbox::new(client);
    let count = 128;
    for number in 0..count {
        outbox.push(format!("a.{number}"), None, vec![0; PAYLOAD].into());
    }
    // The task of the client has no time to write anything.
    assert!(outbox.publish(&mut no_peers(), Instant::now()));
    let held = (count - outbox.messages.len()) * PAYLOAD;
    assert!(held <= 2 * (in_flight::BATCH + PAYLOAD), "{held}");
    publish_all(&mut outbox, &mut no_peers()).await;
    for number in 0..count {
        let expected = Published { subject: format!("a.{number}"), has_reply: false, bytes: PAYLOAD };
        assert_eq!(next(&mut published).await, expected);
    }
}

#[tokio::test]
async fn heartbeats_of_all_peers_go_before_their_payloads() {
    let (url, mut published) = fake_server();
    let mut outbox = Outbox::new(async_nats::connect(&url).await.expect("connected"));
    let (mut peers, now) = (no_peers(), Instant::now());
    peers.set_connection((1, true), now);
    for number in 1..=3 {
        let (id, name) = (AssociationId::from_bytes([number; 16]), SubjectName::new("m1").expect("valid"));
        assert!(peers.add(id, &name, [format!("peer.{number}"), format!("reply.{number}")], now));
        assert!(peers.open(id, LinkId::from_bytes([number; 16]), Flood, now));
    }
    // The answer to a placement goes before the first message of its association.
    outbox.push("answer", None, Bytes::new());
    publish_all(&mut outbox, &mut peers).await;
    assert_eq!(next(&mut published).await.subject, "answer");
    let mut heartbeats = [next(&mut published).await, next(&mut published).await, next(&mut published).await];
    assert!(heartbeats.iter().all(|message| message.has_reply && message.bytes < 100), "{heartbeats:?}");
    heartbeats.sort_by(|a, b| a.subject.cmp(&b.subject));
    assert_eq!(heartbeats.map(|message| message.subject), ["peer.1", "peer.2", "peer.3"]);
    let first = next(&mut published).await;
    assert!(!first.has_reply && first.bytes > PAYLOAD, "{first:?}");
}
