//! A run that does not end well has done nothing; one that does has done everything.

use serde_json::json;
use server_ws::{StoreLocation, host};

use super::{Test, everything, result, shop, shop_with};
use crate::shop::Shop;

pub(super) const TESTS: &[Test] = &[
    ("failed_run_has_no_effect", failed_run_has_no_effect),
    ("lost_connection_has_no_effect", lost_connection_has_no_effect),
    ("function_of_play_joins_its_transaction", function_of_play_joins_its_transaction),
    ("refusal_of_a_module_undoes_the_run", refusal_of_a_module_undoes_the_run),
    ("play_sent_ahead_sees_its_predecessor", play_sent_ahead_sees_its_predecessor),
    ("impossible_addition_is_thrown_at_the_commit", impossible_addition_is_thrown_at_the_commit),
    ("result_of_another_type_undoes_the_call", result_of_another_type_undoes_the_call),
    ("store_in_a_file_survives_its_circle", store_in_a_file_survives_its_circle),
];

fn failed_run_has_no_effect() {
    let files = [
        ("fail", "fn fail() { store::put(\"k\", 1); events::publish(\"t\", 1); throw \"no\" }"),
        ("spin", "/// @timeout 50\nfn spin() { store::put(\"k\", 1); loop {} }"),
        ("crash", "fn crash() { store::put(\"k\", 1); let b = []; loop { b.push(blob(100000, 1)) } }"),
    ];
    let shop = shop(&files);
    let mut wire = shop.connect();
    assert_eq!(wire.error("store::put(\"k\", 1); throw 1")["code"], -32000);
    assert_eq!(wire.error("store::put(\"k\", 1); 1 +")["code"], -32000);
    let cancelled = wire.request("play", json!(["store::put(\"k\", 1); print(`put`); loop {}"]));
    wire.expect_print("put");
    assert_eq!(wire.call("cancel", json!([cancelled]))["result"]["cancelled"], true);
    assert_eq!(wire.answer(&cancelled)["error"]["code"], -32005);
    let late = wire.call("play", json!({ "script": "store::put(\"k\", 1); loop {}", "timeout_ms": 50 }));
    assert_eq!(late["error"]["code"], -32004);
    for (function, code) in [("fail", -32000), ("spin", -32004), ("crash", -32009)] {
        let error = wire.call(&format!("fn.{function}"), json!([]))["error"].clone();
        assert!(error["code"] == code || function == "crash", "{function}: {error}");
    }
    assert_eq!(wire.value("store::get(\"k\")"), json!(null));
}

fn lost_connection_has_no_effect() {
    let shop = shop(&[]);
    let mut wire = shop.connect();
    wire.request("play", json!(["store::put(\"k\", 1); print(`put`); loop {}"]));
    wire.expect_print("put");
    drop(wire);
    let mut wire = shop.connect();
    for _ in 0..20 {
        assert_eq!(wire.value("store::get(\"k\")"), json!(null));
    }
}

fn function_of_play_joins_its_transaction() {
    let files = [(
        "take",
        "fn take(n) { let left = store::get(\"stock\", 0) - n; store::put(\"stock\", left); if left < 0 { throw \"sold out\" } left }",
    )];
    let shop = shop(&files);
    let (mut wire, mut other) = (shop.connect(), shop.connect());
    // The function sees what the play wrote, and the play what the function wrote.
    assert_eq!(wire.value("store::put(\"stock\", 5); [circle::take(2), store::get(\"stock\")]"), json!([3, 3]));
    // What a function that throws has written is undone, and what the play wrote is not.
    let caught = "store::put(\"kept\", 1); try { circle::take(9) } catch { } store::get(\"stock\")";
    assert_eq!((wire.value(caught), other.value("store::get(\"kept\")")), (json!(3), json!(1)));
    // The function commits with the play, or not at all.
    assert_eq!(wire.error("circle::take(1); throw 1")["code"], -32000);
    assert_eq!(other.value("store::get(\"stock\")"), 3);
}

struct Gate;

impl host::Transactional for Gate {
    type Tx = bool;
    type Prepared = ();

    async fn begin(&self, _: &host::PlayContext) -> host::Result<bool> {
        Ok(false)
    }

    async fn prepare(&self, is_closed: bool) -> host::Result<()> {
        if is_closed { Err("the gate is closed".into()) } else { Ok(()) }
    }
}

impl Gate {
    #[expect(clippy::unused_async, reason = "every host function is async")]
    async fn close(&self, mut call: host::Call<bool>, (): ()) -> host::Result<()> {
        *call.tx() = true;
        Ok(())
    }
}

