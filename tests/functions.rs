//! `circles call`, `circles functions` and `circles new`, on circles whose answers the test writes.

mod calls_real;
mod new;

use std::{process::Command, sync::mpsc};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{CommandOutput, Home, fake, skip};

/// The functions of the shop, as `rpc.discover` describes them.
fn document() -> Value {
    json!({ "openrpc": "1.3.2", "methods": [
        { "name": "play", "params": [] },
        {
            "name": "fn.price", "summary": "The price of an item.", "paramStructure": "either", "x-readonly": true,
            "params": [{ "name": "item", "description": "what", "required": true, "x-type": "string 1..64",
                         "schema": { "type": "string", "minLength": 1, "maxLength": 64 } }],
            "result": { "name": "result", "schema": { "type": "number" }, "x-type": "float" },
            "errors": [{ "code": -32000, "message": "thrown", "data": { "properties": { "thrown": { "const": "unknown" } } } }],
            "x-signature": "price(item: string 1..64) -> float",
        },
        {
            "name": "fn.order.place", "summary": "Orders some of an item.", "deprecated": true,
            "params": [
                { "name": "item", "required": true, "schema": { "type": "string" }, "x-type": "string" },
                { "name": "count", "required": false, "schema": { "type": "integer", "default": 1 }, "x-type": "int 1..100" },
            ],
            "result": { "name": "result", "schema": {}, "x-type": "any" },
            "x-signature": "order.place(item: string, count?: int 1..100 = 1) -> any",
        },
    ] })
}

fn description(you: &Value) -> Value {
    let mut description = fake::description("shop");
    description["access"] = json!("members");
    description["you"] = you.clone();
    description["functions"] = json!({ "version": "v1", "count": 2 });
    description
}

/// A visitor, who may only call.
fn visitor() -> Value {
    json!({ "public_key": null, "admitted": false, "role": "visitor", "may": { "play": false, "use": [] } })
}

/// Starts a shop that answers each call of a function by `answer`, with a member `result` or `error`. Returns its authority.
fn shop(answer: impl Fn(&str, &Value) -> Value + Clone + Send + 'static) -> String {
    fake::serve_websocket(move |text| {
        let request: Value = serde_json::from_str(text).expect("JSON");
        let answered = match request["method"].as_str().expect("a method") {
            "describe" => json!({ "result": description(&visitor()) }),
            "rpc.discover" => json!({ "result": document() }),
            "cancel" => json!({ "result": { "cancelled": true } }),
            method => answer(method, &request["params"]),
        };
        let mut response = json!({ "jsonrpc": "2.0", "id": request["id"] });
        for (name, member) in answered.as_object().expect("a member") {
            response[name] = member.clone();
        }
        response.to_string()
    })
}

/// The TypeScript compiler of the web client, where `npm ci` has installed it.
const TSC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../web/node_modules/.bin/tsc");

/// A program that uses the typed client; the lines after `@ts-expect-error` have to be errors.
const PROGRAM: &str = r#"import { CircleFunctions } from "./shop.js";

const shop = new CircleFunctions(async (name, params) => [name, params]);
export const price: number = await shop.call("price", { item: "tea", _meta: { timeout_ms: 5 } });
export const order: unknown = await shop.call("order.place", { item: "tea", count: 2 });
// @ts-expect-error
await shop.call("prise", { item: "tea" });
// @ts-expect-error
await shop.call("price");
// @ts-expect-error
await shop.call("price", { item: 5 });
"#;

/// Runs `circles call` on a shop with this answer.
fn call(args: &[&str], answer: &Value) -> CommandOutput {
    let answer = answer.clone();
    let shop = shop(move |_, _| answer.clone());
    Home::new().run(&[&["call", "--circle", &shop], args].concat())
}

#[test]
fn call_reads_parameters_by_type_and_prints_the_value() {
    let shop = shop(|method, params| json!({ "result": { "method": method, "params": params } }));
    let home = Home::new();
    std::fs::write(home.path().join("item"), "green tea").expect("written");
    let run = |args: &[&str]| home.run(&[&["call", "--circle", &shop], args].concat());
    let ran = run(&["order.place", "item=5", "count=5"]);
    let expected = "#{\"method\": \"fn.order.place\", \"params\": #{\"count\": 5, \"item\": \"5\"}}\n";
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), expected), "{ran:?}");
    assert!(ran.stderr.contains("order.place is deprecated"), "{ran:?}");
    let ran = run(&["price", "item=@item", "--timeout", "200ms", "--json"]);
    let params = json!({ "item": "green tea", "_meta": { "timeout_ms": 200 } });
    let object: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(object, json!({ "value": { "method": "fn.price", "params": params }, "prints": [] }));
    let ran = home.run_with(&["call", "--circle", &shop, "price", "--args", "@-", "--json"], "[\"tea\"]");
    let object: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(object["value"]["params"], json!({ "item": "tea" }));
}

