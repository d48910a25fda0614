//! The values of scripts in the store, and the data of their events.

use serde_json::{
    Value as Json,
    value::{RawValue, to_raw_value},
};
use store::Value;

use crate::{
    host::{self, Internal},
    stored_value,
};

/// Encodes a value of a script.
pub(super) fn encode(value: &Json) -> host::Result<Value> {
    stored_value::from_json(&to_raw_value(value).internal()?).map_err(refused)
}

/// Decodes a value for a script.
pub(super) fn decode(value: &Value) -> host::Result<Box<RawValue>> {
    stored_value::to_json(value).ok_or_else(|| {
        tracing::error!("value in the store has an unknown encoding");
        refused("the value has an encoding that this version does not know".into())
    })
}

/// Encodes the data of an event, which may be `()`.
pub(super) fn encode_data(data: &Json) -> host::Result<Vec<u8>> {
    stored_value::check(data, stored_value::MAX_DEPTH).map_err(refused)?;
    Ok(data.to_string().into_bytes())
}

fn refused(reason: String) -> host::Error {
    host::Error::new(reason).with_code("value")
}
