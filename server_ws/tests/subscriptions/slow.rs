//! A subscriber that does not read costs nothing, and is right once it reads again.

use serde_json::json;

use super::{
    Test,
    shop::Shop,
    support::{Mirror, call, start, stored, subscribe},
};

pub(crate) const TESTS: &[Test] = &[
    ("subscriber_that_does_not_read_costs_nothing", subscriber_that_does_not_read_costs_nothing),
    ("results_wait_for_a_subscriber_that_does_not_read", results_wait_for_a_subscriber_that_does_not_read),
];

/// Number of commits while the subscriber does not read.
const COMMITS: usize = 3_000;

/// Bytes that a connection may hold: the room of its outbound channel and one event in the session.
const MAX_HELD: f64 = 2_097_152.0;

/// Bytes that the connections of a circle hold.
fn held_bytes(shop: &Shop) -> f64 {
    let metrics = shop.circle.observer().prometheus();
    let line = metrics.lines().find(|line| line.starts_with("circles_memory_bytes") && line.contains("connections"));
    let value = line.and_then(|line| line.rsplit(' ').next()).unwrap_or_else(|| panic!("no such metric: {metrics}"));
    value.parse().expect("a number")
}

/// Waits until a number of sessions with subscriptions have clients that do not read.
fn wait_for_stalled(shop: &Shop, sessions: u64) {
    let observer = shop.circle.observer();
    while observer.snapshot().store.expect("a store").stalled_subscribers != sessions {
        std::thread::yield_now();
    }
}

fn subscriber_that_does_not_read_costs_nothing() {
    let shop = start();
    let (mut writer, mut reader) = (shop.connect_as(1), shop.connect_as(1));
    subscribe(&mut reader, json!({ "keys": "stock/" }));
    let mut mirror = Mirror::default();
    mirror.complete(&mut reader);
    let value = "x".repeat(2_000);
    let (mut held, mut written) = (0.0_f64, 0);
    for number in 0..COMMITS {
        let value = format!("{number} {value}");
        written += value.len();
        call(&mut writer, "put", json!([format!("stock/{}", number % 700), value]));
        if number % 100 == 0 {
            held = held.max(held_bytes(&shop));
        }
    }
    assert!(written > 3 * 1_900_000, "{written}");
    assert!(held < MAX_HELD, "the connections hold {held} bytes");
    call(&mut writer, "put", json!(["stock/last", true]));
    mirror.wait_for(&mut reader, "stock/last", &json!(true));
    assert_eq!(mirror.entries, stored(&mut writer, "stock/"));
    assert!(mirror.events < COMMITS, "{} events", mirror.events);
}

fn results_wait_for_a_subscriber_that_does_not_read() {
    /// The calls, each of which changes 800 KB of each subscription.
    const CALLS: usize = 20;
    const SUBSCRIPTIONS: usize = 4;
    let shop = start();
    let (mut writer, mut reader) = (shop.connect_as(1), shop.connect_as(1));
    for _ in 0..SUBSCRIPTIONS {
        subscribe(&mut reader, json!({ "keys": "stock/" }));
    }
    for _ in 0..SUBSCRIPTIONS {
        assert_eq!(reader.notification("event")["snapshot"], "end");
    }
    let value = "x".repeat(2_000);
    let ids: Vec<_> = (0..CALLS)
        .map(|block| reader.request("fn.data.fill", json!([format!("stock/{block}/"), 400, value])))
        .collect();
    let mut held = 0.0_f64;
    for block in 0..CALLS {
        while writer.value(&format!("store::get(`stock/{block}/0`)")).is_null() {
            held = held.max(held_bytes(&shop));
        }
    }
    for _ in 0..50 {
        call(&mut writer, "put", json!(["other", 1]));
        held = held.max(held_bytes(&shop));
    }
    assert!(held < 2.0 * MAX_HELD, "the connections hold {held} bytes");
    wait_for_stalled(&shop, 1);
    for id in &ids {
        let answer = reader.answer(id);
        assert!(answer.get("error").is_none(), "{answer}");
    }
    wait_for_stalled(&shop, 0);
    let store = shop.circle.observer().snapshot().store.expect("a store");
    assert_eq!(store.subscriptions, SUBSCRIPTIONS as u64);
    assert!(store.events >= 2 * SUBSCRIPTIONS as u64, "{store:?}");
}
