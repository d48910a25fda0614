//! Typed values.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value as Json;

/// A value with the type that it has in Rhai, which JSON alone does not tell: [`Type::convert`](super::Type::convert)
/// makes `Float(1.0)` of `1` for a `float`, and bytes of base64 for a `blob`.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `()`.
    Unit,
    /// A boolean.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A 64-bit floating-point number.
    Float(f64),
    /// Text.
    String(String),
    /// Bytes.
    Blob(Vec<u8>),
    /// A list.
    Array(Vec<Self>),
    /// A map. Each name is there once.
    Map(Vec<(String, Self)>),
}

impl Value {
    /// Returns the JSON of the value: base64 for bytes, and null for NaN and infinities, as everywhere in a circle.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Unit => Json::Null,
            Self::Bool(value) => Json::from(*value),
            Self::Int(value) => Json::from(*value),
            Self::Float(value) => Json::from(*value),
            Self::String(text) => Json::from(&**text),
            Self::Blob(bytes) => Json::from(STANDARD.encode(bytes)),
            Self::Array(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(members) => {
                Json::Object(members.iter().map(|(name, value)| (name.clone(), value.to_json())).collect())
            }
        }
    }
}
