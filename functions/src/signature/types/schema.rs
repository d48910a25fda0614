//! JSON Schema 2020-12 of types.

use serde_json::{Value, json};

use super::{Literal, Range, Type};

/// Exactly what [`Type::check`] decodes: RFC 4648 §4 with padding, and zero in the bits that carry no data.
const BASE64_PATTERN: &str = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";

/// 2⁶³. A maximum of 2⁶³ − 1 would be 2⁶³ for a validator that computes with `f64`.
const INT_LIMIT: u64 = 1 << 63;

impl Type {
    /// Returns the JSON Schema 2020-12 of the type, which accepts the same values as [`Type::check`].
    ///
    /// A validator that computes with `f64` (JavaScript) rounds integers beyond 2⁵³, so it may accept a neighbour of
    /// such a bound.
    ///
    /// ```
    /// use functions::signature::Type;
    ///
    /// let count: Type = "int 1..100".parse()?;
    /// assert_eq!(count.json_schema(), serde_json::json!({ "type": "integer", "minimum": 1, "maximum": 100 }));
    /// # Ok::<(), functions::signature::TypeError>(())
    /// ```
    pub fn json_schema(&self) -> Value {
        match self {
            Self::String { range } => sized("string", range, "minLength", "maxLength"),
            Self::Int { range } => {
                let mut schema = json!({ "type": "integer", "minimum": range.start.unwrap_or(i64::MIN) });
                match range.end {
                    Some(end) if end < i64::MAX => schema["maximum"] = json!(end),
                    _ => schema["exclusiveMaximum"] = json!(INT_LIMIT),
                }
                schema
            }
            Self::Float { range } => {
                let mut schema = json!({ "type": "number" });
                if let Some(start) = range.start {
                    schema["minimum"] = json!(start);
                }
                if let Some(end) = range.end {
                    schema["maximum"] = json!(end);
                }
                schema
            }
            Self::Bool => json!({ "type": "boolean" }),
            Self::Blob { range } => blob(range),
            Self::Any => json!({}),
            Self::Unit => json!({ "type": "null" }),
            Self::Literal(literal) => json!({ "const": literal.to_json() }),
            Self::Array { item, range } => {
                let mut schema = sized("array", range, "minItems", "maxItems");
                schema["items"] = item.json_schema();
                schema
            }
            Self::Map(properties) => {
                let schemas: serde_json::Map<_, _> =
                    properties.iter().map(|property| (property.name.clone(), property.r#type.json_schema())).collect();
                let required: Vec<&String> =
                    properties.iter().filter(|property| !property.is_optional).map(|property| &property.name).collect();
                let mut schema = json!({ "type": "object", "properties": schemas, "additionalProperties": false });
                if !required.is_empty() {
                    schema["required"] = json!(required);
                }
                schema
            }
            Self::Values(value) => json!({ "type": "object", "additionalProperties": value.json_schema() }),
            Self::Union(members) => {
                let literals: Option<Vec<Value>> = members.iter().map(Self::to_literal).collect();
                match literals {
                    Some(literals) => json!({ "enum": literals }),
                    None => json!({ "anyOf": members.iter().map(Self::json_schema).collect::<Vec<_>>() }),
                }
            }
        }
    }

    fn to_literal(&self) -> Option<Value> {
        match self {
            Self::Literal(literal) => Some(literal.to_json()),
            Self::Unit => Some(Value::Null),
            _ => None,
        }
    }
}

impl Literal {
    fn to_json(&self) -> Value {
        match self {
            Self::String(text) => json!(text),
            Self::Int(value) => json!(value),
            Self::Float(value) => json!(value),
            Self::Bool(value) => json!(value),
        }
    }
}

fn sized(kind: &str, range: &Range<u64>, start_name: &str, end_name: &str) -> Value {
    let mut schema = json!({ "type": kind });
    if let Some(start) = range.start {
        schema[start_name] = json!(start);
    }
    if let Some(end) = range.end {
        schema[end_name] = json!(end);
    }
    schema
}

/// Bounds of bytes are bounds of characters, which come in groups of four for three bytes. A bound that is no multiple of
/// three also restricts the padding of a text of exactly the bound's length.
fn blob(range: &Range<u64>) -> Value {
    let mut schema = json!({ "type": "string", "contentEncoding": "base64", "pattern": BASE64_PATTERN });
    let mut padding = Vec::new();
    if let Some(start) = range.start {
        let length = encoded_length(start);
        schema["minLength"] = json!(length);
        let pattern = match start % 3 {
            0 if start > 0 => Some("[^=]$"),
            2 => Some("[^=]=?$"),
            _ => None,
        };
        padding
            .extend(pattern.map(|pattern| json!({ "anyOf": [{ "minLength": length + 1 }, { "pattern": pattern }] })));
    }
    if let Some(end) = range.end {
        let length = encoded_length(end);
        schema["maxLength"] = json!(length);
        let pattern = match end % 3 {
            1 => Some("==$"),
            2 => Some("=$"),
            _ => None,
        };
        padding
            .extend(pattern.map(|pattern| json!({ "anyOf": [{ "maxLength": length - 1 }, { "pattern": pattern }] })));
    }
    if !padding.is_empty() {
        schema["allOf"] = json!(padding);
    }
    schema
}

/// The number of characters of base64 for a number of bytes. No text in memory reaches 2⁶² characters.
fn encoded_length(bytes: u64) -> u64 {
    bytes.div_ceil(3).saturating_mul(4).min(1 << 62)
}
