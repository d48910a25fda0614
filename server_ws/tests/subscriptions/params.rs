//! Invalid requests.

use serde_json::{Value, json};

use super::{
    Test,
    shop::Shop,
    support::{Mirror, call, roles, start, subscribe},
};

pub(crate) const TESTS: &[Test] = &[
    ("invalid_subscription_is_refused", invalid_subscription_is_refused),
    ("session_has_at_most_16_subscriptions", session_has_at_most_16_subscriptions),
    ("circle_without_a_store_has_no_subscriptions", circle_without_a_store_has_no_subscriptions),
    ("subscription_without_an_id_is_ignored", subscription_without_an_id_is_ignored),
];

fn invalid_subscription_is_refused() {
    let shop = start();
    let mut wire = shop.connect_as(1);
    let cursor = subscribe(&mut wire, json!({ "topic": "orders" }))["cursor"].as_str().expect("a cursor").to_owned();
    let cases: Vec<(Value, &str, &str)> = vec![
        (json!({}), "keys", "is missing: give either 'keys' or 'topic'"),
        (json!({ "keys": "a/", "topic": "b" }), "topic", "is given beside 'keys': open a subscription for each"),
        (json!({ "keys": "" }), "keys", "the key is empty: use a key of 1 to 512 bytes"),
        (json!({ "keys": "x".repeat(513) }), "keys", "the key has 513 bytes: use at most 512"),
        (json!({ "keys": format!("{}/", "x".repeat(512)) }), "keys", "the key has 513 bytes: use at most 512"),
        (json!({ "keys": 7 }), "keys", "invalid type: integer `7`, expected a string"),
        (json!({ "topic": "" }), "topic", "is not a topic: use 1 to 512 bytes"),
        (json!({ "topic": "x".repeat(513) }), "topic", "is not a topic: use 1 to 512 bytes"),
        (json!({ "keys": "a/", "later": 1 }), "later", "is unknown"),
        (
            json!({ "keys": "a/", "since": "0102" }),
            "since",
            "is not a cursor: use a cursor as the circle sent it, or subscribe without 'since'",
        ),
        (
            json!({ "keys": "a/", "since": format!("{cursor}.b/x") }),
            "since",
            "is a cursor of other keys: use a cursor of this subscription",
        ),
        (
            json!({ "topic": "a", "since": format!("{cursor}.b/x") }),
            "since",
            "is a cursor of other keys: use a cursor of this subscription",
        ),
    ];
    for (params, param, reason) in cases {
        let error = wire.call("subscribe", params.clone())["error"].clone();
        assert_eq!(error["code"], -32602, "{params}: {error}");
        assert_eq!(error["data"], json!({ "param": param, "reason": reason }), "{params}");
    }
    assert_eq!(wire.call("unsubscribe", json!({}))["error"]["code"], -32602);
    // None of them has opened a subscription.
    assert_eq!(subscribe(&mut wire, json!({ "topic": "orders" }))["subscription"], 2);
}

fn session_has_at_most_16_subscriptions() {
    let shop = start();
    let mut wire = shop.connect_as(1);
    for number in 0..16 {
        subscribe(&mut wire, json!({ "topic": format!("topic{number}") }));
    }
    let error = wire.call("subscribe", json!({ "topic": "one more" }))["error"].clone();
    assert_eq!((&error["code"], &error["data"]), (&json!(-32006), &json!({ "limit": "subscriptions", "max": 16 })));
    assert_eq!(wire.call("unsubscribe", json!([3]))["result"]["unsubscribed"], true);
    subscribe(&mut wire, json!({ "topic": "one more" }));
    call(&mut wire, "publish", json!(["one more", 1]));
    assert_eq!(wire.notification("event")["subscription"], 17);
}

fn circle_without_a_store_has_no_subscriptions() {
    let shop = Shop::start_with(&[("data", "fn f() { 1 }")], roles(), |builder| builder);
    let mut wire = shop.connect_as(1);
    let error = wire.call("subscribe", json!({ "keys": "a/" }))["error"].clone();
    assert_eq!(error["code"], -32602);
    assert_eq!(error["data"]["reason"], "the circle has no store, so nothing changes and no event is published");
    assert_eq!(wire.call("unsubscribe", json!([1]))["result"]["unsubscribed"], false);
}

fn subscription_without_an_id_is_ignored() {
    let shop = start();
    let mut wire = shop.connect_as(1);
    wire.send(json!({ "jsonrpc": "2.0", "method": "subscribe", "params": { "keys": "stock/" } }).to_string());
    assert_eq!(subscribe(&mut wire, json!({ "keys": "stock/" }))["subscription"], 1);
    Mirror::default().complete(&mut wire);
}
