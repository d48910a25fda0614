//! Checks whether an address can be listened on, and finds the process that uses it: after a failure, or before a
//! start.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
};

use listeners::{Protocol, SocketState};
use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt::set_socket_reuseaddr};

/// Process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortOwner {
    /// Name of the process.
    pub name: String,
    /// Process id.
    pub pid: u32,
}

impl std::fmt::Display for PortOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` (pid {})", self.name, self.pid)
    }
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// A known process listens there already.
    #[error("port {port} is taken by {owner}")]
    Taken {
        /// The port.
        port: u16,
        /// The process.
        owner: PortOwner,
    },
    /// A process that this user cannot see listens there already.
    #[error("port {port} is taken by a process that this user cannot see")]
    TakenUnseen {
        /// The port.
        port: u16,
    },
    /// The address does not belong to this machine.
    #[error("this machine has no address {ip}")]
    NoAddress {
        /// The address.
        ip: IpAddr,
    },
    /// The port is privileged.
    #[error("ports below {first} need a privilege")]
    NeedsPrivilege {
        /// The first unprivileged port.
        first: u16,
    },
    /// Another error of the system.
    #[error("{0}")]
    System(io::Error),
}

impl PortError {
    /// Explains a failed bind. Reads `/proc`, which may take a few milliseconds.
    pub fn from_bind_error(address: SocketAddr, error: io::Error) -> Self {
        let port = address.port();
        match error.kind() {
            io::ErrorKind::AddrInUse => match find_owner(address) {
                Some(owner) => Self::Taken { port, owner },
                None => Self::TakenUnseen { port },
            },
            io::ErrorKind::AddrNotAvailable => Self::NoAddress { ip: address.ip() },
            // A security module reports this for any port.
            io::ErrorKind::PermissionDenied if port != 0 && port < first_unprivileged() => {
                Self::NeedsPrivilege { first: first_unprivileged() }
            }
            _ => Self::System(error),
        }
    }

    /// Returns what the user can do, besides choosing another port or address.
    pub fn advice(&self) -> String {
        match self {
            Self::Taken { owner, .. } => format!("find out what it is: ps -fp {}", owner.pid),
            Self::TakenUnseen { port } => format!("find the process, as root: ss -ltnp 'sport = :{port}'"),
            Self::NoAddress { .. } => {
                "list the addresses of this machine: ip address (0.0.0.0 and :: stand for all of them)".into()
            }
            Self::NeedsPrivilege { .. } => {
                "grant the program CAP_NET_BIND_SERVICE, or lower the sysctl net.ipv4.ip_unprivileged_port_start".into()
            }
            Self::System(_) => String::new(),
        }
    }

    /// Returns the field of circles.json to change.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Taken { .. } | Self::TakenUnseen { .. } | Self::NeedsPrivilege { .. } => "port",
            Self::NoAddress { .. } | Self::System(_) => "host",
        }
    }
}

/// Checks whether the address can be listened on now. It does not listen, so another process may still take the address.
///
/// # Errors
///
/// The address cannot be listened on; the error says why.
pub fn check_address(address: SocketAddr) -> Result<(), PortError> {
    bind_unlistened(address).map(drop).map_err(|error| PortError::from_bind_error(address, error))
}

/// Binds a socket that does not listen. It does not prevent a listener on the same address.
fn bind_unlistened(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, SocketType::STREAM, None)?;
    // The same option as a listener has: without it, this socket would prevent the listener.
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)?;
    Ok(socket)
}

/// Returns the process that listens on an overlapping address; `None` if it is not visible, for example because it
/// belongs to another user.
pub fn find_owner(address: SocketAddr) -> Option<PortOwner> {
    let found = listeners::get_all().ok()?.into_iter().find(|listener| {
        listener.protocol == Protocol::TCP
            && listener.state == SocketState::Listen
            && overlaps(listener.socket, address)
    })?;
    // A process may choose any name.
    let name = found.process.name.chars().filter(|letter| !letter.is_control()).collect();
    Some(PortOwner { name, pid: found.process.pid })
}

/// Returns whether a listener on one address prevents one on the other. Port 0 is never in use.
pub(crate) fn overlaps(one: SocketAddr, other: SocketAddr) -> bool {
    let is_same = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && is_same
}

/// Returns the first unprivileged port (`ip(7)`).
fn first_unprivileged() -> u16 {
    let setting = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    setting.ok().and_then(|first| first.trim().parse().ok()).unwrap_or(1024)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn taken_port_error_names_owner_also_for_wildcard() {
        for (has, wants) in
            [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1"), ("[::]", "0.0.0.0")]
        {
            let taken = TcpListener::bind(format!("{has}:0")).expect("a port");
            let address =
                SocketAddr::new(wants.parse().expect("an address"), taken.local_addr().expect("it is bound").port());
            let error = check_address(address).expect_err("it is taken");
            assert!(
                matches!(&error, PortError::Taken { owner, .. } if owner.pid == std::process::id()),
                "{has} {wants}: {error}"
            );
            drop(taken);
            // A process that another test forks at this moment holds the listener until it executes its program.
            let is_free = (0..1000).any(|_| check_address(address).is_ok());
            assert!(is_free, "{has} {wants}");
        }
    }

    #[test]
    fn check_address_does_not_prevent_listeners() {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        // A process that another test forks at this moment holds the first listener until it executes its program.
        let checked = (0..1000).find_map(|_| bind_unlistened(free).ok()).expect("a bound socket");
        let listener = (0..1000).find_map(|_| TcpListener::bind(free).ok());
        assert!(listener.is_some());
        drop(checked);
    }

    #[test]
    fn check_address_rejects_foreign_address() {
        // RFC 5737: an address of no machine.
        let error = check_address("192.0.2.1:0".parse().expect("an address")).expect_err("a foreign address");
        assert_eq!(error.to_string(), "this machine has no address 192.0.2.1");
    }
}
