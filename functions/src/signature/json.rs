//! A reader of JSON that refuses what a value of Rhai cannot hold: names given twice, and values that are too deep.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value, value::RawValue};

use super::{
    Mismatch,
    text::truncate,
    types::{push_index, push_member},
};

/// Maximum depth of lists and maps in each other.
pub(super) const MAX_DEPTH: usize = 64;

/// Reads a JSON value. `path` is where the value is, for the error.
pub(super) fn read(text: &str, path: &str) -> Result<Value, Mismatch> {
    let state = RefCell::new(State { path: path.to_owned(), fault: None });
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Seed { state: &state, depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| {
        let fault = state.into_inner().fault;
        fault.unwrap_or_else(|| Mismatch { path: path.to_owned(), reason: truncate(&invalid_json(&error), 200) })
    })
}

pub(super) fn invalid_json(error: &serde_json::Error) -> String {
    format!("invalid JSON: {error}")
}

struct State {
    path: String,
    fault: Option<Mismatch>,
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    state: &'a RefCell<State>,
    depth: usize,
}

impl Seed<'_> {
    fn fail<E: Error>(self, reason: String) -> E {
        let mut state = self.state.borrow_mut();
        let path = truncate(&state.path, 200);
        state.fault = Some(Mismatch { path, reason });
        E::custom("refused")
    }

    /// The seed of what is inside a list or a map.
    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(self.fail(format!("lists and maps are more than {MAX_DEPTH} deep")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    /// Lengthens the path, and returns its length before.
    fn enter(self, push: impl FnOnce(&mut String)) -> usize {
        let path = &mut self.state.borrow_mut().path;
        let length = path.len();
        push(path);
        length
    }

    fn leave(self, length: usize) {
        self.state.borrow_mut().path.truncate(length);
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut items = Vec::new();
        loop {
            let length = self.enter(|path| push_index(path, items.len()));
            let Some(item) = access.next_element_seed(inner)? else {
                self.leave(length);
                return Ok(Value::Array(items));
            };
            self.leave(length);
            items.push(item);
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut members = serde_json::Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let length = self.enter(|path| push_member(path, &name));
            if members.contains_key(&name) {
                return Err(self.fail("given twice: keep one".to_owned()));
            }
            let value = access.next_value_seed(inner)?;
            self.leave(length);
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

/// The `params` of a request, whose values are not read yet.
#[derive(Debug)]
pub(super) enum Params<'a> {
    /// No parameters, or null.
    Absent,
    ByPosition(Vec<&'a RawValue>),
    ByName(Vec<(String, &'a RawValue)>),
    /// Neither an object nor an array.
    Scalar,
}

impl<'a> serde::Deserialize<'a> for Params<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ParamsVisitor)
    }
}

struct ParamsVisitor;

impl<'de> Visitor<'de> for ParamsVisitor {
    type Value = Params<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_unit<E: Error>(self) -> Result<Params<'de>, E> {
        Ok(Params::Absent)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Params<'de>, E> {
        Ok(Params::Scalar)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Params<'de>, E> {
        Ok(Params::Scalar)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Params<'de>, E> {
        Ok(Params::Scalar)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Params<'de>, E> {
        Ok(Params::Scalar)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Params<'de>, E> {
        Ok(Params::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Params<'de>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = access.next_element()? {
            values.push(value);
        }
        Ok(Params::ByPosition(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Params<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(Params::ByName(members))
    }
}

/// Returns the size of the JSON value at the start of the text, in bytes.
pub(super) fn value_length(text: &str) -> Result<usize, serde_json::Error> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    values.next().transpose()?;
    Ok(values.byte_offset())
}
