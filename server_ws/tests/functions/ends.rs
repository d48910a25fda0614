//! How calls end: the transactions of host modules, limits of roles, changes of roles, records, and the end of a circle.

use std::sync::mpsc::{self, Receiver, Sender};

use serde_json::{Value, json};
use server_ws::host::{self, PlayEnd};

use super::{
    Test, WAIT_TIMEOUT,
    shop::{Shop, definition},
    wire::WireClient,
};

pub(crate) const TESTS: &[Test] = &[
    ("transactions_of_a_call_end_once", transactions_of_a_call_end_once),
    ("calls_and_plays_of_a_member_share_a_rate", calls_and_plays_of_a_member_share_a_rate),
    ("waiting_plays_end_when_their_role_loses_play", waiting_plays_end_when_their_role_loses_play),
    ("anonymous_session_ends_with_its_role", anonymous_session_ends_with_its_role),
    ("call_has_a_record", call_has_a_record),
    ("call_of_a_play_has_a_record_and_counts", call_of_a_play_has_a_record_and_counts),
    ("circle_that_drains_refuses_calls", circle_that_drains_refuses_calls),
];

/// A host module that reports how each of its transactions ends.
struct Ledger(Sender<PlayEnd>);

impl host::Transactional for Ledger {
    type Tx = ();
    type Prepared = ();

    async fn begin(&self, _: &host::PlayContext) -> host::Result<()> {
        Ok(())
    }

    async fn prepare(&self, (): ()) -> host::Result<()> {
        Ok(())
    }

    async fn end(&self, (): (), end: PlayEnd) {
        self.0.send(end).expect("the test waits");
    }

    async fn abort(&self, (): (), end: PlayEnd) {
        self.0.send(end).expect("the test waits");
    }
}

impl Ledger {
    #[expect(clippy::unused_async, reason = "every host function is async")]
    async fn note(&self, _: host::Call, (): ()) -> host::Result<()> {
        Ok(())
    }

    /// Returns when the call is cancelled.
    async fn hold(&self, call: host::Call, (): ()) -> host::Result<()> {
        call.progress(1, 2, None);
        call.cancelled().await;
        Ok(())
    }
}

/// Starts a circle whose functions use a ledger, which the role of its callers may not use.
fn shop_with_ledger() -> (Shop, Receiver<PlayEnd>) {
    let (ends, ended) = mpsc::channel();
    let files = [
        ("note", "fn note() { ledger::note(); ledger::note(); 1 }"),
        ("refuse", "fn refuse() { ledger::note(); throw \"no\" }"),
        ("hold", "/// @timeout 86400000\nfn hold() { ledger::hold() }"),
    ];
    let roles = json!({ "roles": { "visitor": { "call": ["*"] } }, "anyone": "visitor" });
    let ledger = host::Module::transactional("ledger", Ledger(ends))
        .function("note", [], "Notes.", Ledger::note)
        .function("hold", [], "Waits.", Ledger::hold);
    (Shop::start_with(&files, roles, |circle| circle.host_module(ledger)), ended)
}

fn transactions_of_a_call_end_once() {
    let (shop, ended) = shop_with_ledger();
    let next = || ended.recv_timeout(WAIT_TIMEOUT).expect("a transaction ends");
    let mut wire = shop.connect();
    assert_eq!(wire.call("fn.note", json!([]))["result"], 1);
    assert_eq!(next(), PlayEnd::Succeeded);
    assert_eq!(wire.call("fn.refuse", json!([]))["error"]["data"], json!({ "kind": "thrown", "thrown": "no" }));
    assert_eq!(next(), PlayEnd::Failed);
    let held = wire.request("fn.hold", json!([]));
    wire.notification("play.progress");
    assert_eq!(wire.call("cancel", json!([held]))["result"]["cancelled"], true);
    assert_eq!(wire.answer(&held)["error"]["code"], -32005);
    assert_eq!(next(), PlayEnd::Cancelled);
    wire.request("fn.hold", json!([]));
    wire.notification("play.progress");
    drop(wire);
    assert_eq!(next(), PlayEnd::Disconnected);
    assert_eq!(shop.connect().call("fn.note", json!([]))["result"], 1);
    assert_eq!((next(), ended.try_recv().is_err()), (PlayEnd::Succeeded, true));
}

