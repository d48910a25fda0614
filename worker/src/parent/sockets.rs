//! The sockets between the server and a worker.

use std::{io, os::unix::net::UnixStream};

/// One end of both sockets of a worker.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) work: UnixStream,
    pub(crate) control: UnixStream,
}

/// Creates both sockets, and returns the server's ends and the worker's ends.
pub(crate) fn socket_pairs() -> io::Result<(Sockets, Sockets)> {
    let (work, worker_work) = UnixStream::pair()?;
    let (control, worker_control) = UnixStream::pair()?;
    Ok((Sockets { work, control }, Sockets { work: worker_work, control: worker_control }))
}
