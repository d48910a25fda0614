//! Keys, values, lists and limits, as scripts see them.

use serde_json::json;
use server_ws::{Limits, StoreLocation};

use super::{Test, everything, shop, shop_with};
use crate::shop::{Shop, keypair};

pub(super) const TESTS: &[Test] = &[
    ("values_keep_their_type", values_keep_their_type),
    ("lists_are_ordered_and_see_own_writes", lists_are_ordered_and_see_own_writes),
    ("invalid_keys_and_values_are_refused", invalid_keys_and_values_are_refused),
    ("limits_of_a_transaction_can_be_caught", limits_of_a_transaction_can_be_caught),
    ("full_store_takes_deletes", full_store_takes_deletes),
    ("calls_of_the_store_are_no_host_calls", calls_of_the_store_are_no_host_calls),
    ("plays_use_the_keys_of_their_caller", plays_use_the_keys_of_their_caller),
    ("circle_without_a_store_has_no_module", circle_without_a_store_has_no_module),
];

fn values_keep_their_type() {
    let shop = shop(&[]);
    let mut wire = shop.connect();
    for (value, kind) in [
        ("1", "i64"),
        ("1.0", "f64"),
        ("9007199254740993", "i64"),
        ("-9223372036854775807 - 1", "i64"),
        ("0.1 + 0.2", "f64"),
        ("\"1\"", "string"),
        ("\"\"", "string"),
        ("true", "bool"),
        ("blob(3, 7)", "blob"),
        ("[1, 1.0, \"a\", (), [true]]", "array"),
        ("#{ a: 1, b: #{ c: 2.5 } }", "map"),
    ] {
        wire.value(&format!("store::put(\"v\", {value})"));
        let script =
            format!("let got = store::get(\"v\"); let put = {value}; [type_of(got), `${{got}}` == `${{put}}`]");
        assert_eq!(wire.value(&script), json!([kind, true]), "{value}");
    }
    assert_eq!(
        wire.value("store::delete(\"v\"); [store::get(\"v\"), store::get(\"v\", 2.0), store::has(\"v\")]"),
        json!([null, 2.0, false])
    );
}

fn lists_are_ordered_and_see_own_writes() {
    let shop = shop(&[]);
    let mut wire = shop.connect();
    wire.value("for i in 0..5 { store::put(`a/${i}`, i) } store::put(\"b/0\", 9)");
    let keys = |list: &str| format!("{list}.map(|entry| entry.key)");
    assert_eq!(
        wire.value(&format!("store::delete(\"a/1\"); store::put(\"a/05\", 7); {}", keys("store::list(\"a/\")"))),
        json!(["a/0", "a/05", "a/2", "a/3", "a/4"])
    );
    assert_eq!(
        wire.value("store::list(\"a/\", #{ after: \"a/0\", limit: 1 })"),
        json!([{ "key": "a/05", "value": 7 }])
    );
    let reverse = keys("store::list(\"a/\", #{ reverse: true, after: \"a/4\", limit: 2 })");
    assert_eq!(wire.value(&reverse), json!(["a/3", "a/2"]));
    assert_eq!(wire.value("[store::count(\"a/\"), store::count(\"\"), store::count(\"c/\")]"), json!([5, 6, 0]));
    assert_eq!(wire.value("store::get_all([\"a/0\", \"none\", \"b/0\"])"), json!([0, null, 9]));
}

