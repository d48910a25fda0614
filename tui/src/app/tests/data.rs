//! The pane for the store, with faked subscriptions.

use std::time::Duration;

use client_ws::{EventEntry, RawValue, RpcError, SubscriptionEvent};
use console::watch::WatchSubject;
use protocol::error::MissingRight;
use ratatui::crossterm::event::{
    Event,
    KeyCode::{Char, Down, Enter, Esc, F, Left, Right, Up},
};

use super::{functions::click, rig::Rig};
use crate::{tasks::FakeWatch, window::Effect};

fn entry(key: &str, value: &str) -> EventEntry {
    EventEntry { key: key.into(), value: Some(RawValue::from_string(value.into()).expect("JSON")), deleted: false }
}

/// The prefixes that the app follows.
fn followed(rig: &Rig) -> Vec<String> {
    let prefix = |watch: FakeWatch| match watch.subject {
        WatchSubject::Keys(prefix) => prefix,
        WatchSubject::Topic(topic) => panic!("nobody follows {topic}"),
    };
    let mut prefixes: Vec<String> = rig.outside.watches().into_iter().map(prefix).collect();
    prefixes.sort();
    prefixes
}

/// Sends an event to the subscription with a prefix.
async fn send(rig: &mut Rig, prefix: &str, event: SubscriptionEvent) {
    let is_of = |watch: &FakeWatch| watch.subject == WatchSubject::Keys(prefix.to_owned());
    let watch = rig.outside.watches().into_iter().find(is_of).expect("it is followed");
    watch.events.send(Ok(event)).expect("it is open");
    rig.settle().await;
}

async fn send_all(rig: &mut Rig, prefix: &str, entries: Vec<EventEntry>) {
    send(rig, prefix, SubscriptionEvent::Snapshot { entries, is_complete: true }).await;
}

/// Starts the app, connected to `lab` with rights, and with the pane.
async fn start(granted: &[&str], error: Option<RpcError>) -> Rig {
    let mut rig = Rig::start().await;
    rig.outside.grant(granted, error);
    rig.keys(&[Down, Enter, F(6)]).await;
    rig
}

