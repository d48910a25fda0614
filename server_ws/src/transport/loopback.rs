//! The second loopback address. `localhost` names two addresses, 127.0.0.1 and `::1`, and a browser signs for
//! `localhost` whichever of the two it reaches. If another program listened on the other address, it could relay a
//! signature for `localhost` to the circle. So a circle answers to that name only if it listens on both.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
};

use rustix::{io::Errno, net::sockopt::ipv6_v6only};

/// The listening sockets of a circle.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) sockets: Vec<TcpListener>,
    /// Whether every client of `localhost` reaches this circle.
    pub(crate) has_localhost: bool,
}

impl Listeners {
    /// Returns the given socket and, if it accepts connections on one loopback address, a second one for the other
    /// address on the same port.
    pub(crate) fn new(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let Some(other) = other_address(&listener, address)? else {
            let has_localhost = address.ip().is_unspecified();
            return Ok(Self { sockets: vec![listener], has_localhost });
        };
        let other = SocketAddr::new(other, address.port());
        match TcpListener::bind(other) {
            Ok(second) => {
                second.set_nonblocking(true)?;
                Ok(Self { sockets: vec![listener, second], has_localhost: true })
            }
            // Without this address family, no other program listens there either.
            Err(error) if is_without_family(&error) => Ok(Self { sockets: vec![listener], has_localhost: true }),
            Err(error) => {
                tracing::warn!(%other, %error, "cannot listen on the second address of localhost, so the circle does not answer \
                                                to that name: connect to 127.0.0.1 or [::1] by address");
                Ok(Self { sockets: vec![listener], has_localhost: false })
            }
        }
    }
}

/// Returns the other loopback address, if the socket accepts connections on only one of them.
fn other_address(listener: &TcpListener, address: SocketAddr) -> io::Result<Option<IpAddr>> {
    Ok(match address.ip() {
        IpAddr::V4(ip) if ip == Ipv4Addr::LOCALHOST || ip.is_unspecified() => Some(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip == Ipv6Addr::LOCALHOST => Some(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() && ipv6_v6only(listener)? => Some(Ipv4Addr::LOCALHOST.into()),
        _ => None,
    })
}

fn is_without_family(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || Errno::from_io_error(error) == Some(Errno::AFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the addresses that a circle listens on, and whether it answers to `localhost`.
    fn listening(listener: TcpListener) -> (Vec<IpAddr>, bool) {
        let listeners = Listeners::new(listener).expect("it listens");
        let ips = listeners.sockets.iter().map(|socket| socket.local_addr().expect("bound").ip()).collect();
        (ips, listeners.has_localhost)
    }

    fn has_ipv6() -> bool {
        TcpListener::bind("[::1]:0").is_ok()
    }

    #[test]
    fn loopback_socket_gets_second_address() {
        let (v4, v6): (IpAddr, IpAddr) = (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
        if !has_ipv6() {
            assert_eq!(listening(TcpListener::bind("127.0.0.1:0").expect("a port")), (vec![v4], true));
            return;
        }
        assert_eq!(listening(TcpListener::bind("127.0.0.1:0").expect("a port")), (vec![v4, v6], true));
        assert_eq!(listening(TcpListener::bind("[::1]:0").expect("a port")), (vec![v6, v4], true));
        let all = Ipv4Addr::UNSPECIFIED.into();
        assert_eq!(listening(TcpListener::bind("0.0.0.0:0").expect("a port")), (vec![all, v6], true));
    }

    #[test]
    fn loopback_socket_with_taken_second_address_has_no_localhost() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = taken.local_addr().expect("bound").port();
        let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, port)) else { return };
        assert_eq!(listening(listener), (vec![Ipv6Addr::LOCALHOST.into()], false));
    }

    #[test]
    fn non_loopback_socket_has_no_localhost() {
        let listener = TcpListener::bind("127.0.0.2:0").expect("a port");
        assert_eq!(listening(listener), (vec![Ipv4Addr::new(127, 0, 0, 2).into()], false));
    }
}
