//! The server's end of a socket to a process: bounded frames, non-blocking.

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[cfg(target_os = "linux")]
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::net::UnixStream;

use crate::message::frame::{self, HEADER};

/// A socket with its buffers for both directions.
#[derive(Debug)]
pub(crate) struct Pipe {
    socket: UnixStream,
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

/// Maximum number of bytes read at a time.
const CHUNK: usize = 16 << 10;

impl Pipe {
    pub(crate) fn new(socket: UnixStream, max_frame: usize) -> Self {
        Self {
            socket,
            pending: Vec::new(),
            sent: 0,
            #[cfg(target_os = "linux")]
            rights: Vec::new(),
            arrived: Vec::new(),
            taken: 0,
            max_frame,
        }
    }

    /// Queues a message, and sends as much as the kernel accepts immediately.
    pub(crate) fn send(&mut self, message: &impl serde::Serialize) {
        self.pending = frame::encode(message, std::mem::take(&mut self.pending));
        // An error occurs again in `drive`, which reports it.
        let _later = self.write();
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

    #[cfg(target_os = "linux")]
    fn write_some(&self) -> io::Result<usize> {
        let bytes = &self.pending[self.sent..];
        if self.rights.is_empty() {
            return self.socket.try_write(bytes);
        }
        let rights: Vec<BorrowedFd<'_>> = self.rights.iter().map(AsFd::as_fd).collect();
        let mut space = vec![std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(rights.len()))];
        self.socket.try_io(tokio::io::Interest::WRITABLE, || {
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(&rights));
            Ok(sendmsg(&self.socket, &[io::IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn write_some(&self) -> io::Result<usize> {
        self.socket.try_write(&self.pending[self.sent..])
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
                Err(error) => return Err(error),
            }
        }
        self.pending.clear();
        // Otherwise the buffer keeps the capacity of the largest message.
        self.pending.shrink_to(CHUNK);
        self.sent = 0;
        Ok(())
    }

    /// Shuts the socket down for both sides.
    pub(crate) fn close(&self) {
        // Fails if the other side has already shut it down.
        let _closed = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }

    /// Waits until the socket is ready, then sends or receives. Returns false at the end of the stream. Cancel safe.
    pub(crate) async fn drive(&mut self) -> io::Result<bool> {
        if self.pending.is_empty() {
            self.socket.readable().await?;
        } else {
            tokio::select! {
                ready = self.socket.writable() => {
                    ready?;
                    self.write()?;
                    return Ok(true);
                }
                ready = self.socket.readable() => ready?,
            }
        }
        self.read()
    }

    fn read(&mut self) -> io::Result<bool> {
        self.arrived.drain(..self.taken);
        self.taken = 0;
        let length = self.arrived.len();
        if length == 0 {
            self.arrived.shrink_to(CHUNK);
        }
        self.arrived.resize(length + CHUNK, 0);
        let read = self.socket.try_read(&mut self.arrived[length..]);
        self.arrived.truncate(length + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(bytes) => Ok(bytes > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
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
