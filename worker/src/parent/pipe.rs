//! The server's end of a socket to one of its processes: frames, without blocking and bounded.

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[cfg(target_os = "linux")]
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::net::UnixStream;

use crate::message::frame::{self, HEADER};

/// One socket with what is on its way in both directions.
#[derive(Debug)]
pub(crate) struct Pipe {
    socket: UnixStream,
    /// Framed and not yet taken by the kernel.
    pending: Vec<u8>,
    sent: usize,
    /// Descriptors that go with the first byte of it.
    #[cfg(target_os = "linux")]
    rights: Vec<OwnedFd>,
    arrived: Vec<u8>,
    taken: usize,
    max_frame: usize,
}

/// Bytes that are read at a time.
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

    /// Takes a message to be sent, and sends what the kernel takes at once.
    pub(crate) fn send(&mut self, message: &impl serde::Serialize) {
        self.pending = frame::encode(message, std::mem::take(&mut self.pending));
        // What fails here fails again in `drive`, where it is told.
        let _later = self.write();
    }

    /// The same, with descriptors; everything before must have been sent.
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
        // Otherwise it keeps the room of the largest message as long as the worker lives.
        self.pending.shrink_to(CHUNK);
        self.sent = 0;
        Ok(())
    }

    /// Ends it for both sides.
    pub(crate) fn close(&self) {
        // It fails where the other side has done so.
        let _closed = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }

    /// Sends and receives what there is; false at the end. Cancel safe.
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

    /// The next message, if it has wholly arrived.
    pub(crate) fn receive<T: serde::de::DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        self.receive_if(|_| true)
    }

    /// The next message, if it has wholly arrived and is wanted. One that is not wanted stays the next.
    pub(crate) fn receive_if<T: serde::de::DeserializeOwned>(
        &mut self,
        is_wanted: impl FnOnce(&T) -> bool,
    ) -> io::Result<Option<T>> {
        let Some((header, rest)) = self.arrived[self.taken..].split_first_chunk::<HEADER>() else { return Ok(None) };
        let length = frame::length(*header);
        if length > self.max_frame {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message over the bound"));
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let message = frame::decode(payload)?;
        if !is_wanted(&message) {
            return Ok(None);
        }
        self.taken += HEADER + length;
        Ok(Some(message))
    }
}
