//! The authority: the host and port by which a client addresses a circle.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Maximum length of an authority, in bytes. A DNS name has at most 253.
pub const AUTHORITY_MAX_BYTES: usize = 300;

/// Host and port as the WHATWG URL standard's `host` getter writes them: lower case, IPv6 in brackets, the port after
/// a colon unless it is the scheme's default.
///
/// Authorities are compared as text. Code that derives one from a URL or a socket drops the default port; parsing adds
/// and drops nothing.
///
/// # Examples
///
/// ```
/// use keys::Authority;
///
/// # fn main() -> Result<(), keys::AuthorityError> {
/// let authority: Authority = "Circles.Example.org:9001".parse()?;
/// assert_eq!(authority.as_str(), "circles.example.org:9001");
/// assert!(Authority::new("[::1]", None)?.is_loopback());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Authority(String);

/// The reason why a text is not an authority.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The host is missing.
    #[error("the host is missing")]
    Empty,
    /// The text is longer than [`AUTHORITY_MAX_BYTES`].
    #[error("it is {bytes} bytes long; the maximum is {AUTHORITY_MAX_BYTES}")]
    TooLong {
        /// Length of the text in bytes.
        bytes: usize,
    },
    /// A character is not allowed in a host: whitespace, a control character, not ASCII, or one of the standard's
    /// forbidden host code points.
    #[error("character {position} is not allowed in a host name")]
    Character {
        /// Position of the character, counted from 1.
        position: usize,
    },
    /// Brackets around something other than an IPv6 address, or an IPv6 address without brackets.
    #[error("brackets enclose an IPv6 address, as in [::1]:9001, and only an IPv6 address")]
    Ipv6,
    /// Something other than a colon and a port follows the host.
    #[error("only a colon and a port (0 to 65535, without leading zeros) may follow the host")]
    Port,
}

impl Authority {
    /// Parses the value of a `Host` header: lower-cases it and changes nothing else.
    ///
    /// # Errors
    ///
    /// Returns an [`AuthorityError`] if the text is not a host with an optional port.
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

    /// Builds an authority from a host (a name, an IPv4 address, an IPv6 address in brackets) and a port, which is
    /// `None` if it is the scheme's default: the values that `url::Url` returns from `host_str()` and `port()`.
    ///
    /// # Errors
    ///
    /// Returns an [`AuthorityError`] if the host is invalid, or is an IPv6 address without brackets.
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

    /// Builds the authority of a socket address, without the port if it is `default_port` (80 for `ws`, 443 for `wss`).
    ///
    /// An IPv4-mapped IPv6 address (`::ffff:127.0.0.1`, as a dual-stack socket reports it) is written as the IPv4
    /// address that the client connected to. An IPv6 zone is left out, as in a URL.
    pub fn from_socket_addr(address: SocketAddr, default_port: u16) -> Self {
        let host = match address.ip().to_canonical() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        if address.port() == default_port { Self(host) } else { Self(format!("{host}:{}", address.port())) }
    }

    /// Whether the host is this machine: `localhost`, `::1`, or an address in 127.0.0.0/8, also as an IPv4-mapped IPv6
    /// address.
    pub fn is_loopback(&self) -> bool {
        if let Some(rest) = self.0.strip_prefix('[') {
            let address = rest.split(']').next().unwrap_or_default().parse::<Ipv6Addr>();
            return address.is_ok_and(|address| IpAddr::V6(address).to_canonical().is_loopback());
        }
        let host = self.0.split(':').next().unwrap_or_default();
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The authority as text.
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
    // WHATWG URL §3.2, forbidden domain code points; the caller has already rejected controls and the space.
    match host.chars().position(|c| "#/:<>?@[\\]^|%".contains(c)) {
        Some(at) => Err(AuthorityError::Character { position: at + 1 }),
        None => Ok(()),
    }
}

fn check_port(port: &str) -> Result<(), AuthorityError> {
    // Comparing with the number's canonical form rules out a sign and leading zeros.
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
