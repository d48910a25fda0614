//! Timeouts, and messages that the client does not accept.

use std::time::Duration;

use client_ws::{CircleWsClient, ClientError, Limits};
use futures_util::future;
use serde_json::json;

use crate::{
    Env, Failure, Outcome,
    env::FakeConnection,
    failure::{ensure_eq, ensure_matches, error_of},
};

/// A timeout that a fake circle meets on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Ends when a request has timed out.
async fn time_out(client: &CircleWsClient, connection: &FakeConnection) -> Outcome {
    let (described, received) = future::join(client.describe(), connection.receive("describe")).await;
    received?;
    ensure_matches!(error_of(described)?, ClientError::TimedOut { after } if *after == TIMEOUT);
    Ok(())
}

pub(crate) async fn unanswered_request_times_out(env: Env) -> Outcome {
    let fake = env.fake().await?;
    let client = fake.builder().timeout(TIMEOUT).build()?;
    let connection = fake.connect(&client).await?;
    time_out(&client, &connection).await?;
    // The connection is still good.
    let (discovered, answered) = future::join(client.discover(), async {
        let request = connection.receive("rpc.discover").await?;
        connection.answer(&request, &json!({ "openrpc": "1" })).await
    })
    .await;
    answered?;
    ensure_eq!(discovered?, json!({ "openrpc": "1" }));
    Ok(())
}

pub(crate) async fn play_has_no_timeout_of_the_client(env: Env) -> Outcome {
    let fake = env.fake().await?;
    let client = fake.builder().timeout(TIMEOUT).build()?;
    let connection = fake.connect(&client).await?;
    let play = client.play("1").start().await?;
    let request = connection.receive("play").await?;
    time_out(&client, &connection).await?;
    connection.answer_play(&request, &json!({ "n": 1 })).await?;
    ensure_eq!(play.result().await?.value.as_json(), r#"{"n":1}"#);
    Ok(())
}

/// The reason that the client reports for the end of its connection, twice.
async fn end_reason(client: &CircleWsClient) -> Result<String, Failure> {
    let error = error_of(client.next_notice().await)?;
    ensure_matches!(error, ClientError::ConnectionLost { code: None, .. });
    ensure_eq!(error_of(client.describe().await)?.to_string(), error.to_string());
    Ok(error.to_string())
}

pub(crate) async fn message_over_stated_limit_closes_connection(env: Env) -> Outcome {
    let (client, connection) = env.fake_connection().await?;
    let limits = Limits { output_kib: 1, store_kib: 0, ..Limits::default() };
    let description = json!({
        "name": "team", "version": "0", "protocol": 1, "access": "open", "modules": [], "sandbox": [],
        "you": { "public_key": null, "admitted": true }, "limits": limits,
    });
    let (described, answered) = future::join(client.describe(), async {
        let request = connection.receive("describe").await?;
        connection.answer(&request, &description).await
    })
    .await;
    answered?;
    described?;
    connection.send_large(1031).await?;
    connection.send_large(1032).await?;
    let expected = "connection lost: the circle sent a message of 1032 KiB; this client accepts at most 1031 KiB";
    ensure_eq!(end_reason(&client).await?, expected);
    Ok(())
}

pub(crate) async fn message_over_32_mib_closes_connection(env: Env) -> Outcome {
    let (client, connection) = env.fake_connection().await?;
    connection.send_large(33 << 10).await?;
    let expected = "connection lost: the circle sent a message of 33792 KiB; this client accepts at most 32768 KiB";
    ensure_eq!(end_reason(&client).await?, expected);
    Ok(())
}

pub(crate) async fn binary_message_closes_connection(env: Env) -> Outcome {
    let (client, connection) = env.fake_connection().await?;
    connection.send_binary().await?;
    let error = error_of(client.next_notice().await)?;
    ensure_matches!(error, ClientError::NotACircle { reason, .. } if reason == "it sent a binary message");
    ensure_matches!(error_of(client.play("1").await)?, ClientError::NotACircle { .. });
    connection.ended().await
}

pub(crate) async fn message_that_is_not_json_rpc_closes_connection(env: Env) -> Outcome {
    let (client, connection) = env.fake_connection().await?;
    connection.send("hello").await?;
    let error = error_of(client.next_notice().await)?;
    ensure_matches!(error, ClientError::NotACircle { reason, .. } if reason.contains("JSON-RPC"));
    connection.ended().await
}
