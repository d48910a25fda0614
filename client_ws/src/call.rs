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
    timeout_ms: Option<u64>,
}

impl CallRequest {
    /// Makes a call of the function with a name such as `order.place`, without parameters.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), params: serialize(&()), timeout_ms: None }
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
        self.timeout_ms = Some(play::timeout_ms(timeout));
        self
    }

    /// Splits the request into the name of the function and the parameters on the wire.
    pub(crate) fn into_wire(self) -> Result<(String, Box<RawValue>), ClientError> {
        let Self { name: function, params, timeout_ms } = self;
        match params.and_then(|params| add_timeout(params, timeout_ms)) {
            Ok(params) => Ok((function, params)),
            Err(reason) => Err(ClientError::BadParams { function, reason }),
        }
    }
}

/// Adds a time limit to parameters by name. The members stay as they are written, with all digits of their numbers.
fn add_timeout(params: Box<RawValue>, timeout_ms: Option<u64>) -> Result<Box<RawValue>, String> {
    let Some(timeout_ms) = timeout_ms else { return Ok(params) };
    let Some(members) = params.get().strip_prefix('{') else {
        return Err("a time limit needs parameters by name, not by position".into());
    };
    let comma = if members.trim_start() == "}" { "" } else { "," };
    let text = format!(r#"{{"_meta":{{"timeout_ms":{timeout_ms}}}{comma}{members}"#);
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
        let error = "cannot call price: a time limit needs parameters by name, not by position";
        assert_eq!(wire_params(request().params([1])), error);
    }
}
