//! The functions of a circle as a client sees them: the methods `fn.NAME` of the document that `rpc.discover` returns.

mod argument;
mod document;

use serde::Serialize;
use serde_json::Value;

pub use argument::ArgumentError;

/// What the method of a function is called on the wire, before the name of the function.
pub const FUNCTION_PREFIX: &str = "fn.";

/// A function of a circle that the caller may call.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FunctionInfo {
    /// The name, such as `order.place`.
    pub name: String,
    /// The first sentence of the documentation; empty if there is none.
    pub summary: String,
    /// The documentation; empty if there is none.
    pub doc: String,
    /// The parameters, in the order of their positions.
    pub params: Vec<FunctionParam>,
    /// The result.
    pub result: FunctionResult,
    /// The JSON Schemas of the values that the function documents to throw.
    pub thrown: Vec<Value>,
    /// Whether the function declares that it changes nothing.
    pub is_readonly: bool,
    /// Whether the function declares that callers should use another one.
    pub is_deprecated: bool,
    /// What to use instead of a deprecated function; empty if the function does not say so.
    pub deprecation: String,
    /// The time limit that the function declares, in milliseconds; the circle's `call_ms` applies if it declares none.
    pub timeout_ms: Option<u64>,
    /// Name, parameters and result in one line, such as `order.place(item: string, count?: int = 1) -> int`.
    pub signature: String,
}

/// A parameter of a function.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FunctionParam {
    /// The name.
    pub name: String,
    /// The documentation; empty if there is none.
    pub doc: String,
    /// Whether a call without a value for this parameter is an error.
    pub is_required: bool,
    /// The type as the function declares it, such as `int 1..100`; `any` if it declares none.
    pub type_text: String,
    /// The JSON Schema of the values.
    pub schema: Value,
    /// The value of a missing parameter, if the function declares one.
    pub default: Option<Value>,
}

/// The result of a function.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FunctionResult {
    /// The type as the function declares it; `any` if it declares none.
    pub type_text: String,
    /// The JSON Schema of the values.
    pub schema: Value,
    /// The documentation; empty if there is none.
    pub doc: String,
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// The function `order.place` as a circle describes it.
    pub(crate) fn document() -> Value {
        json!({
            "openrpc": "1.3.2",
            "methods": [
                { "name": "play", "params": [] },
                {
                    "name": "fn.order.place",
                    "summary": "Orders some of an item.",
                    "description": "Orders some of an item.\nThe stock shrinks.",
                    "paramStructure": "either",
                    "params": [
                        { "name": "item", "description": "what", "required": true, "x-type": "string 1..64",
                          "schema": { "type": "string", "minLength": 1, "maxLength": 64 } },
                        { "name": "count", "required": false, "x-type": "int 1..100",
                          "schema": { "type": "integer", "minimum": 1, "maximum": 100, "default": 1 } },
                    ],
                    "result": { "name": "result", "x-type": "{ order: string }", "description": "the order",
                        "schema": { "type": "object", "properties": { "order": { "type": "string" } } } },
                    "errors": [{ "code": -32000, "message": "thrown",
                        "data": { "properties": { "thrown": { "const": "sold out" } } } }],
                    "x-readonly": true,
                    "deprecated": true,
                    "x-deprecated": "use order.add",
                    "x-timeout-ms": 500,
                    "x-signature": "order.place(item: string 1..64, count?: int 1..100 = 1) -> { order: string }",
                },
            ],
        })
    }

    #[test]
    fn functions_are_read_from_the_document() {
        let functions = FunctionInfo::all(&document());
        let [function] = functions.as_slice() else { panic!("one function: {functions:?}") };
        assert_eq!((function.name.as_str(), function.summary.as_str()), ("order.place", "Orders some of an item."));
        assert_eq!(function.doc, "Orders some of an item.\nThe stock shrinks.");
        assert!(function.is_readonly && function.is_deprecated);
        assert_eq!(function.deprecation, "use order.add");
        assert_eq!(function.timeout_ms, Some(500));
        assert_eq!(function.thrown, [json!({ "const": "sold out" })]);
        assert_eq!(
            (function.result.type_text.as_str(), function.result.doc.as_str()),
            ("{ order: string }", "the order")
        );
        let [item, count] = function.params.as_slice() else { panic!("two parameters") };
        assert!(item.is_required && !count.is_required);
        assert_eq!((item.doc.as_str(), item.type_text.as_str(), &item.default), ("what", "string 1..64", &None));
        assert_eq!((count.doc.as_str(), &count.default), ("", &Some(json!(1))));
    }

    #[test]
    fn missing_and_invalid_members_are_tolerated() {
        assert_eq!(FunctionInfo::all(&json!(null)), []);
        assert_eq!(FunctionInfo::all(&json!({ "methods": 5 })), []);
        let names = [
            json!("fn."),
            json!("fn.A"),
            json!("fn.a\n"),
            json!(7),
            json!("price"),
            json!(format!("fn.{}", "a".repeat(49))),
        ];
        let methods: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        assert_eq!(FunctionInfo::all(&json!({ "methods": methods })), []);
        let methods = json!([{ "name": "fn.price", "params": [{ "name": "item" }, { "name": "a b" }, 5], "result": 7, "errors": {} }]);
        let functions = FunctionInfo::all(&json!({ "methods": methods }));
        let [function] = functions.as_slice() else { panic!("one function: {functions:?}") };
        assert_eq!(function.signature, "price(item?)");
        assert_eq!((function.params[0].type_text.as_str(), &function.params[0].schema), ("any", &json!({})));
        assert_eq!(function.params.len(), 1);
        assert_eq!((function.result.type_text.as_str(), &function.result.schema), ("any", &json!({})));
    }

    #[test]
    fn number_of_functions_is_bounded() {
        let methods: Vec<Value> = (0..5000).map(|number| json!({ "name": format!("fn.f{number}") })).collect();
        assert_eq!(FunctionInfo::all(&json!({ "methods": methods })).len(), 4096);
    }
}
