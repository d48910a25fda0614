//! The server's end of a template: one task, which owns its process. What the template says is checked as what a worker
//! says is, although no client has a say in it.

use std::{convert::Infallible, io, process::Stdio, sync::Arc, time::Duration};

use tokio::{
    net::UnixStream,
    process::{Child, Command},
    sync::oneshot,
    time::{Instant, sleep_until, timeout},
};

use super::{
    FLAG,
    books::{Asked, SharedBooks},
    message::FromTemplate,
};
use crate::{
    handle::{Bounds, Loss, Orders, Process, Program, Worker, loss, pairs, spawn},
    message::{self, Hello, Setup},
    pipe::Pipe,
};

/// How long a template that is ready may say nothing while something is asked of it, before it is taken for one that hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of what it may say at a time.
const MAX_FRAME: usize = 64;

/// Ends the template when it is dropped: by the last handle, and the last worker.
#[derive(Debug)]
pub(crate) struct Core {
    pub(super) books: Arc<SharedBooks>,
    bounds: Bounds,
    pid: Option<u32>,
    _wanted: oneshot::Sender<Infallible>,
}

#[derive(Debug, Clone)]
pub(super) struct Template {
    core: Arc<Core>,
}

impl Template {
    pub(super) async fn start(program: Program, setup: Setup) -> io::Result<Self> {
        let (socket, its) = std::os::unix::net::UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        let mut pipe = Pipe::new(UnixStream::from_std(socket)?, MAX_FRAME);
        let mut command = Command::new(program.path()?);
        let its = std::os::fd::OwnedFd::from(its);
        command.arg0("circles-template").arg(FLAG).stdin(Stdio::from(its)).stdout(Stdio::null());
        let child = spawn(command).await?;
        let (wanted, unwanted) = oneshot::channel();
        let books = Arc::new(SharedBooks::default());
        let core = Core { books: books.clone(), bounds: Bounds::of(&setup), pid: child.id(), _wanted: wanted };
        pipe.send(&Hello { build: message::BUILD, setup });
        tokio::spawn(own(child, pipe, Closing(books), unwanted));
        Ok(Self { core: core.into() })
    }

    pub(super) async fn worker(&self) -> io::Result<Worker> {
        let (ours, its) = pairs()?;
        let Asked { forked, ended, place } = self.core.books.ask(self.core.clone(), its);
        let pid = match forked.await {
            Ok(forked) => forked?,
            Err(_) => return Err(self.over()),
        };
        Worker::new(ours, Process::new(Some(pid), Orders::Template(place), ended), self.core.bounds)
    }

    fn over(&self) -> io::Error {
        let how = self.core.books.end().unwrap_or(Loss::Killed);
        io::Error::new(io::ErrorKind::BrokenPipe, format!("the process that forks the workers ended ({how:?})"))
    }

    pub(super) fn is_over(&self) -> bool {
        self.core.books.end().is_some()
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.core.pid
    }
}

/// Whoever waits for the template learns that it is over, also where its task ends with its runtime.
struct Closing(Arc<SharedBooks>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close(Loss::Killed);
    }
}

/// Owns the process until it has ended.
async fn own(mut child: Child, mut pipe: Pipe, books: Closing, unwanted: oneshot::Receiver<Infallible>) {
    let (books, pid) = (&books.0, child.id());
    let end = tokio::select! {
        _ = unwanted => end(&mut child).await,
        Err(error) = talk(&mut pipe, books) => {
            let hangs = error.kind() == io::ErrorKind::TimedOut;
            let end = if hangs { end(&mut child).await } else { ended(&mut child).await };
            tracing::error!(pid, %error, ?end, "the process that forks the workers is lost");
            end
        }
    };
    books.close(end);
}

/// How long a template may go on once it has closed its socket, for a failure that is still being handled there.
const END_GRACE: Duration = Duration::from_secs(1);

async fn ended(child: &mut Child) -> Loss {
    match timeout(END_GRACE, child.wait()).await {
        Ok(status) => status.map_or(Loss::Killed, loss),
        Err(_) => end(child).await,
    }
}

/// Ends it.
async fn end(child: &mut Child) -> Loss {
    let status = match child.start_kill() {
        Ok(()) => child.wait().await,
        Err(error) => Err(error),
    };
    status.map_or(Loss::Killed, loss)
}

/// Passes on what is asked for and what is answered, until the template is lost. What it says is taken whatever cannot be
/// sent, so that the two never wait for each other.
async fn talk(pipe: &mut Pipe, books: &SharedBooks) -> io::Result<Infallible> {
    let mut due_since = None;
    loop {
        while let Some(said) = pipe.receive::<FromTemplate>()? {
            books.note(said)?;
            due_since = None;
        }
        while pipe.is_sent()
            && let Some((message, sockets)) = books.next()
        {
            match sockets {
                Some(sockets) => pipe.send_with(&message, vec![sockets.work.into(), sockets.control.into()]),
                None => pipe.send(&message),
            }
        }
        let due = books.is_answer_due().then(|| *due_since.get_or_insert_with(Instant::now) + PATIENCE);
        if due.is_none() {
            due_since = None;
        }
        tokio::select! {
            moved = pipe.drive() => if !moved? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            },
            () = books.changed() => {}
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer"));
            }
        }
    }
}
