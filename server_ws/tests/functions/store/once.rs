//! Calls with `once`.

use serde_json::{Value, json};
use server_ws::StoreLocation;

use super::{Test, everything, shop};
use crate::shop::{Shop, builder, runtime, write};

pub(super) const TESTS: &[Test] = &[
    ("repeated_call_gets_the_recorded_result", repeated_call_gets_the_recorded_result),
    ("once_that_cannot_be_kept_is_refused", once_that_cannot_be_kept_is_refused),
    ("failed_call_can_be_sent_again", failed_call_can_be_sent_again),
    ("record_survives_other_functions", record_survives_other_functions),
    ("large_result_is_recorded_without_it", large_result_is_recorded_without_it),
];

fn params(item: &str, once: &str) -> Value {
    json!({ "item": item, "_meta": { "once": once } })
}

const FILES: &[(&str, &str)] = &[
    ("place", "fn place(item) { store::add(`placed/${item}`, 1); store::get(`placed/${item}`) }"),
    ("pure", "fn pure(item) { item }"),
];

fn repeated_call_gets_the_recorded_result() {
    let shop = shop(FILES);
    let once = "a".repeat(22);
    for function in ["fn.place", "fn.pure"] {
        let once = format!("{once}{}", function.len());
        let first = shop.connect_as(1).call(function, params("tea", &once))["result"].clone();
        let mut wire = shop.connect_as(1);
        assert_eq!(wire.call(function, params("tea", &once))["result"], first, "{function}");
        let other = wire.call(function, params("milk", &once))["error"].clone();
        assert_eq!((&other["code"], &other["data"]["param"]), (&json!(-32602), &json!("_meta.once")));
        // Another caller has keys of its own.
        assert!(
            shop.connect_as(2).call(function, params("milk", &once)).get("result").is_some() || function == "fn.place"
        );
    }
    assert_eq!(shop.connect().value("store::get(\"placed/tea\")"), 1);
    // All of the same request that are in flight run once.
    let mut wires: Vec<_> = (0..6).map(|_| shop.connect_as(1)).collect();
    let ids: Vec<_> = wires.iter_mut().map(|wire| wire.request("fn.place", params("cake", &"b".repeat(30)))).collect();
    for (wire, id) in wires.iter_mut().zip(&ids) {
        assert_eq!(wire.answer(id)["result"], 1);
    }
    assert_eq!(shop.connect().value("store::get(\"placed/cake\")"), 1);
}

fn once_that_cannot_be_kept_is_refused() {
    let without_store = Shop::start_with(FILES, everything(), |circle| circle);
    let with_store = shop(FILES);
    let once = "a".repeat(22);
    for (mut wire, once) in [
        (without_store.connect_as(1), json!(once)),
        (with_store.connect(), json!(once)),
        (with_store.connect_as(1), json!("short")),
        (with_store.connect_as(1), json!("a".repeat(65))),
        (with_store.connect_as(1), json!(format!("{once}/"))),
        (with_store.connect_as(1), json!(7)),
    ] {
        let error = wire.call("fn.place", json!({ "item": "tea", "_meta": { "once": once } }))["error"].clone();
        assert_eq!((&error["code"], &error["data"]["param"]), (&json!(-32602), &json!("_meta.once")), "{error}");
    }
    assert_eq!(with_store.connect().value("store::count(\"\")"), 0);
}

fn failed_call_can_be_sent_again() {
    let files = [(
        "take",
        "fn take() { let n = store::get(\"n\", 0); if n == 0 { throw \"empty\" } store::put(\"n\", n - 1); n }",
    )];
    let shop = shop(&files);
    let meta = json!({ "_meta": { "once": "c".repeat(22) } });
    let mut wire = shop.connect_as(1);
    assert_eq!(wire.call("fn.take", meta.clone())["error"]["code"], -32000);
    wire.value("store::put(\"n\", 5)");
    assert_eq!(wire.call("fn.take", meta.clone())["result"], 5);
    assert_eq!(wire.call("fn.take", meta)["result"], 5);
    assert_eq!(wire.value("store::get(\"n\")"), 4);
}

fn record_survives_other_functions() {
    let shop = shop(FILES);
    let once = params("tea", &"e".repeat(22));
    assert_eq!(shop.connect_as(1).call("fn.place", once.clone())["result"], 1);
    // The functions of files are numbered by their names.
    write(shop.directory.path(), &[("aaa", "fn aaa() { 1 }")]);
    let other = builder(shop.directory.path(), everything()).store(StoreLocation::Memory).build().expect("a circle");
    runtime().block_on(shop.circle.reconfigure(other)).expect("applied");
    let mut wire = shop.connect_as(1);
    assert_eq!(wire.call("fn.aaa", json!([]))["result"], 1);
    assert_eq!(wire.call("fn.place", once)["result"], 1);
    assert_eq!(wire.value("store::get(\"placed/tea\")"), 1);
}

fn large_result_is_recorded_without_it() {
    let files = [("big", "fn big() { store::add(\"n\", 1); let s = \"\"; s.pad(5000, 'x'); s }")];
    let shop = Shop::start_with(&files, everything(), |circle| circle.store(StoreLocation::Memory));
    let meta = json!({ "_meta": { "once": "d".repeat(22) } });
    let mut wire = shop.connect_as(1);
    assert_eq!(wire.call("fn.big", meta.clone())["result"].as_str().map(str::len), Some(5000));
    let again = wire.call("fn.big", meta)["error"].clone();
    assert_eq!(again["code"], -32004);
    assert_eq!((&again["data"]["happened"], &again["data"]["recorded"]), (&json!(true), &json!(true)));
    assert_eq!(wire.value("store::get(\"n\")"), 1);
}
