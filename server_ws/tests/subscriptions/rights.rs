//! Who may subscribe to what.

use serde_json::{Value, json};

use super::{
    Test,
    shop::{definition, keypair},
    support::{Mirror, call, roles, start, start_with, subscribe},
};

pub(crate) const TESTS: &[Test] = &[
    ("subscription_needs_a_right", subscription_needs_a_right),
    ("lost_right_ends_the_subscription", lost_right_ends_the_subscription),
    ("closed_store_ends_its_subscriptions", closed_store_ends_its_subscriptions),
    ("subscription_needs_no_right_to_play", subscription_needs_no_right_to_play),
];

fn subscription_needs_a_right() {
    let shop = start();
    let mut wire = shop.connect();
    assert_eq!(wire.call("subscribe", json!({ "keys": "stock/" }))["error"]["code"], -32001);
    wire.authenticate(&keypair(7));
    let error = wire.call("subscribe", json!({ "keys": "stock/" }))["error"].clone();
    assert_eq!(error["code"], -32003);
    let expected = json!({ "reason": "the role 'visitor' may not subscribe to keys:stock/", "missing": "subscribe" });
    assert_eq!(error["data"], expected);
}

fn lost_right_ends_the_subscription() {
    let shop = start();
    let mut wire = shop.connect_as(1);
    subscribe(&mut wire, json!({ "keys": "stock/" }));
    subscribe(&mut wire, json!({ "topic": "orders" }));
    Mirror::default().complete(&mut wire);
    let mut changed = roles();
    changed["roles"]["clerk"]["subscribe"] = json!(["topic:orders"]);
    shop.circle.set_roles(definition(changed)).expect("valid");
    assert_eq!(wire.notification("event"), json!({ "subscription": 1, "ended": "forbidden" }));
    call(&mut wire, "put", json!(["stock/tea", 1]));
    call(&mut wire, "publish", json!(["orders", 1]));
    assert_eq!(wire.notification("event")["subscription"], 2);
}

fn closed_store_ends_its_subscriptions() {
    let shop = start();
    let mut wire = shop.connect_as(1);
    subscribe(&mut wire, json!({ "keys": "stock/" }));
    subscribe(&mut wire, json!({ "topic": "orders" }));
    Mirror::default().complete(&mut wire);
    let store = shop.circle.store().expect("a store").clone();
    store.close().expect("a store that works");
    for subscription in 1..=2 {
        assert_eq!(wire.notification("event"), json!({ "subscription": subscription, "ended": "closed" }));
    }
    assert_eq!(wire.call("unsubscribe", json!([1]))["result"]["unsubscribed"], false);
    // Later ones end, too.
    wire.call("subscribe", json!({ "topic": "orders" }));
    assert_eq!(wire.notification("event"), json!({ "subscription": 3, "ended": "closed" }));
}

fn subscription_needs_no_right_to_play() {
    let roles: Value = json!({
        "roles": { "visitor": { "call": ["*"], "subscribe": ["keys:orders/{name}/", "topic:news"] } },
        "anyone": "visitor",
        "members": [{ "name": "alice", "keys": [1], "role": "visitor" }],
    });
    let shop = start_with(roles);
    let mut wire = shop.connect_as(1);
    subscribe(&mut wire, json!({ "keys": "orders/alice/" }));
    subscribe(&mut wire, json!({ "keys": "orders/alice/7" }));
    assert_eq!(wire.call("subscribe", json!({ "keys": "orders/bob/" }))["error"]["code"], -32003);
    assert_eq!(wire.call("subscribe", json!({ "keys": "orders/" }))["error"]["code"], -32003);
    assert_eq!(subscribe(&mut shop.connect(), json!({ "topic": "news" }))["gap"], false);
}
