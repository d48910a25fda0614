//! What a subscription delivers, and when.

use serde_json::{Value, json};

use super::{
    Test,
    support::{Mirror, call, start, stored, subscribe},
};

pub(crate) const TESTS: &[Test] = &[
    ("keys_begin_with_all_entries_and_go_on_with_changes", keys_begin_with_all_entries_and_go_on_with_changes),
    ("one_key_is_followed_alone", one_key_is_followed_alone),
    ("topic_delivers_each_event_once_and_in_order", topic_delivers_each_event_once_and_in_order),
    ("events_of_a_commit_come_before_its_answer", events_of_a_commit_come_before_its_answer),
    ("transaction_is_one_event", transaction_is_one_event),
    ("many_entries_come_in_parts_while_others_change", many_entries_come_in_parts_while_others_change),
    ("many_changes_do_not_begin_the_entries_again", many_changes_do_not_begin_the_entries_again),
    ("ended_subscription_delivers_nothing", ended_subscription_delivers_nothing),
    ("values_are_those_of_plays", values_are_those_of_plays),
];

fn keys_begin_with_all_entries_and_go_on_with_changes() {
    let shop = start();
    let (mut writer, mut reader) = (shop.connect(), shop.connect_as(1));
    call(&mut writer, "put", json!(["stock/tea", 1]));
    call(&mut writer, "put", json!(["stocks", 9]));
    let result = subscribe(&mut reader, json!({ "keys": "stock/" }));
    assert_eq!(result, json!({ "subscription": 1, "gap": false }));
    let event = reader.notification("event");
    assert_eq!(event["entries"], json!([{ "key": "stock/tea", "value": 1 }]));
    assert_eq!((&event["snapshot"], event["subscription"].as_u64()), (&json!("end"), Some(1)));
    assert!(event["cursor"].is_string());

    call(&mut writer, "put", json!(["stock/tea", 2]));
    let event = reader.notification("event");
    assert_eq!(event["entries"], json!([{ "key": "stock/tea", "value": 2 }]));
    assert!(event.get("snapshot").is_none());
    call(&mut writer, "put", json!(["other/tea", 2]));
    call(&mut writer, "remove", json!(["stock/tea"]));
    assert_eq!(reader.notification("event")["entries"], json!([{ "key": "stock/tea", "deleted": true }]));
}

fn one_key_is_followed_alone() {
    let shop = start();
    let (mut writer, mut reader) = (shop.connect(), shop.connect_as(1));
    subscribe(&mut reader, json!({ "keys": "stock/tea" }));
    let event = reader.notification("event");
    assert_eq!((&event["entries"], &event["snapshot"]), (&json!([]), &json!("end")));
    call(&mut writer, "put", json!(["stock/tea/green", 1]));
    call(&mut writer, "put", json!(["stock/tea", 2]));
    assert_eq!(reader.notification("event")["entries"], json!([{ "key": "stock/tea", "value": 2 }]));
}

fn topic_delivers_each_event_once_and_in_order() {
    let shop = start();
    let (mut writer, mut reader) = (shop.connect(), shop.connect_as(1));
    call(&mut writer, "publish", json!(["orders", "before"]));
    let result = subscribe(&mut reader, json!({ "topic": "orders" }));
    assert!(result["cursor"].is_string() && result["gap"] == false, "{result}");
    call(&mut writer, "publish", json!(["others", "x"]));
    for round in 0..50 {
        call(&mut writer, "publish_all", json!(["orders", round % 3]));
        call(&mut writer, "publish", json!(["orders", { "round": round }]));
    }
    let mut expected: Vec<Value> = Vec::new();
    for round in 0..50 {
        expected.extend((0..round % 3).map(Value::from));
        expected.push(json!({ "round": round }));
    }
    let received: Vec<Value> =
        expected.iter().map(|_| reader.notification("event")).map(|event| event["data"].clone()).collect();
    assert_eq!(received, expected);
}

fn events_of_a_commit_come_before_its_answer() {
    let shop = start();
    let mut wire = shop.connect_as(1);
    subscribe(&mut wire, json!({ "keys": "stock/" }));
    subscribe(&mut wire, json!({ "topic": "orders" }));
    Mirror::default().complete(&mut wire);
    // More commits than epochs: no event may wait for the next one.
    for round in 0..100 {
        let play = format!("store::put(`stock/tea`, {round}); events::publish(`orders`, {round})");
        let id = if round % 2 == 0 {
            wire.request("play", json!({ "script": play }))
        } else {
            wire.request("fn.data.put", json!(["stock/tea", round]))
        };
        let (mut has_entry, mut has_data) = (false, round % 2 == 1);
        loop {
            let message = wire.next();
            if message["id"] == id {
                assert!(message.get("error").is_none(), "{message}");
                break;
            }
            has_entry |= message["params"]["entries"] == json!([{ "key": "stock/tea", "value": round }]);
            has_data |= message["params"]["data"] == json!(round);
        }
        assert!(has_entry && has_data, "round {round}");
    }
}

