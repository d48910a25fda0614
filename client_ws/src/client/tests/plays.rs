//! Plays: their events, and what ends them.

use futures_util::{FutureExt, future};

use super::*;
use crate::{PlayEvent, RunningPlay};

fn print(play: u64, text: &str) -> String {
    let params = json!({ "play": play, "stream": "print", "text": text });
    json!({ "jsonrpc": "2.0", "method": "play.output", "params": params }).to_string()
}

fn value(json: &Value) -> Value {
    json!({ "output": "", "type": "map", "value": json, "elapsed_us": 1, "operations": 1 })
}

/// Starts a play, which the circle has received.
async fn start(client: &CircleWsClient, circle: &mut CircleSocket) -> RunningPlay {
    let play = client.play("loop {}").start().await.expect("it is sent");
    assert_eq!(next_params(circle, "play").await["script"], "loop {}");
    play
}

#[tokio::test]
async fn untaken_events_delay_nothing_else() {
    let (client, mut circle) = connect_identified().await;
    let mut play = start(&client, &mut circle).await;
    for line in 0..1000 {
        circle.send(print(2, &format!("{line}")).into()).await.expect("it is sent");
    }
    let (scope, ()) = future::join(client.scope(), async {
        next_params(&mut circle, "scope").await;
        answer(&mut circle, 3, &json!({ "variables": [], "functions": [] })).await;
    })
    .await;
    scope.expect("it is answered");
    let (cancelled, ()) = future::join(play.cancel(), async {
        assert_eq!(next_params(&mut circle, "cancel").await["play"], 2);
        answer(&mut circle, 4, &json!({ "cancelled": true })).await;
    })
    .await;
    assert!(cancelled.expect("it is answered"));
    for line in 0..1000 {
        let event = play.next().await;
        assert!(matches!(&event, Some(PlayEvent::Output(output)) if output.text == line.to_string()), "{event:?}");
    }
}

#[tokio::test]
async fn running_play_is_an_owned_stream() {
    let (client, mut circle) = connect_identified().await;
    let play = start(&client, &mut circle).await;
    circle.send(print(2, "one").into()).await.expect("it is sent");
    answer(&mut circle, 2, &value(&json!({ "n": 7 }))).await;
    // A task needs a play that borrows nothing.
    let events = tokio::spawn(play.collect::<Vec<_>>()).await.expect("it ends");
    assert!(matches!(&events[..], [PlayEvent::Output(output)] if output.text == "one"), "{events:?}");
}

#[tokio::test]
async fn result_is_read_as_a_type() {
    #[derive(serde::Deserialize)]
    struct Total {
        n: u8,
    }
    let (client, mut circle) = connect_identified().await;
    let play = start(&client, &mut circle).await;
    answer(&mut circle, 2, &value(&json!({ "n": 7 }))).await;
    let result = play.result().await.expect("a result");
    assert_eq!(result.value.get::<Total>().expect("it fits").n, 7);
    result.value.get::<String>().expect_err("it is a map");
}

#[tokio::test]
async fn dropped_play_is_cancelled() {
    let (client, mut circle) = connect_identified().await;
    // As the future of a call.
    {
        let mut play = Box::pin(client.play("loop {}").into_future());
        assert!(play.as_mut().now_or_never().is_none());
        next_params(&mut circle, "play").await;
    }
    assert_eq!(next_params(&mut circle, "cancel").await["play"], 2);
    // As a running play, and as the future of its result.
    drop(start(&client, &mut circle).await);
    assert_eq!(next_params(&mut circle, "cancel").await["play"], 4);
    let play = start(&client, &mut circle).await;
    assert!(play.result().now_or_never().is_none());
    assert_eq!(next_params(&mut circle, "cancel").await["play"], 6);
}

#[tokio::test]
async fn detached_or_ended_play_is_not_cancelled() {
    let (client, mut circle) = connect_identified().await;
    start(&client, &mut circle).await.detach();
    let mut play = start(&client, &mut circle).await;
    answer(&mut circle, 3, &value(&json!(1))).await;
    assert!(play.next().await.is_none());
    drop(play);
    // The next message after the plays is that of the next call.
    let (described, ()) = future::join(client.discover(), async {
        next_params(&mut circle, "rpc.discover").await;
        answer(&mut circle, 4, &json!({})).await;
    })
    .await;
    described.expect("it is answered");
}

#[tokio::test]
async fn zero_timeout_is_the_shortest() {
    let (client, mut circle) = connect_identified().await;
    let milliseconds = [Duration::ZERO, Duration::from_nanos(1), Duration::from_micros(1001)];
    for (timeout, expected) in milliseconds.into_iter().zip([1, 1, 2]) {
        client.play("1").timeout(timeout).start().await.expect("it is sent").detach();
        assert_eq!(next_params(&mut circle, "play").await["timeout_ms"], expected, "{timeout:?}");
    }
}
