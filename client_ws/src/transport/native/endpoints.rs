//! The endpoints behind the URL of a circle.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keys::Authority;
use url::Host;

use crate::CircleUrl;

/// An endpoint that a client tries.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// The host, for the operating system's resolver.
    pub(super) host: String,
    pub(super) port: u16,
    /// The circle's authority there.
    pub(super) authority: Authority,
}

/// The endpoints that a client tries, in this order.
///
/// `localhost` stands for two addresses, and another user of the machine can listen on the one that the circle does not
/// use. A nonce for `localhost` would be valid at both, so the authority of each endpoint is its literal address. With
/// TLS the certificate tells who listens, and it is for the name.
pub(super) fn endpoints(url: &CircleUrl) -> Vec<Endpoint> {
    let default_port = if url.is_tls() { 443 } else { 80 };
    let port = url.as_url().port().unwrap_or(default_port);
    let host = match url.as_url().host() {
        Some(Host::Domain("localhost" | "localhost.")) => return loopback_endpoints(url, port, default_port),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(Host::Domain(name)) => name.to_owned(),
        None => String::new(),
    };
    vec![Endpoint { host, port, authority: url.authority().clone() }]
}

fn loopback_endpoints(url: &CircleUrl, port: u16, default_port: u16) -> Vec<Endpoint> {
    let addresses: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let endpoint = |address: IpAddr| {
        let literal = || Authority::from_socket_addr((address, port).into(), default_port);
        let authority = if url.is_tls() { url.authority().clone() } else { literal() };
        Endpoint { host: address.to_string(), port, authority }
    };
    addresses.into_iter().map(endpoint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_endpoints_are_literal_addresses() {
        let endpoints = |url: &str| {
            endpoints(&CircleUrl::parse(url).expect(url))
                .into_iter()
                .map(|Endpoint { host, port, authority }| format!("{host} {port} {authority}"))
                .collect::<Vec<_>>()
        };
        let both = ["127.0.0.1 9001 127.0.0.1:9001", "::1 9001 [::1]:9001"];
        assert_eq!(endpoints("ws://localhost:9001"), both);
        assert_eq!(endpoints("ws://LOCALHOST.:9001"), both);
        assert_eq!(endpoints("ws://localhost"), ["127.0.0.1 80 127.0.0.1", "::1 80 [::1]"]);
        assert_eq!(endpoints("wss://localhost"), ["127.0.0.1 443 localhost", "::1 443 localhost"]);
        assert_eq!(endpoints("ws://example.org:9001"), ["example.org 9001 example.org:9001"]);
        assert_eq!(endpoints("wss://example.org"), ["example.org 443 example.org"]);
        assert_eq!(endpoints("ws://[::1]:9001"), ["::1 9001 [::1]:9001"]);
    }
}
