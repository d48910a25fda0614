//! The end of a connection while its request is in progress.

use std::io::ErrorKind;

use rustix::net::{RecvFlags, recv};
use tokio::{io::Interest, net::UnixStream};

/// Waits until the client closes the connection. Cancel safe.
pub(super) async fn wait_for_disconnection(stream: &UnixStream) {
    loop {
        if stream.ready(Interest::READABLE).await.is_err() {
            return;
        }
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match stream.try_io(Interest::READABLE, || Ok(recv(stream, &mut [0_u8], flags)?.1)) {
            // The end of the stream.
            Ok(0) => return,
            // The next request waits, so the client is there.
            Ok(_) => std::future::pending().await,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
