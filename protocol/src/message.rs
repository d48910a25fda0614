//! JSON-RPC 2.0 envelopes: the parser borrows the parameters of incoming messages, and the writers return text.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{Id, RpcError};

const VERSION: &str = "2.0";

/// The content of one text message from a client.
#[derive(Debug)]
pub enum IncomingMessage<'a> {
    /// One request or notification.
    Single(Result<RpcCall<'a>, RejectedCall>),
    /// A batch; never empty. Each invalid member gets its own error response (JSON-RPC 2.0 §6).
    Batch(Vec<Result<RpcCall<'a>, RejectedCall>>),
}

/// A request, or a notification if it has no id.
#[derive(Debug)]
pub struct RpcCall<'a> {
    /// The id; `None` for a notification, which gets no response.
    pub id: Option<Id>,
    /// The name of the method, known or not.
    pub method: Cow<'a, str>,
    /// The parameters as unparsed JSON: an array or an object.
    pub params: Option<&'a RawValue>,
}

/// A member of a message that is valid JSON but not a request, with its error.
#[derive(Debug)]
pub struct RejectedCall {
    /// The id of the error response; `None` is null on the wire.
    pub id: Option<Id>,
    /// The reason.
    pub error: RpcError,
}

#[derive(Deserialize)]
struct RawCall<'a> {
    #[serde(borrow, default, deserialize_with = "deserialize_some")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "deserialize_some")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "deserialize_some")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "deserialize_some")]
    params: Option<&'a RawValue>,
}

/// Distinguishes `null` from a missing member, which `Option` alone does not.
fn deserialize_some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Parses one text message.
///
/// # Errors
///
/// The text is not JSON (−32700), or it is a batch that is empty or has more than `max_batch` members (−32600). The id
/// of the error response is null.
pub fn parse(text: &str, max_batch: usize) -> Result<IncomingMessage<'_>, RpcError> {
    // Most messages are one request, and are read once.
    if text.trim_ascii_start().starts_with('{')
        && let Ok(call) = serde_json::from_str::<RawCall>(text)
    {
        return Ok(IncomingMessage::Single(check_call(&call)));
    }
    let raw: &RawValue = serde_json::from_str(text).map_err(|_| RpcError::Parse)?;
    if !raw.get().starts_with('[') {
        return Ok(IncomingMessage::Single(parse_call(raw)));
    }
    let members: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| RpcError::Parse)?;
    if members.is_empty() {
        return Err(RpcError::invalid_request("the batch is empty"));
    }
    if members.len() > max_batch {
        let reason = format!("the batch has {} members; at most {max_batch} are allowed", members.len());
        return Err(RpcError::invalid_request(reason));
    }
    Ok(IncomingMessage::Batch(members.into_iter().map(parse_call).collect()))
}

fn parse_call(raw: &RawValue) -> Result<RpcCall<'_>, RejectedCall> {
    if !raw.get().starts_with('{') {
        return Err(reject(None, "a request must be an object"));
    }
    let Ok(call) = serde_json::from_str::<RawCall>(raw.get()) else {
        return Err(reject(None, "a member of the request is repeated"));
    };
    check_call(&call)
}

fn reject(id: Option<Id>, reason: &str) -> RejectedCall {
    RejectedCall { id, error: RpcError::invalid_request(reason) }
}

/// Reads a string. Only a string with escapes is copied.
fn read_string(raw: &RawValue) -> Option<Cow<'_, str>> {
    match raw.get().strip_prefix('"')?.strip_suffix('"')? {
        text if text.contains('\\') => serde_json::from_str(raw.get()).ok().map(Cow::Owned),
        text => Some(Cow::Borrowed(text)),
    }
}

