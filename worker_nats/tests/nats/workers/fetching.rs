//! Machines that fetch setups, and those who answer or ask in the name of others.

use async_nats::{Client, Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use worker_nats::{
    ContentHash, Setup, Timings,
    machine::{Circles, MachineOptions},
    server::PlaceError,
};

use super::{NatsServer, RunningMachine, connect_hub, echo, machine_options, millis, place, setup, timings, try_place};
use crate::{connect_with, settings, within};

async fn next(messages: &mut Subscriber) -> Message {
    within("a message", messages.next()).await.expect("a message")
}

/// A part as servers send it.
fn answer(offset: u64, bytes: &[u8]) -> Bytes {
    [&offset.to_le_bytes(), bytes].concat().into()
}

fn placement(setup: &Setup) -> String {
    let (link, manifest) = ("07".repeat(16), setup.manifest());
    format!(
        r#"{{"v":1,"server":"s9","link":"{link}","setup":"{}","manifest_bytes":{},"group":0}}"#,
        manifest.hash, manifest.bytes
    )
}

async fn send(client: &Client, subject: impl Into<String>, payload: impl Into<Bytes>) {
    client.publish(subject.into(), payload.into()).await.expect("published");
}

/// Places a worker of a setup for the server `s9`, which is the test, as soon as there is a machine. Returns the first
/// message to the server.
async fn request_placement(client: &Client, messages: &mut Subscriber, setup: &Setup) -> Message {
    loop {
        let reply = "circles.team.server.s9.inbox.place.x";
        client
            .publish_with_reply("circles.team.place.build-1", reply, placement(setup).into())
            .await
            .expect("published");
        let message = next(messages).await;
        // NATS says that there is no machine yet.
        if message.status.is_none() {
            return message;
        }
        tokio::time::sleep(super::POLL_INTERVAL).await;
    }
}

#[tokio::test]
async fn wrong_answer_of_another_sender_does_not_end_a_fetch() {
    let Some(server) = NatsServer::start("wrong_answers", "") else { return };
    let connection = connect_with(settings(&server.url())).await.expect("connected");
    let client = connection.client();
    let mut messages = client.subscribe("circles.team.server.s9.>").await.expect("subscribed");
    let options = machine_options(&server.url(), "m1", timings());
    let machine = RunningMachine::start(MachineOptions { circles: Circles::All, ..options });
    let setup = setup(&[Bytes::from_static(b"echo")]);
    let mut message = request_placement(client, &mut messages, &setup).await;
    for content in [setup.part(setup.hash()).expect("the manifest"), &Bytes::from_static(b"echo")] {
        assert_eq!(&*message.subject, "circles.team.server.s9.blob");
        let reply = message.reply.clone().expect("a reply subject").to_string();
        let (inbox, token) = reply.rsplit_once('.').expect("a token");
        // Nobody can guess the next one.
        assert_eq!((inbox, token.len()), ("circles.team.worker.m1.inbox.part", 32));
        for wrong in [answer(1, content), answer(0, b""), answer(0, &[content, &b"x"[..]].concat()), "x".into()] {
            send(client, &*reply, wrong).await;
        }
        for guessed in ["0", "1", "2", &"0".repeat(32)] {
            send(client, format!("{inbox}.{guessed}"), "").await;
        }
        // Of a server of another circle.
        send(client, reply.replace("team", "other"), vec![0; 8 + content.len()]).await;
        send(client, &*reply, answer(0, content)).await;
        message = next(&mut messages).await;
    }
    assert!(String::from_utf8_lossy(&message.payload).contains(r#""status":"placed""#), "{message:?}");
    assert_eq!(machine.fakes.counts().started, 1);
}

#[tokio::test]
async fn server_without_the_setup_ends_a_fetch_at_once() {
    let Some(server) = NatsServer::start("no_setup", "") else { return };
    let connection = connect_with(settings(&server.url())).await.expect("connected");
    let client = connection.client();
    let mut messages = client.subscribe("circles.team.server.s9.>").await.expect("subscribed");
    let _machine = RunningMachine::with_name(&server.url(), "m1");
    let message = request_placement(client, &mut messages, &echo()).await;
    send(client, message.reply.expect("a reply subject").to_string(), "").await;
    let message = next(&mut messages).await;
    let text = String::from_utf8_lossy(&message.payload);
    assert!(text.contains("the server does not have the part"), "{text}");
}

#[tokio::test]
async fn server_sends_parts_only_to_the_inbox_of_requests() {
    let Some(server) = NatsServer::start("part_replies", "") else { return };
    let hub = connect_hub(&server.url(), Timings { announcement: millis(100), ..timings() }).await;
    let connection = connect_with(settings(&server.url())).await.expect("connected");
    let client = connection.client();
    let mut announcements = client.subscribe("circles.team.servers").await.expect("subscribed");
    let announcement = next(&mut announcements).await;
    let text = String::from_utf8_lossy(&announcement.payload);
    let (_, rest) = text.split_once(r#""server":""#).expect("a name");
    let blob = format!("circles.team.server.{}.blob", rest.split('"').next().expect("a name"));
    let mut messages = client.subscribe("circles.*.worker.>").await.expect("subscribed");
    let hash = ContentHash::of(b"part");
    let request = Bytes::from(format!(r#"{{"v":1,"setup":"{hash}","part":"{hash}","offset":0}}"#));
    let token = "0".repeat(32);
    let refused = [
        "circles.team.worker.m2.link".to_owned(),
        "circles.team.worker.m2.inbox.part.0".to_owned(),
        format!("circles.team.worker.m2.inbox.beat.{token}"),
        format!("circles.other.worker.m2.inbox.part.{token}"),
    ];
    for reply in &refused {
        client.publish_with_reply(blob.clone(), reply.clone(), request.clone()).await.expect("published");
    }
    let accepted = format!("circles.team.worker.m2.inbox.part.{token}");
    client.publish_with_reply(blob, accepted.clone(), request).await.expect("published");
    // The server handles its messages in order.
    assert_eq!(&*next(&mut messages).await.subject, &*accepted);
    assert_eq!(hub.status().malformed, refused.len() as u64);
}

#[tokio::test]
async fn setup_whose_workers_do_not_start_in_time_is_prepared_anew() {
    let Some(server) = NatsServer::start("stuck_setup", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let timings = Timings { start: millis(300), ..timings() };
    let machine = RunningMachine::start(machine_options(&server.url(), "m1", timings));
    let (_, _first) = place(&hub, &echo()).await;
    let setup = setup(&[Bytes::from_static(b"stuck")]);
    for _ in 0..2 {
        let prepared = machine.fakes.counts().prepared;
        let error = try_place(&hub, &setup).await.err();
        assert_eq!(error, Some(PlaceError::Refused("the worker did not start in time".into())));
        assert!(machine.fakes.counts().prepared > prepared);
    }
}
