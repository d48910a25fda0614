//! The tasks of a hub on the threads of sessions.
//!
//! A message between a session and a task on another thread wakes that thread, in each direction, which takes longer than
//! the message. So each thread that runs a runtime of its own, as those of the server's sessions do, gets a task with its
//! own connection to NATS at its first placement. Other threads use the first task of the hub.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, ThreadId},
    time::Duration,
};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::mpsc,
};

use super::{HubOptions, QUEUE, Shared, actor, lock, opening, placement::Placement};

/// Maximum number of threads with a task.
const MAX_THREADS: usize = 256;

/// Time for which the placements of a thread wait for its connection.
const CONNECT_WAIT: Duration = Duration::from_secs(1);

/// Time between attempts of a thread to connect.
const RETRY_DELAY: Duration = Duration::from_secs(10);

/// The queues of the tasks.
#[derive(Debug, Default)]
pub(super) struct ThreadTasks {
    /// The thread of the first task, if its runtime has no other.
    home: Option<ThreadId>,
    queues: Mutex<HashMap<ThreadId, mpsc::Sender<Placement>>>,
}

impl ThreadTasks {
    /// Makes an empty table for a hub whose first task starts on the current runtime.
    pub(super) fn new() -> Self {
        Self { home: current_thread(), queues: Mutex::default() }
    }

    /// Returns the queue of the task on the current thread. Starts the task if there is none.
    pub(super) fn queue(
        &self,
        options: &HubOptions,
        shared: &Arc<Mutex<Shared>>,
        first: &mpsc::Sender<Placement>,
    ) -> mpsc::Sender<Placement> {
        let thread = match current_thread() {
            Some(thread) if Some(thread) != self.home => thread,
            _ => return first.clone(),
        };
        // Every change leaves the table consistent, even if a thread panics.
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        // The task of a thread whose runtime has ended is gone, or the task could not connect.
        queues.retain(|_, queue| !queue.is_closed());
        if let Some(queue) = queues.get(&thread) {
            return queue.clone();
        }
        // Without NATS, the first task says so at once, while another attempt to connect takes long.
        if queues.len() >= MAX_THREADS || !lock(shared).status.is_connected {
            return first.clone();
        }
        let (placements, queue) = mpsc::channel(QUEUE);
        tokio::spawn(run(options.clone(), queue, shared.clone(), first.downgrade()));
        queues.insert(thread, placements.clone());
        placements
    }
}

/// Returns the current thread if it runs a runtime of its own.
fn current_thread() -> Option<ThreadId> {
    let flavor = Handle::try_current().ok()?.runtime_flavor();
    (flavor == RuntimeFlavor::CurrentThread).then(|| thread::current().id())
}

/// Connects, and runs the task. The first task gets the placements until there is a connection, and for a while after a
/// failed attempt; the next placement makes another attempt then.
async fn run(
    options: HubOptions,
    mut queue: mpsc::Receiver<Placement>,
    shared: Arc<Mutex<Shared>>,
    first: mpsc::WeakSender<Placement>,
) {
    // The first task has checked the permissions and the name of the circle.
    let opened = tokio::select! {
        opened = opening::subscribe_own(&options) => opened,
        () = pass_on_later(&mut queue, &first) => return,
    };
    match opened {
        Ok(opened) => actor::run_further(opened, options, queue, shared, first).await,
        Err(error) => {
            tracing::warn!(%error, "a thread has no connection of its own to NATS, and uses that of the circle");
            // Without an end of the hub, the time is over.
            let _is_over = tokio::time::timeout(RETRY_DELAY, pass_on(&mut queue, &first)).await;
            queue.close();
            pass_on(&mut queue, &first).await;
        }
    }
}

/// Passes placements on to the first task, unless there is a connection soon.
async fn pass_on_later(queue: &mut mpsc::Receiver<Placement>, first: &mpsc::WeakSender<Placement>) {
    tokio::time::sleep(CONNECT_WAIT).await;
    pass_on(queue, first).await;
}

/// Passes placements on to the first task, until the queue or the hub ends.
async fn pass_on(queue: &mut mpsc::Receiver<Placement>, first: &mpsc::WeakSender<Placement>) {
    while let Some(placement) = queue.recv().await {
        let Some(first) = first.upgrade() else { return };
        // The hub is dropped otherwise.
        let _ended = first.send(placement).await;
    }
}
