//! The protocols of the servers under load: their requests, and what counts as a response.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};

use keys::KeyPair;
use memchr::memmem::Finder;
use serde_json::json;

use super::{
    login::Callers,
    websocket::{self, Frame},
};
use crate::BoxError;

/// The protocol of a server.
pub(crate) trait Protocol {
    /// Prepares a new connection, which still blocks.
    fn open(&self, stream: &mut TcpStream) -> Result<(), BoxError>;

    /// Returns the request of a slot: of the requests in flight on a connection, each has a slot of its own.
    fn request(&self, slot: usize) -> Vec<u8>;

    /// Takes the first message of the input, and the number of its bytes; none if the message is incomplete.
    fn first_message(&self, input: &[u8]) -> Result<Option<(usize, Incoming)>, BoxError>;
}

/// A message of a server.
pub(crate) enum Incoming {
    /// The expected response to the request of this slot.
    Response(usize),
    /// The expected response to the oldest request.
    OldestResponse,
    /// A message that is no response.
    Notification,
    /// A message that the client has to answer with these bytes.
    Ping(Vec<u8>),
}

/// JSON-RPC over WebSocket.
pub(crate) struct JsonRpc {
    payloads: Vec<Vec<u8>>,
    expected: Expected,
    callers: Callers,
}

enum Expected {
    /// The request itself.
    Echo,
    /// A response that contains this text and has at least this many bytes.
    Text(Box<Finder<'static>>, usize),
}

impl JsonRpc {
    /// Plays a script, and expects responses that contain `answer`.
    pub(crate) fn play(script: &str, answer: &str, depth: usize) -> Self {
        Self::new(script, Expected::Text(Box::new(Finder::new(answer).into_owned()), 0), depth)
    }

    /// Calls a function with these parameters, as JSON, and expects responses that contain `answer`.
    pub(crate) fn call(function: &str, params: &str, answer: &str, depth: usize) -> Self {
        let expected = Expected::Text(Box::new(Finder::new(answer).into_owned()), 0);
        Self::of_method(&format!("fn.{function}"), params, expected, depth)
    }

    /// Expects responses of at least this many bytes.
    pub(crate) fn at_least(mut self, bytes: usize) -> Self {
        if let Expected::Text(_, least) = &mut self.expected {
            *least = bytes;
        }
        self
    }

    /// Authenticates all connections with this key.
    pub(crate) fn by_caller(mut self, keypair: Arc<KeyPair>) -> Self {
        self.callers = Callers::One(keypair);
        self
    }

    /// Authenticates each connection with a new key.
    pub(crate) fn by_many_callers(mut self) -> Self {
        self.callers = Callers::Many;
        self
    }

    /// Sends the requests of [`play`](Self::play) to an echo.
    pub(crate) fn echo(script: &str, depth: usize) -> Self {
        Self::new(script, Expected::Echo, depth)
    }

    fn new(script: &str, expected: Expected, depth: usize) -> Self {
        Self::of_method("play", &json!([script]).to_string(), expected, depth)
    }

    fn of_method(method: &str, params: &str, expected: Expected, depth: usize) -> Self {
        let request =
            |slot| format!(r#"{{"jsonrpc":"2.0","id":{slot},"method":"{method}","params":{params}}}"#).into_bytes();
        Self { payloads: (0..depth).map(request).collect(), expected, callers: Callers::Anonymous }
    }

    fn classify(&self, payload: &[u8]) -> Result<Incoming, BoxError> {
        const PREFIX: &[u8] = br#"{"jsonrpc":"2.0","#;
        let rest = payload.strip_prefix(PREFIX).unwrap_or(payload);
        if rest.starts_with(br#""method""#) && matches!(self.expected, Expected::Text(..)) {
            return Ok(Incoming::Notification);
        }
        let unexpected =
            || format!("unexpected answer: {}", String::from_utf8_lossy(&payload[..payload.len().min(500)]));
        let slot = id(rest).filter(|slot| *slot < self.payloads.len()).ok_or_else(unexpected)?;
        let is_expected = match &self.expected {
            Expected::Echo => payload == self.payloads[slot],
            Expected::Text(answer, least) => payload.len() >= *least && answer.find(payload).is_some(),
        };
        if is_expected { Ok(Incoming::Response(slot)) } else { Err(unexpected().into()) }
    }
}

/// Returns the id of a message: its first member, or wherever it is.
fn id(message: &[u8]) -> Option<usize> {
    const NAME: &[u8] = br#""id":"#;
    let rest = match message.strip_prefix(NAME) {
        Some(rest) => rest,
        None => &message[memchr::memmem::find(message, NAME)? + NAME.len()..],
    };
    let digits = rest.iter().take(6).take_while(|byte| byte.is_ascii_digit());
    let (mut count, mut id) = (0, 0);
    for digit in digits {
        id = id * 10 + usize::from(digit - b'0');
        count += 1;
    }
    (count > 0).then_some(id)
}

impl Protocol for JsonRpc {
    fn open(&self, stream: &mut TcpStream) -> Result<(), BoxError> {
        websocket::upgrade(stream)?;
        self.callers.authenticate(stream)
    }

    fn request(&self, slot: usize) -> Vec<u8> {
        let mut frame = Vec::new();
        websocket::append_frame(websocket::TEXT, &self.payloads[slot], &mut frame);
        frame
    }