#[test]
fn values_are_printed_as_those_of_plays() {
    let cases = [
        (json!("two\nlines"), "two\nlines\n"),
        (json!(4.0), "4.0\n"),
        (json!(null), ""),
        (json!([{ "a": 1 }]), "[#{\"a\": 1}]\n"),
    ];
    for (value, printed) in cases {
        let ran = call(&["price", "item=tea"], &json!({ "result": value }));
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), printed, ""), "{value}");
    }
}

#[test]
fn exit_code_tells_how_the_call_ended() {
    let cases = [
        (
            -32000,
            json!({ "kind": "thrown", "thrown": { "code": "sold_out" } }),
            1,
            "price threw: {\"code\":\"sold_out\"}",
        ),
        (-32603, json!(null), 1, "price failed"),
        (-32602, json!({ "param": "item", "reason": "is too long" }), 2, "cannot call price: item: is too long"),
        (-32601, json!({ "method": "fn.price" }), 2, "no such function, or your role may not call it"),
        (-32001, json!(null), 4, "authenticate with a key: --key NAME"),
        (-32003, json!({ "reason": "no" }), 4, "Forbidden: no"),
        (-32004, json!({ "limit": "time", "max": 2000, "setting": "call_ms" }), 5, "raise the circle's call_ms"),
        (-32004, json!({ "limit": "time", "max": 50, "setting": "@timeout" }), 5, "raise @timeout of the function"),
        (-32006, json!({ "limit": "calls", "max": 64 }), 5, "too many calls"),
        (-32007, json!({ "retry_after_ms": 5 }), 5, "per_minute of your role"),
        (-32008, json!(null), 3, "the circle is shutting down"),
    ];
    for (code, data, exit_code, message) in cases {
        let error = json!({ "error": { "code": code, "message": "it failed", "data": data } });
        let ran = call(&["price", "item=tea"], &error);
        assert!(ran.code == Some(exit_code) && ran.stderr.contains(message), "{code}: {ran:?}");
        let ran = call(&["price", "item=tea", "--json"], &error);
        let object: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        assert_eq!((ran.code, &object["error"]["code"]), (Some(exit_code), &json!(code)), "{object}");
    }
}

