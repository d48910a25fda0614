//! Tests of tags.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{json, value::RawValue};

use crate::signature::{Signature, TagError, Value};

fn parse(params: &[&str], doc: &str) -> Result<Signature, Vec<TagError>> {
    let params: Vec<_> = params.iter().map(|param| (*param).to_owned()).collect();
    Signature::parse("order.place".parse().expect("a name"), &params, doc)
}

fn signature(params: &[&str], doc: &str) -> Signature {
    parse(params, doc).unwrap_or_else(|errors| panic!("{doc}: {errors:?}"))
}

/// Line, column and message of each error.
fn errors(params: &[&str], doc: &str) -> Vec<(usize, usize, String)> {
    let errors = parse(params, doc).expect_err("invalid tags");
    errors.into_iter().map(|error| (error.line, error.column, error.message)).collect()
}

const PLACE: &str = r#" Orders some of an item
 for the caller. Then more.

 ```
 @param is no tag in a block of code
 ```
 @param {string 1..64} item - what
   to order
 @param {int 1..100} [count=1] - how many
 @param {{ gift?: bool,
          note: string | () }} [options]
 @returns {{ order: string, left: int }} the order
 @throws {{ code: "sold_out", left: int }} too late
 @throws {"closed"}
 @timeout 2 s
 @readonly
 @deprecated use order.put"#;

#[test]
fn tags_declare_the_signature() {
    let place = signature(&["item", "count", "options"], PLACE);
    assert_eq!(
        place.doc,
        "Orders some of an item\nfor the caller. Then more.\n\n```\n@param is no tag in a block of code\n```"
    );
    assert_eq!(
        place.text(),
        "order.place(item: string 1..64, count?: int 1..100 = 1, options?: { gift?: bool, note: string | () }) \
         -> { order: string, left: int }"
    );
    assert_eq!(place.params[0].doc, "what\nto order");
    assert_eq!(place.params[1].default, Some(Value::Int(1)));
    assert_eq!((place.params[2].is_optional, &place.params[2].default), (true, &None));
    assert_eq!(place.returns.doc, "the order");
    assert_eq!(place.throws.iter().map(|thrown| &*thrown.doc).collect::<Vec<_>>(), ["too late", ""]);
    assert_eq!((place.timeout_ms, place.is_readonly), (Some(2000), true));
    assert_eq!(place.deprecated.as_deref(), Some("use order.put"));
    assert!(place.is_typed());
}

#[test]
fn without_a_type_everything_is_any() {
    let place = signature(&["item", "count"], "Orders.\n@param count - how many");
    assert_eq!(place.text(), "order.place(item: any, count: any) -> any");
    assert!(!place.is_typed());
    assert!(!signature(&["item"], "@param {int} item").is_typed());
    assert!(signature(&["item"], "@param {any} item\n@returns {()}").is_typed());
    assert_eq!(signature(&[], "").text(), "order.place() -> any");
    assert!(!signature(&[], "").is_typed());
}

#[test]
fn defaults_are_json_of_the_declared_type() {
    for (tag, default) in [
        ("@param {float} [a=1]", Value::Float(1.0)),
        ("@param {string} [a = \"x] y\" ]", Value::String("x] y".to_owned())),
        ("@param {[int]} [a=[1, 2]] - text", Value::Array(vec![Value::Int(1), Value::Int(2)])),
        ("@param {any} [a=null]", Value::Unit),
        ("@param {{ *: int }} [a={ \"b\": 1 }]", Value::Map(vec![("b".to_owned(), Value::Int(1))])),
    ] {
        assert_eq!(signature(&["a"], tag).params[0].default, Some(default), "{tag}");
    }
    for (tag, column, message) in [
        ("@param {int} [a=\"1\"]", 16, "the default of a does not fit its type: expected int, got \"1\""),
        ("@param {[int]} [a=[1, true]]", 18, "[1]: expected int, got true"),
        (
            "@param {string} [a=tea]",
            19,
            "the default is no JSON: write a number, true, false, or a text as [a=\"tea\"]",
        ),
        ("@param {any} [a={\"b\":1,\"b\":2}]", 16, "b: given twice"),
        ("@param {int} [a=1", 17, "expected ]"),
        ("@param {int} [a=]", 16, "the default is no JSON"),
    ] {
        let errors = errors(&["a"], tag);
        assert!(errors[0].2.contains(message), "{tag}: {errors:?}");
        assert_eq!((errors[0].0, errors[0].1, errors.len()), (0, column, 1), "{tag}: {errors:?}");
    }
}