fn calls_and_plays_of_a_member_share_a_rate() {
    let roles = json!({
        "roles": { "clerk": { "call": ["*"], "play": true, "per_minute": 2 } },
        "authenticated": "clerk",
        "members": [{ "name": "alice", "keys": [1, 2], "role": "clerk" }],
    });
    let shop = Shop::start_with(&[("price", "fn price() { 3 }")], roles, |circle| circle);
    let (mut first, mut second, mut other) = (shop.connect_as(1), shop.connect_as(2), shop.connect_as(9));
    assert_eq!(first.call("fn.price", json!([]))["result"], 3);
    assert_eq!(second.value("1"), 1);
    for (method, params) in [("fn.price", json!([])), ("play", json!(["1"]))] {
        for wire in [&mut first, &mut second] {
            let refused = wire.call(method, params.clone())["error"].clone();
            let wait = refused["data"]["retry_after_ms"].as_u64().expect("a number");
            assert!(refused["code"] == -32007 && (1..=30_000).contains(&wait), "{method}: {refused}");
        }
    }
    assert_eq!(first.call("describe", json!({}))["result"]["you"]["name"], "alice");
    assert_eq!(other.call("fn.price", json!([]))["result"], 3);
}

/// Starts a circle where anyone may play, and begins an endless play.
fn shop_with_running_play() -> (Shop, WireClient, Value) {
    let roles = json!({ "roles": { "visitor": { "call": ["*"], "play": true } }, "anyone": "visitor" });
    let shop = Shop::start_with(&[("price", "fn price() { 3 }")], roles, |circle| circle);
    let mut wire = shop.connect();
    let running = wire.request("play", json!(["print(`begun`); loop {}"]));
    wire.expect_print("begun");
    (shop, wire, running)
}

fn waiting_plays_end_when_their_role_loses_play() {
    let (shop, mut wire, running) = shop_with_running_play();
    // More than the circle sends to the worker ahead of their start.
    let waiting: Vec<Value> = (0..40).map(|_| wire.request("play", json!(["1"]))).collect();
    assert_eq!(wire.call("describe", json!({}))["result"]["you"]["may"]["play"], true);
    let roles = json!({ "roles": { "visitor": { "call": ["*"] } }, "anyone": "visitor" });
    shop.circle.set_roles(definition(roles)).expect("valid");
    for id in waiting {
        let error = wire.answer(&id)["error"].clone();
        assert_eq!((&error["code"], &error["data"]["missing"]), (&json!(-32003), &json!("play")), "{error}");
    }
    assert_eq!(wire.call("play", json!(["1"]))["error"]["code"], -32001);
    assert_eq!(wire.call("fn.price", json!([]))["result"], 3);
    assert_eq!(wire.call("cancel", json!([running]))["result"]["cancelled"], true);
    assert_eq!(wire.answer(&running)["error"]["code"], -32005);
}

fn anonymous_session_ends_with_its_role() {
    let roles = json!({ "roles": { "visitor": { "call": ["*"] } }, "anyone": "visitor" });
    let shop = Shop::start_with(&[("price", "fn price() { 3 }")], roles, |circle| circle);
    let mut wire = shop.connect();
    assert_eq!(wire.call("fn.price", json!([]))["result"], 3);
    let roles = json!({ "roles": { "visitor": { "call": ["*"] } }, "authenticated": "visitor" });
    shop.circle.set_roles(definition(roles)).expect("valid");
    assert_eq!(wire.close_code(), 1008);
    assert_eq!(shop.connect().call("fn.price", json!([]))["error"]["code"], -32001);
    assert_eq!(shop.connect_as(1).call("fn.price", json!([]))["result"], 3);
}

