//! The task that owns the process of a fork server. It validates the fork server's messages like those of a worker,
//! although no client can influence them.

use std::{convert::Infallible, io, process::Stdio, sync::Arc, time::Duration};

use tokio::{
    process::{Child, Command},
    sync::oneshot,
    time::{Instant, sleep_until, timeout},
};

use super::registry::{ForkRequest, Registry};
use crate::{
    message::{BUILD, FromForkServer, Hello, ProcessCommand, Role, WorkerSetup},
    parent::{
        frame_channel::{FrameChannel, Transport},
        loss::Loss,
        message_bounds::MessageBounds,
        process::{Process, ProcessOwner, spawn},
        program::Program,
        relayed_worker::RelayedWorker,
        spare_worker::SpareWorker,
        worker_handle::Worker,
    },
    system::channels::{ServerChannels, WorkerChannels, channels},
};

/// Time without an answer after which a ready fork server counts as hung.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The group of the requests for spare workers.
const SPARE_GROUP: u64 = 0;

/// Maximum size of a message of a fork server, in bytes.
const MAX_FRAME: usize = 64;

/// The state shared by the handles and the workers of a fork server. Dropping the last of them ends the fork server.
#[derive(Debug)]
struct SharedForkServer {
    registry: Arc<Registry>,
    bounds: MessageBounds,
    pid: Option<u32>,
    /// Dropping this sender ends the task and the process.
    _in_use: oneshot::Sender<Infallible>,
}

#[derive(Debug, Clone)]
pub(super) struct ForkServerHandle {
    shared: Arc<SharedForkServer>,
}

impl ForkServerHandle {
    pub(super) async fn start(program: Program, setup: WorkerSetup) -> io::Result<Self> {
        let (socket, child_socket) = std::os::unix::net::UnixStream::pair()?;
        let mut channel = FrameChannel::new(Transport::socket(socket)?, MAX_FRAME);
        let mut command = Command::new(program.path()?);
        let child_socket = std::os::fd::OwnedFd::from(child_socket);
        command.arg0(Role::ForkServer.process_name()).arg(Role::ForkServer.flag());
        command.stdin(Stdio::from(child_socket)).stdout(Stdio::null()).stderr(Stdio::null());
        let child = spawn(command).await?;
        let (in_use, unused) = oneshot::channel();
        let registry = Arc::new(Registry::default());
        let shared = SharedForkServer {
            registry: registry.clone(),
            bounds: MessageBounds::new(&setup),
            pid: child.id(),
            _in_use: in_use,
        };
        channel.send(&Hello { build: BUILD, setup });
        tokio::spawn(own_process(child, channel, CloseOnDrop(registry), unused));
        Ok(Self { shared: shared.into() })
    }

    pub(super) async fn worker(&self, group: u64) -> io::Result<Worker> {
        let (channels, process) = self.fork(group, false).await?;
        Worker::new(channels, process, self.shared.bounds)
    }

    pub(super) async fn relayed(&self, group: u64) -> io::Result<RelayedWorker> {
        let (channels, process) = self.fork(group, false).await?;
        RelayedWorker::new(channels, process)
    }

    pub(super) async fn spare(&self) -> io::Result<SpareWorker> {
        let (channels, process) = self.fork(SPARE_GROUP, true).await?;
        let spare = SpareWorker::new(channels, process, self.shared.bounds);
        spare.wait_until_sealed().await?;
        Ok(spare)
    }

    async fn fork(&self, group: u64, is_spare: bool) -> io::Result<(ServerChannels, Process)> {
        let (server_channels, worker_channels) = channels()?;
        let ForkRequest { number, forked, ended } = self.shared.registry.request(group, worker_channels, is_spare);
        // Created before the wait: if this future is dropped, the owner's drop cancels the request.
        let owner = ForkServerOwner { shared: self.shared.clone(), number };
        let pid = match forked.await {
            Ok(forked) => forked?,
            Err(_) => return Err(self.ended_error()),
        };
        Ok((server_channels, Process::new(Some(pid), owner, ended)))
    }

    fn ended_error(&self) -> io::Error {
        let loss = self.shared.registry.end().unwrap_or(Loss::Killed);
        io::Error::new(io::ErrorKind::BrokenPipe, format!("the fork server ended ({loss:?})"))
    }

    pub(super) fn has_ended(&self) -> bool {
        self.shared.registry.end().is_some()
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.shared.pid
    }
}

/// The owner of one forked worker. Dropping it kills the worker.
#[derive(Debug)]
struct ForkServerOwner {
    shared: Arc<SharedForkServer>,
    number: u64,
}

impl ProcessOwner for ForkServerOwner {
    fn execute(&self, command: ProcessCommand) {
        self.shared.registry.send_command(self.number, command);
    }

    fn has_ended(&self) -> bool {
        self.shared.registry.end().is_some()
    }
}

impl Drop for ForkServerOwner {
    fn drop(&mut self) {
        self.execute(ProcessCommand::Kill);
    }
}

/// Closes the registry on drop, so that pending requests fail even if the runtime drops the task.
struct CloseOnDrop(Arc<Registry>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close(Loss::Killed);
    }
}

/// Owns the process until it has ended.
async fn own_process(
    mut child: Child,
    mut channel: FrameChannel,
    registry: CloseOnDrop,
    unused: oneshot::Receiver<Infallible>,
) {
    let (registry, pid) = (&registry.0, child.id());
    let end = tokio::select! {
        _ = unused => kill(&mut child).await,
        Err(error) = exchange_messages(&mut channel, registry) => {
            let hangs = error.kind() == io::ErrorKind::TimedOut;
            let end = if hangs { kill(&mut child).await } else { wait_or_kill(&mut child).await };
            tracing::error!(pid, %error, ?end, "fork server lost");
            end
        }
    };
    registry.close(end);
}

/// Time for a fork server to exit after it has closed its socket, while it may still handle a failure.
const END_GRACE_PERIOD: Duration = Duration::from_secs(1);

async fn wait_or_kill(child: &mut Child) -> Loss {
    match timeout(END_GRACE_PERIOD, child.wait()).await {
        Ok(status) => status.map_or(Loss::Killed, Loss::of),
        Err(_) => kill(child).await,
    }
}

async fn kill(child: &mut Child) -> Loss {
    let status = match child.start_kill() {
        Ok(()) => child.wait().await,
        Err(error) => Err(error),
    };
    status.map_or(Loss::Killed, Loss::of)
}

/// Sends requests and receives answers until the fork server is lost. It receives even while it cannot send, so that
/// the two processes cannot deadlock.
async fn exchange_messages(channel: &mut FrameChannel, registry: &Registry) -> io::Result<Infallible> {
    let mut due_since = None;
    loop {
        while let Some(message) = channel.receive::<FromForkServer>()? {
            registry.handle(message)?;
            due_since = None;
        }
        while channel.is_sent()
            && let Some((message, channels)) = registry.next()
        {
            match channels {
                Some(WorkerChannels { work: (plays, results), control }) => {
                    channel.send_with(&message, vec![plays.into(), results.into(), control.into()]);
                }
                None => channel.send(&message),
            }
        }
        let due = registry.is_answer_due().then(|| *due_since.get_or_insert_with(Instant::now) + ANSWER_TIMEOUT);
        if due.is_none() {
            due_since = None;
        }
        tokio::select! {
            moved = channel.drive() => if !moved? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            },
            () = registry.changed() => {}
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer from the fork server"));
            }
        }
    }
}