/// Starts the app with a shop's stock on the screen.
async fn shop() -> Rig {
    let mut rig = start(&["keys:stock/", "topic:orders"], None).await;
    let stock = vec![
        entry("stock/milk", "2"),
        entry("stock/new/cake", r#"{"left":7,"price":4.5}"#),
        entry("stock/new/pie", "true"),
        entry("stock/tea", r#""green""#),
    ];
    send_all(&mut rig, "stock/", stock).await;
    rig
}

#[tokio::test(start_paused = true)]
async fn tree_shows_keys_values_and_changes() {
    let mut rig = shop().await;
    rig.event(Event::Resize(100, 32)).await;
    rig.keys(&[Down, Down, Right, Down]).await;
    insta::assert_snapshot!(rig.screen());
    let change = SubscriptionEvent::Changes { entries: vec![entry("stock/milk", "1")] };
    send(&mut rig, "stock/", change).await;
    rig.shows("milk•1");
    // The selection stays on its key.
    rig.shows("▌      cake");
    assert_eq!(followed(&rig), ["stock/"]);
}

#[tokio::test(start_paused = true)]
async fn tree_zoomed_has_the_value_beside_it() {
    let mut rig = shop().await;
    rig.event(Event::Resize(100, 16)).await;
    rig.keys(&[Down, Down, Right, Down, Char('f')]).await;
    insta::assert_snapshot!(rig.screen());
}

#[tokio::test(start_paused = true)]
async fn closed_pane_and_other_circles_are_not_followed() {
    let mut rig = shop().await;
    rig.keys(&[F(6)]).await;
    assert_eq!(followed(&rig), [] as [&str; 0]);
    rig.shows_not("5 Data");
    rig.key(Char('5')).await;
    rig.shows("5 Data lab");
    assert_eq!(followed(&rig), ["stock/"]);
    // Another circle is shown.
    rig.keys(&[Esc, Down]).await;
    assert_eq!(followed(&rig), [] as [&str; 0]);
    rig.shows("connect to the circle first");
    rig.key(Up).await;
    assert_eq!(followed(&rig), ["stock/"]);
    // Folded, it is not followed either.
    rig.keys(&[Char('5'), Left]).await;
    assert_eq!(followed(&rig), [] as [&str; 0]);
    rig.shows("▸ stock/");
}

#[tokio::test(start_paused = true)]
async fn tree_survives_a_lost_connection() {
    let mut rig = shop().await;
    rig.outside.refuse_connections(true);
    rig.outside.lose_connections();
    rig.settle().await;
    assert_eq!(followed(&rig), [] as [&str; 0]);
    rig.shows("milk");
    rig.shows_not("live ●");
    rig.outside.refuse_connections(false);
    rig.pass_time().await;
    assert_eq!(followed(&rig), ["stock/"]);
    send_all(&mut rig, "stock/", vec![entry("stock/tea", "3")]).await;
    rig.shows("live ●");
    rig.shows("tea•3");
    rig.shows_not("milk");
}

#[tokio::test(start_paused = true)]
async fn refusals_are_sentences() {
    let reason = "the circle has no store, so nothing changes and no event is published";
    let no_store = RpcError::InvalidParams { param: "keys".into(), reason: reason.into() };
    let forbidden = RpcError::Forbidden { reason: "no".into(), missing: Some(MissingRight::Subscribe) };
    for (granted, error, text) in [
        (&[][..], Some(no_store), "the circle has no store"),
        (&[], Some(forbidden.clone()), "your role does not grant it"),
        (&[], Some(RpcError::Unauthenticated), "without a key"),
        (&["topic:orders"], None, "your role grants topics, but no keys"),
        (&["*"], None, "your role grants all keys"),
        (&["keys:stock/"], Some(forbidden), "your role does not grant it"),
    ] {
        let mut rig = start(granted, error).await;
        rig.event(Event::Resize(130, 30)).await;
        let shown: String =
            rig.screen().split_whitespace().filter(|word| !"│┃".contains(word)).collect::<Vec<_>>().join(" ");
        assert!(text.split(' ').all(|word| shown.contains(word)), "{text}:\n{}", rig.screen());
    }
    let mut rig = Rig::start().await;
    rig.keys(&[Down, F(6)]).await;
    rig.shows("connect to the circle first");
}

#[tokio::test(start_paused = true)]
async fn filter_narrows_and_names_folders() {
    let mut rig = shop().await;
    rig.write("/cak").await;
    rig.shows("cake");
    rig.shows_not("milk");
    rig.shows("Enter keep the filter");
    rig.keys(&[Enter, Down, Down, Char('y')]).await;
    assert_eq!(rig.effects.pop(), Some(Effect::Copy("stock/new/cake".into())));
    rig.key(Char('Y')).await;
    assert_eq!(rig.effects.pop(), Some(Effect::Copy(r#"{"left":7,"price":4.5}"#.into())));
    rig.key(Esc).await;
    rig.shows("milk");
    rig.write("/orders/\n").await;
    assert_eq!(followed(&rig), ["orders/", "stock/"]);
    send_all(&mut rig, "orders/", Vec::new()).await;
    rig.shows("▾ orders/");
    rig.shows("no keys");
    rig.key(ratatui::crossterm::event::KeyCode::Delete).await;
    assert_eq!(followed(&rig), ["stock/"]);
}

#[tokio::test(start_paused = true)]
async fn value_opens_in_a_window() {
    let mut rig = shop().await;
    rig.keys(&[Down, Down, Enter, Down, Enter]).await;
    rig.shows("Value");
    rig.shows("\"price\": 4.5");
    rig.key(Esc).await;
    rig.key(Enter).await;
    rig.shows("Value");
}

#[tokio::test(start_paused = true)]
async fn highlight_ends_with_one_drawing() {
    let mut rig = shop().await;
    let now = rig.app.window.now();
    assert!(!rig.app.data.needs_update(now));
    let change = SubscriptionEvent::Changes { entries: vec![entry("stock/milk", "1")] };
    send(&mut rig, "stock/", change).await;
    let now = rig.app.window.now();
    assert!(rig.app.data.needs_update(now));
    assert!(!rig.app.data.needs_update(now));
    let later = now + Duration::from_secs(2);
    assert!(rig.app.data.needs_update(later));
    assert!(!rig.app.data.needs_update(later));
}

#[tokio::test(start_paused = true)]
async fn mouse_selects_and_unfolds() {
    let mut rig = shop().await;
    click(&mut rig, "new/").await;
    rig.shows("▌  ▸ new/");
    click(&mut rig, "new/").await;
    rig.shows("▾ new/");
    click(&mut rig, "cake").await;
    click(&mut rig, "cake").await;
    rig.shows("Value");
}

#[tokio::test(start_paused = true)]
async fn letters_of_the_filter_are_no_commands() {
    let mut rig = shop().await;
    rig.write("/q?f1").await;
    rig.event(Event::Paste("p\u{1b}\n".into())).await;
    rig.control('p').await;
    rig.shows("┃/q?f1p▏");
    assert!(rig.app.window.popup.is_none() && !rig.app.window.is_zoomed);
    rig.control('c').await;
    rig.shows("milk");
}

#[tokio::test(start_paused = true)]
async fn hostile_keys_and_values_are_only_text() {
    let mut rig = start(&["keys:a/"], None).await;
    let long = format!("a/{}", "日".repeat(170));
    let deep = format!("a{}", "/".repeat(511));
    let entries = vec![
        entry("a/\u{1b}[2J\u{202e}\r\n\t", r#""\u001b]0;x\u0007""#),
        entry("a//b", &format!("\"{}\"", "\u{7f}\u{9b}".repeat(20_000))),
        entry("a/", "[]"),
        entry(&long, &format!("{}{}", "[".repeat(100), "]".repeat(100))),
        entry(&deep, "{}"),
        entry("a/e\u{301}\u{200d}👩\u{200d}👩", "-1"),
    ];
    send_all(&mut rig, "a/", entries).await;
    rig.write("/").await;
    rig.write("a\n").await;
    for size in [(80, 24), (40, 10), (200, 50), (81, 11), (79, 40), (1, 1)] {
        rig.event(Event::Resize(size.0, size.1)).await;
        for key in [Down, Down, Down, F(2), Down, F(2), Up, Right, Left, Down, Down] {
            rig.key(key).await;
            assert!(!rig.screen().contains(|character: char| character.is_control() && character != '\n'));
        }
    }
}
