//! A circle with a store, and a client that follows it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use server_ws::{Limits, StoreLocation};

use super::{shop::Shop, wire::WireClient};

/// Functions that write what the tests say.
const DATA: &str = r"
/// Stores a value.
fn put(key, value) { store::put(key, value); }
/// Removes a key.
fn remove(key) { store::delete(key); }
/// Stores `count` values at once.
fn fill(prefix, count, value) { for i in 0..count { store::put(`${prefix}${i}`, value); } }
/// Publishes an event.
fn publish(topic, data) { events::publish(topic, data); }
/// Publishes `count` events in one commit.
fn publish_all(topic, count) { for i in 0..count { events::publish(topic, i); } }
";

/// Roles with which alice may do everything and a visitor only call functions.
pub(crate) fn roles() -> Value {
    json!({
        "roles": {
            "visitor": { "call": ["*"] },
            "clerk": { "call": ["*"], "play": true, "use": ["*"], "subscribe": ["*"] },
        },
        "anyone": "visitor",
        "members": [{ "name": "alice", "keys": [1], "role": "clerk" }],
    })
}

/// Starts a circle with a store in memory.
pub(crate) fn start() -> Shop {
    start_with(roles())
}

pub(crate) fn start_with(roles: Value) -> Shop {
    Shop::start_with(&[("data", DATA)], roles, |builder| builder.store(StoreLocation::Memory))
}

/// Starts a circle with these limits.
pub(crate) fn start_with_limits(roles: Value, limits: Limits) -> Shop {
    Shop::start_with(&[("data", DATA)], roles, |builder| builder.store(StoreLocation::Memory).limits(limits))
}

/// Calls a function that must succeed.
pub(crate) fn call(wire: &mut WireClient, function: &str, params: Value) {
    let answer = wire.call(&format!("fn.data.{function}"), params);
    assert!(answer.get("error").is_none(), "{answer}");
}

/// Subscribes, and returns the result.
pub(crate) fn subscribe(wire: &mut WireClient, params: Value) -> Value {
    let answer = wire.call("subscribe", params);
    answer.get("result").unwrap_or_else(|| panic!("{answer}")).clone()
}

/// What a client knows of the keys that it follows.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    pub(crate) entries: BTreeMap<String, Value>,
    pub(crate) cursor: Option<String>,
    pub(crate) is_complete: bool,
    pub(crate) events: usize,
    pub(crate) gaps: usize,
}

impl Mirror {
    /// Applies an event.
    pub(crate) fn apply(&mut self, event: &Value) {
        self.events += 1;
        if event["gap"] == true {
            self.gaps += 1;
            self.entries.clear();
            self.is_complete = false;
        }
        for entry in event["entries"].as_array().into_iter().flatten() {
            let key = entry["key"].as_str().expect("a key").to_owned();
            if entry["deleted"] == true {
                assert!(entry.get("value").is_none(), "{entry}");
                self.entries.remove(&key);
            } else {
                self.entries.insert(key, entry["value"].clone());
            }
        }
        if event["entries"].is_array() {
            // An event without `snapshot` is of one revision, too, but does not complete the first entries.
            self.is_complete = event["snapshot"] == "end" || (self.is_complete && event["snapshot"] != "part");
        }
        self.cursor = event["cursor"].as_str().map(str::to_owned);
    }

    /// Applies events until all first entries are there.
    pub(crate) fn complete(&mut self, wire: &mut WireClient) {
        while !self.is_complete {
            self.apply(&wire.notification("event"));
        }
    }

    /// Applies events until a key has a value.
    pub(crate) fn wait_for(&mut self, wire: &mut WireClient, key: &str, value: &Value) {
        while !self.is_complete || self.entries.get(key) != Some(value) {
            self.apply(&wire.notification("event"));
        }
    }
}

/// Returns the keys with a prefix as the store has them.
pub(crate) fn stored(wire: &mut WireClient, prefix: &str) -> BTreeMap<String, Value> {
    let mut entries = BTreeMap::new();
    let mut after = String::new();
    loop {
        let options =
            if after.is_empty() { "#{ limit: 100 }".into() } else { format!("#{{ limit: 100, after: `{after}` }}") };
        let listed = wire.value(&format!("store::list(`{prefix}`, {options})"));
        let listed = listed.as_array().expect("a list");
        for entry in listed {
            entry["key"].as_str().expect("a key").clone_into(&mut after);
            entries.insert(after.clone(), entry["value"].clone());
        }
        if listed.len() < 100 {
            return entries;
        }
    }
}