fn invalid_keys_and_values_are_refused() {
    let shop = shop(&[]);
    let mut wire = shop.connect();
    let long = "k".repeat(513);
    for (script, code) in [
        ("store::put(\"\", 1)".to_owned(), "key"),
        (format!("store::get(\"{long}\")"), "key"),
        (format!("store::get_all([\"{long}\"])"), "key"),
        ("store::list(\"a\")".to_owned(), "key"),
        ("store::put(\"a\", ())".to_owned(), "value"),
        ("let v = []; for i in 0..32 { v = [v] } store::put(\"a\", v)".to_owned(), "value"),
        ("store::put(\"b\", 1); store::insert(\"b\", 2)".to_owned(), "exists"),
        ("store::put(\"t\", \"x\"); store::add(\"t\", 1)".to_owned(), "not_an_integer"),
        ("store::put(\"m\", 9223372036854775807); store::add(\"m\", 1)".to_owned(), "overflow"),
        ("store::list(\"a/\", #{ limit: 1001 })".to_owned(), "limit"),
        (
            "store::put(\"l\", blob(40000, 1)); let all = []; for i in 0..20 { all.push(\"l\") } store::get_all(all)"
                .to_owned(),
            "limit",
        ),
        ("events::publish(\"\", 1)".to_owned(), "topic"),
    ] {
        let error = wire.error(&script);
        assert_eq!(
            (&error["code"], &error["data"]["thrown"]["code"]),
            (&json!(-32000), &json!(code)),
            "{script}: {error}"
        );
    }
    for script in [
        "store::put(\"a\", #{ \"$serde_json::private::RawValue\": \"[1]\" })",
        "store::put(\"a\", #{ \"$circles::blob\": \"AA==\" })",
        "store::put(\"a\", 'x')",
        "store::put(\"a\", [1.0 / 0.0])",
        "store::put(\"a\", || 1)",
        "store::put(\"a\", timestamp())",
        "store::put(1, 1)",
        "store::add(\"a\", 1.5)",
    ] {
        assert_eq!(wire.error(script)["code"], -32000, "{script}");
    }
    assert_eq!(wire.value("[store::get(\"a\"), store::get(\"b\"), store::count(\"\")]"), json!([null, null, 0]));
}

fn limits_of_a_transaction_can_be_caught() {
    let mut limits = Limits::default();
    (limits.store_reads, limits.store_writes, limits.store_kib, limits.value_kib, limits.events) = (3, 2, 1, 1, 1);
    let shop = Shop::start_with(&[], everything(), |circle| circle.store(StoreLocation::Memory).limits(limits));
    let mut wire = shop.connect();
    let caught =
        |script: &str| format!("let caught = (); try {{ {script} }} catch (error) {{ caught = error; }} caught");
    for (script, setting, max) in [
        ("for i in 0..4 { store::get(`k${i}`) }", "store_reads", 3),
        ("for i in 0..3 { store::put(`k${i}`, i) }", "store_writes", 2),
        ("store::put(\"a\", blob(700, 0)); store::put(\"b\", blob(700, 0))", "store_kib", 1),
        ("store::put(\"a\", blob(1000, 0))", "value_kib", 1),
        ("for i in 0..2 { events::publish(\"t\", i) }", "events", 1),
    ] {
        let thrown = wire.value(&caught(script));
        assert_eq!(thrown["code"], "limit", "{script}");
        assert_eq!(thrown["data"], json!({ "setting": setting, "max": max }), "{script}");
        let error = wire.error(script);
        assert_eq!((&error["code"], &error["data"]["thrown"]["data"]["setting"]), (&json!(-32000), &json!(setting)));
    }
    // What fitted was committed.
    assert_eq!(wire.value("store::get_all([\"k0\", \"k1\", \"k2\"])"), json!([0, 1, null]));
}

fn calls_of_the_store_are_no_host_calls() {
    let limits = Limits { host_calls: 1, ..Limits::default() };
    let hit = "fn hit() { for i in 0..5 { store::add(\"n\", 1); } store::get(\"n\") }";
    let change = |circle: server_ws::CircleBuilder| circle.store(StoreLocation::Memory).limits(limits);
    let shop = Shop::start_with(&[("hit", hit)], everything(), change);
    let mut wire = shop.connect();
    assert_eq!(wire.call("fn.hit", json!([]))["result"], 5);
    let script = "for i in 0..5 { store::put(`k/${i}`, i); events::publish(\"t\", i); } store::count(\"k/\")";
    assert_eq!(wire.value(script), 5);
}

