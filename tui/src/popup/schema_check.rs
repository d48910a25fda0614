//! Check of a value by the schema of its parameter, so that a form shows an error before the call.
//!
//! The circle checks every call. A rule of a schema that is unknown here counts as met.

use std::cmp::Ordering;

use base64::{Engine, engine::general_purpose::STANDARD};
use client_ws::JsonValue;

/// Largest number of pairs of a schema and a value that one check compares. All later pairs count as valid.
const MAX_PAIRS: u32 = 10_000;

/// Returns whether a value may be valid for a schema. `false` is certain, `true` is not.
pub(super) fn may_fit(schema: &JsonValue, value: &JsonValue) -> bool {
    let mut budget = MAX_PAIRS;
    fits(schema, value, &mut budget)
}

fn fits(schema: &JsonValue, value: &JsonValue, budget: &mut u32) -> bool {
    let Some(rest) = budget.checked_sub(1) else { return true };
    *budget = rest;
    if let Some(constant) = schema.get("const") {
        return may_equal(constant, value);
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().any(|listed| may_equal(listed, value));
    }
    if let Some(schemas) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
        return schemas.iter().any(|schema| fits(schema, value, budget));
    }
    has_type(&schema["type"], value)
        && match value {
            JsonValue::Number(_) => is_within_bounds(schema, value),
            JsonValue::String(text) => {
                has_size(schema, ("minLength", "maxLength"), text.chars().count())
                    && (schema["contentEncoding"] != "base64" || STANDARD.decode(text).is_ok())
            }
            JsonValue::Array(items) => {
                has_size(schema, ("minItems", "maxItems"), items.len())
                    && schema.get("items").is_none_or(|schema| items.iter().all(|item| fits(schema, item, budget)))
            }
            JsonValue::Object(properties) => {
                let required = || schema["required"].as_array().into_iter().flatten().filter_map(JsonValue::as_str);
                required().all(|name| properties.contains_key(name))
                    && properties.iter().all(|(name, value)| match schema["properties"].get(name) {
                        // The circle decides whether an optional property may be null.
                        Some(_) if value.is_null() && !required().any(|required| required == name) => true,
                        Some(schema) => fits(schema, value, budget),
                        None => match schema.get("additionalProperties") {
                            Some(JsonValue::Bool(is_allowed)) => *is_allowed,
                            Some(schema) => fits(schema, value, budget),
                            None => true,
                        },
                    })
            }
            JsonValue::Null | JsonValue::Bool(_) => true,
        }
}

/// Returns whether two values may be equal; numbers compare by value.
fn may_equal(constant: &JsonValue, value: &JsonValue) -> bool {
    match constant {
        JsonValue::Number(_) => compare(constant, value) == Some(Ordering::Equal),
        // Numbers within them compare by value, too.
        JsonValue::Array(_) | JsonValue::Object(_) => true,
        _ => constant == value,
    }
}

fn has_type(types: &JsonValue, value: &JsonValue) -> bool {
    let is_of = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => true,
    };
    match types {
        JsonValue::String(name) => is_of(name),
        JsonValue::Array(names) => names.iter().filter_map(JsonValue::as_str).any(is_of),
        _ => true,
    }
}

fn is_within_bounds(schema: &JsonValue, value: &JsonValue) -> bool {
    let is_met = |bound: &str, is_met: fn(Ordering) -> bool| compare(value, &schema[bound]).is_none_or(is_met);
    is_met("minimum", Ordering::is_ge)
        && is_met("maximum", Ordering::is_le)
        && is_met("exclusiveMinimum", Ordering::is_gt)
        && is_met("exclusiveMaximum", Ordering::is_lt)
}

