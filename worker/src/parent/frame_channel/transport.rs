//! The transport of a channel to a process: a Unix socket, a pipe in each direction, or queues to another machine.

use std::{
    io::{self, PipeReader, PipeWriter},
    os::fd::OwnedFd,
    os::unix::net::UnixStream as StdUnixStream,
    pin::pin,
    task::{Context, Poll},
};

#[cfg(target_os = "linux")]
use std::{
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd},
};

#[cfg(target_os = "linux")]
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{UnixStream, unix::pipe},
};

use crate::{parent::remote::RemoteStream, system::channels::has_input};

/// A transport. Dropping it closes it for the other side.
#[derive(Debug)]
pub(crate) enum Transport {
    Socket(UnixStream),
    Pipes {
        to: pipe::Sender,
        from: pipe::Receiver,
    },
    /// The process is on another machine.
    Remote(RemoteStream),
    /// The server has closed it.
    Closed,
}

impl Transport {
    pub(crate) fn socket(socket: StdUnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self::Socket(UnixStream::from_std(socket)?))
    }

    pub(crate) fn pipes((to, from): (PipeWriter, PipeReader)) -> io::Result<Self> {
        let to = pipe::Sender::from_owned_fd(OwnedFd::from(to))?;
        Ok(Self::Pipes { to, from: pipe::Receiver::from_owned_fd(OwnedFd::from(from))? })
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Socket(socket) => socket.try_write(bytes),
            Self::Pipes { to, .. } => to.try_write(bytes),
            Self::Remote(stream) => stream.try_write(bytes),
            Self::Closed => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Like [`try_write`](Self::try_write), with descriptors that arrive with the first byte. Only sockets can pass
    /// descriptors.
    #[cfg(target_os = "linux")]
    pub(super) fn try_write_with(&self, bytes: &[u8], rights: &[OwnedFd]) -> io::Result<usize> {
        let Self::Socket(socket) = self else { return Err(io::ErrorKind::Unsupported.into()) };
        let rights: Vec<BorrowedFd<'_>> = rights.iter().map(AsFd::as_fd).collect();
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(rights.len()))];
        socket.try_io(tokio::io::Interest::WRITABLE, || {
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(&rights));
            Ok(sendmsg(socket, &[io::IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
        })
    }

    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Socket(socket) => socket.poll_write_ready(cx),
            Self::Pipes { to, .. } => to.poll_write_ready(cx),
            Self::Remote(stream) => stream.poll_write_ready(cx).map(Ok),
            Self::Closed => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Whether a read would return bytes, the end or an error now.
    pub(super) fn has_input(&self) -> bool {
        match self {
            Self::Socket(socket) => has_input(socket),
            Self::Pipes { from, .. } => has_input(from),
            // Nothing is between the queue and its reader.
            Self::Remote(_) => false,
            Self::Closed => true,
        }
    }

    /// Appends what has arrived to the buffer, up to its capacity. A read that does not fill the capacity has emptied
    /// the transport, so tokio makes no further system call to find that out.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        match self {
            Self::Socket(socket) => poll_read(socket, cx, buffer),
            Self::Pipes { from, .. } => poll_read(from, cx, buffer),
            Self::Remote(stream) => stream.poll_read(cx, buffer).map(Ok),
            Self::Closed => Poll::Ready(Ok(0)),
        }
    }
}

fn poll_read(
    from: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    buffer: &mut Vec<u8>,
) -> Poll<io::Result<usize>> {
    // Cancel safe, so each poll may use a new future.
    pin!(from.read_buf(buffer)).poll(cx)
}
