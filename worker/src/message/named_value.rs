//! Named values that the program passes to scripts: constants, and inputs of runs.

use rhai::{Engine, is_valid_identifier};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Maximum depth of a value, as for the values of scripts.
const MAX_DEPTH: usize = 64;

/// A value with a name in scripts: a constant, or an input. The value is passed as data and never becomes source code.
///
/// Conversions are those of serde's JSON: a map or a struct becomes a map, `None` and `()` become `()`, a number that is
/// not finite becomes `()`, bytes become an array, a [`Blob`](crate::Blob) becomes a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedValue {
    name: String,
    json: String,
}

/// The reason why a value cannot be passed to scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidValue {
    /// The name of the value.
    pub name: String,
    /// What is wrong with the name or the value.
    pub reason: String,
}

impl std::fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot pass the value '{}' to the script: {}", self.name, self.reason)
    }
}

impl std::error::Error for InvalidValue {}

impl NamedValue {
    /// Converts a value.
    ///
    /// # Errors
    ///
    /// The name is not an identifier or is a keyword of Rhai, or the value has no counterpart in scripts: an integer
    /// beyond an `i64`, more than 64 levels, or a failing `Serialize`.
    pub fn new(name: impl Into<String>, value: impl Serialize) -> Result<Self, InvalidValue> {
        let name = name.into();
        let invalid = |reason| InvalidValue { name: name.clone(), reason };
        if !is_variable_name(&name) {
            return Err(invalid("the name is not an identifier of Rhai, or is a keyword".into()));
        }
        let value = serde_json::to_value(value).map_err(|error| invalid(error.to_string()))?;
        check(&value, 1).map_err(invalid)?;
        Ok(Self { json: value.to_string(), name })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value as JSON.
    pub fn json(&self) -> &str {
        &self.json
    }
}

/// Whether scripts can declare a variable of this name.
fn is_variable_name(name: &str) -> bool {
    thread_local! {
        static PARSER: Engine = const { Engine::new_raw() };
    }
    // Rhai's list of reserved words is not public.
    is_valid_identifier(name) && PARSER.with(|parser| parser.compile(format!("let {name};")).is_ok())
}

/// Checks that scripts can have a value.
fn check(value: &Value, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("it has more than {MAX_DEPTH} levels"));
    }
    match value {
        Value::Number(number) if number.is_u64() && !number.is_i64() => Err(format!("{number} does not fit an i64")),
        Value::Array(items) => items.iter().try_for_each(|item| check(item, depth + 1)),
        Value::Object(members) => members.values().try_for_each(|member| check(member, depth + 1)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_identifiers_and_no_keywords() {
        for name in ["", "a b", "1a", "let", "a;b", "x\n", "eval", "a\"", "_"] {
            assert!(NamedValue::new(name, 1).is_err(), "{name}");
        }
        assert_eq!(NamedValue::new("_x1", "a").map(|value| value.json().to_owned()), Ok("\"a\"".into()));
    }

    #[test]
    fn values_are_those_that_scripts_have() {
        let json = |value: Value| NamedValue::new("x", value).map(|value| value.json().to_owned());
        assert_eq!(json(serde_json::json!({ "a": [1, -2.5, null] })), Ok(r#"{"a":[1,-2.5,null]}"#.into()));
        let error = json(serde_json::json!([u64::MAX])).expect_err("no i64");
        assert_eq!(
            error.to_string(),
            "cannot pass the value 'x' to the script: 18446744073709551615 does not fit an i64"
        );
        let nest = |levels| (1..levels).fold(serde_json::json!([]), |inner, _| serde_json::json!([inner]));
        assert!(json(nest(64)).is_ok() && json(nest(65)).is_err());
        assert!(NamedValue::new("x", u128::MAX).is_err());
    }
}
