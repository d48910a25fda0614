//! The sockets between the server and a worker.

use std::{io, os::unix::net::UnixStream};

/// The two sockets of a worker, at one of their ends.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) work: UnixStream,
    pub(crate) control: UnixStream,
}

/// The server's ends and the worker's.
pub(crate) fn socket_pairs() -> io::Result<(Sockets, Sockets)> {
    let (work, worker_work) = UnixStream::pair()?;
    let (control, worker_control) = UnixStream::pair()?;
    Ok((Sockets { work, control }, Sockets { work: worker_work, control: worker_control }))
}
