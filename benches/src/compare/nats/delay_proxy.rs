//! A proxy that delays bytes, as a network does: each piece arrives a fixed time after it was sent, whatever else is on
//! the way.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::BoxError;

/// Bytes that the proxy reads at once.
const READ_BYTES: usize = 64 * 1024;

/// Pieces that are on the way in one direction.
const PIECES: usize = 1024;

/// A proxy in front of a server. It accepts connections until the program ends.
pub(super) struct DelayProxy {
    pub(super) address: SocketAddr,
}

impl DelayProxy {
    /// Starts a proxy that delays the bytes of each direction.
    pub(super) fn start(server: SocketAddr, delay: Duration) -> Result<Self, BoxError> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                // A client whose server has ended sees the end of its connection.
                let Ok(server) = TcpStream::connect(server) else { continue };
                let _ended = forward_both(&client, &server, delay);
            }
        });
        Ok(Self { address })
    }
}

fn forward_both(client: &TcpStream, server: &TcpStream, delay: Duration) -> std::io::Result<()> {
    for (from, to) in [(client, server), (server, client)] {
        to.set_nodelay(true)?;
        forward(from.try_clone()?, to.try_clone()?, delay);
    }
    Ok(())
}

/// Starts the two threads of a direction.
fn forward(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, pieces) = mpsc::sync_channel::<(Instant, Vec<u8>)>(PIECES);
    thread::spawn(move || {
        let mut buffer = vec![0; READ_BYTES];
        while let Ok(count) = from.read(&mut buffer)
            && count > 0
            && sender.send((Instant::now() + delay, buffer[..count].to_vec())).is_ok()
        {}
    });
    thread::spawn(move || {
        for (at, piece) in pieces {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        let _already_closed = to.shutdown(Shutdown::Both);
    });
}