fn full_store_takes_deletes() {
    let limits = Limits { store_mib: 1, ..Limits::default() };
    let fill = "fn fill(n) { store::put(`k/${n}`, blob(40000, 1)) }";
    let shop =
        Shop::start_with(&[("fill", fill)], everything(), |circle| circle.store(StoreLocation::Memory).limits(limits));
    let mut wire = shop.connect();
    let mut written = 0;
    let error = loop {
        let answer = wire.call("fn.fill", json!([written]));
        match answer.get("error") {
            Some(error) => break error.clone(),
            None => written += 1,
        }
    };
    assert_eq!((&error["code"], &error["data"]), (&json!(-32011), &json!({ "cause": "full", "happened": "no" })));
    assert_eq!(wire.error("store::put(\"other\", blob(40000, 1))")["code"], -32011);
    assert_eq!(wire.value("store::count(\"k/\")"), written, "nothing is lost");
    for n in 0..written {
        wire.value(&format!("store::delete(\"k/{n}\")"));
    }
    assert_eq!(wire.call("fn.fill", json!([0]))["result"], json!(null));
    assert_eq!(wire.value("store::count(\"k/\")"), 1);
}

fn plays_use_the_keys_of_their_caller() {
    let roles = json!({
        "roles": {
            "user": {
                "play": true,
                "call": ["*"],
                "use": ["store::get:{key}/", "store::put:{key}/", "store::list:{key}/", "store::get:public/", "events::publish:chat"],
            },
        },
        "anyone": "user",
        "authenticated": "user",
    });
    let files = [("peek", "fn peek(key) { store::get(key) }"), ("all", "fn all() { store::count(\"\") }")];
    let shop = shop_with(&files, roles);
    let own = keypair(1).public_key().to_hex();
    let mut wire = shop.connect_as(1);
    wire.value(&format!("store::put(\"{own}/a\", 1); events::publish(\"chat\", 1)"));
    assert_eq!(
        wire.value(&format!("[store::get(\"{own}/a\"), store::list(\"{own}/\").len(), store::get(\"public/x\")]")),
        json!([1, 1, null])
    );
    let other = keypair(2).public_key().to_hex();
    for script in [
        format!("store::get(\"{other}/a\")"),
        format!("store::put(\"{own}\", 1)"),
        format!("store::put(\"{own}/../{other}/a\", 1); store::get(\"{other}/a\")"),
        "store::put(\"public/x\", 1)".to_owned(),
        "store::list(\"public/\")".to_owned(),
        "store::list(\"\")".to_owned(),
        "store::get(\"{key}/a\")".to_owned(),
        "events::publish(\"news\", 1)".to_owned(),
    ] {
        let error = wire.error(&script);
        assert_eq!(error["data"]["thrown"]["code"], "forbidden", "{script}: {error}");
    }
    assert_eq!(wire.error(&format!("store::delete(\"{own}/a\")"))["code"], -32000, "no role grants it");
    // Anonymous callers have no keys of their own.
    let mut anonymous = shop.connect();
    assert_eq!(anonymous.error("store::get(\"/a\")")["data"]["thrown"]["code"], "forbidden");
    assert_eq!(anonymous.value("store::get(\"public/x\")"), json!(null));
    // A function of the circle may use everything, whoever calls it.
    assert_eq!(anonymous.call("fn.peek", json!([format!("{own}/a")]))["result"], 1);
    assert_eq!(anonymous.call("fn.all", json!([]))["result"], 1);
}

fn circle_without_a_store_has_no_module() {
    let shop = Shop::start_with(&[], everything(), |circle| circle);
    let error = shop.connect().error("store::get(\"a\")");
    assert_eq!(error["code"], -32000);
    assert!(error["message"].as_str().is_some_and(|message| message.contains("store")), "{error}");
}
