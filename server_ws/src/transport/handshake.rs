//! The WebSocket opening handshake (RFC 6455 §4.2), with the checks that the library omits.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Version,
        header::{self, HeaderMap},
    },
};
use actix_web_actors::ws;

/// Checks a WebSocket request, before it takes a connection. Returns the response that accepts it. The error is a reason
/// for a person.
pub(super) fn check(request: &HttpRequest) -> Result<HttpResponse, String> {
    let mut response = ws::handshake(request).map_err(|error| error.to_string())?;
    if request.version() < Version::HTTP_11 {
        return Err("the version of HTTP must be 1.1".into());
    }
    check_headers(request.headers())?;
    Ok(response.finish())
}

fn check_headers(headers: &HeaderMap) -> Result<(), String> {
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY);
    if !keys.next().is_some_and(|key| is_key(key.as_bytes())) || keys.next().is_some() {
        return Err("there must be one Sec-WebSocket-Key header, of 16 bytes in base64".into());
    }
    let has_body = headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get_all(header::CONTENT_LENGTH).any(|length| length != "0");
    if has_body { Err("a WebSocket request must not have a body".into()) } else { Ok(()) }
}

/// Whether the key is 16 bytes in base64: 22 digits, the last of which has two bits, and two pad characters.
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
