//! What a worker lives in, seen from the server: its owner takes orders, and says how it ended.

use std::{fmt::Debug, io, os::fd::OwnedFd, path::PathBuf, process::Stdio};

use rustix::process::Pid;
use tokio::{
    process::{Child, Command},
    sync::{mpsc, oneshot},
};

use super::loss::Loss;
use crate::{
    message::{Order, Role},
    system,
};

/// Whoever a worker lives with: the one place that ends it, so that nothing else is hit. Dropping it orders the worker to
/// end.
///
/// A trait, so that this file knows none of its kinds: the task that owns a process, the fork server, threads.
pub(crate) trait ProcessOwner: Debug + Send + Sync {
    /// Takes an order. One that has ended takes none.
    fn order(&self, order: Order);

    /// Whether there is a process, whose end can be waited for once it is killed. Threads take their time.
    fn has_process(&self) -> bool {
        true
    }
}

/// One process, or what is in its place. Dropping it ends the process.
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
            self.owner.order(Order::Kill);
        }
    }

    pub(super) fn lower_priority(&mut self) {
        if !std::mem::replace(&mut self.is_low_priority, true) {
            self.owner.order(Order::LowerPriority);
        }
    }

    /// Whether there is a process that could be waited for.
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
        let (orders, taken) = mpsc::channel(2);
        let (loss, ended) = oneshot::channel();
        tokio::spawn(own(child, taken, loss));
        Ok(Self::new(pid, OwningTask(orders), ended))
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

/// The way to the task that owns a process.
#[derive(Debug)]
struct OwningTask(mpsc::Sender<Order>);

impl ProcessOwner for OwningTask {
    fn order(&self, order: Order) {
        // There is room for each order once, so an error says that the process, and its task, have ended.
        let _ended = self.0.try_send(order);
    }
}

/// Owns the process until it has ended: the only place that kills it, so that no other process can be hit.
async fn own(mut child: Child, mut orders: mpsc::Receiver<Order>, loss: oneshot::Sender<Loss>) {
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            order = orders.recv() => match order {
                Some(Order::LowerPriority) => {
                    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)) {
                        system::lower_priority(pid);
                    }
                }
                // Also when the handle was dropped.
                Some(Order::Kill) | None => break match child.start_kill() {
                    Ok(()) => child.wait().await,
                    Err(error) => Err(error),
                },
            },
        }
    };
    // Nobody asks after a worker whose handle was dropped.
    let _unasked = loss.send(status.map_or(Loss::Crashed, Loss::of));
}
