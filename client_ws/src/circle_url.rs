//! The URL of a circle, and the endpoints and authorities that follow from it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keys::Authority;
use url::{Host, Url};

use crate::ClientError;

/// Default port of `ws` URLs.
const DEFAULT_PORT: u16 = 80;

/// The URL of a circle, normalised according to the WHATWG URL standard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircleUrl {
    url: Url,
    authority: Authority,
}

impl CircleUrl {
    /// Parses a `ws://` URL.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::BadUrl`] if the text is not a `ws://` URL, or has a user, a password, a query or a
    /// fragment.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let bad = |reason: &str| ClientError::BadUrl { url: shorten(text), reason: reason.into() };
        let url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
        match url.scheme() {
            "ws" => {}
            "wss" => return Err(bad("this version does not support TLS yet; use a ws:// URL")),
            _ => return Err(bad("the URL of a circle begins with ws://")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it must not contain a user or a password; circles authenticate callers by key"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("it must not contain a query or a fragment"));
        }
        let host = url.host_str().ok_or_else(|| bad("the host is missing"))?;
        let authority = Authority::new(host, url.port()).map_err(|error| bad(&error.to_string()))?;
        Ok(Self { url, authority })
    }

    /// The authority of the URL. For `localhost`, a client sends and expects the literal address that it connects to.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The normalised URL.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    pub(crate) fn path(&self) -> &str {
        self.url.path()
    }

    /// The endpoints that a client tries, in this order: host and port for the operating system's resolver, and the
    /// circle's authority there.
    ///
    /// `localhost` stands for two addresses, and another user of the machine can listen on the one that the circle does
    /// not use. A nonce for `localhost` would be valid at both, so the authority of each endpoint is its literal
    /// address.
    pub(crate) fn endpoints(&self) -> Vec<(String, u16, Authority)> {
        let port = self.url.port_or_known_default().unwrap_or(DEFAULT_PORT);
        let host = match self.url.host() {
            Some(Host::Domain("localhost" | "localhost.")) => return loopback_endpoints(port).into(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(Host::Domain(name)) => name.to_owned(),
            None => String::new(),
        };
        vec![(host, port, self.authority.clone())]
    }
}

fn loopback_endpoints(port: u16) -> [(String, u16, Authority); 2] {
    [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].map(|address: IpAddr| {
        (address.to_string(), port, Authority::from_socket_addr((address, port).into(), DEFAULT_PORT))
    })
}

impl std::fmt::Display for CircleUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str().trim_end_matches('/'))
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authority_is_normalized_host() {
        let cases = [
            ("ws://127.0.0.1:9001", "127.0.0.1:9001"),
            ("ws://LocalHost:9001/", "localhost:9001"),
            ("ws://example.org", "example.org"),
            ("ws://example.org:80/", "example.org"),
            ("ws://[::1]:9001", "[::1]:9001"),
            ("ws://[0:0:0:0:0:0:0:1]:9001", "[::1]:9001"),
            ("ws://0x7f.1:9001", "127.0.0.1:9001"),
            ("ws://bücher.example", "xn--bcher-kva.example"),
        ];
        for (url, authority) in cases {
            assert_eq!(CircleUrl::parse(url).expect(url).authority().as_str(), authority, "{url}");
        }
    }

    #[test]
    fn localhost_endpoints_are_literal_addresses() {
        let endpoints = |url: &str| {
            let endpoints = CircleUrl::parse(url).expect(url).endpoints();
            endpoints
                .into_iter()
                .map(|(host, port, authority)| format!("{host} {port} {authority}"))
                .collect::<Vec<_>>()
        };
        let both = ["127.0.0.1 9001 127.0.0.1:9001", "::1 9001 [::1]:9001"];
        assert_eq!(endpoints("ws://localhost:9001"), both);
        assert_eq!(endpoints("ws://LOCALHOST.:9001"), both);
        assert_eq!(endpoints("ws://localhost"), ["127.0.0.1 80 127.0.0.1", "::1 80 [::1]"]);
        assert_eq!(endpoints("ws://example.org:9001"), ["example.org 9001 example.org:9001"]);
        assert_eq!(endpoints("ws://[::1]:9001"), ["::1 9001 [::1]:9001"]);
    }

    #[test]
    fn invalid_url_is_rejected() {
        let urls = ["", "team", "http://x", "ws://", "ws://a:b@x", "ws://x/?q", "ws://x/#f", "wss://x", "ws://x:99999"];
        for url in urls {
            assert!(matches!(CircleUrl::parse(url), Err(ClientError::BadUrl { .. })), "{url}");
        }
    }
}
