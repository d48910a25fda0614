//! A worker for a handle on another machine: the server's ends of its channels as byte streams, and its process.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
#[cfg(target_os = "linux")]
use std::{
    io::{PipeReader, PipeWriter},
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{UnixStream, unix::pipe},
};

use super::{loss::Loss, process::Process, usage::UsageSample};
#[cfg(target_os = "linux")]
use crate::system::channels::ServerChannels;

/// A worker whose [handle](crate::Worker::remote) is on another machine. Dropping its process kills it, and dropping its
/// channels ends it.
///
/// The owner passes on the bytes of both channels without reading them: the handle validates them. The bytes of a worker
/// stay in its pipe until someone reads, and then the worker waits. The worker ends when its control channel is
/// dropped.
#[derive(Debug)]
pub struct RelayedWorker {
    /// The channel of plays and what they print and return.
    pub work: RelayedChannel,
    /// The channel of stops, holds and answers during a play.
    pub control: RelayedChannel,
    /// The process.
    pub process: RelayedProcess,
}

impl RelayedWorker {
    #[cfg(target_os = "linux")]
    pub(super) fn new(channels: ServerChannels, process: Process) -> io::Result<Self> {
        Ok(Self {
            work: RelayedChannel(RelayedStream::pipes(channels.work)?),
            control: RelayedChannel(RelayedStream::socket(channels.control)?),
            process: RelayedProcess { process, loss: None },
        })
    }
}

/// The server's end of a channel to a [`RelayedWorker`]: reading returns what the worker writes, up to the end of the
/// worker.
#[derive(Debug)]
pub struct RelayedChannel(RelayedStream);

#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only fork servers start relayed workers"))]
enum RelayedStream {
    Pipes { to: pipe::Sender, from: pipe::Receiver },
    Socket(UnixStream),
}

#[cfg(target_os = "linux")]
impl RelayedStream {
    fn pipes((to, from): (PipeWriter, PipeReader)) -> io::Result<Self> {
        let to = pipe::Sender::from_owned_fd(OwnedFd::from(to))?;
        Ok(Self::Pipes { to, from: pipe::Receiver::from_owned_fd(OwnedFd::from(from))? })
    }

    fn socket(socket: StdUnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self::Socket(UnixStream::from_std(socket)?))
    }
}

impl AsyncRead for RelayedChannel {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            RelayedStream::Pipes { from, .. } => Pin::new(from).poll_read(cx, buffer),
            RelayedStream::Socket(socket) => Pin::new(socket).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for RelayedChannel {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            RelayedStream::Pipes { to, .. } => Pin::new(to).poll_write(cx, bytes),
            RelayedStream::Socket(socket) => Pin::new(socket).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Does nothing: drop the channel to close it.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The process of a [`RelayedWorker`]. Dropping it kills the process.
#[derive(Debug)]
pub struct RelayedProcess {
    process: Process,
    /// The reason why the process ended, if it has.
    loss: Option<Loss>,
}

impl RelayedProcess {
    /// The process id.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid
    }

    /// What the process uses now; `None` if it has ended.
    pub fn usage(&self) -> Option<UsageSample> {
        UsageSample::of_process(self.process.pid?)
    }

    /// Kills the process.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Lowers the priority of the process permanently.
    pub fn lower_priority(&mut self) {
        self.process.lower_priority();
    }

    /// Waits until the process has ended. Bytes that it wrote before may still be unread. Cancel safe, and later calls
    /// return the same.
    pub async fn ended(&mut self) -> Loss {
        match self.loss {
            Some(loss) => loss,
            // An error means that the owner of the process was dropped without a report.
            None => *self.loss.insert((&mut self.process.ended).await.unwrap_or(Loss::Crashed)),
        }
    }
}
