//! The URL of a circle, and the authority that follows from it.

use keys::Authority;
use url::Url;

use crate::ClientError;

/// The URL of a circle, normalised according to the WHATWG URL standard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircleUrl {
    url: Url,
    authority: Authority,
}

impl CircleUrl {
    /// Parses a `ws://` or `wss://` URL.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::BadUrl`] if the text is not a `ws://` or `wss://` URL, or has a user, a password, a query or a
    /// fragment.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let bad = |reason: &str| ClientError::BadUrl { url: shorten(text), reason: reason.into() };
        let url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
        if !matches!(url.scheme(), "ws" | "wss") {
            return Err(bad("the URL of a circle begins with ws:// or wss://"));
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

    /// The authority of the URL. For `localhost` without TLS, a native client sends and expects the literal address that
    /// it connects to.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The normalised URL.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Whether the URL is `wss://`: the connection uses TLS, which encrypts it.
    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "wss"
    }

    /// Whether nobody between client and circle can read or change what they send: the connection uses TLS, or stays on
    /// this machine.
    pub fn is_private(&self) -> bool {
        self.is_tls() || self.authority.is_loopback()
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn as_url(&self) -> &Url {
        &self.url
    }
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
            ("wss://example.org", "example.org"),
            ("wss://example.org:443/", "example.org"),
            ("wss://example.org:80/", "example.org:80"),
            ("WSS://localhost:9443", "localhost:9443"),
        ];
        for (url, authority) in cases {
            assert_eq!(CircleUrl::parse(url).expect(url).authority().as_str(), authority, "{url}");
        }
    }

    #[test]
    fn url_is_private_with_tls_or_on_loopback() {
        for url in ["wss://example.org", "ws://localhost", "ws://127.0.0.1:9001", "ws://[::1]:1", "ws://127.9.9.9"] {
            assert!(CircleUrl::parse(url).expect(url).is_private(), "{url}");
        }
        for url in ["ws://example.org", "ws://10.0.0.1:9001", "ws://[fe80::1]", "ws://127.0.0.1.example.org"] {
            assert!(!CircleUrl::parse(url).expect(url).is_private(), "{url}");
        }
    }

    #[test]
    fn invalid_url_is_rejected() {
        let urls = [
            "",
            "team",
            "http://x",
            "ws://",
            "ws://a:b@x",
            "ws://x/?q",
            "ws://x/#f",
            "wss://x/?q",
            "https://x",
            "ws://x:99999",
        ];
        for url in urls {
            assert!(matches!(CircleUrl::parse(url), Err(ClientError::BadUrl { .. })), "{url}");
        }
    }
}
