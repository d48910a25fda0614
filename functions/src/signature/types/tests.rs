//! Tests of types.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value as Json, json};

use crate::signature::{Type, TypeError, Value};

fn parse(text: &str) -> Type {
    text.parse().unwrap_or_else(|error: TypeError| panic!("{text}: {} at {}", error.message, error.offset))
}

fn mismatch(text: &str, value: &Json) -> String {
    parse(text).check(value).expect_err("a mismatch").to_string()
}

#[test]
fn canonical_text_has_single_spaces_and_parses_to_the_same_type() {
    for (text, canonical) in [
        ("string", "string"),
        (" string  1..64 ", "string 1..64"),
        ("int -5..-1", "int -5..-1"),
        ("int ..0", "int ..0"),
        ("float 0..1.50", "float 0..1.5"),
        ("float -1e-9..1e300", "float -1e-9..1e300"),
        ("float -0..0.0", "float 0..0"),
        ("blob ..1024|()", "blob ..1024 | ()"),
        ("( )", "()"),
        ("\"a\\\"b\"|1|-1|1.0|1e2|true|false", "\"a\\\"b\" | 1 | -1 | 1.0 | 100.0 | true | false"),
        ("[[int]1..2]..9", "[[int] 1..2] ..9"),
        ("[int|string]", "[int | string]"),
        ("{}", "{}"),
        ("{a:int,\n b ? : [ bool ] , }", "{ a: int, b?: [bool] }"),
        ("{ \"content-type\": string, \"a\": any }", "{ \"content-type\": string, a: any }"),
        ("{ * : int | string }", "{ *: int | string }"),
    ] {
        let parsed = parse(text);
        assert_eq!(parsed.to_string(), canonical, "{text}");
        assert_eq!(parse(canonical), parsed, "{text}");
    }
}

#[test]
fn invalid_types_are_errors_that_say_what_to_write() {
    for (text, offset, message) in [
        ("", 0, "expected a type, found the end"),
        ("int |", 5, "expected a type, found the end"),
        ("strin", 0, "did you mean string?"),
        ("number", 0, "write int or float"),
        ("Boolean", 0, "write bool"),
        ("null", 0, "write ()"),
        ("object", 0, "{ *: any }"),
        ("int string", 4, "expected | or the end of the type, found \"string\""),
        ("string[]", 6, "write an array as [T]"),
        ("int?", 3, "write an optional parameter as [NAME]"),
        ("order: int", 0, "a map has braces of its own"),
        ("'open'", 0, "double quotes"),
        ("\"open", 0, "expected a \""),
        ("\"\\x\"", 0, "as JSON does"),
        ("(int)", 1, "a union needs no parentheses"),
        ("*", 0, "write any"),
        ("[int", 4, "expected | or ]"),
        ("{ a: int", 8, "expected , or }"),
        ("{ a int }", 4, "expected : and the type of \"a\", found \"int\""),
        ("{ a: int, a: int }", 10, "the map has \"a\" twice"),
        ("{ a: int, *: int }", 10, "without other members"),
        ("{ *: int, a: int }", 10, "* has all names"),
        ("{ 1: int }", 2, "expected the name of a member"),
        ("int | bool | int", 13, "the union has \"int\" twice"),
        ("int 5..1", 4, "ends before it starts"),
        ("float 0.5..0.4", 6, "ends before it starts"),
        ("int ..", 4, "has no bound"),
        ("int 5", 4, "such as \"5\"..\"5\""),
        ("int 1.5..2", 4, "whole numbers of 64 bits"),
        ("int ..9223372036854775808", 6, "whole numbers of 64 bits"),
        ("string -1..", 7, "whole numbers from 0"),
        ("float ..1e999", 8, "the bounds are numbers"),
        ("bool 1..2", 5, "bool takes no range"),
        ("1..2", 0, "write int 1..9"),
        ("9223372036854775808", 0, "within 64 bits"),
        ("1e999", 0, "within 64 bits"),
        ("-", 0, "invalid number"),
        ("é", 0, "expected a type, found \"é\""),
    ] {
        let error = text.parse::<Type>().expect_err(text);
        assert!(error.message.contains(message), "{text}: {}", error.message);
        assert_eq!(error.offset, offset, "{text}: {}", error.message);
    }
}

