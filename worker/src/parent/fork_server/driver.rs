//! The server's end of a template: one task, which owns its process. What the template says is checked as what a worker
//! says is, although no client has a say in it.

use std::{convert::Infallible, io, process::Stdio, sync::Arc, time::Duration};

use tokio::{
    net::UnixStream,
    process::{Child, Command},
    sync::oneshot,
    time::{Instant, sleep_until, timeout},
};

use super::registry::{ForkRequest, Registry};
use crate::{
    message::{BUILD, FromForkServer, Hello, Order, Role, Setup},
    parent::{
        bounds::Bounds,
        handle::Worker,
        loss::Loss,
        pipe::Pipe,
        process::{Process, ProcessOwner, spawn},
        program::Program,
        sockets::pairs,
    },
};

/// How long a template that is ready may say nothing while something is asked of it, before it is taken for one that hangs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of what it may say at a time.
const MAX_FRAME: usize = 64;

/// Ends the template when it is dropped: by the last handle, and the last worker.
#[derive(Debug)]
struct Core {
    registry: Arc<Registry>,
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
        command.arg0(Role::ForkServer.process_name()).arg(Role::ForkServer.flag());
        command.stdin(Stdio::from(its)).stdout(Stdio::null());
        let child = spawn(command).await?;
        let (wanted, unwanted) = oneshot::channel();
        let registry = Arc::new(Registry::default());
        let core = Core { registry: registry.clone(), bounds: Bounds::of(&setup), pid: child.id(), _wanted: wanted };
        pipe.send(&Hello { build: BUILD, setup });
        tokio::spawn(own(child, pipe, Closing(registry), unwanted));
        Ok(Self { core: core.into() })
    }

    pub(super) async fn worker(&self) -> io::Result<Worker> {
        let (ours, its) = pairs()?;
        let ForkRequest { number, forked, ended } = self.core.registry.request(its);
        // From here on: dropped while its process is awaited, it takes the request back.
        let owner = ForkingProcess { core: self.core.clone(), number };
        let pid = match forked.await {
            Ok(forked) => forked?,
            Err(_) => return Err(self.over()),
        };
        Worker::new(ours, Process::new(Some(pid), owner, ended), self.core.bounds)
    }

    fn over(&self) -> io::Error {
        let how = self.core.registry.end().unwrap_or(Loss::Killed);
        io::Error::new(io::ErrorKind::BrokenPipe, format!("the process that forks the workers ended ({how:?})"))
    }

    pub(super) fn is_over(&self) -> bool {
        self.core.registry.end().is_some()
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.core.pid
    }
}

/// The fork server, for one of its workers. Dropping it ends the worker.
#[derive(Debug)]
struct ForkingProcess {
    core: Arc<Core>,
    number: u64,
}

impl ProcessOwner for ForkingProcess {
    fn order(&self, order: Order) {
        self.core.registry.order(self.number, order);
    }
}

impl Drop for ForkingProcess {
    fn drop(&mut self) {
        self.order(Order::Kill);
    }
}

/// Whoever waits for the template learns that it is over, also where its task ends with its runtime.
struct Closing(Arc<Registry>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close(Loss::Killed);
    }
}

/// Owns the process until it has ended.
async fn own(mut child: Child, mut pipe: Pipe, registry: Closing, unwanted: oneshot::Receiver<Infallible>) {
    let (registry, pid) = (&registry.0, child.id());
    let end = tokio::select! {
        _ = unwanted => end(&mut child).await,
        Err(error) = talk(&mut pipe, registry) => {
            let hangs = error.kind() == io::ErrorKind::TimedOut;
            let end = if hangs { end(&mut child).await } else { ended(&mut child).await };
            tracing::error!(pid, %error, ?end, "the process that forks the workers is lost");
            end
        }
    };
    registry.close(end);
}

/// How long a template may go on once it has closed its socket, for a failure that is still being handled there.
const END_GRACE: Duration = Duration::from_secs(1);

async fn ended(child: &mut Child) -> Loss {
    match timeout(END_GRACE, child.wait()).await {
        Ok(status) => status.map_or(Loss::Killed, Loss::of),
        Err(_) => end(child).await,
    }
}

/// Ends it.
async fn end(child: &mut Child) -> Loss {
    let status = match child.start_kill() {
        Ok(()) => child.wait().await,
        Err(error) => Err(error),
    };
    status.map_or(Loss::Killed, Loss::of)
}

/// Passes on what is asked for and what is answered, until the template is lost. What it says is taken whatever cannot be
/// sent, so that the two never wait for each other.
async fn talk(pipe: &mut Pipe, registry: &Registry) -> io::Result<Infallible> {
    let mut due_since = None;
    loop {
        while let Some(said) = pipe.receive::<FromForkServer>()? {
            registry.note(said)?;
            due_since = None;
        }
        while pipe.is_sent()
            && let Some((message, sockets)) = registry.next()
        {
            match sockets {
                Some(sockets) => pipe.send_with(&message, vec![sockets.work.into(), sockets.control.into()]),
                None => pipe.send(&message),
            }
        }
        let due = registry.is_answer_due().then(|| *due_since.get_or_insert_with(Instant::now) + ANSWER_TIMEOUT);
        if due.is_none() {
            due_since = None;
        }
        tokio::select! {
            moved = pipe.drive() => if !moved? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            },
            () = registry.changed() => {}
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer"));
            }
        }
    }
}