#[test]
fn invalid_tags_are_errors_that_say_what_to_write() {
    for (doc, line, column, message) in [
        ("Text.\n @parm {int} a", 1, 1, "unknown tag @parm: did you mean @param?"),
        ("@return {int}", 0, 0, "did you mean @returns?"),
        ("@example f(1)", 0, 0, "unknown tag @example: the tags are @param, @returns"),
        ("@param {int} c", 0, 13, "unknown parameter \"c\": the parameters are a, b"),
        ("@param {int} bb", 0, 13, "unknown parameter \"bb\": the parameters are a, b"),
        ("@param {int} a.b", 0, 14, "expected a space behind the name a, found \".b\""),
        ("@param {int} a\n@param {int} a", 1, 13, "@param a is there twice"),
        ("@param {int} b\n@param {int} a", 1, 13, "put the tags in the order of the parameters"),
        ("@param {int} [a]", 0, 0, "the required parameter b follows the optional a: write [b]"),
        ("@param {int} [a]\n@param {int} b", 1, 0, "the required parameter b follows the optional a"),
        ("@param {int a", 0, 7, "the brace of the type is never closed"),
        ("@param {{ a: int } b", 0, 7, "the brace of the type is never closed"),
        ("@param {é} a", 0, 8, "expected a type"),
        ("@param {string |\n  Int64} a", 1, 2, "\"Int64\" is not a type"),
        ("@param {} a", 0, 8, "expected a type, found the end"),
        ("@returns { order: string }", 0, 11, "{{ NAME: TYPE }}"),
        ("@param {int}", 0, 12, "expected the name of the parameter"),
        ("@returns {int}\n@returns {int}", 1, 0, "@returns is there twice"),
        ("@readonly\n@readonly", 1, 0, "@readonly is there twice"),
        ("@readonly always", 0, 10, "@readonly takes no text"),
        ("@timeout", 0, 8, "write @timeout 500 ms"),
        ("@timeout 0", 0, 9, "expected a timeout"),
        ("@timeout 2 days", 0, 9, "expected a timeout"),
        ("@timeout 99999999999999999999", 0, 9, "expected a timeout"),
        ("@timeout 1\n@timeout 2", 1, 0, "@timeout is there twice"),
        ("@deprecated\n@deprecated", 1, 0, "@deprecated is there twice"),
        ("```\n@param {int} a", 0, 0, "the block of code has no end"),
    ] {
        let errors = errors(&["a", "b"], doc);
        assert!(errors[0].2.contains(message), "{doc}: {errors:?}");
        assert_eq!((errors[0].0, errors[0].1, errors.len()), (line, column, 1), "{doc}: {errors:?}");
    }
}

#[test]
fn all_errors_are_reported_in_order() {
    let errors = errors(&["a"], "Text.\n@parm {int} a\n@param {strin} a\n@timeout never\n@param {int} b");
    assert_eq!(errors.iter().map(|error| error.0).collect::<Vec<_>>(), [1, 2, 3, 4], "{errors:?}");
}

#[test]
fn doc_comments_and_errors_are_bounded() {
    let errors_of = |doc: String| errors(&[], &doc);
    assert!(errors_of("a".repeat((16 << 10) + 1))[0].2.contains("16385 bytes, at most 16384"));
    assert_eq!(errors_of("@x\n".repeat(5000)).len(), 32);
    assert!(parse(&[], &"a".repeat(16 << 10)).is_ok());
    let names: Vec<_> = (0..65).map(|number| format!("a{number}")).collect();
    let names: Vec<_> = names.iter().map(|name| &**name).collect();
    assert!(errors(&names, "")[0].2.contains("65 parameters, at most 64"));
    assert!(errors(&["_meta"], "")[0].2.contains("_meta is reserved"));
}

