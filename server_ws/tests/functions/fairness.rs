//! Fairness: calls of one caller that never end do not keep out the calls of others.

use std::time::Instant;

use protocol::Limits;
use serde_json::{Value, json};

use super::{
    Test, WAIT_TIMEOUT,
    shop::{Shop, keypair, roles},
};

pub(crate) const TESTS: &[Test] = &[
    ("endless_calls_of_one_caller_keep_nobody_out", endless_calls_of_one_caller_keep_nobody_out),
    ("calls_of_client_that_does_not_read_count_as_its_memory", calls_of_client_that_does_not_read_count_as_its_memory),
];

/// Connections of the caller with the endless calls, and its calls on each of them.
const FLOOD: (usize, usize) = (8, 8);

/// The flood has a time limit of a day, so no call of it ends before the others.
fn endless_calls_of_one_caller_keep_nobody_out() {
    let files = [("spin", "/// @timeout 86400000\nfn spin() { loop {} }"), ("price", "fn price() { 3 }")];
    let shop = Shop::start_with(&files, roles(), |circle| circle);
    let mut flood: Vec<_> = (0..FLOOD.0).map(|_| shop.connect_as(1)).collect();
    let mut ids = Vec::new();
    for wire in &mut flood {
        ids.push((0..FLOOD.1).map(|_| wire.request("fn.spin", json!([]))).collect::<Vec<_>>());
        // The circle has read the calls once it answers the request behind them.
        assert_eq!(wire.call("describe", json!({}))["result"]["name"], "shop");
    }
    let mut bob = shop.connect();
    assert_eq!(bob.authenticate(&keypair(2))["result"]["authenticated"], true);
    for mut wire in [bob, shop.connect_as(9), shop.connect()] {
        assert_eq!(wire.call("fn.price", json!([]))["result"], 3);
    }
    for (wire, ids) in flood.iter_mut().zip(ids) {
        assert_eq!(wire.take_answers(), Vec::<Value>::new(), "a call of the flood has ended");
        for id in ids {
            assert_eq!(wire.call("cancel", json!([id]))["result"], json!({ "cancelled": true }));
            assert_eq!(wire.answer(&id)["error"]["code"], -32005);
        }
    }
}

/// The results of 64 calls do not fit into the memory of all connections, so the circle closes the connection.
fn calls_of_client_that_does_not_read_count_as_its_memory() {
    let files =
        [("large", "fn large() { let text = \"x\"; text.pad(900000, 'x'); text }"), ("price", "fn price() { 3 }")];
    let shop = Shop::start_with(&files, roles(), |circle| {
        circle.limits(Limits { connection_mib: Some(8), ..Limits::default() })
    });
    let (mut reader, mut silent) = (shop.connect_as(2), shop.connect_as(1));
    for _ in 0..64 {
        silent.request("fn.large", json!([]));
    }
    let (observer, began) = (shop.circle.observer(), Instant::now());
    let closed = "circles_connections_closed_total{reason=\"caller_memory\"} 1\n";
    while !observer.prometheus().contains(closed) {
        assert!(began.elapsed() < WAIT_TIMEOUT, "{}", observer.prometheus());
        assert_eq!(reader.call("fn.price", json!([]))["result"], 3);
    }
    assert_eq!(reader.call("fn.price", json!([]))["result"], 3);
}
