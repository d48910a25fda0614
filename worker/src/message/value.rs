//! The typed arguments of calls.

use std::{cell::Cell, collections::BTreeMap};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// A value that the program passes to a function of a script file. It keeps its type: a float without a fraction stays
/// a float, and bytes become a blob.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// `()`.
    Unit,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float, which need not be finite.
    Float(f64),
    /// A string.
    String(String),
    /// A blob.
    Blob(Vec<u8>),
    /// An array.
    #[serde(deserialize_with = "nested")]
    Array(Vec<Self>),
    /// A map.
    #[serde(deserialize_with = "nested")]
    Map(BTreeMap<String, Self>),
}

impl Value {
    /// Maximum number of levels of a value, as for the values of scripts.
    pub const MAX_DEPTH: usize = 64;

    /// Whether the value has at most a number of levels. Visits no deeper level.
    pub(crate) fn has_levels(&self, max: usize) -> bool {
        let Some(rest) = max.checked_sub(1) else { return false };
        match self {
            Self::Array(items) => items.iter().all(|item| item.has_levels(rest)),
            Self::Map(members) => members.values().all(|member| member.has_levels(rest)),
            _ => true,
        }
    }
}

thread_local! {
    /// The number of arrays and maps around the value that this thread reads.
    static LEVELS: Cell<usize> = const { Cell::new(0) };
}

/// Reads an array or a map. Its own level counts, so the recursion of the reader is bounded.
fn nested<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    let levels = LEVELS.get();
    if levels >= Value::MAX_DEPTH {
        return Err(D::Error::custom("a value has too many levels"));
    }
    LEVELS.set(levels + 1);
    let read = T::deserialize(deserializer);
    LEVELS.set(levels);
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::frame;

    fn nest(levels: usize) -> Value {
        (1..levels).fold(Value::Array(Vec::new()), |inner, _| Value::Array(vec![inner]))
    }

    fn read(value: &Value) -> std::io::Result<Value> {
        frame::decode(&frame::encode(value, Vec::new())[frame::HEADER..])
    }

    #[test]
    fn value_keeps_its_type() {
        let members = [("blob", Value::Blob(vec![0, 255])), ("float", Value::Float(2.0)), ("int", Value::Int(2))];
        let members = members.map(|(name, value)| (name.to_owned(), value)).into();
        let value = Value::Array(vec![Value::Map(members), Value::Unit, Value::Bool(true), Value::String("ä".into())]);
        assert_eq!(read(&value).expect("a value"), value);
    }

    #[test]
    fn depth_is_bounded_on_both_sides() {
        let (deepest, deeper) = (nest(Value::MAX_DEPTH), nest(Value::MAX_DEPTH + 1));
        assert!(deepest.has_levels(Value::MAX_DEPTH) && !deeper.has_levels(Value::MAX_DEPTH));
        assert_eq!(read(&deepest).expect("a value"), deepest);
        assert!(read(&deeper).is_err());
        // The failure leaves no count behind.
        assert_eq!(read(&deepest).expect("a value"), deepest);
        assert!(!Value::Array(vec![Value::Int(1)]).has_levels(1));
    }
}