#[test]
fn mistakes_are_found_before_the_call() {
    let never = |args: &[&str]| {
        let shop = shop(|method, _| panic!("{method} was called"));
        Home::new().run(&[&["call", "--circle", &shop], args].concat())
    };
    let ran = never(&["prise", "item=tea"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("did you mean price?"), "{ran:?}");
    assert!(ran.stderr.contains("you are an anonymous caller, with the role visitor"), "{ran:?}");
    let ran = never(&["order.place", "item=tea", "count=many"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("count: expected int 1..100, not \"many\""), "{ran:?}");
    let ran = never(&["order.place", "itme=tea"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("its parameters: item, count"), "{ran:?}");
    let ran = Home::new().run(&["call", "price", "item=tea"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("name a circle: --circle WHERE"), "{ran:?}");
}

#[test]
fn only_circle_of_the_configuration_is_the_default() {
    let shop = shop(|_, _| json!({ "result": 2.5 }));
    let port = shop.rsplit(':').next().expect("a port");
    let home = Home::new();
    let configure = |circles: &str| {
        std::fs::write(home.path().join("circles.json"), format!("{{ \"circles\": [{circles}] }}")).expect("written");
    };
    configure(&format!("{{ \"name\": \"shop\", \"port\": {port} }}"));
    let ran = home.run(&["call", "price", "item=tea"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "2.5\n"), "{ran:?}");
    configure(&format!("{{ \"name\": \"shop\", \"port\": {port} }}, {{ \"name\": \"team\", \"port\": 1 }}"));
    let ran = home.run(&["call", "price", "item=tea"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("lists several: shop, team"), "{ran:?}");
}

#[test]
fn key_is_used_where_not_everyone_may_play() {
    let (sender, methods) = mpsc::channel();
    let shop = shop(move |method, _| {
        sender.send(method.to_owned()).expect("the test listens");
        json!({ "error": { "code": -32002, "message": "Invalid Credentials" } })
    });
    let home = Home::new();
    home.add_key("me");
    let ran = home.run(&["call", "--circle", &shop, "price", "item=tea"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert_eq!(methods.try_iter().collect::<Vec<_>>(), ["fetch_nonce"]);
    let ran = home.run(&["call", "--circle", &shop, "--anonymous", "price", "item=tea"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert_eq!(methods.try_iter().collect::<Vec<_>>(), ["fn.price"]);
}

#[test]
fn ctrl_c_cancels_the_call() {
    let (sender, requests) = mpsc::channel();
    let shop = fake::serve_websocket(move |text| {
        let request: Value = serde_json::from_str(text).expect("JSON");
        let method = request["method"].as_str().expect("a method").to_owned();
        let result = match method.as_str() {
            "describe" => description(&visitor()),
            "rpc.discover" => document(),
            _ => {
                sender.send((method.clone(), request.clone())).expect("the test listens");
                if method == "fn.price" {
                    // No answer: a notification that clients ignore.
                    return json!({ "jsonrpc": "2.0", "method": "later", "params": {} }).to_string();
                }
                json!({ "cancelled": true })
            }
        };
        json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }).to_string()
    });
    let home = Home::new();
    let mut child = home.command().args(["call", "--circle", &shop, "price", "item=tea"]).spawn().expect("runs");
    let (method, request) = requests.recv_timeout(crate::support::WAIT_TIMEOUT).expect("the call arrives");
    assert_eq!(method, "fn.price");
    kill_process(Pid::from_child(&child), Signal::INT).expect("it is there");
    let (method, cancel) = requests.recv_timeout(crate::support::WAIT_TIMEOUT).expect("it is cancelled");
    assert_eq!((method.as_str(), &cancel["params"]["play"]), ("cancel", &request["id"]));
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
}

#[test]
fn functions_are_listed_and_described() {
    let shop = shop(|method, _| panic!("{method} was called"));
    let run = |args: &[&str]| Home::new().run(&[&["functions", "--circle", &shop], args].concat());
    let ran = run(&[]);
    let expected = "price(item: string 1..64) -> float\n    The price of an item.\n\
                    order.place(item: string, count?: int 1..100 = 1) -> any\n    deprecated: Orders some of an item.\n";
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), expected), "{ran:?}");
    assert!(ran.stderr.contains("2 functions of shop: you are an anonymous caller, with the role visitor"), "{ran:?}");
    let ran = run(&["price"]);
    assert!(ran.stdout.contains("Parameters\n    item: string 1..64  what\n"), "{ran:?}");
    assert!(ran.stdout.contains("Throws\n    \"unknown\"\n"), "{ran:?}");
    let ran = run(&["prise"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("did you mean price?"), "{ran:?}");
    let object: Value = serde_json::from_str(&run(&["--json", "price"]).stdout).expect("JSON");
    assert_eq!((&object["you"]["role"], &object["functions"][0]["name"]), (&json!("visitor"), &json!("price")));
    let openrpc: Value = serde_json::from_str(&run(&["--openrpc"]).stdout).expect("JSON");
    assert_eq!(openrpc, document());
    let types = run(&["--types", "ts"]).stdout;
    assert!(
        types.starts_with("// The functions of the circle shop that the role visitor may call, version v1.\n"),
        "{types}"
    );
    assert!(types.contains("params: { \"item\": string; \"count\"?: number };"), "{types}");
}

#[test]
fn typed_client_compiles() {
    if !std::path::Path::new(TSC).exists() {
        return skip("web/node_modules has no TypeScript compiler");
    }
    let shop = shop(|method, _| panic!("{method} was called"));
    let home = Home::new();
    let write = |file: &str, text: &str| std::fs::write(home.path().join(file), text).expect("written");
    write("package.json", r#"{ "type": "module" }"#);
    write("shop.ts", &home.run(&["functions", "--circle", &shop, "--types", "ts"]).stdout);
    write("program.ts", PROGRAM);
    let options =
        ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--noUnusedLocals", "program.ts"];
    let output = Command::new(TSC).args(options).current_dir(home.path()).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn circle_without_functions_says_so() {
    let circle = fake::serve_websocket(|text| {
        let request: Value = serde_json::from_str(text).expect("JSON");
        let result = match request["method"].as_str() {
            Some("describe") => fake::description("plain"),
            _ => json!({ "methods": [{ "name": "play" }] }),
        };
        json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }).to_string()
    });
    let ran = Home::new().run(&["functions", "--circle", &circle]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
    assert!(ran.stderr.contains("plain has no functions"), "{ran:?}");
    let ran = Home::new().run(&["functions", "--circle", &circle, "--types", "ts"]);
    assert!(ran.code == Some(0) && ran.stdout.contains("export interface Functions {\n}"), "{ran:?}");
}