fn transaction_is_one_event() {
    let shop = start();
    let (mut writer, mut reader) = (shop.connect(), shop.connect_as(1));
    subscribe(&mut reader, json!({ "keys": "stock/" }));
    Mirror::default().complete(&mut reader);
    for round in 1..20 {
        call(&mut writer, "fill", json!(["stock/", 1000, round]));
        let event = reader.notification("event");
        let entries = event["entries"].as_array().unwrap_or_else(|| panic!("{event}"));
        // The event may have later transactions, too, and then the values of the last one.
        assert_eq!(entries.len(), 1000);
        assert!(entries.iter().all(|entry| entry["value"] == round));
    }
}

fn many_entries_come_in_parts_while_others_change() {
    let shop = start();
    let (mut writer, mut reader) = (shop.connect_as(1), shop.connect_as(1));
    for block in 0..10 {
        call(&mut writer, "fill", json!([format!("stock/{block}/"), 1000, "a value of some length"]));
    }
    subscribe(&mut reader, json!({ "keys": "stock/" }));
    let mut mirror = Mirror::default();
    let mut round = 0;
    while !mirror.is_complete {
        mirror.apply(&reader.notification("event"));
        round += 1;
        call(&mut writer, "put", json!(["stock/0/0", round]));
        call(&mut writer, "remove", json!([format!("stock/9/{round}")]));
        call(&mut writer, "remove", json!([format!("stock/0/{round}")]));
    }
    assert!(mirror.events > 5, "the entries come in parts");
    assert_eq!(mirror.gaps, 0);
    call(&mut writer, "put", json!(["stock/last", true]));
    mirror.wait_for(&mut reader, "stock/last", &json!(true));
    assert_eq!(mirror.entries, stored(&mut writer, "stock/"));
}

fn many_changes_do_not_begin_the_entries_again() {
    let shop = start();
    let (mut writer, mut reader) = (shop.connect_as(1), shop.connect_as(1));
    let value = "x".repeat(2_000);
    // More than the buffers of a connection have.
    for block in 0..40 {
        call(&mut writer, "fill", json!([format!("stock/{block:02}/"), 400, value]));
    }
    subscribe(&mut reader, json!({ "keys": "stock/" }));
    let mut mirror = Mirror::default();
    for round in 0..4 {
        mirror.apply(&reader.notification("event"));
        // Together more than an event has.
        for block in 0..2 {
            call(&mut writer, "fill", json!([format!("stock/0{block}/"), 400, format!("{round} {value}")]));
            call(&mut writer, "remove", json!([format!("stock/0{block}/{round}")]));
        }
    }
    assert!(!mirror.is_complete, "the changes come while the entries are sent");
    mirror.complete(&mut reader);
    call(&mut writer, "put", json!(["stock/last", true]));
    mirror.wait_for(&mut reader, "stock/last", &json!(true));
    assert_eq!(mirror.gaps, 0);
    assert_eq!(mirror.entries, stored(&mut writer, "stock/"));
}

fn ended_subscription_delivers_nothing() {
    let shop = start();
    let mut wire = shop.connect_as(1);
    subscribe(&mut wire, json!({ "keys": "stock/" }));
    subscribe(&mut wire, json!({ "keys": "stock/" }));
    Mirror::default().complete(&mut wire);
    let unsubscribe = |wire: &mut super::wire::WireClient, number: u64| {
        wire.call("unsubscribe", json!({ "subscription": number }))["result"]["unsubscribed"].clone()
    };
    assert_eq!(
        (unsubscribe(&mut wire, 1), unsubscribe(&mut wire, 1), unsubscribe(&mut wire, 7)),
        (json!(true), json!(false), json!(false))
    );
    wire.notifications.clear();
    call(&mut wire, "put", json!(["stock/tea", 1]));
    assert!(wire.notifications.iter().any(|event| event["params"]["subscription"] == 2));
    assert!(wire.notifications.iter().all(|event| event["params"]["subscription"] == 2));
}

fn values_are_those_of_plays() {
    let shop = start();
    let mut wire = shop.connect_as(1);
    subscribe(&mut wire, json!({ "keys": "value" }));
    Mirror::default().complete(&mut wire);
    for value in ["7", "7.0", "\"text\"", "true", "[1, 2.5, #{ a: () }]", "blob(2, 255)", "#{ b: blob(1, 0) }"] {
        wire.notifications.clear();
        let shown = wire.value(&format!("let value = {value}; store::put(`value`, value); value"));
        let event = wire.notification("event");
        assert_eq!(event["entries"][0]["value"].to_string(), shown.to_string(), "{value}");
    }
}
