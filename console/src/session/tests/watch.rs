//! `:watch`.

use client_ws::{ClientError, EventEntry, RawValue, SubscriptionEvent};
use tokio::sync::mpsc::UnboundedSender;

use super::{Console, fake::RemoteCall};
use crate::watch::WatchSubject;

async fn watch(console: &mut Console) -> UnboundedSender<Result<SubscriptionEvent, ClientError>> {
    console.submit(":watch keys stock/");
    let RemoteCall::Watch(subject, events) = console.circle.call().await else { panic!("a watch") };
    assert_eq!(subject, WatchSubject::Keys("stock/".into()));
    console.expect_events(&["began :watch keys stock/"]).await;
    events
}

fn changes(value: &str) -> SubscriptionEvent {
    let value = RawValue::from_string(value.into()).expect("JSON");
    let entries = vec![EventEntry { key: "stock/tea".into(), value: Some(value), deleted: false }];
    SubscriptionEvent::Changes { entries }
}

#[tokio::test(start_paused = true)]
async fn watch_shows_events_until_the_user_stops_it() {
    let mut console = Console::ready().await;
    let events = watch(&mut console).await;
    assert!(console.state().is_busy());
    for value in ["1", "2"] {
        events.send(Ok(changes(value))).expect("it watches");
        console.expect_events(&[&format!("listing stock/tea = {value}")]).await;
    }
    console.submit("3");
    console.cancel();
    console.expect_events(&["remark stopped watching", "done", "given back [\"3\"]"]).await;
    assert!(events.is_closed(), "the subscription has ended");
}

#[tokio::test(start_paused = true)]
async fn watch_ends_with_the_circle() {
    let mut console = Console::ready().await;
    let events = watch(&mut console).await;
    console.submit("3");
    drop(events);
    console.circle.plays("3").await.unit().await;
    console.expect_events(&["done", "began 3", "value ", "done"]).await;
}
