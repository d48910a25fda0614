//! Values that a person types for a parameter, read by its declared type.

use std::ops::BitOr;

use serde_json::Value;

use super::{FunctionInfo, FunctionParam};

/// Maximum number of schemas, within one schema, that are followed to their types. What is beyond counts as `any`.
const MAX_SCHEMAS: u32 = 256;

/// Maximum number of characters of a value that an error quotes.
const MAX_QUOTED_CHARS: usize = 40;

/// A typed value does not fit a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgumentError {
    /// The function has no parameter with this name.
    UnknownParam {
        /// The name of the function.
        function: String,
        /// The given name.
        param: String,
        /// The names of the parameters.
        params: Vec<String>,
    },
    /// The text is no value of the declared type.
    WrongType {
        /// The name of the parameter.
        param: String,
        /// The declared type.
        type_text: String,
        /// The text, shortened; in quotes unless it is JSON of another type.
        text: String,
    },
}

impl std::fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownParam { function, param, params } if params.is_empty() => {
                write!(f, "{function} has no parameter {param:?}: it has no parameters")
            }
            Self::UnknownParam { function, param, params } => {
                write!(f, "{function} has no parameter {param:?}; its parameters: {}", params.join(", "))
            }
            Self::WrongType { param, type_text, text } => write!(f, "{param}: expected {type_text}, not {text}"),
        }
    }
}

impl std::error::Error for ArgumentError {}

impl FunctionInfo {
    /// Reads a value typed for a parameter by the declared type of the parameter.
    ///
    /// A string is the text, or what the text says if it is a JSON string in quotes. Every other type is JSON. For a
    /// parameter of several types, and for `any`, JSON that fits is that value; a text that is no such JSON is a string,
    /// if strings fit. `2.0` fits where `2` does. For an optional parameter that takes no strings, `null` stands for no
    /// value. Ranges are left to the circle.
    ///
    /// # Errors
    ///
    /// The function has no such parameter, or the text is no value of its type.
    pub fn argument(&self, param: &str, text: &str) -> Result<Value, ArgumentError> {
        let Some(declared) = self.params.iter().find(|declared| declared.name == param) else {
            return Err(ArgumentError::UnknownParam {
                function: self.name.clone(),
                param: shorten(param),
                params: self.params.iter().map(|declared| declared.name.clone()).collect(),
            });
        };
        declared.read(text).ok_or_else(|| ArgumentError::WrongType {
            param: param.to_owned(),
            type_text: declared.type_text.clone(),
            text: quote(text),
        })
    }
}

impl FunctionParam {
    /// Whether the strings that fit the parameter are bytes in base64, as those of a `blob` are, and no other strings fit.
    pub fn is_blob(&self) -> bool {
        let accepted = ValueKinds::of_root(&self.schema);
        accepted.contains(ValueKinds::BASE64) && !accepted.contains(ValueKinds::TEXT)
    }

    fn read(&self, text: &str) -> Option<Value> {
        let mut accepted = ValueKinds::of_root(&self.schema);
        let has_strings = accepted.contains(ValueKinds::STRING);
        if !self.is_required && !has_strings {
            accepted = accepted | ValueKinds::NULL;
        }
        let value: Option<Value> = serde_json::from_str(text).ok();
        if let Some(value) = value.filter(|value| accepted.contains(ValueKinds::of_value(value))) {
            return Some(value);
        }
        has_strings.then(|| Value::String(text.to_owned()))
    }
}

/// Quotes a text, unless it is JSON that is no string: quotes would say that the user gave a string.
fn quote(text: &str) -> String {
    let is_json = !text.starts_with('"') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let is_plain = text.chars().all(|character| matches!(character, ' '..='~'));
    let short = shorten(text);
    if is_json && is_plain { short } else { format!("{short:?}") }
}

fn shorten(text: &str) -> String {
    let mut shortened: String = text.chars().take(MAX_QUOTED_CHARS).collect();
    if shortened.len() < text.len() {
        shortened.push('…');
    }
    shortened
}

/// Kinds of JSON values.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ValueKinds(u8);

impl BitOr for ValueKinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl ValueKinds {
    const NONE: Self = Self(0);
    /// Strings of text.
    const TEXT: Self = Self(1);
    const INTEGER: Self = Self(2);
    /// Numbers that are no integers.
    const FRACTION: Self = Self(4);
    const BOOLEAN: Self = Self(8);
    const NULL: Self = Self(16);
    const ARRAY: Self = Self(32);
    const OBJECT: Self = Self(64);
    /// Strings of base64.
    const BASE64: Self = Self(128);
    const STRING: Self = Self(Self::TEXT.0 | Self::BASE64.0);
    const ALL: Self = Self(255);

