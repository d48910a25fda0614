//! An accepted socket with its slot. The slot counts the bytes read and written, and can close the connection
//! independently of its actor.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::head::RequestHead;
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

/// The maximum number of bytes to read without a pause. The dispatcher of HTTP collects everything it can read in one
/// buffer, and keeps the capacity of the buffer for as long as the connection lasts.
const MAX_READ_IN_A_ROW: usize = 16 << 10;

/// The size of a read in bytes, while messages are short.
const MIN_READ: usize = 2 << 10;

#[derive(Debug)]
pub(super) struct CountedSocket {
    stream: TcpStream,
    slot: Arc<Slot>,
    has_full_buffer: bool,
    /// The bytes read since the dispatcher last had to wait.
    read_in_a_row: usize,
    /// The size of the next read in bytes. Each read first fills its buffer with zeros, so reads are small while
    /// messages are short.
    read_size: usize,
    head: RequestHead,
    /// Whether an HTTP response has been written.
    has_answered: bool,
}

impl CountedSocket {
    pub(super) fn new(stream: TcpStream, slot: Arc<Slot>) -> Self {
        set_send_buffer(&stream, STRANGER_SEND_BUFFER);
        Self {
            stream,
            slot,
            has_full_buffer: false,
            read_in_a_row: 0,
            read_size: MIN_READ,
            head: RequestHead::default(),
            has_answered: false,
        }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    /// Returns an error once the connection is to be closed. The task is woken then.
    fn check_open(&self, cx: &Context<'_>) -> io::Result<()> {
        if self.slot.poll_closed(cx) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Reads the head of one request and nothing after it. The dispatcher of actix would parse every further head at
    /// once, and keep a request of some kilobytes for each. Data after the head stays with the kernel until the upgrade.
    fn poll_read_head(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.has_answered {
            self.discard_some(cx);
            // The end, because a socket serves one request.
            return Poll::Ready(Ok(()));
        }
        if self.head.is_complete() {
            // The upgrade or the response wakes the task.
            return Poll::Pending;
        }
        let mut peeked = [0; PEEKED];
        let room = buffer.remaining().min(PEEKED);
        let peeked_bytes = ready!(self.stream.poll_peek(cx, &mut ReadBuf::new(&mut peeked[..room])))?;
        let Some(of_head) = self.head.take(&peeked[..peeked_bytes]) else {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the request head is too long")));
        };
        self.poll_read_at_most(of_head, cx, buffer)
    }

    /// Discards data after the request. Closing a socket with unread data could discard the part of the response that
    /// the client has not received.
    fn discard_some(&mut self, cx: &mut Context<'_>) {
        let mut discarded = [0; PEEKED];
        for _ in 0..MAX_DISCARDED / PEEKED {
            let mut buffer = ReadBuf::new(&mut discarded);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                _ => return,
            }
        }
    }

    fn poll_read_at_most(
        &mut self,
        most: usize,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut allowed = ReadBuf::new(buffer.initialize_unfilled_to(most));
        let Poll::Ready(result) = Pin::new(&mut self.stream).poll_read(cx, &mut allowed) else {
            self.read_in_a_row = 0;
            return Poll::Pending;
        };
        result?;
        let read = allowed.filled().len();
        buffer.advance(read);
        self.read_size = if read == most { self.read_size * 2 } else { read * 2 }.clamp(MIN_READ, MAX_READ_IN_A_ROW);
        self.read_in_a_row += read;
        self.slot.hold_inbound(read);
        Poll::Ready(Ok(()))
    }
}

fn set_send_buffer(stream: &TcpStream, bytes: usize) {
    if let Err(error) = rustix::net::sockopt::set_socket_send_buffer_size(stream, bytes) {
        tracing::warn!(%error, "cannot set the send buffer size of a socket");
    }
}

impl AsyncRead for CountedSocket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check_open(cx)?;
        if this.read_in_a_row >= MAX_READ_IN_A_ROW {
            this.read_in_a_row = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !this.slot.is_upgraded() {
            return this.poll_read_head(cx, buffer);
        }
        let allowance = this.slot.allowance().min(this.read_size).min(buffer.remaining());
        if allowance == 0 && buffer.remaining() > 0 {
            // The task is woken when the allowance changes.
            return Poll::Pending;
        }
        this.poll_read_at_most(allowance, cx, buffer)
    }
}

impl AsyncWrite for CountedSocket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check_open(cx)?;
        if !this.has_full_buffer && this.slot.is_admitted() {
            this.has_full_buffer = true;
            set_send_buffer(&this.stream, SEND_BUFFER);
        }
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
        if !this.has_answered && !this.slot.is_upgraded() {
            this.has_answered = true;
            // A pending read of the request then sees the end.
            cx.waker().wake_by_ref();
        }
        this.slot.release_outbound(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check_open(cx)?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check_open(cx)?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}
