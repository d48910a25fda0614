//! An accepted socket until its one HTTP request is answered.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{counted_stream::CountedStream, head::RequestHead, network_stream::NetworkStream};
use crate::quota::Slot;

/// The send buffer of the kernel in bytes. By default, the kernel would hold megabytes for each client that does not
/// read; it also takes the same amount for its own records.
const SEND_BUFFER: usize = 256 << 10;

/// The send buffer before the client may play.
const STRANGER_SEND_BUFFER: usize = 16 << 10;

/// The number of bytes to peek at to find the end of a request.
const PEEKED: usize = 2048;

/// The maximum number of bytes after a request that are read and discarded.
const MAX_DISCARDED: usize = 64 << 10;

pub(super) struct RequestSocket {
    socket: CountedStream<NetworkStream>,
    head: RequestHead,
    /// Whether a response has been written.
    has_answered: bool,
}

impl RequestSocket {
    pub(super) fn new(stream: NetworkStream, slot: Arc<Slot>) -> Self {
        set_send_buffer(&stream, STRANGER_SEND_BUFFER);
        let socket = CountedStream::new(stream, slot, Some(|stream| set_send_buffer(stream, SEND_BUFFER)));
        Self { socket, head: RequestHead::default(), has_answered: false }
    }

    /// Returns the TCP socket, if the circle has accepted it itself.
    pub(super) fn tcp(&self) -> Option<&TcpStream> {
        self.socket.stream().tcp()
    }

    pub(super) fn slot(&self) -> &Arc<Slot> {
        self.socket.slot()
    }

    /// Returns the socket after the request and its response. What the client has sent after the head of the request is
    /// still to be read.
    pub(super) fn into_stream(self) -> CountedStream<NetworkStream> {
        self.socket
    }

    /// Discards data after the request. Closing a socket with unread data could discard the part of the response that
    /// the client has not received.
    fn discard_some(&mut self, cx: &mut Context<'_>) {
        let mut discarded = [0; PEEKED];
        for _ in 0..MAX_DISCARDED / PEEKED {
            let mut buffer = ReadBuf::new(&mut discarded);
            match Pin::new(self.socket.stream_mut()).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                _ => return,
            }
        }
    }
}

fn set_send_buffer(stream: &NetworkStream, bytes: usize) {
    if let Some(stream) = stream.tcp()
        && let Err(error) = rustix::net::sockopt::set_socket_send_buffer_size(stream, bytes)
    {
        tracing::warn!(%error, "cannot set the send buffer size of a socket");
    }
}

/// Reads the head of one request and nothing after it. The dispatcher of actix would parse every further head at once,
/// and keep a request of some kilobytes for each. Data after the head stays with the kernel until the upgrade.
impl AsyncRead for RequestSocket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.socket.check_open(cx)?;
        if this.has_answered {
            this.discard_some(cx);
            // The end, because a socket serves one request.
            return Poll::Ready(Ok(()));
        }
        if this.head.is_complete() {
            // The response wakes the task.
            return Poll::Pending;
        }
        let mut peeked = [0; PEEKED];
        let room = buffer.remaining().min(PEEKED);
        let peeked_bytes = ready!(this.socket.stream_mut().poll_peek(cx, &mut ReadBuf::new(&mut peeked[..room])))?;
        let Some(of_head) = this.head.take(&peeked[..peeked_bytes]) else {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the request head is too long")));
        };
        this.socket.poll_read_at_most(of_head, cx, buffer)
    }
}

impl AsyncWrite for RequestSocket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.socket).poll_write(cx, bytes))?;
        if !this.has_answered {
            this.has_answered = true;
            // A pending read of the request then sees the end.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
