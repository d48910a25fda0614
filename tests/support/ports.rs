//! Free ports for circles on fixed ports, and for unreachable circles.

use std::{
    net::{Ipv4Addr, TcpStream},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// Below the ephemeral ports of Linux (`net.ipv4.ip_local_port_range` begins at 32768), so that neither a server on port 0
/// nor the local end of a connection can take such a port.
const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;

/// Returns a port that nothing listens on, and that this process gives to no other test.
pub(crate) fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Concurrent test programs begin far apart.
    let begin = process::id().wrapping_mul(7919);
    for _ in 0..COUNT {
        let offset = begin.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + offset).expect("below 65536");
        // Connects instead of listening: a child process of another test could inherit a listening socket for a moment.
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            return port;
        }
    }
    panic!("no port is free");
}
