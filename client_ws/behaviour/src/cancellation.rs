//! Plays that are cancelled, dropped and detached.
//!
//! The circles of these tests stop no play for its time, so that only the client ends an endless play. Plays of a
//! session run one after the other: a play that is answered shows that the one before has ended.

use client_ws::{CircleWsClient, ClientError, RpcError, RunningPlay};
use futures_util::future::{self, Either};
use serde_json::json;

use crate::{
    Env, Failure, Outcome,
    failure::{ensure, ensure_eq, ensure_matches, error_of},
};

async fn client(env: &Env) -> Result<CircleWsClient, Failure> {
    env.serve(&["--limit", "play_ms=600000"]).await?.connect().await
}

/// Starts an endless play, which has begun to run.
async fn endless(client: &CircleWsClient) -> Result<RunningPlay, Failure> {
    let mut play = client.play(r#"print("begun"); loop {}"#).start().await?;
    ensure!(play.next().await.is_some());
    Ok(play)
}

/// Polls a future until the circle has answered another request, which the client sent later.
async fn begin<T>(client: &CircleWsClient, future: impl Future<Output = T> + Unpin) -> Result<(), Failure> {
    match future::select(future, Box::pin(client.describe())).await {
        Either::Left(_) => Err(Failure::new("an endless play has ended")),
        Either::Right((described, _dropped)) => Ok(described.map(drop)?),
    }
}

pub(crate) async fn cancelled_play_keeps_the_session(env: Env) -> Outcome {
    let client = client(&env).await?;
    client.play("let kept = 7").await?;
    let mut play = endless(&client).await?;
    ensure!(play.cancel().await?);
    ensure!(play.next().await.is_none());
    ensure!(!play.cancel().await?);
    ensure_matches!(error_of(play.result().await)?, ClientError::Rpc(RpcError::Cancelled));
    ensure_eq!(client.play("kept").await?.value.get::<i64>()?, 7);
    Ok(())
}

pub(crate) async fn queued_play_is_cancelled(env: Env) -> Outcome {
    let client = client(&env).await?;
    let running = endless(&client).await?;
    let queued = client.play("let begun = 1").start().await?;
    ensure!(queued.cancel().await?);
    ensure_matches!(error_of(queued.result().await)?, ClientError::Rpc(RpcError::Cancelled));
    ensure!(running.cancel().await?);
    ensure_matches!(error_of(client.play("begun").await)?, ClientError::Rpc(RpcError::Script(_)));
    Ok(())
}

pub(crate) async fn play_is_cancelled_by_its_id(env: Env) -> Outcome {
    let client = client(&env).await?;
    let play = endless(&client).await?;
    let id = play.id().clone();
    let (result, cancelled) = future::join(play.result(), client.cancel(&id)).await;
    ensure!(cancelled?);
    ensure_matches!(error_of(result)?, ClientError::Rpc(RpcError::Cancelled));
    ensure!(!client.cancel(&id).await?);
    Ok(())
}

pub(crate) async fn dropped_play_is_cancelled(env: Env) -> Outcome {
    let client = client(&env).await?;
    drop(endless(&client).await?);
    ensure_eq!(client.play("6 * 7").await?.value.get::<i64>()?, 42);
    Ok(())
}

pub(crate) async fn dropped_future_of_play_cancels(env: Env) -> Outcome {
    let client = client(&env).await?;
    begin(&client, client.play("loop {}").into_future()).await?;
    ensure_eq!(client.play("6 * 7").await?.value.get::<i64>()?, 42);
    Ok(())
}

pub(crate) async fn dropped_future_of_result_cancels(env: Env) -> Outcome {
    let client = client(&env).await?;
    let play = endless(&client).await?;
    begin(&client, Box::pin(play.result())).await?;
    ensure_eq!(client.play("6 * 7").await?.value.get::<i64>()?, 42);
    Ok(())
}

pub(crate) async fn detached_play_goes_on(env: Env) -> Outcome {
    let client = client(&env).await?;
    let mut play = client.play(r#"print("begun"); let n = 0; while n < 500000 { n += 1 }"#).start().await?;
    ensure!(play.next().await.is_some());
    play.detach();
    ensure_eq!(client.play("n").await?.value.get::<i64>()?, 500_000);
    Ok(())
}

pub(crate) async fn ended_play_is_not_cancelled(env: Env) -> Outcome {
    let (client, connection) = env.fake_connection().await?;
    client.play("1").start().await?.detach();
    connection.receive("play").await?;
    let mut play = client.play("2").start().await?;
    let request = connection.receive("play").await?;
    connection.answer_play(&request, &json!(1)).await?;
    ensure!(play.next().await.is_none());
    drop(play);
    // The next message after the plays is that of the next call.
    let (described, answered) = future::join(client.discover(), async {
        let request = connection.receive("rpc.discover").await?;
        connection.answer(&request, &json!({})).await
    })
    .await;
    answered?;
    described?;
    Ok(())
}
