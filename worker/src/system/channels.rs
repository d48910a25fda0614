//! The channels between the server and a worker: two pipes for work, one in each direction, and a socket pair for
//! control.
//!
//! Work goes through pipes because the kernel wakes a reader of a Unix stream socket also whenever its peer has
//! consumed something; with pipes, a server and 16 workers exchange a third more messages.

use std::{
    io::{self, PipeReader, PipeWriter},
    os::{fd::AsFd, unix::net::UnixStream},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::os;

/// The server's ends of the channels to a worker.
#[derive(Debug)]
pub(crate) struct ServerChannels {
    pub(crate) work: (PipeWriter, PipeReader),
    pub(crate) control: UnixStream,
}

/// The worker's ends of its channels.
#[derive(Debug)]
pub(crate) struct WorkerChannels {
    pub(crate) work: (PipeReader, PipeWriter),
    pub(crate) control: UnixStream,
}

/// Whether a read would return bytes, the end or an error now. It asks the system: a runtime may not know of them yet.
pub(crate) fn has_input(from: &impl AsFd) -> bool {
    !matches!(poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&Timespec::default())), Ok(0))
}

/// Creates the channels to a worker, and makes this process ignore SIGPIPE: a write to a worker that has ended must be
/// an error, even if the program has restored the signal's default.
pub(crate) fn channels() -> io::Result<(ServerChannels, WorkerChannels)> {
    os::ignore_broken_pipes();
    let (worker_reader, writer) = io::pipe()?;
    let (reader, worker_writer) = io::pipe()?;
    let (control, worker_control) = UnixStream::pair()?;
    let worker = WorkerChannels { work: (worker_reader, worker_writer), control: worker_control };
    Ok((ServerChannels { work: (writer, reader), control }, worker))
}
