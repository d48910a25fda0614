//! Subscriptions to keys and topics.

use std::time::Duration;

use client_ws::{
    CircleWsClient, ClientError, ReconnectPolicy, RpcError, SubscribeRequest, Subscription, SubscriptionEnd,
    SubscriptionEvent,
};
use futures_util::{StreamExt, future};
use serde_json::{Value, json};

use crate::{
    Env, Failure, Outcome,
    env::FakeConnection,
    failure::{ensure, ensure_eq, ensure_matches, error_of},
};

/// Opens a subscription to keys, as number 1 of a connection of the fake circle.
async fn open(
    client: &CircleWsClient,
    connection: &FakeConnection,
    result: Value,
) -> Result<(Subscription, Value), Failure> {
    let (subscription, params) =
        future::join(client.subscribe(SubscribeRequest::keys("stock/")), answer(connection, result)).await;
    Ok((subscription?, params?))
}

/// Answers a `subscribe`, and returns its parameters.
async fn answer(connection: &FakeConnection, result: Value) -> Result<Value, Failure> {
    let request = connection.receive("subscribe").await?;
    connection.answer(&request, &result).await?;
    Ok(request.params)
}

async fn next(subscription: &mut Subscription) -> Result<SubscriptionEvent, Failure> {
    match subscription.next().await {
        Some(event) => Ok(event?),
        None => Err(Failure::new("the subscription has ended")),
    }
}

/// Returns the values of an event with changed entries.
async fn changed(subscription: &mut Subscription) -> Result<Vec<String>, Failure> {
    match next(subscription).await? {
        SubscriptionEvent::Changes { entries } => {
            Ok(entries.iter().filter_map(|entry| entry.value.as_ref()).map(|value| value.get().to_owned()).collect())
        }
        other => Err(Failure::new(format!("changes were expected, not {other:?}"))),
    }
}

fn change(cursor: &str, value: &Value) -> Value {
    json!({ "subscription": 1, "cursor": cursor, "entries": [{ "key": "stock/tea", "value": value }] })
}

pub(crate) async fn subscription_is_a_stream_of_events(env: Env) -> Outcome {
    let fake = env.fake().await?;
    let client = fake.builder().build()?;
    let connection = fake.connect(&client).await?;
    let (mut subscription, params) = open(&client, &connection, json!({ "subscription": 1, "gap": false })).await?;
    ensure_eq!(params, json!({ "keys": "stock/" }));
    ensure_eq!(subscription.cursor(), None);
    let part = json!({ "subscription": 1, "cursor": "c1.k", "snapshot": "part", "entries": [{ "key": "stock/a", "value": null }] });
    connection.notify("event", &part).await?;
    let end = json!({ "subscription": 1, "cursor": "c1", "snapshot": "end", "entries": [{ "key": "stock/b", "deleted": true }] });
    connection.notify("event", &end).await?;
    connection.notify("event", &json!({ "subscription": 2, "data": "of another subscription" })).await?;
    connection.notify("event", &json!({ "subscription": 1, "later": true })).await?;
    connection.notify("event", &change("c2", &json!(5))).await?;
    let event = next(&mut subscription).await?;
    ensure_matches!(&event, SubscriptionEvent::Snapshot { entries, is_complete: false }
        if entries[0].value.as_ref().is_some_and(|value| value.get() == "null"));
    ensure_eq!(subscription.cursor(), Some("c1.k"));
    let event = next(&mut subscription).await?;
    ensure_matches!(&event, SubscriptionEvent::Snapshot { entries, is_complete: true } if entries[0].deleted);
    ensure_eq!(changed(&mut subscription).await?, ["5"]);
    ensure_eq!(subscription.cursor(), Some("c2"));
    connection.notify("event", &json!({ "subscription": 1, "ended": "forbidden" })).await?;
    ensure_matches!(next(&mut subscription).await?, SubscriptionEvent::Ended { reason: SubscriptionEnd::Forbidden });
    ensure!(subscription.next().await.is_none());
    Ok(())
}

pub(crate) async fn dropped_subscription_is_ended(env: Env) -> Outcome {
    let fake = env.fake().await?;
    let client = fake.builder().build()?;
    let connection = fake.connect(&client).await?;
    let (subscription, _) = open(&client, &connection, json!({ "subscription": 7, "gap": false })).await?;
    drop(subscription);
    ensure_eq!(connection.receive("unsubscribe").await?.params, json!({ "subscription": 7 }));
    Ok(())
}

