//! The caller to which connections, workers, memory and running plays are counted. Pure.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use keys::PublicKey;

/// A caller of a circle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// An authenticated caller, on any connection.
    Key(PublicKey),
    /// All anonymous callers at this address.
    Address(IpAddr),
}

impl Caller {
    /// Returns the anonymous caller at an address. An IPv6 address counts as its network of 64 bits, because a client
    /// has all addresses of such a network. All loopback addresses (127.0.0.0/8 and `::1`) are one caller, because a
    /// client that has one of them has all.
    pub(crate) fn anonymous(address: IpAddr) -> Self {
        let address = address.to_canonical();
        if address.is_loopback() {
            return Self::Address(Ipv4Addr::LOCALHOST.into());
        }
        Self::Address(match address {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
            address @ IpAddr::V4(_) => address,
        })
    }

    /// Returns the number of the caller's group in a round robin. If two callers have the same number, which is
    /// unlikely, they share a turn.
    pub(crate) fn group(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_are_one_caller() {
        let address = |text: &str| Caller::anonymous(text.parse().expect("an address"));
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:2"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:10.0.0.1"), address("10.0.0.1"));
        assert_ne!(address("10.0.0.1"), address("10.0.0.2"));
    }

    #[test]
    fn loopback_addresses_are_one_caller() {
        let address = |text: &str| Caller::anonymous(text.parse().expect("an address"));
        for other in ["127.0.0.10", "127.255.255.254", "::1", "::ffff:127.0.0.2"] {
            assert_eq!(address(other), address("127.0.0.1"), "{other}");
        }
        assert_ne!(address("128.0.0.1"), address("127.0.0.1"));
    }
}
