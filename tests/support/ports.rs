//! Ports for circles that have to be found at the same place again, or not at all.

use std::{
    net::{Ipv4Addr, TcpStream},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// Below the ports that Linux picks itself (`net.ipv4.ip_local_port_range` begins at 32768): neither a server of another test
/// that asked for port 0 nor a client's own end can take such a port meanwhile.
const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;

/// A port that nothing listens on, and that this process gives to no other test.
pub(crate) fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Test programs that run at the same time begin far from each other.
    let begin = process::id().wrapping_mul(7919);
    for _ in 0..COUNT {
        let offset = begin.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + offset).expect("below 65536");
        // It is not tried by listening: a process that another test starts just then would have the socket, too, for a moment.
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            return port;
        }
    }
    panic!("no port is free");
}
