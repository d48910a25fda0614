//! Literals of Rhai, in which data cannot become code.

use std::fmt::Write;

use serde_json::{Number, Value, value::RawValue};
use server_ws::stored_value;

/// Levels of arrays and maps in one expression, far below the limit `expression_depth` of a circle.
const MAX_LEVELS: usize = 8;

/// Returns the literal of a string.
pub(in crate::commands) fn string(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for character in text.chars() {
        match character {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            character if character.is_control() => {
                let _infallible = write!(literal, "\\u{:04x}", u32::from(character));
            }
            character => literal.push(character),
        }
    }
    literal.push('"');
    literal
}

/// Returns the literal of a JSON value: integers stay integers. The error says what is wrong with the value.
pub(super) fn json(text: &str) -> Result<ValueLiteral, String> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    if raw.get() == "null" {
        return Err("null is the absence of a value; circles store delete removes a key".to_owned());
    }
    // An import takes the same values.
    stored_value::from_json(raw)?;
    let value: Value = serde_json::from_str(raw.get()).map_err(|error| format!("it is not JSON: {error}"))?;
    let mut written = ValueLiteral::default();
    written.write(&value)?;
    Ok(written)
}

/// A value in a script.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ValueLiteral {
    /// Statements before the expression, which build its deep parts in the array `parts`.
    pub(super) statements: String,
    /// The expression.
    pub(super) expression: String,
    parts: usize,
}

impl ValueLiteral {
    /// Writes a value; returns the number of its levels in the expression.
    fn write(&mut self, value: &Value) -> Result<usize, String> {
        let start = self.expression.len();
        let levels = self.write_levels(value)?;
        if levels < MAX_LEVELS {
            return Ok(levels);
        }
        let part = self.expression.split_off(start);
        if self.parts == 0 {
            self.statements.push_str("let parts = [];\n");
        }
        let _infallible = writeln!(self.statements, "parts.push({part});");
        let _infallible = write!(self.expression, "parts[{}]", self.parts);
        self.parts += 1;
        Ok(1)
    }

    fn write_levels(&mut self, value: &Value) -> Result<usize, String> {
        let mut levels = 0;
        match value {
            Value::Null => self.expression.push_str("()"),
            Value::Bool(value) => self.expression.push_str(if *value { "true" } else { "false" }),
            Value::Number(number) => self.expression.push_str(&number_literal(number)?),
            Value::String(text) => self.expression.push_str(&string(text)),
            Value::Array(items) => {
                self.expression.push('[');
                for item in items {
                    levels = levels.max(self.write(item)?);
                    self.expression.push(',');
                }
                self.expression.push(']');
            }
            Value::Object(members) => {
                if members.len() == 1 && members.contains_key(worker::BLOB_MEMBER) {
                    let why = "a blob cannot be put from the command line; circles store import takes blobs";
                    return Err(why.to_owned());
                }
                self.expression.push_str("#{");
                for (name, value) in members {
                    self.expression.push_str(&string(name));
                    self.expression.push(':');
                    levels = levels.max(self.write(value)?);
                    self.expression.push(',');
                }
                self.expression.push('}');
            }
        }
        Ok(levels + 1)
    }
}

fn number_literal(number: &Number) -> Result<String, String> {
    if let Some(integer) = number.as_i64() {
        // The digits of the smallest integer, without the sign, are no integer of 64 bits.
        return Ok(if integer == i64::MIN { format!("({}-1)", i64::MIN + 1) } else { format!("({integer})") });
    }
    match number.as_f64() {
        Some(float) if number.is_f64() && float.is_finite() => Ok(format!("parse_float(\"{float:?}\")")),
        _ => Err(format!("{number} is beyond an integer of 64 bits")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        assert_eq!(string("a\"b\\\n\u{1b}ä${x}`"), "\"a\\\"b\\\\\\u000a\\u001bä${x}`\"");
    }

    #[test]
    fn json_becomes_literals_of_the_same_type() {
        let cases = [
            ("12", "(12)"),
            ("-1", "(-1)"),
            ("-9223372036854775808", "(-9223372036854775807-1)"),
            ("1.0", "parse_float(\"1.0\")"),
            ("-2.5e300", "parse_float(\"-2.5e300\")"),
            ("true", "true"),
            ("\"a\\\"); x(\\\"\"", "\"a\\\"); x(\\\"\""),
            ("[1, [], null]", "[(1),[],(),]"),
            ("{\"a\\\"b\": {}, \"\": 1}", "#{\"\":(1),\"a\\\"b\":#{},}"),
        ];
        for (text, expected) in cases {
            let written = json(text).expect(text);
            assert_eq!((written.expression.as_str(), written.statements.as_str()), (expected, ""), "{text}");
        }
        for (text, expected) in [
            ("tea", "it is not JSON"),
            ("", "it is not JSON"),
            ("1 2", "it is not JSON"),
            ("null", "circles store delete"),
            ("9223372036854775808", "beyond an integer of 64 bits"),
            ("[18446744073709551616]", "beyond an integer of 64 bits"),
            ("-0", "write 0, or -0.0"),
            ("{\"a\": 1, \"a\": 2}", "occurs twice"),
            ("{\"$circles::blob\": \"AA==\"}", "circles store import"),
        ] {
            let error = json(text).expect_err(text);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn deep_values_are_built_in_parts() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(json(&nested(7)).expect("a value").statements, "");
        let deep = json(&format!("[{}, 1]", nested(9))).expect("a value");
        assert_eq!(deep.statements, "let parts = [];\nparts.push([[[[[[[[],],],],],],],]);\n");
        assert_eq!(deep.expression, "[[parts[0],],(1),]");
        let error = json(&nested(33)).expect_err("too deep");
        assert!(error.contains("more than 32 levels"), "{error}");
    }
}