fn check_call<'a>(call: &RawCall<'a>) -> Result<RpcCall<'a>, RejectedCall> {
    let id = match call.id.map(|raw| Id::from_raw(raw).map_err(|reason| (raw, reason))) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err((raw, reason))) => {
            let error = RpcError::InvalidRequest { reason: reason.into(), id: Some(raw.to_owned()) };
            return Err(RejectedCall { id: None, error });
        }
    };
    if call.jsonrpc.and_then(read_string).as_deref() != Some(VERSION) {
        return Err(reject(id, "`jsonrpc` is not \"2.0\""));
    }
    let Some(method) = call.method.and_then(read_string) else {
        return Err(reject(id, "`method` is not a string"));
    };
    if call.params.is_some_and(|raw| !raw.get().starts_with(['[', '{'])) {
        return Err(reject(id, "`params` is neither an array nor an object"));
    }
    Ok(RpcCall { id, method, params: call.params })
}

/// Serialises a request, or a notification if there is no `id`.
pub fn call(id: Option<&Id>, method: &str, params: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Envelope<'a, P> {
        jsonrpc: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
        method: &'a str,
        params: &'a P,
    }
    text(&Envelope { jsonrpc: VERSION, id, method, params })
}

/// Serialises a notification.
pub fn notification(method: &str, params: &impl Serialize) -> String {
    call(None, method, params)
}

/// Serialises a response. Without an id, the id of the response is null (JSON-RPC 2.0 §5).
pub fn response(id: Option<&Id>, result: Result<&impl Serialize, &RpcError>) -> String {
    #[derive(Serialize)]
    struct Success<'a, R> {
        jsonrpc: &'static str,
        id: Option<&'a Id>,
        result: &'a R,
    }
    #[derive(Serialize)]
    struct Failure<'a> {
        jsonrpc: &'static str,
        id: Option<&'a Id>,
        error: &'a RpcError,
    }
    match result {
        Ok(result) => text(&Success { jsonrpc: VERSION, id, result }),
        Err(error) => text(&Failure { jsonrpc: VERSION, id, error }),
    }
}

/// Joins the responses of a batch, each made by [`response`], into one array.
pub fn batch(responses: &[String]) -> String {
    format!("[{}]", responses.join(","))
}

fn text(envelope: &impl Serialize) -> String {
    serde_json::to_string(envelope).expect("an envelope has string keys and no failing part")
}

/// A message from a circle to its client.
#[derive(Debug)]
pub enum ServerMessage {
    /// The response to a request.
    Response {
        /// The id of the request; null if the circle could not read it.
        id: Id,
        /// The result as unparsed JSON, or the error.
        result: Result<Box<RawValue>, RpcError>,
    },
    /// A notification. A client ignores notifications whose method it does not know.
    Notification {
        /// The name of the notification.
        method: String,
        /// The parameters as unparsed JSON.
        params: Box<RawValue>,
    },
}