/// Compares two numbers: exactly if both are integers, otherwise as floats. `None` if one is no number.
fn compare(left: &JsonValue, right: &JsonValue) -> Option<Ordering> {
    let integer = |value: &JsonValue| value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn has_size(schema: &JsonValue, (least, most): (&str, &str), size: usize) -> bool {
    let size = size as u64;
    schema[least].as_u64().is_none_or(|least| size >= least) && schema[most].as_u64().is_none_or(|most| size <= most)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn check_finds_values_outside_of_their_schema() {
        let int = json!({ "type": "integer", "minimum": 1, "maximum": 100 });
        let any_int =
            json!({ "type": "integer", "minimum": i64::MIN, "exclusiveMaximum": 9_223_372_036_854_775_808_u64 });
        let text = json!({ "type": "string", "minLength": 1, "maxLength": 3 });
        let blob = json!({ "type": "string", "contentEncoding": "base64", "pattern": "unknown here" });
        let list = json!({ "type": "array", "items": { "type": "boolean" }, "minItems": 1, "maxItems": 2 });
        let map = json!({
            "type": "object", "properties": { "a": { "type": "integer" }, "b": { "type": "integer" } },
            "required": ["a"], "additionalProperties": false,
        });
        let values = json!({ "type": "object", "additionalProperties": { "type": "boolean" } });
        let union = json!({ "anyOf": [{ "type": "null" }, int.clone(), { "enum": ["x", 500.5] }] });
        // (schema, valid values, invalid values)
        let cases = [
            (int, vec![json!(1), json!(100), json!(2.0)], vec![json!(0), json!(500), json!(1.5), json!("1")]),
            (any_int, vec![json!(i64::MIN), json!(i64::MAX)], vec![json!(u64::MAX)]),
            (json!({ "type": "number", "minimum": 0.5 }), vec![json!(1), json!(0.5)], vec![json!(0), json!(0.4)]),
            (text, vec![json!("a"), json!("日本語")], vec![json!(""), json!("日本語x")]),
            (
                blob,
                vec![json!(""), json!("aGk="), json!("aA=="), json!("+/+/")],
                vec![json!("hello"), json!("a==="), json!("===="), json!("aB=="), json!("aGl="), json!("a b c d ")],
            ),
            (
                list,
                vec![json!([true]), json!([true, false])],
                vec![json!([]), json!([1]), json!([true, true, true]), json!({})],
            ),
            (
                map,
                vec![json!({ "a": 1 }), json!({ "a": 1, "b": 2 }), json!({ "a": 1, "b": null })],
                vec![json!({}), json!({ "a": null }), json!({ "a": 1, "c": 1 }), json!({ "a": "x" })],
            ),
            (values, vec![json!({}), json!({ "x": true })], vec![json!({ "x": 1 })]),
            (union, vec![json!(null), json!(5), json!("x"), json!(500.5)], vec![json!(500), json!("y")]),
            (json!({ "const": 2 }), vec![json!(2), json!(2.0)], vec![json!(3), json!("2")]),
            (json!({ "type": ["string", "null"] }), vec![json!("x"), json!(null)], vec![json!(1)]),
            (json!({}), vec![json!(1), json!([{}])], vec![]),
            (json!(true), vec![json!(1)], vec![]),
            (json!({ "type": "tensor", "rank": 3 }), vec![json!(1)], vec![]),
            (json!({ "const": [1] }), vec![json!([1.0])], vec![]),
        ];
        for (schema, valid, invalid) in cases {
            for value in valid {
                assert!(may_fit(&schema, &value), "{value} is valid: {schema}");
            }
            for value in invalid {
                assert!(!may_fit(&schema, &value), "{value} is invalid: {schema}");
            }
        }
    }

    #[test]
    fn check_of_a_wide_schema_ends() {
        let mut schema = json!({ "type": "boolean" });
        let mut value = json!("x");
        for _ in 0..15 {
            let item = json!({ "type": "array", "items": schema });
            schema = json!({ "anyOf": [item, item] });
            value = json!([value]);
        }
        // 2¹⁵ schemas: more pairs than the check compares.
        assert!(may_fit(&schema, &value));
    }
}
