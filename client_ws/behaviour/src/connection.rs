//! Connecting, and the identity of the circle.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use client_ws::{CircleWsClient, ClientError, RpcError};
use futures_util::future;
use serde_json::json;

use crate::{
    Env, Outcome,
    env::key,
    failure::{Failure, ensure, ensure_eq, ensure_matches, error_of},
};

pub(crate) async fn client_without_connection_is_not_connected(env: Env) -> Outcome {
    let circle = env.serve(&[]).await?;
    let client = circle.builder().keypair(key()?).build()?;
    ensure!(!client.is_connected());
    ensure!(client.identity().is_none());
    let errors = [
        error_of(client.play("1").await)?,
        error_of(client.play("1").start().await)?,
        error_of(client.authenticate().await)?,
        error_of(client.describe().await)?,
        error_of(client.scope().await)?,
        error_of(client.reset().await)?,
        error_of(client.next_notice().await)?,
    ];
    for error in errors {
        ensure_matches!(error, ClientError::NotConnected);
    }
    client.connect().await?;
    ensure!(client.is_connected());
    Ok(())
}

pub(crate) async fn client_knows_the_identity_of_its_circle(env: Env) -> Outcome {
    let ephemeral = env.serve(&[]).await?;
    let client = ephemeral.connect().await?;
    ensure_matches!(client.identity(), Some(identity) if !identity.is_persistent);

    let persistent = env.serve_persistent(&[]).await?;
    let shown = persistent.connect().await?.identity();
    ensure_matches!(shown, Some(identity) if identity.is_persistent);
    let Some(shown) = shown else { return Ok(()) };
    // The client that expects it connects.
    let client = persistent.builder().expect_identity(shown.public_key).build()?;
    client.connect().await?;
    ensure_eq!(client.identity(), Some(shown));
    Ok(())
}

pub(crate) async fn client_refuses_other_identity(env: Env) -> Outcome {
    let circle = env.serve(&[]).await?;
    let actual = circle.connect().await?.identity().map(|identity| identity.public_key);
    let other = key()?.public_key();
    let client = circle.builder().expect_identity(other).build()?;
    let error = error_of(client.connect().await)?;
    ensure_matches!(
        error,
        ClientError::OtherIdentity { expected, shown, .. } if **expected == other && Some(**shown) == actual
    );
    ensure!(!client.is_connected());
    ensure!(client.identity().is_none());
    ensure_matches!(error_of(client.play("1").await)?, ClientError::NotConnected);
    Ok(())
}

pub(crate) async fn identity_check_decides(env: Env) -> Outcome {
    let circle = env.serve(&[]).await?;
    let seen = Arc::new(Mutex::new(None));
    let to_check = seen.clone();
    let accepting = circle.builder().check_identity(move |authority, identity| {
        let seen = to_check.clone();
        async move {
            *seen.lock().map_err(|error| error.to_string())? = Some((authority, identity));
            Ok::<_, String>(())
        }
    });
    let client = accepting.build()?;
    client.connect().await?;
    let seen = seen.lock().ok().and_then(|mut seen| seen.take());
    let expected = (client.url().authority().clone(), client.identity());
    ensure_eq!(seen.map(|(authority, identity)| (authority, Some(identity))), Some(expected));

    let refusing = circle.builder().check_identity(|_, _| async { Err("it is not on the list") });
    let client = refusing.build()?;
    let error = error_of(client.connect().await)?;
    ensure_matches!(error, ClientError::IdentityRefused(why) if why.to_string() == "it is not on the list");
    ensure!(!client.is_connected());
    Ok(())
}

pub(crate) async fn circle_without_valid_identity_is_not_a_circle(env: Env) -> Outcome {
    let fake = env.fake().await?;
    for result in [
        json!({ "pubkey": "02", "persistent": true, "signature": "" }),
        json!({ "pubkey": key()?.public_key().to_hex() }),
        json!(1),
    ] {
        let client = fake.builder().build()?;
        let (connected, answered) = future::join(client.connect(), async {
            let connection = fake.accept_unidentified().await?;
            let request = connection.receive("identify").await?;
            connection.answer(&request, &result).await
        })
        .await;
        answered?;
        ensure_matches!(error_of(connected)?, ClientError::NotACircle { .. });
        ensure!(!client.is_connected() && client.identity().is_none());
    }
    Ok(())
}

pub(crate) async fn client_sends_nothing_to_refused_circle(env: Env) -> Outcome {
    let fake = env.fake().await?;
    let client = fake.builder().expect_identity(key()?.public_key()).build()?;
    let (connected, connection) = future::join(client.connect(), fake.accept()).await;
    let connection = connection?;
    ensure_matches!(error_of(connected)?, ClientError::OtherIdentity { .. });
    ensure_matches!(error_of(client.describe().await)?, ClientError::NotConnected);
    connection.ended().await
}

pub(crate) async fn silent_server_is_not_a_circle(env: Env) -> Outcome {
    let fake = env.fake().await?;
    // The time also applies to the opening of the connection, which a loaded machine can take long for.
    for seconds in [0.5, 2.0, 8.0, 32.0] {
        let client = fake.builder().timeout(Duration::from_secs_f64(seconds)).build()?;
        let (connected, connection) = future::join(client.connect(), fake.accept_unidentified()).await;
        let _connection = connection?;
        let error = error_of(connected)?;
        if matches!(error, ClientError::Unreachable { .. }) {
            continue;
        }
        ensure_matches!(error, ClientError::NotACircle { .. });
        ensure!(!client.is_connected());
        ensure_matches!(error_of(client.describe().await)?, ClientError::NotConnected);
        return Ok(());
    }
    Err(Failure::new("the connection did not open within 32 s"))
}

pub(crate) async fn client_reports_unreachable_circle(env: Env) -> Outcome {
    let circle = env.serve(&[]).await?;
    circle.kill().await?;
    let client = circle.builder().build()?;
    let error = error_of(client.connect().await)?;
    let expected = format!("ws://{}", circle.authority());
    ensure_matches!(error, ClientError::Unreachable { url, .. } if *url == expected);
    Ok(())
}

pub(crate) async fn second_connection_is_a_new_session(env: Env) -> Outcome {
    let circle = env.serve(&[]).await?;
    let client = circle.connect().await?;
    client.play("let kept = 1").await?;
    client.connect().await?;
    ensure_matches!(error_of(client.play("kept").await)?, ClientError::Rpc(RpcError::Script(_)));
    Ok(())
}

pub(crate) async fn clients_have_separate_sessions(env: Env) -> Outcome {
    let circle = env.serve(&[]).await?;
    let (first, second) = (circle.connect().await?, circle.connect().await?);
    let (one, two) =
        future::join(first.play("let x = 1; x").into_future(), second.play("let x = 2; x").into_future()).await;
    ensure_eq!((one?.value.get::<i64>()?, two?.value.get::<i64>()?), (1, 2));
    ensure_eq!(first.play("x").await?.value.get::<i64>()?, 1);
    Ok(())
}

pub(crate) async fn invalid_url_is_refused_before_a_connection(_env: Env) -> Outcome {
    for url in ["", "team", "http://127.0.0.1:1", "ws://a:b@127.0.0.1:1", "ws://127.0.0.1:1/?query"] {
        ensure_matches!(error_of(CircleWsClient::builder(url).build())?, ClientError::BadUrl { .. });
    }
    Ok(())
}
