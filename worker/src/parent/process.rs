//! The process of a worker on the server side: its owner executes commands and reports how the process ended.

use std::{
    fmt::Debug,
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::Pid;
use tokio::{
    process::{Child, Command},
    sync::{mpsc, oneshot},
};

use super::{loss::Loss, usage::Usage};
use crate::{
    message::{ProcessCommand, Role},
    system::{self, channels::WorkerChannels, usage},
};

/// The owner of a worker's process. Only the owner kills the process, so that a reassigned pid is never hit. Dropping
/// it ends the worker.
///
/// It is a trait so that this file depends neither on the fork server nor on workers on threads.
pub(crate) trait ProcessOwner: Debug + Send + Sync {
    /// Executes a command. It has no effect on a worker that has ended.
    fn execute(&self, command: ProcessCommand);

    /// Whether there is a process whose end can be awaited after a kill. Threads may go on until their script checks
    /// its stop flag.
    fn has_process(&self) -> bool {
        true
    }

    /// Whether the process that owns the worker has ended, and the worker with it.
    fn has_ended(&self) -> bool {
        false
    }

    /// The private memory of the process in bytes, at `since` or later.
    fn memory_usage(&self, pid: Option<u32>, _since: Instant) -> Usage<u64> {
        pid.and_then(usage::process_memory).into()
    }

    /// The CPU time of the thread that evaluates scripts, at `since` or later.
    fn cpu_usage(&self, pid: Option<u32>, _since: Instant) -> Usage<Duration> {
        pid.and_then(usage::cpu_time).into()
    }

    /// Returns what the machine of the worker has reported, unless it was returned before.
    fn take_notice(&self) -> Option<MachineNotice> {
        None
    }
}

/// What a handle learns of the machine of its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MachineNotice {
    /// The worker has to leave the machine.
    Leaving,
    /// The machine shows no sign of life, and counts as lost at this time unless it shows one before.
    Silent(Instant),
}

/// A process, or the threads in its place. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(super) pid: Option<u32>,
    /// The name of its machine, unless it is this one.
    pub(super) machine: Option<Arc<str>>,
    owner: Box<dyn ProcessOwner>,
    /// The reason why the process ended.
    pub(super) ended: oneshot::Receiver<Loss>,
    pub(super) was_killed: bool,
    pub(super) is_low_priority: bool,
}

impl Process {
    pub(crate) fn new(pid: Option<u32>, owner: impl ProcessOwner + 'static, ended: oneshot::Receiver<Loss>) -> Self {
        let owner = Box::new(owner);
        Self { pid, machine: None, owner, ended, was_killed: false, is_low_priority: false }
    }

    /// A process on another machine.
    pub(super) fn remote(
        machine: Arc<str>,
        pid: Option<u32>,
        owner: impl ProcessOwner + 'static,
        ended: oneshot::Receiver<Loss>,
    ) -> Self {
        Self { machine: Some(machine), ..Self::new(pid, owner, ended) }
    }

    pub(super) fn kill(&mut self) {
        if !std::mem::replace(&mut self.was_killed, true) {
            self.owner.execute(ProcessCommand::Kill);
        }
    }

    pub(super) fn lower_priority(&mut self) {
        if !std::mem::replace(&mut self.is_low_priority, true) {
            self.owner.execute(ProcessCommand::LowerPriority);
        }
    }

    /// Whether the process is known to have ended, or ends with its owner.
    pub(super) fn has_ended(&mut self) -> bool {
        self.owner.has_ended() || !matches!(self.ended.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }

    pub(super) fn memory_usage(&self, since: Instant) -> Usage<u64> {
        self.owner.memory_usage(self.pid, since)
    }

    pub(super) fn cpu_usage(&self, since: Instant) -> Usage<Duration> {
        self.owner.cpu_usage(self.pid, since)
    }

    pub(super) fn take_notice(&self) -> Option<MachineNotice> {
        self.owner.take_notice()
    }

    /// Whether there is a process whose end can be awaited.
    pub(super) fn has_process(&self) -> bool {
        self.owner.has_process()
    }

    /// Starts a program in the role of a worker.
    pub(super) async fn start(program: PathBuf, channels: WorkerChannels) -> io::Result<Self> {
        let WorkerChannels { work: (plays, results), control } = channels;
        let mut command = Command::new(program);
        command
            .arg0(Role::Worker.process_name())
            .arg(Role::Worker.flag())
            .stdin(Stdio::from(plays))
            .stdout(Stdio::from(results))
            .stderr(Stdio::from(OwnedFd::from(control)))
            // Keeps a Ctrl-C in the server's terminal from the workers.
            .process_group(0);
        let child = spawn(command).await?;
        let pid = child.id();
        let (commands, command_receiver) = mpsc::channel(2);
        let (loss, ended) = oneshot::channel();
        tokio::spawn(own_process(child, command_receiver, loss));
        Ok(Self::new(pid, TaskOwner(commands), ended))
    }
}

/// Starts a process that inherits only what the command passes explicitly.
pub(super) async fn spawn(mut command: Command) -> io::Result<Child> {
    command.env_clear().current_dir("/").kill_on_drop(true);
    // Spawning blocks until the new process executes its program.
    let runtime = tokio::runtime::Handle::current();
    let spawn = move || {
        let _in_runtime = runtime.enter();
        command.spawn()
    };
    tokio::task::spawn_blocking(spawn).await.map_err(io::Error::other)?
}

/// The task that owns a process.
#[derive(Debug)]
struct TaskOwner(mpsc::Sender<ProcessCommand>);

impl ProcessOwner for TaskOwner {
    fn execute(&self, command: ProcessCommand) {
        // The channel has room for each command once, so an error means that the process and its task have ended.
        let _ended = self.0.try_send(command);
    }
}

/// Owns the process until it has ended.
async fn own_process(mut child: Child, mut commands: mpsc::Receiver<ProcessCommand>, loss: oneshot::Sender<Loss>) {
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            command = commands.recv() => match command {
                Some(ProcessCommand::LowerPriority) => {
                    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)) {
                        system::lower_priority(pid);
                    }
                }
                // `None`: the handle was dropped.
                Some(ProcessCommand::Kill) | None => break match child.start_kill() {
                    Ok(()) => child.wait().await,
                    Err(error) => Err(error),
                },
            },
        }
    };
    // The handle may have been dropped.
    let _receiver_dropped = loss.send(status.map_or(Loss::Crashed, Loss::of));
}
