//! Tests of arguments.

use serde_json::{Value as Json, json, value::RawValue};

use crate::signature::{ArgumentFault, Arguments, Signature, Value};

fn place() -> Signature {
    let params = ["item", "count", "rest"].map(str::to_owned);
    let doc = "@param {string 1..64} item\n@param {int 1..100} [count=1]\n@param {[{ price: float, note?: any }]} [rest]\n\
               @returns {{ left: int }}";
    Signature::parse("order.place".parse().expect("a name"), &params, doc).expect("valid")
}

fn arguments(params: &str) -> Result<Arguments, ArgumentFault> {
    let raw = RawValue::from_string(params.to_owned()).expect("JSON");
    place().arguments(Some(&raw))
}

fn fault(params: &str) -> String {
    arguments(params).expect_err(params).to_string()
}

#[test]
fn arguments_are_by_name_or_by_position_and_complete() {
    let tea = Value::String("tea".to_owned());
    let expected = |values: Vec<Value>| Ok(Arguments { values, timeout_ms: None, once: None });
    for params in [
        r#"{"item":"tea"}"#,
        r#"["tea"]"#,
        r#"["tea",null]"#,
        r#"["tea",1.0,null]"#,
        r#"{"rest":null,"count":null,"item":"tea"}"#,
        r#"{"item":"tea","_meta":{}}"#,
        r#"{"item":"tea","_meta":null}"#,
    ] {
        assert_eq!(arguments(params), expected(vec![tea.clone(), Value::Int(1), Value::Unit]), "{params}");
    }
    let line = Value::Map(vec![("price".to_owned(), Value::Float(2.0))]);
    let values = vec![tea, Value::Int(2), Value::Array(vec![line])];
    assert_eq!(arguments(r#"["tea",2,[{"price":2}]]"#), expected(values));
}

#[test]
fn timeout_is_a_reserved_name() {
    for (meta, timeout) in
        [("{\"timeout_ms\":500}", 500), ("{\"timeout_ms\":2.0}", 2), ("{\"timeout_ms\":86400000}", 86_400_000)]
    {
        let params = format!("{{\"item\":\"tea\",\"_meta\":{meta}}}");
        assert_eq!(arguments(&params).expect("valid").timeout_ms, Some(timeout));
    }
    let with_meta = |meta: &str| fault(&format!("{{\"item\":\"tea\",\"_meta\":{meta}}}"));
    let expected = "_meta.timeout_ms: expected int 1..86400000, got";
    for invalid in ["0", "-1", "1.5", "86400001", "\"1\"", "1e300"] {
        let fault = with_meta(&format!("{{\"timeout_ms\":{invalid}}}"));
        assert!(fault.starts_with(expected), "{fault}");
    }
    assert_eq!(with_meta("{\"once\":7}"), "_meta.once: expected a string, got 7");
    assert_eq!(with_meta("1"), "_meta: expected { timeout_ms?: int, once?: string }, got 1");
    assert_eq!(with_meta("{\"trace\":1}"), "_meta.trace: unknown member \"trace\", expected timeout_ms or once");
    assert_eq!(with_meta("{},\"_meta\":{}"), "_meta: given twice: keep one");
}

#[test]
fn faults_name_the_parameter() {
    for (params, expected) in [
        ("{}", "item: expected string 1..64, but it is missing"),
        ("[]", "item: expected string 1..64, but it is missing"),
        ("null", "item: expected string 1..64, but it is missing"),
        ("1", "expected an object or an array"),
        ("[null]", "item: expected string 1..64, got null"),
        (r#"["tea",101]"#, "count: expected int 1..100, got 101"),
        (r#"["tea",1,[],4]"#, "[3]: surplus value, order.place expects item, count, rest"),
        (r#"{"itm":"tea"}"#, "itm: unknown parameter, did you mean item?"),
        (r#"{"x y":1}"#, "[\"x y\"]: unknown parameter, order.place expects item, count, rest"),
        (r#"["tea",1,[{"price":1},{"price":"1"}]]"#, "rest[1].price: expected float, got \"1\""),
        (r#"["tea",1,[{"price":1,"price":1}]]"#, "rest[0].price: given twice: keep one"),
        (r#"{"item":"tea","item":"tea"}"#, "item: given twice: keep one"),
        (r#"{"item":"tea","rest":[{"price":1,"note":[{"a":1,"a":1}]}]}"#, "rest[0].note[0].a: given twice: keep one"),
    ] {
        assert_eq!(fault(params), expected, "{params}");
    }
    assert!(fault("[1e999]").starts_with("item: invalid JSON: number out of range"));
    assert!(place().arguments(None).is_err());
}

#[test]
fn depth_of_a_value_is_bounded() {
    let deep =
        |depth: usize| format!("[\"tea\",1,[{{\"price\":1,\"note\":{}{}}}]]", "[".repeat(depth), "]".repeat(depth));
    assert!(arguments(&deep(62)).is_ok());
    let fault = fault(&deep(63));
    assert!(fault.ends_with("lists and maps are more than 64 deep") && fault.starts_with("rest[0].note[0]"), "{fault}");
    let raw = RawValue::from_string(deep(20_000));
    if let Ok(raw) = raw {
        assert!(place().arguments(Some(&raw)).is_err());
    }
}

#[test]
fn result_is_checked() {
    assert_eq!(place().check_result(&json!({ "left": 1 })), Ok(()));
    assert_eq!(
        place().check_result(&Json::Null).map_err(|error| error.reason),
        Err("expected { left: int }, got null".to_owned())
    );
}
