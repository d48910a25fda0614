//! The authority: how a circle is named by those who dial it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The longest authority, in bytes. A DNS name has at most 253.
pub const AUTHORITY_MAX_BYTES: usize = 300;

/// Host and port as the WHATWG URL standard's `host` getter writes them: lower case, IPv6 in brackets, the port after
/// a colon unless it is the scheme's default.
///
/// It is compared as text. Whoever makes one from a URL or a socket drops the default port; nothing is added or
/// dropped when one is read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Authority(String);

/// Why a text is no authority.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// There is no host in it.
    #[error("it names no host")]
    Empty,
    /// Longer than [`AUTHORITY_MAX_BYTES`].
    #[error("it is {bytes} bytes long, and {AUTHORITY_MAX_BYTES} is the most")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A character that cannot stand in a host: whitespace, a control character, not ASCII, or one of the standard's
    /// forbidden host code points.
    #[error("character {position} cannot stand in a host name")]
    Character {
        /// Counted from 1.
        position: usize,
    },
    /// Brackets without an IPv6 address in them, or such an address without brackets.
    #[error("an IPv6 address stands in brackets, as in [::1]:9001, and nothing else does")]
    Ipv6,
    /// What follows the host is not a colon and a port.
    #[error("after the host comes nothing, or a colon and a port from 0 to 65535 without leading zeros")]
    Port,
}

impl Authority {
    /// Reads a `Host` header: lower-cases it and changes nothing else.
    pub fn from_host_header(text: &str) -> Result<Self, AuthorityError> {
        if text.len() > AUTHORITY_MAX_BYTES {
            return Err(AuthorityError::TooLong { bytes: text.len() });
        }
        if let Some(at) = text.chars().position(|c| !c.is_ascii_graphic()) {
            return Err(AuthorityError::Character { position: at + 1 });
        }
        let host_end = if text.starts_with('[') {
            text.find(']').ok_or(AuthorityError::Ipv6)? + 1
        } else if text.matches(':').nth(1).is_some() {
            return Err(AuthorityError::Ipv6);
        } else {
            text.find(':').unwrap_or(text.len())
        };
        let (host, after) = text.split_at(host_end);
        check_host(host)?;
        if !after.is_empty() {
            check_port(after.strip_prefix(':').ok_or(AuthorityError::Port)?)?;
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// A host (a name, an IPv4 address, an IPv6 address in brackets) and the port, `None` where it is the default of
    /// the scheme. This is what `url::Url` gives with `host_str()` and `port()`.
    pub fn new(host: &str, port: Option<u16>) -> Result<Self, AuthorityError> {
        let host_only = if host.starts_with('[') { host.ends_with(']') } else { !host.contains(':') };
        if !host_only {
            return Err(AuthorityError::Ipv6);
        }
        match port {
            Some(port) => Self::from_host_header(&format!("{host}:{port}")),
            None => Self::from_host_header(host),
        }
    }

    /// The authority of an address; the port is left out if it is `default_port` (80 for `ws`, 443 for `wss`).
    ///
    /// An IPv4 address inside an IPv6 one (`::ffff:127.0.0.1`, what a socket for both reports) is written as the
    /// IPv4 address that was dialled. An IPv6 zone is left out, as in a URL.
    pub fn from_socket_addr(address: SocketAddr, default_port: u16) -> Self {
        let host = match address.ip().to_canonical() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        if address.port() == default_port { Self(host) } else { Self(format!("{host}:{}", address.port())) }
    }

    /// Whether it is of this machine: an address in 127.0.0.0/8, `::1`, either as an IPv4 address inside an IPv6 one, or
    /// `localhost`.
    pub fn is_loopback(&self) -> bool {
        if let Some(rest) = self.0.strip_prefix('[') {
            let address = rest.split(']').next().unwrap_or_default().parse::<Ipv6Addr>();
            return address.is_ok_and(|address| IpAddr::V6(address).to_canonical().is_loopback());
        }
        let host = self.0.split(':').next().unwrap_or_default();
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_host(host: &str) -> Result<(), AuthorityError> {
    if let Some(inside) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inside.parse::<Ipv6Addr>().map(|_| ()).map_err(|_| AuthorityError::Ipv6);
    }
    if host.is_empty() {
        return Err(AuthorityError::Empty);
    }
    // WHATWG URL §3.2, forbidden domain code points; controls and the space are refused before.
    match host.chars().position(|c| "#/:<>?@[\\]^|%".contains(c)) {
        Some(at) => Err(AuthorityError::Character { position: at + 1 }),
        None => Ok(()),
    }
}

fn check_port(port: &str) -> Result<(), AuthorityError> {
    // Written back and compared, which rules out a sign and leading zeros.
    match port.parse::<u16>() {
        Ok(number) if number.to_string() == port => Ok(()),
        _ => Err(AuthorityError::Port),
    }
}

impl FromStr for Authority {
    type Err = AuthorityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_host_header(text)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
