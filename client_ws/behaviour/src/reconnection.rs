//! Automatic reconnection.

use std::time::Duration;

use client_ws::{ClientError, Notice, ReconnectPolicy};
use futures_util::{FutureExt, future};
use serde_json::json;

use crate::{
    Env, Outcome,
    env::key,
    failure::{ensure, ensure_eq, ensure_matches, error_of},
};

/// Browsers delay the connections of a page that has failed to connect many times.
fn policy() -> ReconnectPolicy {
    ReconnectPolicy::default().min_delay(Duration::from_millis(20)).max_delay(Duration::from_millis(500))
}

pub(crate) async fn client_reconnects_and_authenticates_and_repeats_nothing(env: Env) -> Outcome {
    let member = key()?;
    let public_key = member.public_key().to_hex();
    let circle = env.serve_persistent(&["--member", &public_key, "--limit", "play_ms=600000"]).await?;
    let client = circle.builder().keypair(member).reconnect(policy()).build()?;
    client.connect().await?;
    client.authenticate().await?;
    let identity = client.identity();
    let mut play = client.play(r#"let launched = 1; print("launched"); loop {}"#).start().await?;
    ensure!(play.next().await.is_some());
    circle.kill().await?;
    ensure_matches!(error_of(play.result().await)?, ClientError::ConnectionLost { code: None, .. });
    let notice = client.next_notice().await?;
    ensure_matches!(notice, Notice::ConnectionLost { unanswered: 1, code: None, .. });

    circle.start_again().await?;
    ensure_matches!(client.next_notice().await?, Notice::Reconnected { attempts: 1.. });
    ensure!(client.is_connected());
    ensure_eq!(client.identity(), identity);
    ensure_eq!(client.play("CALLER_PUBLIC_KEY").await?.value.get::<String>()?, public_key);
    // The session is new, and the lost play has not run in it.
    let variables = client.scope().await?.variables;
    ensure!(variables.iter().all(|variable| variable.name != "launched"), "{variables:?}");
    Ok(())
}

pub(crate) async fn client_sends_nothing_again(env: Env) -> Outcome {
    let mut fake = env.fake().await?;
    fake.is_persistent = true;
    let client = fake.builder().keypair(key()?).reconnect(policy()).build()?;
    let connection = fake.connect(&client).await?;
    let (authenticated, admitted) = future::join(client.authenticate(), fake.admit(&connection, &client)).await;
    admitted?;
    authenticated?;
    let play = client.play("launch()").start().await?;
    connection.receive("play").await?;
    connection.abort().await?;

    ensure_matches!(error_of(play.result().await)?, ClientError::ConnectionLost { .. });
    // A call waits for the new session; the first request of that session after the authentication is this call.
    let (discovered, connection) = future::join(client.discover(), async {
        let connection = fake.accept().await?;
        fake.admit(&connection, &client).await?;
        let request = connection.receive("rpc.discover").await?;
        connection.answer(&request, &json!({})).await?;
        Ok::<_, crate::Failure>(connection)
    })
    .await;
    let _connection = connection?;
    discovered?;
    ensure_matches!(client.next_notice().await?, Notice::ConnectionLost { unanswered: 1, .. });
    ensure_eq!(client.next_notice().await?, Notice::Reconnected { attempts: 1 });
    ensure!(client.next_notice().now_or_never().is_none());
    Ok(())
}

pub(crate) async fn calls_wait_until_the_client_has_reconnected(env: Env) -> Outcome {
    let circle = env.serve_persistent(&[]).await?;
    let client = circle.builder().reconnect(policy()).build()?;
    client.connect().await?;
    client.play("let kept = 1").await?;
    circle.kill().await?;
    ensure_matches!(client.next_notice().await?, Notice::ConnectionLost { unanswered: 0, .. });
    let (value, again) = future::join(client.play("6 * 7").into_future(), circle.start_again()).await;
    again?;
    ensure_eq!(value?.value.get::<i64>()?, 42);
    ensure_matches!(client.next_notice().await?, Notice::Reconnected { .. });
    Ok(())
}

pub(crate) async fn client_does_not_reconnect_to_other_circle(env: Env) -> Outcome {
    let mut circle = env.serve_persistent(&[]).await?;
    let client = circle.builder().reconnect(policy()).build()?;
    client.connect().await?;
    circle.kill().await?;
    circle.is_persistent = false;
    circle.start_again().await?;
    ensure_matches!(client.next_notice().await?, Notice::ConnectionLost { .. });
    let notice = client.next_notice().await?;
    ensure_matches!(notice, Notice::ReconnectFailed { reason } if reason.contains("another circle"));
    ensure_matches!(error_of(client.describe().await)?, ClientError::ConnectionLost { .. });
    ensure_matches!(error_of(client.next_notice().await)?, ClientError::ConnectionLost { .. });
    Ok(())
}

pub(crate) async fn client_gives_up_after_the_attempts_of_the_policy(env: Env) -> Outcome {
    let fake = env.fake().await?;
    let client = fake.builder().reconnect(policy().max_attempts(2)).build()?;
    let connection = fake.connect(&client).await?;
    fake.unlisten().await?;
    connection.abort().await?;
    ensure_matches!(client.next_notice().await?, Notice::ConnectionLost { .. });
    let notice = client.next_notice().await?;
    ensure_matches!(notice, Notice::ReconnectFailed { reason } if reason.starts_with("cannot reach"));
    ensure!(!client.is_connected());
    Ok(())
}

pub(crate) async fn client_gives_up_when_its_key_is_not_admitted(env: Env) -> Outcome {
    let (member, other) = (key()?, key()?);
    let mut circle = env.serve_persistent(&["--member", &member.public_key().to_hex()]).await?;
    let client = circle.builder().keypair(member).reconnect(policy()).build()?;
    client.connect().await?;
    client.authenticate().await?;
    circle.kill().await?;
    circle.options = vec!["--member".into(), other.public_key().to_hex()];
    circle.start_again().await?;
    ensure_matches!(client.next_notice().await?, Notice::ConnectionLost { .. });
    let notice = client.next_notice().await?;
    ensure_matches!(notice, Notice::ReconnectFailed { reason } if reason.contains("not a member"));
    Ok(())
}

pub(crate) async fn client_that_disconnects_does_not_reconnect(env: Env) -> Outcome {
    let fake = env.fake().await?;
    let client = fake.builder().reconnect(policy()).build()?;
    let connection = fake.connect(&client).await?;
    client.disconnect();
    ensure_matches!(error_of(client.next_notice().await)?, ClientError::NotConnected);
    connection.ended().await?;
    ensure_matches!(error_of(client.describe().await)?, ClientError::NotConnected);
    ensure_eq!(client.take_notice(), None);
    Ok(())
}
