//! The TLS handshake of an accepted socket.

use std::{
    future::poll_fn,
    io,
    net::IpAddr,
    task::Poll,
    time::{Duration, Instant},
};

use actix_web::rt::net::TcpStream;
use tokio::io::AsyncWriteExt;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{http::HANDSHAKE_TIMEOUT, network_stream::NetworkStream, refusal};
use crate::{circle::Circle, quota::Slot};

/// The first byte of a TLS connection: a handshake record (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 22;

/// The maximum number of encrypted bytes that wait for the socket, in bytes.
const TLS_BUFFER: usize = 16 << 10;

/// The bytes that a connection counts for TLS: what rustls buffers of one message of a handshake that is not complete, and
/// what waits for the socket.
const TLS_BYTES: u64 = 80 << 10;

/// The maximum delay of a handshake; the circle refuses a handshake that would begin later.
const MAX_HANDSHAKE_DELAY: Duration = Duration::from_secs(5);

/// The body of the response to HTTP at an address that speaks TLS.
const PLAIN_HTTP: &str = "this circle speaks TLS: use a wss:// or an https:// address\n";

/// Makes the TLS handshake with a client at `address`. Counts and logs a handshake that fails.
pub(super) async fn accept(
    circle: &Circle,
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    slot: &Slot,
    address: IpAddr,
) -> io::Result<NetworkStream> {
    slot.hold_tls(TLS_BYTES);
    let handshake = async {
        let pace = &circle.handshake_pace;
        let delay = if circle.is_trusted_proxy(address) {
            Duration::ZERO
        } else {
            pace.delay(address, MAX_HANDSHAKE_DELAY, Instant::now())
                .ok_or_else(|| io::Error::other("too many TLS handshakes of this address"))?
        };
        handshake(acceptor, stream, slot, delay).await
    };
    let encrypted = handshake.await.inspect_err(|error| {
        // Otherwise the circle itself has closed the socket to make room.
        if error.kind() != io::ErrorKind::ConnectionAborted {
            refusal::note_tls(circle, address, error);
        }
    })?;
    Ok(NetworkStream::encrypted(encrypted))
}

/// Makes the TLS handshake after a delay, unless it takes too long or the slot is closed.
async fn handshake(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    slot: &Slot,
    delay: Duration,
) -> io::Result<TlsStream<TcpStream>> {
    let handshake = async {
        tokio::time::sleep(delay).await;
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first[0] != TLS_HANDSHAKE {
            return Err(refuse_plain(stream).await);
        }
        acceptor.accept_with(stream, |connection| connection.set_buffer_limit(Some(TLS_BUFFER))).await
    };
    let closed = poll_fn(|cx| if slot.poll_closed(cx) { Poll::Ready(()) } else { Poll::Pending });
    tokio::select! {
        done = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake) => done.unwrap_or(Err(io::ErrorKind::TimedOut.into())),
        () = closed => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

/// Says to a client without TLS what to do, and returns the error of its handshake.
async fn refuse_plain(mut stream: TcpStream) -> io::Error {
    let sent = async {
        // Closing a socket with unread bytes could discard the response.
        let _read = stream.try_read(&mut [0; 4096]);
        let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close";
        let length = PLAIN_HTTP.len();
        stream.write_all(format!("{head}\r\ncontent-length: {length}\r\n\r\n{PLAIN_HTTP}").as_bytes()).await?;
        stream.shutdown().await
    };
    match sent.await {
        Ok(()) => io::Error::other("the client does not speak TLS"),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use actix_web::rt::net::TcpListener;
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::{TlsCertificate, Workers};

    fn acceptor() -> TlsAcceptor {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let certificate = TlsCertificate::from_pem(cert.pem().as_bytes(), signing_key.serialize_pem().as_bytes());
        certificate.expect("valid").acceptor()
    }

    /// The paused time advances by the delay.
    #[tokio::test(start_paused = true)]
    async fn handshake_begins_after_its_delay() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let mut client = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        let (stream, peer) = listener.accept().await.expect("accepted");
        let circle = Circle::builder("team").workers(Workers::TrustedThreads).build().expect("a circle");
        let slot = circle.accept_socket(peer.ip()).expect("room");
        client.write_all(b"no TLS").await.expect("sent");
        stream.readable().await.expect("the bytes arrive");
        let delay = Duration::from_millis(3210);
        let begun = tokio::time::Instant::now();
        assert!(handshake(&acceptor(), stream, &slot, delay).await.is_err());
        assert_eq!(begun.elapsed().as_millis(), 3210);
    }

    #[tokio::test]
    async fn handshakes_beyond_the_pace_of_their_address_are_refused() {
        let acceptor = acceptor();
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        let listener = TcpListener::bind((address, 0)).await.expect("a port");
        let at = listener.local_addr().expect("an address");
        let accept = async |circle: &Circle| {
            let mut client = TcpStream::connect(at).await.expect("connected");
            let (stream, _) = listener.accept().await.expect("accepted");
            let slot = circle.accept_socket(address).expect("room");
            client.write_all(b"no TLS").await.expect("sent");
            let refused = accept(circle, &acceptor, stream, &slot, address).await.err().expect("refused").to_string();
            let mut answer = String::new();
            // The circle resets a connection whose bytes it has not read.
            let _read = client.read_to_string(&mut answer).await;
            (refused, answer.starts_with("HTTP/1.1 400"))
        };
        let team = || Circle::builder("team").workers(Workers::TrustedThreads);
        let circle = team().build().expect("a circle");
        assert_eq!(accept(&circle).await, ("the client does not speak TLS".into(), true));
        let hour = Duration::from_hours(1);
        while circle.handshake_pace.delay(address, hour, Instant::now()).is_some_and(|delay| delay < hour / 2) {}
        assert_eq!(accept(&circle).await, ("too many TLS handshakes of this address".into(), false));
        let circle = team().trusted_proxies([address]).build().expect("a circle");
        while circle.handshake_pace.delay(address, hour, Instant::now()).is_some_and(|delay| delay < hour / 2) {}
        assert_eq!(accept(&circle).await, ("the client does not speak TLS".into(), true));
    }
}