    fn first_message(&self, input: &[u8]) -> Result<Option<(usize, Incoming)>, BoxError> {
        let Some((end, frame)) = websocket::first_frame(input)? else { return Ok(None) };
        let incoming = match frame {
            Frame::Text(payload) => self.classify(payload)?,
            Frame::Pong => Incoming::Notification,
            Frame::Ping(payload) => {
                let mut pong = Vec::new();
                websocket::append_frame(websocket::PONG, payload, &mut pong);
                Incoming::Ping(pong)
            }
        };
        Ok(Some((end, incoming)))
    }
}

/// A request to Redis, in RESP.
pub(crate) struct Redis {
    /// The request that each new connection sends first, if any.
    prepare: Option<Vec<u8>>,
    request: Vec<u8>,
    response: &'static [u8],
}

impl Redis {
    /// `EVAL` of a script whose value is 42.
    pub(crate) fn eval() -> Self {
        Self { prepare: None, request: resp(&["EVAL", "return 40+2", "0"]), response: b":42\r\n" }
    }

    /// `FCALL` of a function that sets a key.
    pub(crate) fn fcall_set() -> Self {
        Self::fcall_of("redis.call('SET', 'k', '1') return 1", b":1\r\n")
    }

    /// `FCALL` of a function that reads a key, which has no value.
    pub(crate) fn fcall_get() -> Self {
        Self::fcall_of("redis.call('GET', 'n') return 0", b":0\r\n")
    }

    fn fcall_of(body: &str, response: &'static [u8]) -> Self {
        let library =
            format!("#!lua name=bench\nredis.register_function('answer', function(keys, args)\n{body}\nend)\n");
        Self {
            prepare: Some(resp(&["FUNCTION", "LOAD", "REPLACE", &library])),
            request: resp(&["FCALL", "answer", "0"]),
            response,
        }
    }

    /// `FCALL` of a function of two arguments, whose value is an array of their sum and their product.
    pub(crate) fn fcall() -> Self {
        const LIBRARY: &str = "#!lua name=bench\n\
            redis.register_function('answer', function(keys, args)\n\
                local a, b = tonumber(args[1]), tonumber(args[2])\n\
                return { a + b, a * b }\n\
            end)\n";
        Self {
            prepare: Some(resp(&["FUNCTION", "LOAD", "REPLACE", LIBRARY])),
            request: resp(&["FCALL", "answer", "0", "40", "2"]),
            response: b"*2\r\n:42\r\n:80\r\n",
        }
    }
}

/// Returns a command in RESP.
fn resp(parts: &[&str]) -> Vec<u8> {
    let strings: Vec<_> = parts.iter().map(|part| format!("${}\r\n{part}\r\n", part.len())).collect();
    format!("*{}\r\n{}", parts.len(), strings.concat()).into_bytes()
}

impl Protocol for Redis {
    fn open(&self, stream: &mut TcpStream) -> Result<(), BoxError> {
        const LOADED: &[u8] = b"$5\r\nbench\r\n";
        let Some(prepare) = &self.prepare else { return Ok(()) };
        stream.write_all(prepare)?;
        let mut response = [0; LOADED.len()];
        stream.read_exact(&mut response)?;
        if response == LOADED {
            return Ok(());
        }
        Err(format!("Redis does not load the function: {}", String::from_utf8_lossy(&response)).into())
    }

    fn request(&self, _slot: usize) -> Vec<u8> {
        self.request.clone()
    }

    fn first_message(&self, input: &[u8]) -> Result<Option<(usize, Incoming)>, BoxError> {
        if input.starts_with(self.response) {
            return Ok(Some((self.response.len(), Incoming::OldestResponse)));
        }
        if self.response.starts_with(input) {
            return Ok(None);
        }
        Err(format!("unexpected answer: {}", String::from_utf8_lossy(&input[..input.len().min(500)])).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response_slot(protocol: &JsonRpc, text: &str) -> Result<Option<usize>, BoxError> {
        match protocol.classify(text.as_bytes())? {
            Incoming::Response(slot) => Ok(Some(slot)),
            _ => Ok(None),
        }
    }

    #[test]
    fn responses_are_distinguished_from_notifications_and_checked() {
        let protocol = JsonRpc::play("40 + 2", r#""value":42"#, 20);
        let slot = |text| response_slot(&protocol, text);
        assert_eq!(slot(r#"{"jsonrpc":"2.0","id":7,"result":{"value":42}}"#).expect("valid"), Some(7));
        assert_eq!(slot(r#"{"result":{"value":42},"id":19}"#).expect("valid"), Some(19));
        assert_eq!(slot(r#"{"jsonrpc":"2.0","method":"play.output","params":{}}"#).expect("valid"), None);
        for wrong in [
            r#"{"jsonrpc":"2.0","id":7,"result":{"value":41}}"#,
            r#"{"jsonrpc":"2.0","id":20,"result":{"value":42}}"#,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32006}}"#,
        ] {
            assert!(slot(wrong).is_err(), "{wrong}");
        }
        assert!(response_slot(&protocol.at_least(1000), r#"{"jsonrpc":"2.0","id":7,"result":{"value":42}}"#).is_err());
    }

    #[test]
    fn echo_is_checked_against_its_own_request() {
        let protocol = JsonRpc::echo("40 + 2", 2);
        let request = |slot: usize| String::from_utf8(protocol.payloads[slot].clone()).expect("UTF-8");
        assert_eq!(response_slot(&protocol, &request(1)).expect("valid"), Some(1));
        assert!(response_slot(&protocol, &request(1).replace("40", "41")).is_err());
    }

    #[test]
    fn redis_responses_are_taken_one_by_one() {
        let taken = |input: &[u8]| Redis::eval().first_message(input).map(|message| message.map(|(count, _)| count));
        assert_eq!(taken(b":42\r\n:4").expect("valid"), Some(5));
        assert_eq!(taken(b":4").expect("valid"), None);
        assert!(taken(b"-ERR\r\n").is_err());
    }
}
