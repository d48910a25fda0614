//! The end of a connection, and its reason.

use client_ws::{ClientError, LossReason, Notice};
use futures_util::future;
use serde_json::json;

use crate::{
    Env, Outcome,
    env::key,
    failure::{ensure, ensure_eq, ensure_matches, error_of},
};

/// The code of a circle that shuts down.
const GOING_AWAY: u16 = 1001;

/// The code for a connection that did not authenticate in time, among others.
const POLICY_VIOLATION: u16 = 1008;

pub(crate) async fn reason_for_the_end_is_never_lost(env: Env) -> Outcome {
    let (client, connection) = env.fake_connection().await?;
    connection.close(POLICY_VIOLATION, "the key is no longer a member").await?;
    let expected = "connection lost: the key is no longer a member (1008)";
    for _ in 0..2 {
        ensure_eq!(error_of(client.next_notice().await)?.to_string(), expected);
        ensure_eq!(error_of(client.describe().await)?.to_string(), expected);
        ensure_eq!(error_of(client.play("1").await)?.to_string(), expected);
        ensure_eq!(error_of(client.play("1").start().await)?.to_string(), expected);
    }
    ensure!(!client.is_connected());
    Ok(())
}

pub(crate) async fn circle_that_shuts_down_says_so(env: Env) -> Outcome {
    let circle = env.serve(&[]).await?;
    let client = circle.connect().await?;
    let (notice, drained) = future::join(client.next_notice(), circle.drain()).await;
    drained?;
    let error = error_of(notice)?;
    ensure_matches!(error, ClientError::ConnectionLost { code: Some(GOING_AWAY), .. });
    ensure_eq!(error_of(client.play("1").await)?.to_string(), error.to_string());
    Ok(())
}

pub(crate) async fn unauthenticated_connection_ends_with_a_reason(env: Env) -> Outcome {
    let member = key()?.public_key().to_hex();
    let client = env.serve(&["--member", &member, "--limit", "login_s=1"]).await?.connect().await?;
    let error = error_of(client.next_notice().await)?;
    ensure_matches!(
        error,
        ClientError::ConnectionLost { code: Some(POLICY_VIOLATION), reason } if reason.contains("authenticat")
    );
    ensure_eq!(error_of(client.describe().await)?.to_string(), error.to_string());
    Ok(())
}

pub(crate) async fn running_play_fails_with_its_connection(env: Env) -> Outcome {
    let circle = env.serve(&[]).await?;
    let client = circle.connect().await?;
    let mut play = client.play(r#"print("begun"); loop {}"#).start().await?;
    ensure!(play.next().await.is_some());
    circle.kill().await?;
    ensure!(play.next().await.is_none());
    ensure_matches!(error_of(play.result().await)?, ClientError::ConnectionLost { code: None, .. });
    ensure!(!client.is_connected());
    // The client can connect again.
    circle.start_again().await?;
    client.connect().await?;
    ensure_eq!(client.play("6 * 7").await?.value.get::<i64>()?, 42);
    Ok(())
}

pub(crate) async fn next_notice_returns_notices_before_the_end(env: Env) -> Outcome {
    let (client, connection) = env.fake_connection().await?;
    connection.notify("session.reset", &json!({ "reason": "idle" })).await?;
    connection.abort().await?;
    ensure_eq!(client.next_notice().await?, Notice::EnvironmentLost { reason: LossReason::Idle });
    ensure_matches!(error_of(client.next_notice().await)?, ClientError::ConnectionLost { code: None, .. });
    client.disconnect();
    ensure_matches!(error_of(client.next_notice().await)?, ClientError::NotConnected);
    Ok(())
}

pub(crate) async fn disconnect_ends_everything(env: Env) -> Outcome {
    let (client, connection) = env.fake_connection().await?;
    let play = client.play("loop {}").start().await?;
    connection.receive("play").await?;
    let (notice, result, ()) = future::join3(client.next_notice(), play.result(), async { client.disconnect() }).await;
    ensure_matches!(error_of(notice)?, ClientError::NotConnected);
    ensure_matches!(error_of(result)?, ClientError::NotConnected);
    ensure!(!client.is_connected());
    ensure_matches!(error_of(client.describe().await)?, ClientError::NotConnected);
    connection.ended().await
}

pub(crate) async fn dropped_client_closes_its_connection(env: Env) -> Outcome {
    let (client, connection) = env.fake_connection().await?;
    let play = client.play("loop {}").start().await?;
    connection.receive("play").await?;
    drop(client);
    ensure_matches!(error_of(play.result().await)?, ClientError::NotConnected);
    connection.ended().await
}
