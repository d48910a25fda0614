//! Parses the values of `circles.json` that the command line has, too.

use std::net::IpAddr;

use keys::Authority;

/// Parses an authority that a circle should accept.
///
/// # Errors
///
/// The text is not an authority, or it has a wildcard: authorities are compared as text, so a wildcard would match
/// nothing.
pub fn parse_host(text: &str) -> Result<Authority, String> {
    if text.contains('*') {
        return Err("a host with a * matches nothing, since hosts are compared as text: list each host".into());
    }
    text.parse::<Authority>().map_err(|error| error.to_string())
}

/// Parses a web origin (RFC 6454): a scheme and an authority, without a path.
///
/// # Errors
///
/// The text is not an origin, or it has a wildcard.
pub fn parse_origin(text: &str) -> Result<String, String> {
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match authority.map(parse_host) {
        Some(Ok(_)) if !text.contains(',') => Ok(text.to_owned()),
        Some(Err(message)) if text.contains('*') => Err(message),
        _ => Err("invalid origin: expected https://HOST[:PORT] or http://HOST[:PORT], without a path".into()),
    }
}

/// Parses the address of a trusted proxy.
///
/// # Errors
///
/// The text is not an IP address, or the address is unspecified; the error is text for people.
pub fn parse_proxy(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr =
        text.parse().map_err(|_| "invalid proxy: expected an IP address, without a port or prefix length")?;
    if address.is_unspecified() {
        Err("invalid proxy: the address is unspecified".into())
    } else {
        Ok(address.to_canonical())
    }
}
