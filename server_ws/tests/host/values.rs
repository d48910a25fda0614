//! Values that JSON does not have: blobs, types of the program, and what has no form in JSON at all.

use serde_json::{Value, json};
use server_ws::{
    Circle, Workers,
    host::{self, Blob},
};
use worker::rhai::Engine;

use super::{Test, serve};

pub(crate) const TESTS: &[Test] = &[
    ("blobs_are_bytes_both_ways", blobs_are_bytes_both_ways),
    ("native_type_appears_the_same_everywhere", native_type_appears_the_same_everywhere),
    ("value_without_json_is_no_argument", value_without_json_is_no_argument),
];

#[derive(Clone)]
struct Money(i64);

#[derive(Clone)]
struct Opaque;

/// Registers a type that says how it appears, and one that does not.
pub(crate) fn natives(engine: &mut Engine) {
    engine
        .register_type_with_name::<Money>("Money")
        .register_fn("money", Money)
        .register_fn("to_string", |money: &mut Money| format!("{} cents", money.0))
        .register_fn("to_debug", |money: &mut Money| format!("{} cents", money.0))
        .register_fn("to_json", |money: &mut Money| format!("{{\"cents\": {}}}", money.0))
        .register_type_with_name::<Opaque>("Opaque")
        .register_fn("opaque", || Opaque);
}

fn values() -> host::Module {
    host::Module::new("values")
        .function("any", ["value"], "Returns a value.", |_: host::Call, (value,): (Value,)| async move { Ok(value) })
        .function("sum", ["bytes"], "Adds bytes up.", |_: host::Call, (bytes,): (Vec<u8>,)| async move {
            Ok(bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>())
        })
        .function("reverse", ["bytes"], "Reverses a blob.", |_: host::Call, (mut blob,): (Blob,)| async move {
            blob.0.reverse();
            Ok((blob, "and more"))
        })
}

fn blobs_are_bytes_both_ways(workers: &Workers) {
    let circle = serve(workers, Circle::builder("test").host_module(values()));
    let mut wire = circle.connect();
    assert_eq!(wire.value("values::sum(blob(3, 255))"), 3 * 255);
    assert_eq!(wire.value("values::sum([1, 2])"), 3);
    assert_eq!(wire.value("let b = blob(2, 7); b[0] = 200; b = values::reverse(b)[0]; [b[0], b[1], type_of(b)]"), {
        json!([7, 200, "blob"])
    });
    assert_eq!(wire.value("values::sum(values::reverse(blob())[0])"), 0);
    assert_eq!(wire.value("values::any(#{b: blob(2, 1)})"), json!({ "b": [1, 1] }));
    let error = wire.error("values::sum([256])");
    assert_eq!(error["message"], "values::sum: argument 'bytes': invalid value: integer `256`, expected u8");
}

fn native_type_appears_the_same_everywhere(workers: &Workers) {
    let circle = serve(workers, Circle::builder("test").host_module(values()));
    let mut wire = circle.connect();
    let play = wire.request("play", json!(["let price = money(5); print(price); print([price]); price"]));
    wire.expect_print("5 cents");
    wire.expect_print("[5 cents]");
    let result = &wire.answer(&play)["result"];
    assert_eq!((&result["output"], &result["type"]), (&json!("5 cents"), &json!("Money")));
    assert_eq!(result["value"], json!({ "cents": 5 }));
    assert_eq!(wire.call("play", json!(["[price]"]))["result"]["output"], "[5 cents]");
    assert_eq!(wire.call("scope", json!([]))["result"]["variables"][0]["output"], "5 cents");
    assert_eq!(wire.value("values::any([#{price: price}])"), json!([{ "price": { "cents": 5 } }]));
    assert_eq!(wire.error("throw price")["data"]["thrown"], json!({ "cents": 5 }));
    // Without functions of its own, the type has its name as its text.
    let result = &wire.call("play", json!(["opaque()"]))["result"];
    assert_eq!((&result["output"], &result["value"]), (&json!("Opaque"), &json!("Opaque")));
}

fn value_without_json_is_no_argument(workers: &Workers) {
    let circle = serve(workers, Circle::builder("test").host_module(values()));
    let mut wire = circle.connect();
    for (argument, what) in [
        ("|x| x", "type Fn has"),
        ("timestamp()", "type timestamp has"),
        ("1..3", "type range has"),
        ("opaque()", "type Opaque has"),
        ("[1, #{a: [opaque()]}]", "type Opaque at value[1].a[0] has"),
        ("#{`a b`: timestamp()}", "type timestamp at value[\"a b\"] has"),
    ] {
        let error = wire.error(&format!("values::any({argument})"));
        let message = format!("values::any: argument 'value': a value of {what} no form in JSON");
        assert_eq!(error["message"], message, "{argument}");
        assert_eq!(error["data"]["thrown"]["data"], json!({ "param": "value" }), "{argument}");
    }
    // The value of a play keeps its text.
    assert_eq!(wire.value("1..3"), "1..3");
}
