//! Authentication with a key.

use std::sync::Arc;

use client_ws::{CircleWsClient, ClientError, NonceRejection, RpcError};
use futures_util::future;
use keys::Nonce;
use serde_json::json;

use crate::{
    Env, Outcome,
    env::key,
    failure::{ensure, ensure_eq, ensure_matches, error_of},
};

pub(crate) async fn member_authenticates_and_plays(env: Env) -> Outcome {
    let member = key()?;
    let public_key = member.public_key().to_hex();
    let circle = env.serve(&["--member", &public_key]).await?;
    let client = circle.builder().keypair(member).build()?;
    client.connect().await?;
    ensure_matches!(error_of(client.play("1").await)?, ClientError::Rpc(RpcError::Unauthenticated));
    let stranger = client.describe().await?.you;
    ensure!(!stranger.admitted && stranger.public_key.is_none(), "{stranger:?}");

    client.authenticate().await?;
    ensure_eq!(client.play("CALLER_PUBLIC_KEY").await?.value.get::<String>()?, public_key);
    let member = client.describe().await?.you;
    ensure!(member.admitted && member.public_key.as_ref() == Some(&public_key), "{member:?}");
    Ok(())
}

pub(crate) async fn refused_key_leaves_the_session_as_it_was(env: Env) -> Outcome {
    let (member, stranger) = (Arc::new(key()?), Arc::new(key()?));
    let circle = env.serve(&["--member", &member.public_key().to_hex()]).await?;
    let client = circle.builder().keypair(stranger.clone()).build()?;
    client.connect().await?;
    let error = error_of(client.authenticate().await)?;
    ensure_matches!(error, ClientError::Rpc(RpcError::Forbidden { reason, .. }) if reason.contains("not a member"));
    ensure_matches!(error_of(client.play("1").await)?, ClientError::Rpc(RpcError::Unauthenticated));

    client.authenticate_as(member.clone()).await?;
    ensure_eq!(client.public_key(), Some(member.public_key()));
    client.play("let kept = 1").await?;
    // A session has one key: a second one is refused, and the client keeps the first.
    let error = error_of(client.authenticate_as(stranger).await)?;
    ensure_matches!(error, ClientError::Rpc(RpcError::Forbidden { .. }));
    ensure_eq!(client.public_key(), Some(member.public_key()));
    ensure_eq!(client.play("kept").await?.value.get::<i64>()?, 1);
    Ok(())
}

pub(crate) async fn client_without_key_cannot_authenticate(env: Env) -> Outcome {
    let circle = env.serve(&["--access", "authenticated"]).await?;
    let client = circle.connect().await?;
    ensure_eq!(client.public_key(), None);
    ensure_matches!(error_of(client.authenticate().await)?, ClientError::NoKey);
    client.set_keypair(key()?);
    client.authenticate().await?;
    ensure_eq!(client.play("6 * 7").await?.value.get::<i64>()?, 42);
    Ok(())
}

pub(crate) async fn client_does_not_sign_nonce_for_other_circle(env: Env) -> Outcome {
    let (client, connection) = env.fake_connection().await?;
    client.set_keypair(key()?);
    let authority = client.url().authority().clone();
    let nonce = Nonce::new(&authority, key()?.public_key(), crate::env::now_unix()? + 60, [0; 32]);
    let (refused, answered) = future::join(client.authenticate(), async {
        let request = connection.receive("fetch_nonce").await?;
        connection.answer(&request, &json!({ "nonce": nonce.as_str() })).await
    })
    .await;
    answered?;
    ensure_matches!(error_of(refused)?, ClientError::NonceRejected(NonceRejection::Circle { .. }));
    Ok(())
}

pub(crate) async fn client_does_not_sign_text_that_is_not_a_nonce(env: Env) -> Outcome {
    let (client, connection) = env.fake_connection().await?;
    client.set_keypair(key()?);
    let (refused, answered) = future::join(client.authenticate(), async {
        let request = connection.receive("fetch_nonce").await?;
        connection.answer(&request, &json!({ "nonce": "I owe the bearer 1000" })).await
    })
    .await;
    answered?;
    ensure_matches!(error_of(refused)?, ClientError::BadNonce(_));
    client.disconnect();
    connection.ended().await
}

pub(crate) async fn unencrypted_authentication_needs_permission(_env: Env) -> Outcome {
    let client = |url: &str| CircleWsClient::builder(url).build();
    ensure_matches!(error_of(client("ws://team.example")?.check_encryption())?, ClientError::NotEncrypted { .. });
    CircleWsClient::builder("ws://team.example").insecure().build()?.check_encryption()?;
    for url in ["ws://127.0.0.1:1", "ws://localhost:1", "ws://[::1]:1"] {
        client(url)?.check_encryption()?;
    }
    Ok(())
}
