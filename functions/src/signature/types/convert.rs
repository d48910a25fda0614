//! Conversion of JSON values to the typed values of Rhai.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value as Json;

use crate::signature::Value;

use super::{Literal, Mismatch, Type, number};

impl Type {
    /// Checks a JSON value, and converts the value to this type.
    ///
    /// # Errors
    ///
    /// The first part of the value that does not fit.
    ///
    /// ```
    /// use functions::signature::{Type, Value};
    ///
    /// let number: Type = "int | float".parse()?;
    /// assert_eq!(number.convert(&serde_json::json!(2.0)), Ok(Value::Int(2)));
    /// assert_eq!(number.convert(&serde_json::json!(2.5)), Ok(Value::Float(2.5)));
    /// # Ok::<(), functions::signature::TypeError>(())
    /// ```
    pub fn convert(&self, value: &Json) -> Result<Value, Mismatch> {
        self.check(value)?;
        Ok(self.convert_checked(value))
    }

    /// Converts a value that [`Type::check`] accepts. Another value would become what it shows.
    fn convert_checked(&self, value: &Json) -> Value {
        match (self, value) {
            (Self::Int { .. } | Self::Literal(Literal::Int(_)), Json::Number(number)) => {
                number::to_i64(number).map_or_else(|| convert_any(value), Value::Int)
            }
            (Self::Float { .. } | Self::Literal(Literal::Float(_)), Json::Number(number)) => {
                number.as_f64().map_or_else(|| convert_any(value), Value::Float)
            }
            (Self::Blob { .. }, Json::String(text)) => {
                STANDARD.decode(text).map_or_else(|_| convert_any(value), Value::Blob)
            }
            (Self::Array { item, .. }, Json::Array(items)) => {
                Value::Array(items.iter().map(|value| item.convert_checked(value)).collect())
            }
            (Self::Map(properties), Json::Object(members)) => {
                let convert = |(name, value): (&String, &Json)| {
                    let property = properties.iter().find(|property| property.name == *name);
                    let value =
                        property.map_or_else(|| convert_any(value), |found| found.r#type.convert_checked(value));
                    (name.clone(), value)
                };
                Value::Map(members.iter().map(convert).collect())
            }
            (Self::Values(item), Json::Object(members)) => {
                Value::Map(members.iter().map(|(name, value)| (name.clone(), item.convert_checked(value))).collect())
            }
            (Self::Union(members), _) => {
                let member = members.iter().find(|member| member.accepts(value));
                member.map_or_else(|| convert_any(value), |member| member.convert_checked(value))
            }
            _ => convert_any(value),
        }
    }
}

/// Converts a value to what it shows. The reader of JSON bounds the depth.
fn convert_any(value: &Json) -> Value {
    match value {
        Json::Null => Value::Unit,
        Json::Bool(value) => Value::Bool(*value),
        // An integer beyond 64 bits with sign, and every number with a fraction or an exponent, is a float.
        Json::Number(number) => {
            number.as_i64().map_or_else(|| Value::Float(number.as_f64().unwrap_or_default()), Value::Int)
        }
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => Value::Array(items.iter().map(convert_any).collect()),
        Json::Object(members) => {
            Value::Map(members.iter().map(|(name, value)| (name.clone(), convert_any(value))).collect())
        }
    }
}