pub(crate) async fn subscription_goes_on_after_a_reconnection(env: Env) -> Outcome {
    let mut fake = env.fake().await?;
    fake.is_persistent = true;
    let client = fake.builder().reconnect(ReconnectPolicy::default().min_delay(Duration::from_millis(20))).build()?;
    let connection = fake.connect(&client).await?;
    let (mut subscription, _) = open(&client, &connection, json!({ "subscription": 1, "gap": false })).await?;
    connection.notify("event", &change("c1", &json!(1))).await?;
    ensure_eq!(changed(&mut subscription).await?, ["1"]);
    connection.abort().await?;
    // The subscription waits for the new connection, and goes on where it was.
    let (value, params) = future::join(changed(&mut subscription), async {
        let connection = fake.accept().await?;
        let params = answer(&connection, json!({ "subscription": 4, "cursor": "c1", "gap": false })).await?;
        let mut event = change("c2", &json!(2));
        event["subscription"] = json!(4);
        connection.notify("event", &event).await?;
        Ok::<_, Failure>((params, connection))
    })
    .await;
    ensure_eq!(value?, ["2"]);
    let (params, connection) = params?;
    ensure_eq!(params, json!({ "keys": "stock/", "since": "c1" }));
    // A circle that cannot go on says so.
    connection.abort().await?;
    let (event, _connection) = future::join(next(&mut subscription), async {
        let connection = fake.accept().await?;
        answer(&connection, json!({ "subscription": 1, "gap": true })).await?;
        Ok::<_, Failure>(connection)
    })
    .await;
    ensure_matches!(event?, SubscriptionEvent::Gap);
    ensure_eq!(subscription.cursor(), None);
    Ok(())
}

pub(crate) async fn subscription_fails_with_its_connection(env: Env) -> Outcome {
    let fake = env.fake().await?;
    let client = fake.builder().build()?;
    let connection = fake.connect(&client).await?;
    let (mut subscription, _) = open(&client, &connection, json!({ "subscription": 1, "gap": false })).await?;
    connection.close(1001, "the circle is shutting down").await?;
    let Some(event) = subscription.next().await else { return Err(Failure::new("an error was expected")) };
    ensure_matches!(error_of(event)?, ClientError::ConnectionLost { code: Some(1001), .. });
    ensure!(subscription.next().await.is_none());
    Ok(())
}

pub(crate) async fn slow_program_leaves_and_resumes_its_subscription(env: Env) -> Outcome {
    let fake = env.fake().await?;
    let client = fake.builder().build()?;
    let connection = fake.connect(&client).await?;
    let (mut subscription, _) = open(&client, &connection, json!({ "subscription": 1, "gap": false })).await?;
    // 8 MiB, which the program does not take.
    let large = "x".repeat(512 << 10);
    for number in 0..16 {
        connection.notify("event", &change(&format!("c{number}"), &json!(large))).await?;
    }
    ensure_eq!(connection.receive("unsubscribe").await?.params, json!({ "subscription": 1 }));
    // Nothing else waits for the program. The client leaves again for each event that the circle still sends.
    let (described, answered) = future::join(client.discover(), async {
        loop {
            let request = connection.next_request().await?;
            if request.method == "rpc.discover" {
                return connection.answer(&request, &json!({ "answered": true })).await;
            }
        }
    })
    .await;
    answered?;
    ensure_eq!(described?, json!({ "answered": true }));
    // The program takes what waits, and then gets what comes after that.
    let (taken, since) = future::join(
        async {
            let mut taken = 0;
            loop {
                match changed(&mut subscription).await {
                    Ok(values) if values == ["0"] => return Ok(taken),
                    Ok(_) => taken += 1,
                    Err(failure) => return Err(failure),
                }
            }
        },
        async {
            loop {
                let request = connection.next_request().await?;
                if request.method == "subscribe" {
                    let since = request.params["since"].clone();
                    connection.answer(&request, &json!({ "subscription": 2, "cursor": since, "gap": false })).await?;
                    let mut event = change("c16", &json!(0));
                    event["subscription"] = json!(2);
                    connection.notify("event", &event).await?;
                    return Ok::<_, Failure>(since);
                }
            }
        },
    )
    .await;
    let taken = taken?;
    ensure!((1..16).contains(&taken), "{taken}");
    ensure_eq!(since?, json!(format!("c{}", taken - 1)));
    Ok(())
}

pub(crate) async fn refused_subscription_is_an_error(env: Env) -> Outcome {
    let client = env.serve(&[]).await?.connect().await?;
    let error = error_of(client.subscribe(SubscribeRequest::topic("orders").since("c")).await)?;
    ensure_matches!(error, ClientError::Rpc(RpcError::InvalidParams { .. }));
    // The connection goes on.
    client.describe().await?;
    Ok(())
}

pub(crate) async fn subscription_is_an_owned_stream(env: Env) -> Outcome {
    let fake = env.fake().await?;
    let client = fake.builder().build()?;
    let connection = fake.connect(&client).await?;
    let (subscription, _) = open(&client, &connection, json!({ "subscription": 1, "gap": false })).await?;
    connection.notify("event", &change("c1", &json!(1))).await?;
    connection.notify("event", &json!({ "subscription": 1, "ended": "closed" })).await?;
    let events: Vec<_> = subscription.collect().await;
    ensure_eq!(events.len(), 2);
    Ok(())
}