#[test]
fn size_depth_and_members_of_types_are_bounded() {
    let array = |depth: usize| format!("{}int{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(parse(&array(Type::MAX_DEPTH)).to_string(), array(Type::MAX_DEPTH));
    let error = array(Type::MAX_DEPTH + 1).parse::<Type>().expect_err("too deep");
    assert!(error.message.contains("more than 16 deep"), "{error}");
    assert!("[".repeat(4000).parse::<Type>().is_err());

    let union = |members: usize| (0..members).map(|member| member.to_string()).collect::<Vec<_>>().join("|");
    assert!(union(Type::MAX_MEMBERS).parse::<Type>().is_ok());
    let error = union(Type::MAX_MEMBERS + 1).parse::<Type>().expect_err("too many");
    assert!(error.message.contains("at most 64 members"), "{error}");

    let text = |bytes: usize| format!("\"{}\"", "a".repeat(bytes - 2));
    assert!(text(Type::MAX_BYTES).parse::<Type>().is_ok());
    let error = text(Type::MAX_BYTES + 1).parse::<Type>().expect_err("too long");
    assert!(error.message.contains("4097 bytes, at most 4096"), "{error}");
    // Canonical text has more spaces, and the same maximum.
    let members: Vec<_> = (100..600).map(|member| format!("a{member}:1")).collect();
    let map = format!("{{{}}}", members.join(","));
    assert!(map.len() < Type::MAX_BYTES, "{}", map.len());
    let error = map.parse::<Type>().expect_err("too long");
    assert!(error.message.contains("at most 4096 are allowed"), "{error}");
}

#[test]
fn mismatch_has_a_path_and_says_what_is_expected() {
    assert_eq!(mismatch("int 1..100", &json!(101)), "expected int 1..100, got 101");
    assert_eq!(mismatch("int", &json!(1.5)), "expected int, got 1.5");
    assert_eq!(mismatch("string 1..2", &json!("😀😀😀")), "expected string 1..2, got \"😀😀😀\" of 3 characters");
    assert_eq!(mismatch("blob ..1", &json!("QUI=")), "expected blob ..1, got \"QUI=\" of 2 bytes");
    assert_eq!(mismatch("blob", &json!("QUI")), "expected blob as base64 with padding, got \"QUI\"");
    assert_eq!(mismatch("[int] 1..", &json!([])), "expected [int] 1.., got a list with no items");
    assert_eq!(mismatch("bool", &json!({ "a": 1 })), "expected bool, got a map with one member");
    let items = "{ items: [{ count: int 1.. }] }";
    let value = json!({ "items": [{ "count": 1 }, { "count": 2 }, { "count": 0 }] });
    assert_eq!(mismatch(items, &value), "items[2].count: expected int 1.., got 0");
    assert_eq!(mismatch(items, &json!({ "items": [{}] })), "items[0].count: expected int 1.., but it is missing");
    assert_eq!(mismatch(items, &json!({ "items": [], "itms": 1 })), "itms: unknown member, did you mean items?");
    assert_eq!(mismatch(items, &json!({ "items": [], "a b": 1 })), "[\"a b\"]: unknown member, expected items");
    assert_eq!(mismatch("{ *: int }", &json!({ "é": null })), "[\"é\"]: expected int, got null");
    assert_eq!(mismatch("{ item: int }", &json!({ "itme": 1 })), "itme: unknown member, did you mean item?");
    // A union's fault is that of the only member of the value's form.
    assert_eq!(mismatch("() | { a: int }", &json!({ "a": "1" })), "a: expected int, got \"1\"");
    assert_eq!(mismatch("1 | \"a\"", &json!(2)), "expected 1 | \"a\", got 2");
}

#[test]
fn mismatch_is_bounded() {
    let long = "x".repeat(4000);
    let error =
        parse(&format!("\"{long}\" | [{{ *: int }}]")).check(&json!([{ long.clone(): long }])).expect_err("no int");
    assert!(error.path.chars().count() < 210 && error.reason.chars().count() < 300, "{error}");
}

#[test]
fn values_convert_to_the_declared_type() {
    let map = |members: &[(&str, Value)]| {
        Value::Map(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    };
    for (text, value, expected) in [
        ("float", json!(1), Value::Float(1.0)),
        ("int", json!(2.0), Value::Int(2)),
        ("int", json!(-9_223_372_036_854_775_808.0), Value::Int(i64::MIN)),
        ("blob", json!("QUI="), Value::Blob(b"AB".to_vec())),
        ("string", json!("QUI="), Value::String("QUI=".to_owned())),
        ("()", Json::Null, Value::Unit),
        ("1.0", json!(1), Value::Float(1.0)),
        ("1", json!(1.0), Value::Int(1)),
        ("int | float", json!(2.0), Value::Int(2)),
        ("float | int", json!(2), Value::Float(2.0)),
        ("int | float", json!(2.5), Value::Float(2.5)),
        ("any", json!(1), Value::Int(1)),
        ("any", json!(1.0), Value::Float(1.0)),
        ("any", json!(u64::MAX), Value::Float(18_446_744_073_709_551_616.0)),
        ("any", json!({ "a": [null, true] }), map(&[("a", Value::Array(vec![Value::Unit, Value::Bool(true)]))])),
        ("[float]", json!([1, 2.5]), Value::Array(vec![Value::Float(1.0), Value::Float(2.5)])),
        ("{ a: float, b?: int }", json!({ "a": 1 }), map(&[("a", Value::Float(1.0))])),
        ("{ *: blob }", json!({ "a": "" }), map(&[("a", Value::Blob(Vec::new()))])),
    ] {
        assert_eq!(parse(text).convert(&value), Ok(expected), "{text}: {value}");
    }
}

#[test]
fn integers_beyond_64_bits_are_refused() {
    for value in
        [json!(1_u64 << 63), json!(9_223_372_036_854_775_808.0), json!(-9_223_372_036_854_777_856.0), json!(1e300)]
    {
        assert!(parse("int").check(&value).is_err(), "{value}");
    }
    assert!(parse("int").check(&json!(i64::MAX)).is_ok());
}

#[test]
fn bounds_of_floats_compare_exactly() {
    let float = parse("float ..9007199254740992");
    assert!(float.check(&json!(9_007_199_254_740_992_u64)).is_ok());
    assert!(float.check(&json!(9_007_199_254_740_993_u64)).is_err());
    assert!(parse("float 0.5..").check(&json!(0)).is_err());
    assert!(parse("float -0.5..").check(&json!(0)).is_ok());
    assert!(parse("float ..-0.5").check(&json!(0)).is_err());
    assert!(parse("9007199254740992.0").check(&json!(9_007_199_254_740_993_u64)).is_err());
}

#[test]
fn schema_says_what_the_type_says() {
    let schema = |text| parse(text).json_schema();
    assert_eq!(schema("string 1..64"), json!({ "type": "string", "minLength": 1, "maxLength": 64 }));
    assert_eq!(
        schema("int"),
        json!({ "type": "integer", "minimum": i64::MIN, "exclusiveMaximum": 9_223_372_036_854_775_808_u64 })
    );
    assert_eq!(schema("float 0..1.5"), json!({ "type": "number", "minimum": 0.0, "maximum": 1.5 }));
    assert_eq!(schema("any"), json!({}));
    assert_eq!(schema("() | 1 | \"a\" | 1.5"), json!({ "enum": [null, 1, "a", 1.5] }));
    assert_eq!(schema("() | bool"), json!({ "anyOf": [{ "type": "null" }, { "type": "boolean" }] }));
    assert_eq!(
        schema("{ a: [bool] 1.., b?: () }"),
        json!({
            "type": "object",
            "properties": { "a": { "type": "array", "items": { "type": "boolean" }, "minItems": 1 }, "b": { "type": "null" } },
            "required": ["a"],
            "additionalProperties": false,
        })
    );
    assert_eq!(schema("{ *: bool }"), json!({ "type": "object", "additionalProperties": { "type": "boolean" } }));
    let blob = schema("blob 3..6");
    assert_eq!((&blob["minLength"], &blob["maxLength"]), (&json!(4), &json!(8)));
    assert_eq!(blob["contentEncoding"], "base64");
    // Four characters are one to three bytes, of which the padding tells two.
    assert_eq!(schema("blob 2..")["allOf"], json!([{ "anyOf": [{ "minLength": 5 }, { "pattern": "[^=]=?$" }] }]));
    assert_eq!(schema("blob ..2")["allOf"], json!([{ "anyOf": [{ "maxLength": 3 }, { "pattern": "=$" }] }]));
    // No text has so many characters; the schema is still one of numbers that readers can compute with.
    assert_eq!(schema(&format!("blob {}..", u64::MAX))["minLength"], json!(1_u64 << 62));
}

/// Parts of types, so that random texts get far into the parser.
const PARTS: [&str; 34] = [
    "string", "int", "float", "bool", "blob", "any", "()", "true", "1", "-1.5", "1e9", "1..5", "..2", "0..", "..", "[",
    "]", "[int]", "{", "}", "{}", "*", ":", ",", "|", "?", "a", "a: int", "\"x\"", "\"", "\\", " ", "\n", "é",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_text_is_a_type_or_an_error_within_the_text(
        text in prop_oneof![any::<String>(), vec(select(&PARTS[..]), 0..24).prop_map(|parts| parts.concat())],
        value in prop_oneof![Just(Json::Null), any::<f64>().prop_map(Json::from), any::<String>().prop_map(Json::from)],
    ) {
        match text.parse::<Type>() {
            Ok(parsed) => {
                prop_assert_eq!(parsed.to_string().parse::<Type>(), Ok(parsed.clone()));
                prop_assert_eq!(parsed.convert(&value).err(), parsed.check(&value).err());
                prop_assert!(parsed.json_schema().is_object());
            }
            Err(error) => {
                prop_assert!(text.is_char_boundary(error.offset), "{}: {error:?}", text);
                prop_assert!(error.message.chars().count() < 300, "{error:?}");
            }
        }
    }
}
