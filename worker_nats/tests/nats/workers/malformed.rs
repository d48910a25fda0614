//! Messages that are no messages, to every subject.

use worker_nats::{AssociationId, LinkId, association::Association, peer::farewell, wire};

use super::{NatsServer, RunningMachine, connect_hub, echo, place, timings, try_place};
use crate::{connect_with, settings, within};

#[tokio::test]
async fn malformed_messages_harm_nobody() {
    let Some(server) = NatsServer::start("malformed", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let machine = RunningMachine::with_name(&server.url(), "m1");
    let (_, handle) = place(&hub, &echo()).await;
    let attacker = connect_with(settings(&server.url())).await.expect("connected");
    let client = attacker.client();
    // The random name of the server is in the subject of any of its messages.
    let mut observed = client.subscribe("circles.team.server.*.link").await.expect("subscribed");
    let message = within("a heartbeat", futures_util::StreamExt::next(&mut observed)).await.expect("a message");
    let circle_server = message.subject.split('.').nth(3).expect("a name").to_owned();
    let hex = "00".repeat(16);
    let subjects = [
        "circles.team.place.build-1".to_owned(),
        "circles.team.machines".to_owned(),
        "circles.team.servers".to_owned(),
        "circles.team.worker.m1.link".to_owned(),
        "circles.team.worker.m1.other.x".to_owned(),
        "circles.team.worker.m1.inbox.part.0".to_owned(),
        "circles.team.worker.m1.inbox.part.x".to_owned(),
        format!("circles.team.worker.m1.inbox.part.{hex}"),
        format!("circles.team.worker.m1.inbox.beat.{hex}"),
        "circles.team.worker.m1.inbox.beat.x".to_owned(),
        format!("circles.team.server.{circle_server}.link"),
        format!("circles.team.server.{circle_server}.blob"),
        format!("circles.team.server.{circle_server}.other"),
        format!("circles.team.server.{circle_server}.inbox.place.{hex}"),
        format!("circles.team.server.{circle_server}.inbox.place.x"),
        format!("circles.team.server.{circle_server}.inbox.beat.{hex}"),
    ];
    let unknown = AssociationId::from_bytes([7; 16]);
    let link = LinkId::from_bytes([8; 16]);
    let mut data = wire::PayloadBuilder::new(unknown);
    assert!(data.push(&wire::Message::Close(link)) && data.push(&wire::Message::Closed(Association::link_id(unknown))));
    let placement = format!(
        r#"{{"v":1,"server":"x","link":"{hex}","setup":"{hex}{hex}","manifest_bytes":18446744073709551615,"group":0}}"#
    );
    let placed =
        format!(r#"{{"v":1,"status":"placed","machine":"m1","association":"{hex}","pid":1,"memory_bytes":1}}"#);
    let payloads: Vec<bytes::Bytes> = vec![
        "".into(),
        "x".into(),
        "{}".into(),
        r#"{"v":1}"#.into(),
        vec![0xff; 100_000].into(),
        vec![1; 17].into(),
        vec![1; 18].into(),
        placement.into(),
        placed.into(),
        farewell(unknown),
        data.finish(),
        r#"{"v":1,"server":"x","identity":"key-1","is_new":true}"#.into(),
        format!(r#"{{"v":1,"setup":"{hex}{hex}","part":"{hex}{hex}","offset":18446744073709551615}}"#).into(),
    ];
    for subject in &subjects {
        for payload in &payloads {
            client.publish(subject.clone(), payload.clone()).await.expect("published");
            for reply in ["circles.team.server.x.inbox.y", "circles.team.worker.m1.link", "elsewhere"] {
                client.publish_with_reply(subject.clone(), reply, payload.clone()).await.expect("published");
            }
        }
    }
    client.flush().await.expect("flushed");
    within("the count", async {
        while hub.status().malformed < 20 {
            tokio::time::sleep(super::POLL_INTERVAL).await;
        }
    })
    .await;
    handle.assert_echo().await;
    let (_, next) = place(&hub, &echo()).await;
    next.assert_echo().await;
    assert!(try_place(&hub, &echo()).await.is_ok());
    drop((handle, next));
    machine.idle().await;
}
