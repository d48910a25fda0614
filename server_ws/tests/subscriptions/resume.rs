//! Subscriptions that go on after a cursor.

use serde_json::{Value, json};
use server_ws::Limits;

use super::{
    Test,
    support::{Mirror, call, roles, start, start_with_limits, stored, subscribe},
};

pub(crate) const TESTS: &[Test] = &[
    ("keys_go_on_after_a_cursor", keys_go_on_after_a_cursor),
    ("topic_goes_on_after_a_cursor", topic_goes_on_after_a_cursor),
    ("all_entries_go_on_after_a_part", all_entries_go_on_after_a_part),
    ("many_changes_come_in_parts_without_a_gap", many_changes_come_in_parts_without_a_gap),
    ("cursor_of_another_store_is_a_gap", cursor_of_another_store_is_a_gap),
    ("cursor_before_the_log_is_a_gap", cursor_before_the_log_is_a_gap),
];

fn keys_go_on_after_a_cursor() {
    let shop = start();
    let (mut writer, mut first) = (shop.connect(), shop.connect_as(1));
    call(&mut writer, "put", json!(["stock/tea", 1]));
    subscribe(&mut first, json!({ "keys": "stock/" }));
    let mut mirror = Mirror::default();
    mirror.complete(&mut first);
    drop(first);
    call(&mut writer, "put", json!(["stock/tea", 2]));
    call(&mut writer, "put", json!(["stock/tea", 3]));
    call(&mut writer, "put", json!(["stock/milk", 4]));
    let cursor = mirror.cursor.clone().expect("a cursor");
    let mut second = shop.connect_as(1);
    let result = subscribe(&mut second, json!({ "keys": "stock/", "since": cursor }));
    assert_eq!((&result["gap"], &result["cursor"]), (&json!(false), &json!(cursor)));
    let event = second.notification("event");
    assert_eq!(event["entries"], json!([{ "key": "stock/milk", "value": 4 }, { "key": "stock/tea", "value": 3 }]));
    assert!(event.get("snapshot").is_none(), "{event}");
}

fn topic_goes_on_after_a_cursor() {
    let shop = start();
    let (mut writer, mut first) = (shop.connect(), shop.connect_as(1));
    let result = subscribe(&mut first, json!({ "topic": "orders" }));
    call(&mut writer, "publish_all", json!(["orders", 3]));
    let events: Vec<Value> = (0..3).map(|_| first.notification("event")).collect();
    let cursors: Vec<bool> = events.iter().map(|event| event["cursor"].is_string()).collect();
    assert_eq!(cursors, [false, false, true], "events of one commit are resumed together");
    call(&mut writer, "publish", json!(["orders", "next"]));
    let resume = |since: &Value| {
        let mut wire = shop.connect_as(1);
        assert_eq!(subscribe(&mut wire, json!({ "topic": "orders", "since": since }))["gap"], false);
        wire.notification("event")["data"].clone()
    };
    assert_eq!(resume(&events[2]["cursor"]), "next");
    assert_eq!(resume(&result["cursor"]), 0);
}

fn all_entries_go_on_after_a_part() {
    let shop = start();
    let (mut writer, mut first) = (shop.connect_as(1), shop.connect_as(1));
    for block in 0..3 {
        call(&mut writer, "fill", json!([format!("stock/{block}/"), 1000, block]));
    }
    subscribe(&mut first, json!({ "keys": "stock/" }));
    let mut mirror = Mirror::default();
    mirror.apply(&first.notification("event"));
    assert!(!mirror.is_complete);
    drop(first);
    call(&mut writer, "remove", json!(["stock/0/0"]));
    let mut second = shop.connect_as(1);
    let since = mirror.cursor.clone().expect("a cursor");
    assert_eq!(subscribe(&mut second, json!({ "keys": "stock/", "since": since }))["gap"], false);
    mirror.complete(&mut second);
    assert_eq!(mirror.entries, stored(&mut writer, "stock/"));
    assert!(!mirror.entries.contains_key("stock/0/0"));
}

fn many_changes_come_in_parts_without_a_gap() {
    let shop = start();
    let (mut writer, mut first) = (shop.connect_as(1), shop.connect_as(1));
    call(&mut writer, "put", json!(["stock/0/0", "old"]));
    subscribe(&mut first, json!({ "keys": "stock/" }));
    let mut mirror = Mirror::default();
    mirror.complete(&mut first);
    drop(first);
    let value = "x".repeat(2_000);
    for block in 0..4 {
        call(&mut writer, "fill", json!([format!("stock/{block}/"), 400, value]));
    }
    let since = mirror.cursor.clone().expect("a cursor");
    let mut second = shop.connect_as(1);
    let result = subscribe(&mut second, json!({ "keys": "stock/", "since": since }));
    assert_eq!((&result["gap"], &result["cursor"]), (&json!(false), &json!(since)));
    let event = second.notification("event");
    assert_eq!((&event["snapshot"], &event["cursor"]), (&json!("part"), &json!(since)), "the client resumes there");
    mirror.apply(&event);
    // The pages are of one revision, and this change comes after them.
    call(&mut writer, "remove", json!(["stock/3/7"]));
    mirror.complete(&mut second);
    assert!(mirror.gaps == 0 && mirror.cursor.as_ref() != Some(&since));
    call(&mut writer, "put", json!(["stock/last", true]));
    mirror.wait_for(&mut second, "stock/last", &json!(true));
    assert_eq!(mirror.entries, stored(&mut writer, "stock/"));
}

fn cursor_of_another_store_is_a_gap() {
    let (other, shop) = (start(), start());
    let foreign = subscribe(&mut other.connect_as(1), json!({ "topic": "orders" }))["cursor"].clone();
    let mut wire = shop.connect_as(1);
    call(&mut wire, "put", json!(["stock/tea", 1]));
    let result = subscribe(&mut wire, json!({ "keys": "stock/", "since": foreign }));
    assert_eq!(result, json!({ "subscription": 1, "gap": true }));
    let mut mirror = Mirror::default();
    mirror.complete(&mut wire);
    assert_eq!(mirror.entries, [("stock/tea".to_owned(), json!(1))].into());
    let foreign = format!("{}.stock/a", foreign.as_str().expect("a cursor"));
    assert_eq!(subscribe(&mut wire, json!({ "keys": "stock/", "since": foreign }))["gap"], true);

    let foreign = subscribe(&mut other.connect_as(1), json!({ "topic": "orders" }))["cursor"].clone();
    let result = subscribe(&mut wire, json!({ "topic": "orders", "since": foreign }));
    assert!(result["gap"] == true && result["cursor"].is_string(), "{result}");
}

fn cursor_before_the_log_is_a_gap() {
    let limits = Limits { log_mib: 1, ..Limits::default() };
    let shop = start_with_limits(roles(), limits);
    let mut wire = shop.connect_as(1);
    let first = subscribe(&mut wire, json!({ "topic": "orders" }))["cursor"].clone();
    // Together larger than the log.
    for _ in 0..40 {
        call(&mut wire, "publish", json!(["other", "x".repeat(40_000)]));
    }
    let result = subscribe(&mut wire, json!({ "topic": "orders", "since": first }));
    assert!(result["gap"] == true && result["cursor"].is_string(), "{result}");
    let result = subscribe(&mut wire, json!({ "topic": "orders", "since": result["cursor"] }));
    assert_eq!(result["gap"], false);
}
