//! An accepted socket with its slot: what is read and written is counted there, and the connection ends when the slot says
//! so, whatever its actor does.

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

/// Bytes that the kernel keeps for a client to take. By itself it would keep megabytes for each that does not read; and it
/// takes as much again for its own records.
const SEND_BUFFER: usize = 256 << 10;

/// The same before the client may play.
const STRANGER_SEND_BUFFER: usize = 16 << 10;

/// Bytes that are looked at to find the end of a request.
const PEEKED: usize = 2048;

/// Bytes behind a request that are read and discarded.
const MAX_DISCARDED: usize = 64 << 10;

/// Bytes that are read in a row. The dispatcher of HTTP collects in one buffer whatever it can read at once, and keeps the buffer's
/// room as long as the connection lasts.
const MAX_READ_IN_A_ROW: usize = 16 << 10;

/// Bytes that are read at once where messages are short.
const MIN_READ: usize = 2 << 10;

#[derive(Debug)]
pub(super) struct CountedSocket {
    stream: TcpStream,
    slot: Arc<Slot>,
    has_full_buffer: bool,
    /// Bytes that were read since the dispatcher last had to wait.
    read_in_a_row: usize,
    /// Bytes of the next read: each read fills its room with zeros before, so short messages have little room.
    read_size: usize,
    head: RequestHead,
    /// Whether anything was written that is no WebSocket's.
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

    /// An error once the connection is to end. Its task is woken then.
    fn check_open(&self, cx: &Context<'_>) -> io::Result<()> {
        if self.slot.poll_closed(cx) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Reads the head of one request, and nothing behind it: the dispatcher of HTTP would make a request of each further head at
    /// once, and a request takes kilobytes. What a client sends behind the head stays with the kernel until the upgrade.
    fn poll_read_head(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.has_answered {
            self.discard_some(cx);
            // The end: there is one request a socket.
            return Poll::Ready(Ok(()));
        }
        if self.head.is_complete() {
            // The task is woken by the upgrade, or by the answer.
            return Poll::Pending;
        }
        let mut peeked = [0; PEEKED];
        let room = buffer.remaining().min(PEEKED);
        let peeked_bytes = ready!(self.stream.poll_peek(cx, &mut ReadBuf::new(&mut peeked[..room])))?;
        let Some(of_head) = self.head.take(&peeked[..peeked_bytes]) else {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the head of the request is too long")));
        };
        self.poll_read_at_most(of_head, cx, buffer)
    }

    /// Discards what the client has sent behind its request: closing a socket with unread bytes would take back what the client
    /// has not received of the response.
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
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut allowed))?;
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
        tracing::warn!(%error, "cannot bound what the kernel keeps for a client");
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
            // The task is woken when that changes.
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
            // Whoever waits for more of the client sees the end.
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
