//! The process of a worker, seen from the server: it has an owner, who takes orders and says how the process ended.

use std::{fmt::Debug, io, os::fd::OwnedFd, path::PathBuf, process::Stdio};

use rustix::process::Pid;
use tokio::{
    process::{Child, Command},
    sync::{mpsc, oneshot},
};

use super::loss::Loss;
use crate::{
    message::{ProcessCommand, Role},
    system,
};

/// The owner of a worker's process, which alone kills it, so that no other process can be hit. Dropping an owner ends the
/// worker.
///
/// A trait, so that this file need not know the fork server, nor threads that stand in for a process.
pub(crate) trait ProcessOwner: Debug + Send + Sync {
    /// Takes an order. It has no effect on a worker that has ended.
    fn execute(&self, order: ProcessCommand);

    /// Whether there is a process, whose end can be awaited once it is killed. Threads may go on for as long as their
    /// script does not check its stop flag.
    fn has_process(&self) -> bool {
        true
    }
}

/// One process, or the threads in its place. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(super) pid: Option<u32>,
    owner: Box<dyn ProcessOwner>,
    /// How it ended.
    pub(super) ended: oneshot::Receiver<Loss>,
    pub(super) was_killed: bool,
    pub(super) is_low_priority: bool,
}

impl Process {
    pub(crate) fn new(pid: Option<u32>, owner: impl ProcessOwner + 'static, ended: oneshot::Receiver<Loss>) -> Self {
        Self { pid, owner: Box::new(owner), ended, was_killed: false, is_low_priority: false }
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

    /// Whether there is a process whose end can be awaited.
    pub(super) fn has_process(&self) -> bool {
        self.owner.has_process()
    }

    /// Starts a program as a worker.
    pub(super) async fn start(program: PathBuf, work: OwnedFd, control: OwnedFd) -> io::Result<Self> {
        let mut command = Command::new(program);
        command
            .arg0(Role::Worker.process_name())
            .arg(Role::Worker.flag())
            .stdin(Stdio::from(work))
            .stdout(Stdio::from(control))
            // A Ctrl-C in the server's terminal is not for its workers.
            .process_group(0);
        let child = spawn(command).await?;
        let pid = child.id();
        let (commands, command_receiver) = mpsc::channel(2);
        let (loss, ended) = oneshot::channel();
        tokio::spawn(own_process(child, command_receiver, loss));
        Ok(Self::new(pid, TaskOwner(commands), ended))
    }
}

/// Starts a process that inherits nothing but what the command hands on.
pub(super) async fn spawn(mut command: Command) -> io::Result<Child> {
    command.env_clear().current_dir("/").stderr(Stdio::null()).kill_on_drop(true);
    // Starting a process blocks until it has begun.
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
    fn execute(&self, order: ProcessCommand) {
        // There is room for each order once, so an error says that the process, and its task, have ended.
        let _ended = self.0.try_send(order);
    }
}

/// Owns the process until it has ended.
async fn own_process(mut child: Child, mut commands: mpsc::Receiver<ProcessCommand>, loss: oneshot::Sender<Loss>) {
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            order = commands.recv() => match order {
                Some(ProcessCommand::LowerPriority) => {
                    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)) {
                        system::lower_priority(pid);
                    }
                }
                // Also when the handle was dropped.
                Some(ProcessCommand::Kill) | None => break match child.start_kill() {
                    Ok(()) => child.wait().await,
                    Err(error) => Err(error),
                },
            },
        }
    };
    // Nobody asks after a worker whose handle was dropped.
    let _receiver_gone = loss.send(status.map_or(Loss::Crashed, Loss::of));
}
