//! Values of functions, shown as values of plays.

use std::fmt::Write;

use client_ws::{PlayResult, PlayValue};
use serde_json::Value;

/// Converts the value of a function to the result of a play with this value, without duration and operations. Its text is
/// that of Rhai's `print`.
pub fn play_result(value: PlayValue) -> PlayResult {
    // Deeper than its parser goes, or with numbers out of its range: the JSON as the circle wrote it.
    let (r#type, output) = match serde_json::from_str(value.as_json()) {
        Ok(parsed) => (type_name(&parsed), printed(&parsed)),
        Err(_) => ("string", value.as_json().to_owned()),
    };
    PlayResult { output, r#type: r#type.into(), value, elapsed_us: 0, operations: 0 }
}

/// Rhai's name for the type of a JSON value.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "()",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "i64",
        Value::Number(_) => "f64",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "map",
    }
}

fn printed(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => {
            let mut text = String::new();
            write_nested(&mut text, value);
            text
        }
    }
}

/// Writes a value as it stands within an array or a map.
fn write_nested(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("()"),
        Value::Bool(_) | Value::Number(_) => write!(out, "{value}").expect("a string takes it"),
        Value::String(text) => write!(out, "{text:?}").expect("a string takes it"),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write_nested(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push_str("#{");
            for (index, (name, member)) in members.iter().enumerate() {
                write!(out, "{}{name:?}: ", if index == 0 { "" } else { ", " }).expect("a string takes it");
                write_nested(out, member);
            }
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_has_the_text_of_print() {
        let cases = [
            ("null", "()", ""),
            ("\"two\\nlines\"", "string", "two\nlines"),
            ("4.0", "f64", "4.0"),
            ("-3", "i64", "-3"),
            ("true", "bool", "true"),
            ("[]", "array", "[]"),
            (r#"{"a":[1,null,"x\""],"b":{}}"#, "map", r#"#{"a": [1, (), "x\""], "b": #{}}"#),
        ];
        for (json, r#type, output) in cases {
            let value = serde_json::from_str(json).expect("JSON");
            let result = play_result(value);
            assert_eq!((result.r#type.as_str(), result.output.as_str()), (r#type, output), "{json}");
            assert_eq!(result.value.as_json(), json);
        }
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let result = play_result(serde_json::from_str(&deep).expect("raw JSON is not limited in depth"));
        assert_eq!(result.output, deep);
    }
}
