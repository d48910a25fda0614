//! Where a circle is, and the authority that it is dialled as.

use keys::Authority;
use url::{Host, Url};

use crate::ClientError;

/// A circle's URL, normalised as the WHATWG URL standard says, before anything is dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircleUrl {
    url: Url,
    authority: Authority,
}

impl CircleUrl {
    /// Takes a `ws://` URL.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let bad = |reason: &str| ClientError::BadUrl { url: shorten(text), reason: reason.into() };
        let url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
        match url.scheme() {
            "ws" => {}
            "wss" => return Err(bad("this version cannot do TLS yet, so only ws:// URLs can be dialled")),
            _ => return Err(bad("a circle has a ws:// URL")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("a circle takes no user and no password, it takes keys"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("a circle's URL has no query and no fragment"));
        }
        let host = url.host_str().ok_or_else(|| bad("there is no host"))?;
        let authority = Authority::new(host, url.port()).map_err(|error| bad(&error.to_string()))?;
        Ok(Self { url, authority })
    }

    /// What the client dials, and expects a nonce to name.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The URL in its normal form.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    pub(crate) fn path(&self) -> &str {
        self.url.path()
    }

    /// What the operating system's resolver takes.
    pub(crate) fn host_and_port(&self) -> (String, u16) {
        let host = match self.url.host() {
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(Host::Domain(name)) => name.to_owned(),
            None => String::new(),
        };
        (host, self.url.port_or_known_default().unwrap_or(80))
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
    fn the_authority_is_the_urls_host_in_its_normal_form() {
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
    fn what_is_no_url_of_a_circle_is_refused() {
        let urls = ["", "team", "http://x", "ws://", "ws://a:b@x", "ws://x/?q", "ws://x/#f", "wss://x", "ws://x:99999"];
        for url in urls {
            assert!(matches!(CircleUrl::parse(url), Err(ClientError::BadUrl { .. })), "{url}");
        }
    }
}