    fn contains(self, kind: Self) -> bool {
        self.0 & kind.0 != 0
    }

    fn of_value(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(number) if number.is_i64() || number.is_u64() => Self::INTEGER,
            Value::Number(number) if number.as_f64().is_some_and(is_integer) => Self::INTEGER,
            Value::Number(_) => Self::FRACTION,
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }

    /// The kinds of the values that fit the schema of a parameter.
    fn of_root(schema: &Value) -> Self {
        let mut budget = MAX_SCHEMAS;
        Self::of_schema(schema, schema, &mut budget)
    }

    /// The kinds of the values that fit a schema. What the schema says beyond its types is left to the circle.
    fn of_schema(schema: &Value, root: &Value, budget: &mut u32) -> Self {
        let Some(rest) = budget.checked_sub(1) else { return Self::ALL };
        *budget = rest;
        if let Some(value) = schema.get("const") {
            return Self::of_value(value);
        }
        if let Some(values) = schema["enum"].as_array() {
            return values.iter().fold(Self::NONE, |kinds, value| kinds | Self::of_value(value));
        }
        if let Some(schemas) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
            let schemas = schemas.iter().take(MAX_SCHEMAS as usize + 1);
            return schemas.fold(Self::NONE, |kinds, schema| kinds | Self::of_schema(schema, root, budget));
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
            return target.map_or(Self::ALL, |target| Self::of_schema(target, root, budget));
        }
        match &schema["type"] {
            Value::String(name) if name == "string" && schema["contentEncoding"] == "base64" => Self::BASE64,
            Value::String(name) => Self::of_type(name),
            Value::Array(names) => {
                let names = names.iter().filter_map(Value::as_str);
                names.fold(Self::NONE, |kinds, name| kinds | Self::of_type(name))
            }
            _ => Self::ALL,
        }
    }

    fn of_type(name: &str) -> Self {
        match name {
            "string" => Self::TEXT,
            "integer" => Self::INTEGER,
            "number" => Self::INTEGER | Self::FRACTION,
            "boolean" => Self::BOOLEAN,
            "null" => Self::NULL,
            "array" => Self::ARRAY,
            "object" => Self::OBJECT,
            _ => Self::ALL,
        }
    }
}