#[test]
fn openrpc_describes_the_method() {
    let params = ["item", "count", "options"];
    assert_eq!(
        signature(
            &params[..2],
            "Orders. Now.\n@param {string} item - what\n@param {int 1..} [count=1]\n@returns {bool} ok"
        )
        .openrpc(),
        json!({
            "name": "fn.order.place",
            "summary": "Orders.",
            "description": "Orders. Now.",
            "paramStructure": "either",
            "params": [
                { "name": "item", "description": "what", "required": true, "schema": { "type": "string" }, "x-type": "string" },
                {
                    "name": "count",
                    "required": false,
                    "schema": { "type": "integer", "minimum": 1, "exclusiveMaximum": 9_223_372_036_854_775_808_u64, "default": 1 },
                    "x-type": "int 1..",
                },
            ],
            "result": { "name": "result", "description": "ok", "schema": { "type": "boolean" }, "x-type": "bool" },
            "x-readonly": false,
            "x-signature": "order.place(item: string, count?: int 1.. = 1) -> bool",
        })
    );
    let method = signature(&params, PLACE).openrpc();
    assert_eq!(method["summary"], "Orders some of an item for the caller.");
    assert_eq!((&method["deprecated"], &method["x-deprecated"]), (&json!(true), &json!("use order.put")));
    assert_eq!((&method["x-readonly"], &method["x-timeout-ms"]), (&json!(true), &json!(2000)));
    let closed = &method["errors"][1];
    assert_eq!((&closed["code"], &closed["message"]), (&json!(-32000), &json!("thrown")));
    assert_eq!(closed["data"]["properties"], json!({ "kind": { "const": "thrown" }, "thrown": { "const": "closed" } }));
    assert_eq!(method["errors"][0]["data"]["properties"]["thrown"]["description"], "too late");
}

/// Parts of doc comments, so that random texts get far into the parser.
const PARTS: [&str; 30] = [
    "@param ",
    "@returns ",
    "@throws ",
    "@readonly",
    "@timeout ",
    "@deprecated ",
    "@x",
    "\n",
    "\n ",
    "{",
    "}",
    "{int}",
    "{float 0..1}",
    "{{ a?: int }}",
    "{any}",
    "[",
    "]",
    "[a=1]",
    "[b]",
    "[c={\"a\":1}]",
    "=",
    "a",
    "b ",
    "c",
    "- ",
    "```",
    "\"",
    "5",
    "é",
    "text. ",
];

fn doc() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), vec(select(&PARTS[..]), 0..24).prop_map(|parts| parts.concat())]
}

/// JSON texts of all kinds, some of which are parameters.
fn params() -> impl Strategy<Value = String> {
    let scalar =
        select(&["null", "1", "1.5", "-0", "1e999", "\"\\ud800\"", "\"a\"", "true", "18446744073709551616"][..]);
    let scalar = scalar.prop_map(str::to_owned);
    scalar.prop_recursive(8, 32, 4, |inner| {
        let name = select(&["a", "b", "c", "_meta", "timeout_ms", "é"][..]);
        let members = vec((name, inner.clone()), 0..4).prop_map(|members| {
            members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect::<Vec<_>>().join(",")
        });
        prop_oneof![
            vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            members.prop_map(|members| format!("{{{members}}}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_comment_is_a_signature_or_errors_within_the_comment(doc in doc(), params in params()) {
        match parse(&["a", "b", "c"], &doc) {
            Ok(signature) => {
                prop_assert!(signature.openrpc().is_object());
                let raw = RawValue::from_string(params.clone());
                prop_assume!(raw.is_ok());
                match signature.arguments(raw.ok().as_deref()) {
                    Ok(arguments) => prop_assert_eq!(arguments.values.len(), 3),
                    Err(fault) => prop_assert!(fault.reason.chars().count() < 600, "{fault:?}"),
                }
            }
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    let line = doc.split('\n').nth(error.line);
                    prop_assert!(line.is_some_and(|line| error.column <= line.chars().count()), "{:?}: {error:?}", doc);
                    prop_assert!(error.message.chars().count() < 600, "{error:?}");
                }
            }
        }
    }
}