fn call_has_a_record() {
    let (records, recorded) = mpsc::channel();
    let roles = json!({ "roles": { "visitor": { "call": ["price"] } }, "anyone": "visitor" });
    let shop = Shop::start_with(&[("price", "fn price(item) { 3 }")], roles, |circle| {
        circle.audit(move |record| {
            let call = record.call().map(|(name, arguments)| (name.to_owned(), arguments.to_owned()));
            records.send((call, record.role.clone(), record.outcome, record.code)).expect("the test waits");
        })
    });
    let mut wire = shop.connect();
    let mut record = |name: &str| {
        wire.call(&format!("fn.{name}"), json!(["tea"]));
        recorded.recv_timeout(WAIT_TIMEOUT).expect("a record")
    };
    let call = |name: &str| Some((name.to_owned(), "[\"tea\"]".to_owned()));
    let role = || Some("visitor".into());
    assert_eq!(record("price"), (call("price"), role(), "ok", None));
    assert_eq!(record("vault"), (call("vault"), role(), "invalid", Some(-32601)));
}

fn call_of_a_play_has_a_record_and_counts() {
    let (records, recorded) = mpsc::channel();
    let roles = json!({ "roles": { "visitor": { "call": ["price"], "play": true } }, "anyone": "visitor" });
    let files = [("price", "/// @param {string ..9} item\nfn price(item) { if item == \"gold\" { throw 1 } 3 }")];
    let shop = Shop::start_with(&files, roles, |circle| {
        circle.audit(move |record| {
            let call = record.call().map(|(name, arguments)| (name.to_owned(), arguments.to_owned()));
            let (role, outcome) = (record.role.clone(), record.outcome);
            records.send((call, record.is_from_play(), role, outcome, record.code)).expect("the test waits");
        })
    });
    let mut wire = shop.connect();
    let observer = shop.circle.observer();
    let mut play = |script: &str| {
        wire.play(script);
        [(); 2].map(|()| recorded.recv_timeout(WAIT_TIMEOUT).expect("a record"))
    };
    let call = |item: &str| Some(("price".to_owned(), format!("[\"{item}\"]")));
    let role = || Some("visitor".into());
    let of_play = || (None, false, role(), "ok", None);
    assert_eq!(play("circle::price(`tea`)"), [(call("tea"), true, role(), "ok", None), of_play()]);
    let failed = play("try { circle::price(`gold`) } catch {}");
    assert_eq!(failed, [(call("gold"), true, role(), "script_error", Some(-32000)), of_play()]);
    let refused = play("try { circle::price(`ten letters`) } catch {}");
    assert_eq!(refused, [(call("ten letters"), true, role(), "invalid", Some(-32602)), of_play()]);
    let metrics = observer.prometheus();
    for outcome in ["ok", "script_error", "invalid"] {
        assert!(metrics.contains(&format!("circles_calls_total{{outcome=\"{outcome}\"}} 1\n")), "{metrics}");
    }
}

fn circle_that_drains_refuses_calls() {
    let files =
        [("spin", "/// @timeout 86400000\nfn spin() { progress(1, 2); loop {} }"), ("price", "fn price() { 3 }")];
    let roles = json!({ "roles": { "visitor": { "call": ["*"] } }, "anyone": "visitor" });
    let mut shop = Shop::start_with(&files, roles, |circle| circle.grace_period(WAIT_TIMEOUT));
    let mut wire = shop.connect();
    let running = wire.request("fn.spin", json!([]));
    wire.notification("play.progress");
    shop.stop();
    // The circle begins to drain a moment later.
    let refused = loop {
        let answer = wire.call("fn.price", json!([]));
        if answer["result"] != 3 {
            break answer;
        }
    };
    assert_eq!(refused["error"]["code"], -32008);
    // The call that runs has the grace period, and ends the circle's wait with its own end.
    assert_eq!(wire.call("cancel", json!([running]))["result"]["cancelled"], true);
    assert_eq!(wire.answer(&running)["error"]["code"], -32005);
    assert_eq!(wire.close_code(), 1001);
}