/// Whether a number is an integer of 64 bits, such as 2.0.
fn is_integer(number: f64) -> bool {
    number.fract() == 0.0 && number.abs() < 9_223_372_036_854_775_808.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::function_info::tests::document;

    /// A parameter with a schema.
    fn param(schema: &Value, is_required: bool) -> FunctionParam {
        let param = json!({ "name": "a", "required": is_required, "schema": schema });
        let document = json!({ "methods": [{ "name": "fn.f", "params": [param] }] });
        FunctionInfo::all(&document).remove(0).params.remove(0)
    }

    fn read(schema: &Value, text: &str) -> Option<Value> {
        param(schema, true).read(text)
    }

    #[test]
    fn null_is_no_value_of_an_optional_parameter() {
        let cases = [
            (json!({ "type": "integer" }), Some(json!(null))),
            (json!({ "enum": [1, 2] }), Some(json!(null))),
            (json!({ "type": "string" }), Some(json!("null"))),
            (json!({ "type": "string", "contentEncoding": "base64" }), Some(json!("null"))),
            (json!({ "type": ["integer", "null"] }), Some(json!(null))),
        ];
        for (schema, expected) in cases {
            assert_eq!(param(&schema, false).read("null"), expected, "{schema}");
        }
        assert_eq!(read(&json!({ "type": "integer" }), "null"), None);
    }

    #[test]
    fn blobs_are_strings_of_base64() {
        let blob = json!({ "type": "string", "contentEncoding": "base64" });
        let cases = [
            (blob.clone(), true),
            (json!({ "anyOf": [blob.clone(), { "type": "null" }] }), true),
            (json!({ "anyOf": [blob.clone(), { "type": "string" }] }), false),
            (json!({ "anyOf": [blob.clone(), { "const": "none" }] }), false),
            (json!({ "type": "string" }), false),
            (json!({ "type": "integer" }), false),
            (json!({}), false),
        ];
        for (schema, is_blob) in cases {
            assert_eq!(param(&schema, true).is_blob(), is_blob, "{schema}");
        }
        assert_eq!(read(&blob, "QUI="), Some(json!("QUI=")));
    }

    #[test]
    fn values_are_read_by_their_type() {
        let string = json!({ "type": "string" });
        let cases = [
            (string.clone(), "tea", Some(json!("tea"))),
            (string.clone(), "5", Some(json!("5"))),
            (string.clone(), "null", Some(json!("null"))),
            (string.clone(), r#""green \"tea\"""#, Some(json!("green \"tea\""))),
            (string.clone(), r#""open"#, Some(json!("\"open"))),
            (string.clone(), "", Some(json!(""))),
            (json!({ "enum": ["a", "b"] }), "c", Some(json!("c"))),
            (json!({ "type": "integer" }), "5", Some(json!(5))),
            (json!({ "type": "integer" }), "5.5", None),
            (json!({ "type": "integer" }), "2.0", Some(json!(2.0))),
            (json!({ "type": "integer" }), "1e300", None),
            (json!({ "enum": [1, 2, 3] }), "2.0", Some(json!(2.0))),
            (json!({ "enum": [1.0, 2.5] }), "1", Some(json!(1))),
            (json!({ "enum": [1, 2] }), "1.5", None),
            (json!({ "type": "integer" }), "tea", None),
            (json!({ "type": "integer" }), "", None),
            (json!({ "type": "integer" }), "99999999999999999999999", None),
            (json!({ "type": "number" }), "5", Some(json!(5))),
            (json!({ "type": "number" }), "-5.5", Some(json!(-5.5))),
            (json!({ "type": "boolean" }), "true", Some(json!(true))),
            (json!({ "type": "boolean" }), "yes", None),
            (json!({ "type": "null" }), "null", Some(json!(null))),
            (json!({ "type": "array" }), "[1]", Some(json!([1]))),
            (json!({ "type": "array" }), "{}", None),
            (json!({ "type": "object" }), r#"{"a":1}"#, Some(json!({ "a": 1 }))),
            (json!({ "type": ["string", "null"] }), "null", Some(json!(null))),
            (json!({ "anyOf": [{ "type": "string" }, { "type": "integer" }] }), "5", Some(json!(5))),
            (json!({ "anyOf": [{ "type": "string" }, { "type": "integer" }] }), "5.5", Some(json!("5.5"))),
            (json!({ "anyOf": [{ "type": "boolean" }, { "const": 5 }] }), "5", Some(json!(5))),
            (json!({ "anyOf": [{ "type": "boolean" }, { "const": 5 }] }), "tea", None),
            (json!({ "$ref": "#/$defs/n", "$defs": { "n": { "type": "integer" } } }), "tea", None),
            (json!({ "$ref": "#" }), "tea", Some(json!("tea"))),
            (json!({ "anyOf": vec![json!({ "$ref": "#" }); 1000] }), "tea", Some(json!("tea"))),
            (json!({}), "[1", Some(json!("[1"))),
            (json!(true), "[1]", Some(json!([1]))),
        ];
        for (schema, text, expected) in cases {
            assert_eq!(read(&schema, text), expected, "{schema} {text:?}");
        }
    }

    #[test]
    fn errors_name_the_type_and_the_parameters() {
        let functions = FunctionInfo::all(&document());
        let error = |param, text: &str| functions[0].argument(param, text).expect_err("an error").to_string();
        assert_eq!(error("count", "many"), r#"count: expected int 1..100, not "many""#);
        assert_eq!(error("price", "1"), r#"order.place has no parameter "price"; its parameters: item, count"#);
        assert_eq!(error("count", "true"), "count: expected int 1..100, not true");
        assert_eq!(error("count", "2.5"), "count: expected int 1..100, not 2.5");
        assert_eq!(error("count", "\"2\""), r#"count: expected int 1..100, not "\"2\"""#);
        assert_eq!(error("count", "[\n1]"), r#"count: expected int 1..100, not "[\n1]""#);
        let long = format!("count: expected int 1..100, not \"{}…\"", "x".repeat(40));
        assert_eq!(error("count", &"x".repeat(5000)), long);
        assert_eq!(functions[0].argument("count", "5"), Ok(json!(5)));
    }

    proptest! {
        #[test]
        fn every_text_is_a_string(text in ".*") {
            let value = read(&json!({ "type": "string" }), &text);
            prop_assert!(value.is_some_and(|value| value.is_string()));
        }

        #[test]
        fn quoted_string_is_that_string(text in ".*") {
            prop_assert_eq!(read(&json!({ "type": "string" }), &json!(text).to_string()), Some(json!(text)));
        }
    }
}
