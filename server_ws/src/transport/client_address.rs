//! The address of a client behind proxies.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

/// Returns the address of the client whose request came from `peer`. If the peer is a trusted proxy, this is the last
/// address in `X-Forwarded-For` that is not a trusted proxy; earlier ones may be forged by the client.
/// `forwarded` are the values of that header.
pub(super) fn client_address(peer: IpAddr, forwarded: &[&[u8]], proxies: &BTreeSet<IpAddr>) -> IpAddr {
    let mut address = peer.to_canonical();
    let entries = forwarded.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
    for entry in entries {
        if !proxies.contains(&address) {
            break;
        }
        // If the entry of a proxy is unreadable, only the proxy's own address is known.
        let Some(before) = std::str::from_utf8(entry).ok().and_then(parse) else { break };
        address = before;
    }
    address
}

/// Parses an address, with or without a port.
fn parse(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let address = entry.parse().or_else(|_| entry.parse::<SocketAddr>().map(|socket| socket.ip()));
    let address = address.ok().or_else(|| entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: &str, lines: &[&str]) -> String {
        let proxies = ["10.0.0.1", "10.0.0.2", "2001:db8::1"].map(|proxy| proxy.parse().expect("an address")).into();
        let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
        client_address(peer.parse().expect("an address"), &lines, &proxies).to_string()
    }

    #[test]
    fn client_address_is_last_untrusted_hop() {
        assert_eq!(address("10.0.0.1", &["1.1.1.1, 2.2.2.2"]), "2.2.2.2");
        assert_eq!(address("10.0.0.1", &["1.1.1.1, 2.2.2.2, 10.0.0.2"]), "2.2.2.2");
        assert_eq!(address("2001:db8::1", &["1.1.1.1", "2.2.2.2,10.0.0.2"]), "2.2.2.2");
        assert_eq!(address("::ffff:10.0.0.1", &["2.2.2.2:80"]), "2.2.2.2");
        assert_eq!(address("10.0.0.1", &["[2001:db8::7]:80"]), "2001:db8::7");
        assert_eq!(address("10.0.0.1", &["[2001:db8::7]"]), "2001:db8::7");
    }

    #[test]
    fn client_address_ignores_header_without_trusted_proxy() {
        assert_eq!(address("3.3.3.3", &["1.1.1.1"]), "3.3.3.3");
        assert_eq!(address("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(address("10.0.0.1", &["1.1.1.1, unknown"]), "10.0.0.1");
        assert_eq!(address("10.0.0.1", &["1.1.1.1, "]), "10.0.0.1");
        assert_eq!(address("10.0.0.1", &["10.0.0.2"]), "10.0.0.2");
    }
}
