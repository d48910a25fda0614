//! What a worker lives in, seen from the server: told what to do, and asked how it ended.

use std::{
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::Arc,
};

use rustix::process::{Pid, Signal, setpriority_process};
use serde::{Deserialize, Serialize};
use tokio::{
    process::{Child, Command},
    sync::{mpsc, oneshot},
};

use super::Loss;
use crate::{allocator, child, meter::Watch};

/// What a process is told by its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Order {
    /// To leave the processor to others, for good.
    GiveWay,
    /// To end.
    Die,
}

/// Takes the orders for one process. Dropped, it orders the process to end.
#[derive(Debug)]
pub(crate) enum Orders {
    /// To the task that owns it.
    Reaper(mpsc::Sender<Order>),
    /// To the template that forked it.
    #[cfg(target_os = "linux")]
    Template(crate::template::Place),
    /// To threads of this process, which end when their sockets are closed and the script lets them.
    Threads(Arc<Watch>),
}

/// One process, or what is in its place. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(super) pid: Option<u32>,
    orders: Orders,
    /// How it ended.
    pub(super) ended: oneshot::Receiver<Loss>,
    pub(super) was_killed: bool,
    pub(super) gives_way: bool,
}

impl Process {
    pub(crate) fn new(pid: Option<u32>, orders: Orders, ended: oneshot::Receiver<Loss>) -> Self {
        Self { pid, orders, ended, was_killed: false, gives_way: false }
    }

    pub(super) fn kill(&mut self) {
        if !std::mem::replace(&mut self.was_killed, true) {
            self.order(Order::Die);
        }
    }

    pub(super) fn give_way(&mut self) {
        if !std::mem::replace(&mut self.gives_way, true) {
            self.order(Order::GiveWay);
        }
    }

    fn order(&self, order: Order) {
        match &self.orders {
            // There is room for each of them once; who owns a process that has ended takes none.
            Orders::Reaper(reaper) => drop(reaper.try_send(order)),
            #[cfg(target_os = "linux")]
            Orders::Template(place) => place.order(order),
            Orders::Threads(watch) => {
                if order == Order::Die {
                    watch.stop_for_good();
                }
            }
        }
    }

    /// Whether there is no process that could be waited for.
    pub(super) fn is_of_threads(&self) -> bool {
        matches!(self.orders, Orders::Threads(_))
    }

    /// Starts a program as a worker.
    pub(super) async fn start(program: PathBuf, work: OwnedFd, control: OwnedFd) -> io::Result<Self> {
        let mut command = Command::new(program);
        command
            .arg0("circles-worker")
            .arg(child::FLAG)
            .stdin(Stdio::from(work))
            .stdout(Stdio::from(control))
            // A Ctrl-C in the server's terminal is not for its workers.
            .process_group(0);
        let child = spawn(command).await?;
        let pid = child.id();
        let (orders, taken) = mpsc::channel(2);
        let (told, ended) = oneshot::channel();
        tokio::spawn(reap(child, taken, told));
        Ok(Self::new(pid, Orders::Reaper(orders), ended))
    }
}

/// Starts a process that inherits nothing but what the command hands on.
pub(crate) async fn spawn(mut command: Command) -> io::Result<Child> {
    command.env_clear().current_dir("/").stderr(Stdio::null()).kill_on_drop(true);
    // Starting a process blocks until it has begun.
    let runtime = tokio::runtime::Handle::current();
    let spawn = move || {
        let _in_runtime = runtime.enter();
        command.spawn()
    };
    tokio::task::spawn_blocking(spawn).await.map_err(io::Error::other)?
}

/// Owns the process until it has ended: the only place that kills it, so that no other process can be hit.
async fn reap(mut child: Child, mut orders: mpsc::Receiver<Order>, told: oneshot::Sender<Loss>) {
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            order = orders.recv() => match order {
                Some(Order::GiveWay) => give_way(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?))),
                // Also when the handle was dropped.
                Some(Order::Die) | None => break match child.start_kill() {
                    Ok(()) => child.wait().await,
                    Err(error) => Err(error),
                },
            },
        }
    };
    // Nobody asks after a worker whose handle was dropped.
    let _unasked = told.send(status.map_or(Loss::Crashed, loss));
}

/// What an exit status says.
pub(crate) fn loss(status: ExitStatus) -> Loss {
    if status.code() == Some(allocator::OUT_OF_MEMORY) {
        Loss::Memory
    } else if status.signal() == Some(Signal::KILL.as_raw()) {
        Loss::Killed
    } else {
        Loss::Crashed
    }
}

/// The least of all claims on a processor.
const LEAST: i32 = 19;

/// Has all threads of a process leave the processor to others. By its parent, which has not reaped it: so the id is still
/// its own.
pub(crate) fn give_way(pid: Option<Pid>) {
    let Some(pid) = pid else { return };
    // On Linux each thread has a niceness of its own.
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let threads = threads.filter_map(|thread| Pid::from_raw(thread.file_name().to_str()?.parse().ok()?));
    for thread in threads.chain([pid]) {
        // A thread may have ended, and a process that does not give way is only less polite.
        let _ended = setpriority_process(Some(thread), LEAST);
    }
}