fn refusal_of_a_module_undoes_the_run() {
    let gate = host::Module::transactional("gate", Gate).function("close", [], "Closes.", Gate::close);
    let files = [("enter", "fn enter() { store::put(\"k\", 1); gate::close(); }")];
    let change = |circle: server_ws::CircleBuilder| circle.store(StoreLocation::Memory).host_module(gate);
    let shop = Shop::start_with(&files, everything(), change);
    let mut wire = shop.connect();
    assert!(
        wire.error("store::put(\"k\", 1); gate::close();")["message"]
            .as_str()
            .is_some_and(|text| text.contains("gate"))
    );
    assert!(wire.call("fn.enter", json!([])).get("error").is_some());
    assert_eq!(wire.value("store::get(\"k\")"), json!(null));
}

fn play_sent_ahead_sees_its_predecessor() {
    let shop = shop(&[]);
    let mut wire = shop.connect();
    wire.value("store::put(\"n\", 0)");
    let ids: Vec<_> = (0..20)
        .map(|_| wire.request("play", json!(["let n = store::get(\"n\") + 1; store::put(\"n\", n); n"])))
        .collect();
    for (number, id) in (1..).zip(&ids) {
        assert_eq!(wire.answer(id)["result"]["value"], json!(number));
    }
}

fn impossible_addition_is_thrown_at_the_commit() {
    let files = [("count", "fn count(key) { store::add(key, 1); store::put(\"other\", 1) }")];
    let shop = shop(&files);
    let mut wire = shop.connect();
    wire.value("store::put(\"text\", \"x\"); store::put(\"max\", 9223372036854775807)");
    for (key, code) in [("text", "not_an_integer"), ("max", "overflow")] {
        let error = wire.error(&format!("store::add(\"{key}\", 1); store::put(\"other\", 1)"));
        let thrown = &error["data"]["thrown"];
        assert_eq!(
            (&error["code"], &thrown["code"], &thrown["data"]["key"]),
            (&json!(-32000), &json!(code), &json!(key))
        );
        let refused = wire.call("fn.count", json!([key]))["error"].clone();
        assert_eq!((&refused["code"], &refused["data"]["thrown"]["data"]["key"]), (&json!(-32000), &json!(key)));
    }
    assert_eq!(wire.value("store::get(\"other\")"), json!(null));
    // A caller who may not read the key does not learn it.
    let roles = json!({ "roles": { "visitor": { "call": ["*"] } }, "anyone": "visitor" });
    let files = [("write", "fn write(key) { store::put(key, \"x\"); }"), ("add", "fn add(key) { store::add(key, 1) }")];
    let visited = shop_with(&files, roles);
    let mut visitor = visited.connect();
    visitor.call("fn.write", json!(["secret"]));
    let refused = visitor.call("fn.add", json!(["secret"]))["error"].clone();
    assert_eq!((&refused["code"], &refused["data"]["thrown"]["code"]), (&json!(-32000), &json!("not_an_integer")));
    assert!(!refused.to_string().contains("secret"), "{refused}");
    assert_eq!((result(&mut wire, "count", json!(["n"])), wire.value("store::get(\"n\")")), (json!(null), json!(1)));
}

fn result_of_another_type_undoes_the_call() {
    let files = [("wrong", "/// @returns {int}\nfn wrong() { store::put(\"k\", 1); \"text\" }")];
    let shop = shop(&files);
    let mut wire = shop.connect();
    assert_eq!(wire.call("fn.wrong", json!([]))["error"]["code"], -32603);
    assert_eq!(wire.value("store::get(\"k\")"), json!(null));
}

fn store_in_a_file_survives_its_circle() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("shop.redb");
    let open = || {
        let location = StoreLocation::File(path.clone());
        Shop::start_with(&[], everything(), |circle| circle.store(location))
    };
    let mut shop = open();
    shop.connect().value("store::put(\"k\", 7)");
    let again = server_ws::Circle::builder("shop")
        .workers(server_ws::Workers::TrustedThreads)
        .store(StoreLocation::File(path.clone()))
        .build()
        .expect_err("the store is open");
    assert!(again.to_string().contains("has the store open: stop it"), "{again}");
    shop.stop();
    drop(shop);
    let open_as_other = || {
        server_ws::Circle::builder("other")
            .workers(server_ws::Workers::TrustedThreads)
            .store(StoreLocation::File(path.clone()))
            .build()
            .expect_err("the store of another circle")
    };
    // The circle closes its store once its last session has ended.
    let mut other = open_as_other();
    while other.to_string().contains("has the store open") {
        std::thread::yield_now();
        other = open_as_other();
    }
    assert!(other.to_string().contains("belongs to 'shop'"), "{other}");
    assert_eq!(open().connect().value("store::get(\"k\")"), 7);
}
