//! Values of a circle's store, which subscriptions send as JSON.

use std::fmt::Write;

use client_ws::{PlayResult, RawValue};
use frontend::text::{Style, StyledLine, lines};
use serde_json::Value;

use super::{format_unbound_value, pretty_json};

/// Formats a stored value, which is given as JSON, as [`format_value`](super::format_value) formats the value of a play.
pub fn format_stored(json: &str, width: usize) -> Vec<StyledLine> {
    match to_result(json) {
        Some(result) => format_unbound_value(&result, width),
        // A value that Rhai has no text for is shown as the circle sent it.
        None => lines(Style::Plain, &pretty_json(json)),
    }
}

/// Returns the result of a play with this value; `None` if the value is no JSON, or nested too deep.
fn to_result(json: &str) -> Option<PlayResult> {
    let value: Value = serde_json::from_str(json).ok()?;
    let raw = RawValue::from_string(json.to_owned()).ok()?;
    let r#type = match &value {
        Value::Null => return None,
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "f64",
        Value::Number(_) => "i64",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "map",
    };
    let output = match &value {
        Value::String(text) => text.clone(),
        other => {
            let mut output = String::with_capacity(json.len());
            write_rhai(&mut output, other);
            output
        }
    };
    Some(PlayResult { output, r#type: r#type.to_owned(), value: raw.into(), elapsed_us: 0, operations: 0 })
}

/// Writes a value as Rhai writes it. The JSON reader bounds the depth.
fn write_rhai(out: &mut String, value: &Value) {
    // Writing to a string does not fail.
    let _written = match value {
        Value::Null => write!(out, "()"),
        Value::String(text) => write!(out, "{text:?}"),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write_rhai(out, item);
            }
            write!(out, "]")
        }
        Value::Object(items) => {
            out.push_str("#{");
            for (index, (key, item)) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                let _written = write!(out, "{key:?}: ");
                write_rhai(out, item);
            }
            write!(out, "}}")
        }
        other => write!(out, "{other}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str, width: usize) -> String {
        format_stored(json, width).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn stored_values_look_like_results() {
        for (json, shown) in [
            ("12", "12"),
            ("1.5", "1.5"),
            ("true", "true"),
            (r#""tea""#, r#""tea""#),
            (r#"[1,"a",null]"#, r#"[1, "a", ()]"#),
            (r#"{"a":1,"b":[true]}"#, r#"#{"a": 1, "b": [true]}"#),
            ("{}", "#{}"),
        ] {
            assert_eq!(text(json, 80), shown, "{json}");
        }
        let table = text(r#"[{"item":"tea","left":5},{"item":"milk","left":2}]"#, 80);
        assert!(table.contains("item") && table.lines().count() > 3, "{table}");
    }

    #[test]
    fn any_text_is_shown_and_controls_nothing() {
        for json in [
            "",
            "nonsense",
            "null",
            r#""\u001b[2J""#,
            &"[".repeat(100_000),
            &format!("{}1{}", "[".repeat(200), "]".repeat(200)),
        ] {
            for line in format_stored(json, 10) {
                assert!(!line.to_string().contains(char::is_control), "{line}");
            }
        }
    }
}
