//! The WebSocket opening handshake (RFC 6455 §4.2), with the checks that the library omits.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Version, header::HeaderValue},
};
use actix_web_actors::ws;

/// The error of a request without the header.
pub(super) const NO_UPGRADE: &str = "the Upgrade header must be 'websocket'";

/// Checks a WebSocket request, before it takes a connection. Returns the response that accepts it. The error is a reason
/// for a person.
pub(super) fn check(request: &HttpRequest) -> Result<HttpResponse, String> {
    let mut response = ws::handshake(request).map_err(|error| error.to_string())?;
    if request.version() < Version::HTTP_11 {
        return Err("the version of HTTP must be 1.1".into());
    }
    let headers = request.headers();
    check_values(|name| headers.get_all(name).map(HeaderValue::as_bytes).collect())?;
    Ok(response.finish())
}

/// Checks the headers that the library does not check. `values` returns the values of a header. Returns the key.
pub(super) fn check_values<'a>(values: impl Fn(&str) -> Vec<&'a [u8]>) -> Result<&'a [u8], String> {
    let key = match values("sec-websocket-key")[..] {
        [key] if is_key(key) => key,
        _ => return Err("there must be one Sec-WebSocket-Key header, of 16 bytes in base64".into()),
    };
    let has_body =
        !values("transfer-encoding").is_empty() || values("content-length").iter().any(|length| *length != b"0");
    if has_body { Err("a WebSocket request must not have a body".into()) } else { Ok(key) }
}

/// Checks the headers that ask for the upgrade, for a request that the library does not check.
#[cfg(any(feature = "actix", feature = "axum", test))]
pub(super) fn check_upgrade<'a>(values: impl Fn(&str) -> Vec<&'a [u8]>) -> Result<(), String> {
    let has_token = |name: &str, token: &str| {
        let lines = values(name);
        let mut tokens = lines.iter().flat_map(|line| line.split(|byte| *byte == b','));
        tokens.any(|found| found.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    };
    if !has_token("upgrade", "websocket") {
        return Err(NO_UPGRADE.into());
    }
    if has_token("connection", "upgrade") { Ok(()) } else { Err("the Connection header must have 'upgrade'".into()) }
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

    /// Returns the values of a header in a list of headers.
    fn values<'a>(headers: &'a [(&str, &str)]) -> impl Fn(&str) -> Vec<&'a [u8]> {
        move |name| headers.iter().filter(|(other, _)| *other == name).map(|(_, value)| value.as_bytes()).collect()
    }

    fn check(headers: &[(&str, &str)]) -> bool {
        check_values(values(headers)).is_ok()
    }

    #[test]
    fn upgrade_headers_are_lists() {
        let check =
            |upgrade, connection| check_upgrade(values(&[("upgrade", upgrade), ("connection", connection)])).is_ok();
        assert!(check("websocket", "Upgrade") && check("h2c, WebSocket", "keep-alive, upgrade"));
        assert!(!check("h2c", "upgrade") && !check("websocket", "close") && !check("", ""));
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
