//! Least privilege: random roles, and for each caller everything that it could try, against an independent model.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::{Value, json};
use server_ws::host;

use super::{
    Test,
    model::{FUNCTIONS, HOST_FUNCTIONS, Permissions, Random, random_definition},
    shop::{Shop, definition, keypair},
    wire::WireClient,
};

pub(crate) const TESTS: &[Test] = &[("callers_may_do_what_their_roles_say", callers_may_do_what_their_roles_say)];

const FILES: [(&str, &str); 5] = [
    ("log", r#"fn log() { "log" }"#),
    (
        "order",
        r#"fn order() { "order" } fn place() { "order.place" } fn undo() { "order.undo" } private fn all() { 1 }"#,
    ),
    ("orders", r#"fn orders() { "orders" }"#),
    ("price", r#"fn price() { "price" } fn list() { "price.list" }"#),
    ("stock", r#"fn count() { "stock.count" } fn set() { "stock.set" }"#),
];

/// Names that are no functions of any role: one that does not exist, a private one, a file without a function of its name.
const ABSENT: [&str; 3] = ["nothing", "order.all", "stock"];

/// The keys of the callers: an anonymous one, one that is no member, alice with two keys, and bob.
const CALLERS: [Option<u64>; 5] = [None, Some(9), Some(1), Some(2), Some(3)];

/// Number of random definitions.
fn cases() -> u64 {
    std::env::var("CIRCLES_ROLE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(40)
}

fn module(name: &'static str, functions: [&'static str; 2]) -> host::Module {
    functions.into_iter().fold(host::Module::new(name), |module, function| {
        let answer = format!("{name}::{function}");
        module.function(function, [], "Returns its name.", move |_: host::Call, (): ()| {
            let answer = answer.clone();
            async move { Ok(answer) }
        })
    })
}

fn callers_may_do_what_their_roles_say() {
    let seed = std::env::var("CIRCLES_ROLE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let first = random_definition(&mut Random(seed));
    let shop = Shop::start_with(&FILES, first, |circle| {
        circle
            .allow_open(true)
            .host_module(module("depot", ["get", "put"]))
            .host_module(module("mail", ["get", "send"]))
    });
    let mut open: [Option<(WireClient, bool)>; 5] = Default::default();
    for case in seed..seed + cases() {
        let roles = random_definition(&mut Random(case));
        let context = format!("CIRCLES_ROLE_SEED={case}: {roles}");
        shop.circle.set_roles(definition(roles.clone())).unwrap_or_else(|error| panic!("{error}: {context}"));
        let anyone = Permissions::of(&roles, None);
        assert_eq!(listed(&get_contract(&shop.authority)), expected_list(anyone.as_ref()), "{context}");
        for (key, open) in CALLERS.into_iter().zip(&mut open) {
            let may = Permissions::of(&roles, key);
            let context = format!("key {key:?}, {context}");
            // A connection of the case before has the rights of now, from its next request on.
            match (open.take(), &may, key) {
                (Some((mut wire, true)), None, Some(_)) => {
                    assert_eq!(wire.close_code(), 1008, "{context}");
                    check_stranger(&shop, key, &context);
                }
                (_, None, _) => check_stranger(&shop, key, &context),
                (before, Some(may), _) => {
                    let mut wire = match before {
                        Some((wire, true)) if case % 3 > 0 => wire,
                        _ => key.map_or_else(|| shop.connect(), |key| shop.connect_as(key)),
                    };
                    check(&mut wire, may, key, &context);
                    *open = Some((wire, true));
                }
            }
        }
    }
}

/// Returns the code of an answer; 0 for a result.
fn code(answer: &Value) -> i64 {
    if answer.get("result").is_some() { 0 } else { answer["error"]["code"].as_i64().expect("a code") }
}

/// The requests that need the right to play.
fn requests_of_players() -> [(&'static str, Value); 5] {
    [
        ("play", json!({ "script": "1" })),
        ("complete", json!({ "script": "pri", "cursor": 3 })),
        ("scope", json!({})),
        ("lookup", json!({ "name": "print" })),
        ("reset", json!({})),
    ]
}

/// Checks a caller without a role, who may do nothing. Connections of such callers have few requests.
fn check_stranger(shop: &Shop, key: Option<u64>, context: &str) {
    let connect = || {
        let mut wire = shop.connect();
        if let Some(key) = key {
            assert_eq!(code(&wire.authenticate(&keypair(key))), -32003, "{context}");
        }
        wire
    };
    let mut wire = connect();
    for (method, params) in requests_of_players() {
        assert_eq!(code(&wire.call(method, params)), -32001, "{method}, {context}");
    }
    let mut wire = connect();
    assert_eq!(code(&wire.call("cancel", json!({ "play": 1 }))), -32001, "{context}");
    let described = wire.call("describe", json!({}));
    assert_eq!(described["result"]["functions"]["count"], 0, "{described}, {context}");
    assert_eq!(listed(&wire.call("rpc.discover", json!({}))["result"]), expected_list(None), "{context}");
    let names: Vec<&str> = FUNCTIONS.into_iter().chain(ABSENT).collect();
    for names in names.chunks(4) {
        let mut wire = connect();
        for name in names {
            assert_eq!(code(&wire.call(&format!("fn.{name}"), json!([]))), -32001, "{name}, {context}");
        }
    }
}

fn check(wire: &mut WireClient, may: &Permissions, key: Option<u64>, context: &str) {
    let player = match (may.may_play, key) {
        (true, _) => 0,
        (false, Some(_)) => -32003,
        (false, None) => -32001,
    };
    for (method, params) in requests_of_players() {
        let answer = wire.call(method, params);
        assert_eq!(code(&answer), player, "{method}, {answer}, {context}");
        if player == -32003 {
            assert_eq!(answer["error"]["data"]["missing"], "play", "{answer}, {context}");
        }
    }
    assert_eq!(wire.call("cancel", json!({ "play": 1 }))["result"], json!({ "cancelled": false }), "{context}");
    let described = wire.call("describe", json!({}));
    let you = &described["result"]["you"];
    assert_eq!((&you["role"], &you["may"]["play"]), (&json!(may.role), &json!(may.may_play)), "{context}");
    assert_eq!((&you["name"], &you["admitted"]), (&json!(may.name), &json!(may.may_play)), "{you}, {context}");
    let expected = expected_list(Some(may));
    assert_eq!(described["result"]["functions"]["count"], json!(expected.len()), "{context}");
    assert_eq!(listed(&wire.call("rpc.discover", json!({}))["result"]), expected, "{context}");
    for name in FUNCTIONS.into_iter().chain(ABSENT) {
        let answer = wire.call(&format!("fn.{name}"), json!([]));
        if may.may_call(name) && FUNCTIONS.contains(&name) {
            assert_eq!(answer["result"], name, "{answer}, {context}");
        } else {
            assert_eq!(code(&answer), -32601, "{name}, {context}");
        }
    }
    if may.may_play {
        check_plays(wire, may, context);
    }
}

/// The error of Rhai for a function that does not exist.
const UNKNOWN: &str = "ErrorFunctionNotFound";

/// Checks what plays may call. What a play may not call does not exist for it.
fn check_plays(wire: &mut WireClient, may: &Permissions, context: &str) {
    let attempt = |call: String| format!("try {{ tried.push({call}()); }} catch (e) {{ tried.push(e.error); }}\n");
    let functions = FUNCTIONS.map(|name| attempt(format!("circle::{}", name.replace('.', "::"))));
    let host = HOST_FUNCTIONS.map(|(module, function)| attempt(format!("{module}::{function}")));
    let tried = wire.value(&format!("let tried = [];\n{}{}tried", functions.concat(), host.concat()));
    let expected_functions = FUNCTIONS.map(|name| if may.may_call(name) { name } else { UNKNOWN }.to_owned());
    let expected_host = HOST_FUNCTIONS.map(|(module, function)| {
        if may.may_use(module, function) { format!("{module}::{function}") } else { UNKNOWN.to_owned() }
    });
    assert_eq!(tried, json!([&expected_functions[..], &expected_host[..]].concat()), "{context}");
}

/// Returns the names of the functions that a contract lists.
fn listed(contract: &Value) -> BTreeSet<String> {
    let methods = contract["methods"].as_array().expect("a list").iter();
    methods.filter_map(|method| method["name"].as_str()?.strip_prefix("fn.").map(str::to_owned)).collect()
}

fn expected_list(may: Option<&Permissions>) -> BTreeSet<String> {
    let permitted = FUNCTIONS.into_iter().filter(|name| may.is_some_and(|may| may.may_call(name)));
    permitted.map(str::to_owned).collect()
}

/// Returns the contract at `/openrpc.json`.
fn get_contract(authority: &str) -> Value {
    let mut stream = TcpStream::connect(authority).expect("it listens");
    let request = format!("GET /openrpc.json HTTP/1.0\r\nHost: {authority}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it takes a request");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("it answers");
    let (_, body) = response.split_once("\r\n\r\n").expect("a body");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {response}"))
}
