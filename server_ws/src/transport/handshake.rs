//! The opening handshake of a WebSocket (RFC 6455 §4.2.1), as far as the library does not check it.

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderMap},
};
use actix_web_actors::ws;

/// Checks the request for a WebSocket, before room is made for one. The error says what is wrong, for a person.
pub(super) fn check(request: &HttpRequest) -> Result<(), String> {
    ws::handshake(request).map_err(|error| error.to_string())?;
    check_headers(request.headers())
}

fn check_headers(headers: &HeaderMap) -> Result<(), String> {
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY);
    if !keys.next().is_some_and(|key| is_key(key.as_bytes())) || keys.next().is_some() {
        return Err("Sec-WebSocket-Key must be 16 bytes in base64, once".into());
    }
    let has_body = headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get_all(header::CONTENT_LENGTH).any(|length| length != "0");
    if has_body { Err("a request for a WebSocket has no body".into()) } else { Ok(()) }
}

/// Whether these are 16 bytes in base64: 22 digits, of which the last has two bits, and two pads.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    key.len() == 24 && key.ends_with(b"==") && key[..21].iter().all(is_digit) && b"AQgw".contains(&key[21])
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn check(headers: &[(&str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse().expect("a name"), value.parse().expect("a value"));
        }
        check_headers(&map).is_ok()
    }

    #[test]
    fn websocket_key_must_be_16_bytes_in_base64() {
        assert!(check(&[("sec-websocket-key", KEY)]));
        for key in
            ["", "x", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZR==", "dGhlIHNhbXBsZSBub25jZ!==", &KEY.repeat(2)]
        {
            assert!(!check(&[("sec-websocket-key", key)]), "{key}");
        }
        assert!(!check(&[]) && !check(&[("sec-websocket-key", KEY), ("sec-websocket-key", KEY)]));
    }

    #[test]
    fn websocket_request_must_have_no_body() {
        let with = |name, value| check(&[("sec-websocket-key", KEY), (name, value)]);
        assert!(with("content-length", "0"));
        assert!(!with("content-length", "5") && !with("transfer-encoding", "chunked"));
    }
}
