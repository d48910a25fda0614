//! Calls of functions: the request, the events of a running call and its value.

mod running;

use std::time::Duration;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{ClientError, play};

pub use running::RunningCall;

/// A call of a function that is not sent yet. [`CircleWsClient::start_call`](crate::CircleWsClient::start_call) sends
/// it; for the value alone, [`CircleWsClient::call`](crate::CircleWsClient::call) is shorter.
#[derive(Debug)]
#[must_use = "a call is sent when it is started"]
pub struct CallRequest {
    name: String,
    params: Result<Box<RawValue>, String>,
    meta: Meta,
}

/// The member `_meta` of the parameters.
#[derive(Debug, Default, Serialize)]
struct Meta {
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    once: Option<String>,
}

impl CallRequest {
    /// Makes a call of the function with a name such as `order.place`, without parameters.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), params: serialize(&()), meta: Meta::default() }
    }

    /// Sets the parameters: by name from a struct or a map, by position from a tuple or a sequence. `()` stands for
    /// none.
    pub fn params(mut self, params: impl Serialize) -> Self {
        self.params = serialize(&params);
        self
    }

    /// Sets a time limit below that of the function and the circle, rounded up to whole milliseconds, at least one. Only
    /// parameters by name can have one.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.meta.timeout_ms = Some(play::timeout_ms(timeout));
        self
    }

    /// Makes the call happen at most once for the client's key within 24 hours: a call with the same `once` that is sent
    /// again, on any connection, gets the recorded result. Use 22 to 64 random letters, digits, `-` and `_`. Only
    /// parameters by name can have one. The circle refuses the call if it has no store, or if the client is not
    /// authenticated.
    pub fn once(mut self, once: impl Into<String>) -> Self {
        self.meta.once = Some(once.into());
        self
    }

    /// Splits the request into the name of the function and the parameters on the wire.
    pub(crate) fn into_wire(self) -> Result<(String, Box<RawValue>), ClientError> {
        let Self { name: function, params, meta } = self;
        match params.and_then(|params| add_meta(params, &meta)) {
            Ok(params) => Ok((function, params)),
            Err(reason) => Err(ClientError::BadParams { function, reason }),
        }
    }
}

/// Adds `_meta` to parameters by name. The members stay as they are written, with all digits of their numbers.
fn add_meta(params: Box<RawValue>, meta: &Meta) -> Result<Box<RawValue>, String> {
    if matches!(meta, Meta { timeout_ms: None, once: None }) {
        return Ok(params);
    }
    let Some(members) = params.get().strip_prefix('{') else {
        return Err("a time limit and once need parameters by name, not by position".into());
    };
    let meta = serde_json::to_string(meta).map_err(|error| error.to_string())?;
    let comma = if members.trim_start() == "}" { "" } else { "," };
    let text = format!(r#"{{"_meta":{meta}{comma}{members}"#);
    RawValue::from_string(text).map_err(|error| error.to_string())
}

fn serialize(params: &impl Serialize) -> Result<Box<RawValue>, String> {
    let params = to_raw_value(params).map_err(|error| error.to_string())?;
    match params.get().as_bytes() {
        [b'{' | b'[', ..] => Ok(params),
        b"null" => RawValue::from_string("{}".into()).map_err(|error| error.to_string()),
        _ => Err("the parameters have to be a struct, a map, a tuple or a sequence".into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wire_params(request: CallRequest) -> String {
        match request.into_wire() {
            Ok((_, params)) => params.get().to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn parameters_are_named_or_positional() {
        let request = || CallRequest::new("price");
        assert_eq!(wire_params(request()), "{}");
        assert_eq!(wire_params(request().params(("tea", 2))), r#"["tea",2]"#);
        assert_eq!(wire_params(request().params(json!({ "item": "tea" }))), r#"{"item":"tea"}"#);
        let error = "cannot call price: the parameters have to be a struct, a map, a tuple or a sequence";
        assert_eq!(wire_params(request().params("tea")), error);
        let keys_are_no_texts = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert_eq!(wire_params(request().params(keys_are_no_texts)), "cannot call price: key must be a string");
    }

    #[test]
    fn time_limit_is_beside_the_parameters() {
        let request = || CallRequest::new("price").timeout(Duration::from_micros(1));
        assert_eq!(wire_params(request()), r#"{"_meta":{"timeout_ms":1}}"#);
        let digits = RawValue::from_string(r#"{ "item":1.000000000000000000001}"#.into()).expect("JSON");
        assert_eq!(
            wire_params(request().params(digits)),
            r#"{"_meta":{"timeout_ms":1}, "item":1.000000000000000000001}"#
        );
        let once = CallRequest::new("price").once("x").timeout(Duration::from_millis(2));
        assert_eq!(wire_params(once), r#"{"_meta":{"timeout_ms":2,"once":"x"}}"#);
        let error = "cannot call price: a time limit and once need parameters by name, not by position";
        assert_eq!(wire_params(request().params([1])), error);
    }
}