/// Parses one message from a circle; `None` if the text is not a JSON-RPC 2.0 response or notification.
pub fn parse_server_message(text: &str) -> Option<ServerMessage> {
    #[derive(Deserialize)]
    struct Raw {
        jsonrpc: String,
        #[serde(default, deserialize_with = "deserialize_some_id")]
        id: Option<Id>,
        method: Option<String>,
        params: Option<Box<RawValue>>,
        #[serde(default, deserialize_with = "deserialize_some_result")]
        result: Option<Box<RawValue>>,
        error: Option<RpcError>,
    }
    fn deserialize_some_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Id>, D::Error> {
        Id::deserialize(deserializer).map(Some)
    }
    fn deserialize_some_result<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Some)
    }
    let raw: Raw = serde_json::from_str(text).ok()?;
    if raw.jsonrpc != VERSION {
        return None;
    }
    match raw {
        Raw { id: Some(id), method: None, result: Some(result), error: None, .. } => {
            Some(ServerMessage::Response { id, result: Ok(result) })
        }
        Raw { id: Some(id), method: None, result: None, error: Some(error), .. } => {
            Some(ServerMessage::Response { id, result: Err(error) })
        }
        Raw { id: None, method: Some(method), params, .. } => {
            Some(ServerMessage::Notification { method, params: params.unwrap_or_else(|| RawValue::NULL.to_owned()) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(text: &str) -> Result<RpcCall<'_>, RejectedCall> {
        match parse(text, 8).expect("JSON") {
            IncomingMessage::Single(call) => call,
            IncomingMessage::Batch(_) => panic!("unexpected batch: {text}"),
        }
    }

    #[test]
    fn parse_reports_text_that_is_not_json() {
        for text in ["", "{", "[1,", "nul", "{\"a\":1} x", " {\"a\":1}}", "{\"id\":1", "\u{feff}{}"] {
            assert!(matches!(parse(text, 8), Err(RpcError::Parse)), "{text:?}");
        }
    }

    #[test]
    fn parse_handles_deep_nesting_without_recursion() {
        let text = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let Ok(IncomingMessage::Batch(members)) = parse(&text, 8) else { panic!("not a batch") };
        assert!(members[0].is_err());
    }

    /// Texts that are JSON but not requests, with the id of the error response.
    #[test]
    fn invalid_request_is_rejected_under_its_id() {
        let cases = [
            ("1", None),
            ("\"play\"", None),
            ("null", None),
            ("{}", None),
            (r#"{"jsonrpc":"1.0","id":1,"method":"play"}"#, Some("1")),
            (r#"{"id":1,"method":"play"}"#, Some("1")),
            (r#"{"jsonrpc":"2.0","id":"a","method":7}"#, Some("\"a\"")),
            (r#"{"jsonrpc":"2.0","id":2}"#, Some("2")),
            (r#"{"jsonrpc":"2.0","id":3,"method":"play","params":"x"}"#, Some("3")),
            (r#"{"jsonrpc":"2.0","id":3,"method":"play","params":null}"#, Some("3")),
            (r#"{"jsonrpc":"2.0","id":{},"method":"play"}"#, None),
            (r#"{"jsonrpc":"2.0","id":4,"id":5,"method":"play"}"#, None),
        ];
        for (text, id) in cases {
            let rejected = single(text).expect_err(text);
            assert_eq!(rejected.id.as_ref().map(Id::as_written), id, "{text}");
            assert_eq!(rejected.error.code(), -32600, "{text}");
        }
    }

    #[test]
    fn invalid_id_is_returned_in_error_data() {
        let rejected = single(r#"{"jsonrpc":"2.0","id":[9],"method":"play"}"#).expect_err("no id");
        let error = serde_json::to_value(&rejected.error).expect("serialises");
        assert_eq!(error["data"]["id"], serde_json::json!([9]));
    }

    #[test]
    fn null_id_makes_request_and_missing_id_notification() {
        let request = single(r#"{"jsonrpc":"2.0","id":null,"method":"describe"}"#).expect("a request");
        assert_eq!(request.id.expect("an id").as_written(), "null");
        assert!(single(r#"{"jsonrpc":"2.0","method":"describe"}"#).expect("a notification").id.is_none());
    }

    #[test]
    fn parse_decodes_escapes_in_names() {
        let call = single(r#"{"\u006asonrpc":"\u0032.0","id":1,"method":"pl\u0061y"}"#).expect("a request");
        assert_eq!(call.method, "play");
    }

    #[test]
    fn batch_is_bounded_and_members_are_independent() {
        assert_eq!(parse("[]", 8).expect_err("empty").code(), -32600);
        assert_eq!(parse("[1,1,1]", 2).expect_err("too many").code(), -32600);
        let Ok(IncomingMessage::Batch(members)) = parse(r#"[1,{"jsonrpc":"2.0","method":"x"}]"#, 2) else { panic!() };
        assert!(members[0].is_err() && members[1].is_ok());
    }

    #[test]
    fn response_is_readable_by_client() {
        let id = Id::number(4);
        let Some(ServerMessage::Response { id: read, result: Ok(raw) }) =
            parse_server_message(&response(Some(&id), Ok(&serde_json::Value::Null)))
        else {
            panic!("no response")
        };
        assert_eq!((read, raw.get()), (id, "null"));
        let without_params = parse_server_message(r#"{"jsonrpc":"2.0","method":"later","more":1}"#);
        assert!(matches!(without_params, Some(ServerMessage::Notification { params, .. }) if params.get() == "null"));
        for text in ["{}", "[]", "hello", r#"{"jsonrpc":"2.0"}"#, r#"{"jsonrpc":"2.0","id":1}"#] {
            assert!(parse_server_message(text).is_none(), "{text}");
        }
    }
}
