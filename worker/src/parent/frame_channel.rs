//! The server's end of a channel to a process: bounded frames, non-blocking.

mod transport;

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll, ready},
};

#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;

pub(crate) use transport::Transport;

use crate::message::frame::{self, HEADER};

/// A channel with its buffers for both directions.
#[derive(Debug)]
pub(crate) struct FrameChannel {
    transport: Transport,
    /// Framed messages that the kernel has not accepted yet.
    pending: Vec<u8>,
    sent: usize,
    /// Descriptors to send with the first byte of `pending`.
    #[cfg(target_os = "linux")]
    rights: Vec<OwnedFd>,
    arrived: Vec<u8>,
    taken: usize,
    max_frame: usize,
}

/// Number of bytes for which a read has room, while messages are short.
const CHUNK: usize = 16 << 10;

/// The capacity of a pipe, and so the maximum number of bytes that one read returns.
const PIPE_CAPACITY: usize = 64 << 10;

impl FrameChannel {
    pub(crate) fn new(transport: Transport, max_frame: usize) -> Self {
        Self {
            transport,
            pending: Vec::new(),
            sent: 0,
            #[cfg(target_os = "linux")]
            rights: Vec::new(),
            arrived: Vec::new(),
            taken: 0,
            max_frame,
        }
    }

    /// Queues a message, for [`flush`](Self::flush) and [`poll_drive`](Self::poll_drive).
    pub(crate) fn queue(&mut self, message: &impl serde::Serialize) {
        self.pending = frame::encode(message, std::mem::take(&mut self.pending));
    }

    /// Sends as many queued messages as the kernel accepts immediately.
    pub(crate) fn flush(&mut self) {
        // An error occurs again in `poll_drive`, which reports it.
        let _later = self.write();
    }

    /// Queues a message, and sends as much as the kernel accepts immediately.
    pub(crate) fn send(&mut self, message: &impl serde::Serialize) {
        self.queue(message);
        self.flush();
    }

    /// Like [`send`](Self::send), with descriptors. All previous messages must have been sent.
    #[cfg(target_os = "linux")]
    pub(crate) fn send_with(&mut self, message: &impl serde::Serialize, rights: Vec<OwnedFd>) {
        debug_assert!(self.is_sent());
        self.rights = rights;
        self.send(message);
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.pending.is_empty()
    }

    fn write_some(&self) -> io::Result<usize> {
        let bytes = &self.pending[self.sent..];
        #[cfg(target_os = "linux")]
        if !self.rights.is_empty() {
            return self.transport.try_write_with(bytes, &self.rights);
        }
        self.transport.try_write(bytes)
    }

    fn write(&mut self) -> io::Result<()> {
        while self.sent < self.pending.len() {
            match self.write_some() {
                Ok(bytes) => {
                    self.sent += bytes;
                    #[cfg(target_os = "linux")]
                    self.rights.clear();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // The process has ended. What it sent before can still be read, and then the end of the stream.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
                Err(error) => return Err(error),
            }
        }
        self.pending.clear();
        // Otherwise the buffer keeps the capacity of the largest message.
        self.pending.shrink_to(CHUNK);
        self.sent = 0;
        Ok(())
    }

    /// Whether a read would return bytes, the end or an error now.
    pub(crate) fn has_input(&self) -> bool {
        self.transport.has_input()
    }

    /// Closes the channel for both sides.
    pub(crate) fn close(&mut self) {
        self.transport = Transport::Closed;
    }

    /// Waits until all queued messages are sent, or something has arrived. Returns false at the end of the stream.
    /// Cancel safe.
    #[cfg(target_os = "linux")]
    pub(crate) async fn drive(&mut self) -> io::Result<bool> {
        poll_fn(|cx| self.poll_drive(cx)).await
    }

    /// Sends queued messages and receives, as far as the kernel allows. It is ready once all messages are sent or
    /// something has arrived, and returns false at the end of the stream.
    pub(crate) fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if !self.is_sent()
            && let Poll::Ready(sent) = self.poll_send(cx)
        {
            return Poll::Ready(sent.map(|()| true));
        }
        self.arrived.drain(..self.taken);
        self.taken = 0;
        if self.arrived.is_empty() {
            self.arrived.shrink_to(CHUNK);
        }
        self.arrived.reserve(self.missing_bytes().clamp(CHUNK, PIPE_CAPACITY));
        let read = ready!(self.transport.poll_read(cx, &mut self.arrived))?;
        Poll::Ready(Ok(read > 0))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.write()?;
            if self.is_sent() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.transport.poll_write_ready(cx))?;
        }
    }

    /// Returns how many bytes the next message still needs, if its header has arrived.
    fn missing_bytes(&self) -> usize {
        let Some((header, payload)) = self.arrived.split_first_chunk::<HEADER>() else { return 0 };
        frame::length(*header).saturating_sub(payload.len())
    }

    /// Returns the next message, if it has arrived completely.
    pub(crate) fn receive<T: serde::de::DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        self.receive_if(|_| true)
    }

    /// Returns the next message, if it has arrived completely and satisfies the predicate. Otherwise it stays the next
    /// one.
    pub(crate) fn receive_if<T: serde::de::DeserializeOwned>(
        &mut self,
        predicate: impl FnOnce(&T) -> bool,
    ) -> io::Result<Option<T>> {
        let Some((header, rest)) = self.arrived[self.taken..].split_first_chunk::<HEADER>() else { return Ok(None) };
        let length = frame::length(*header);
        if length > self.max_frame {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "message over the size limit"));
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let message = frame::decode(payload)?;
        if !predicate(&message) {
            return Ok(None);
        }
        self.taken += HEADER + length;
        Ok(Some(message))
    }
}
