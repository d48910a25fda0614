//! The store of a circle: what scripts read and write, and when it takes effect.

mod conflicts;
mod ends;
mod once;
mod values;

use serde_json::{Value, json};
use server_ws::StoreLocation;

use super::{Test, shop::Shop, wire::WireClient};

/// Returns all tests.
pub(crate) fn tests() -> Vec<Test> {
    [values::TESTS, ends::TESTS, conflicts::TESTS, once::TESTS].concat()
}

/// Returns roles with which everyone may call, play and use everything.
fn everything() -> Value {
    json!({
        "roles": { "owner": { "call": ["*"], "play": true, "use": ["*"] } },
        "anyone": "owner",
        "members": [{ "name": "alice", "keys": [1], "role": "owner" }],
    })
}

/// Starts a circle with a store in memory.
fn shop(files: &[(&str, &str)]) -> Shop {
    shop_with(files, everything())
}

fn shop_with(files: &[(&str, &str)], roles: Value) -> Shop {
    Shop::start_with(files, roles, |circle| circle.store(StoreLocation::Memory))
}

/// Calls a function, and returns its result.
#[track_caller]
fn result(wire: &mut WireClient, function: &str, params: Value) -> Value {
    let answer = wire.call(&format!("fn.{function}"), params);
    assert!(answer.get("error").is_none(), "{answer}");
    answer["result"].clone()
}
