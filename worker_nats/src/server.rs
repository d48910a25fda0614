//! The server's side: the hub places workers on machines and connects their handles to them.
//!
//! A task owns a connection to NATS, the [peers](crate::peer) and the [ends](RemoteEnd) of its links. It waits for
//! nothing but its inputs, so a caller that does not read stops its own worker and no other. There is one on each thread
//! of sessions, and a first one for all other threads.
//!
//! # Placement
//!
//! 1. The hub publishes a request to the queue group of the machines of its build. NATS picks one.
//! 2. The machine answers that it has no room (the hub asks again after a pause), that it prepares the setup (the hub waits on), that it
//!    failed, or that the worker runs.
//! 3. The hub opens the link, and the worker gets what its handle has written.
//!
//! An answer that comes too late has no effect: the machine sends a first message on each link, the hub answers that it
//! does not have the link, and the machine ends the worker.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    config::NatsConfig,
    connection::{ConnectError, PermissionError},
    content::Setup,
    subjects::SubjectName,
    timings::Timings,
};

mod actor;
mod examination;
mod machines;
mod opening;
mod placement;
mod remote_end;
mod status;
mod thread_tasks;

pub use examination::examine;
pub use machines::MachineInfo;
pub use placement::{PlaceError, Placed};
pub use remote_end::{RemoteCommands, RemoteEnd, RemoteLoss};
pub use status::{HubObserver, HubStatus, NatsTraffic, PastError, PlacementDelays, PlacementFailures};

use machines::Machines;
use placement::Placement;
use thread_tasks::ThreadTasks;

/// Time in which the tasks of a hub give up the same machine.
const LOSS_WINDOW: Duration = Duration::from_secs(10);

/// Number of placements that wait for the hub's task.
const QUEUE: usize = 1024;

/// What a hub needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubOptions {
    /// The connection to NATS.
    pub config: NatsConfig,
    /// The name of the circle.
    pub circle: SubjectName,
    /// The public key of the circle. Servers of one circle share it.
    pub identity: String,
    /// What server and machines must have in common to understand each other.
    pub build: SubjectName,
    /// The times.
    pub timings: Timings,
}

/// The reason why a hub cannot start. Its text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// There is no connection to NATS, and another attempt makes no sense.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// NATS refuses a permission.
    #[error(transparent)]
    Permission(#[from] PermissionError),
    /// Another circle of the same name uses this NATS.
    #[error(
        "the circle {circle} with the key {other} uses this NATS, and this one has the key {own}: give the circles \
         different names, or the same identity"
    )]
    NameTaken {
        /// The name of both.
        circle: SubjectName,
        /// The key of the other circle.
        other: String,
        /// The key of this circle.
        own: String,
    },
    /// The operating system provides no random bytes.
    #[error("could not generate a random name for this server: {0}")]
    Random(#[from] std::io::Error),
}

/// What the hub's tasks share with its handles.
#[derive(Debug)]
struct Shared {
    status: HubStatus,
    machines: Machines,
    /// The machines that a task has just given up.
    lost: Vec<(SubjectName, Instant)>,
}

impl Shared {
    /// Counts a machine that is out of reach once, although each task with workers of the machine gives it up.
    fn count_lost_machine(&mut self, name: SubjectName, now: Instant) {
        self.lost.retain(|(_, at)| now.saturating_duration_since(*at) < LOSS_WINDOW);
        if self.lost.iter().all(|(lost, _)| *lost != name) {
            self.status.given_up += 1;
            self.lost.push((name, now));
        }
    }
}

/// A hub. Dropping the last handle ends its workers.
#[derive(Debug)]
pub struct Hub {
    /// The queue of the first task.
    placements: mpsc::Sender<Placement>,
    threads: ThreadTasks,
    shared: Arc<Mutex<Shared>>,
    options: HubOptions,
}

impl Hub {
    /// Connects to NATS, and starts the first task of the hub on the current runtime. If no NATS server answers, the task
    /// tries again: the circle can start without one.
    ///
    /// # Errors
    ///
    /// Returns a [`HubError`] if another attempt makes no sense: the settings or the credentials are not valid, a
    /// permission is missing, or another circle has this name.
    pub async fn connect(options: HubOptions) -> Result<Arc<Self>, HubError> {
        let (placements, queue) = mpsc::channel(QUEUE);
        let machines = Machines::new(options.timings.association.heartbeat);
        let shared = Arc::new(Mutex::new(Shared { status: HubStatus::default(), machines, lost: Vec::new() }));
        let opened = match opening::open(&options).await {
            Ok(opened) => Some(opened),
            Err(HubError::Connect(error)) if error.is_transient() => {
                tracing::warn!(%error, "no connection to NATS; trying again");
                lock(&shared).status.set_error(Some(error.to_string()));
                None
            }
            Err(error) => return Err(error),
        };
        tokio::spawn(actor::run(opened, options.clone(), queue, shared.clone()));
        Ok(Arc::new(Self { placements, threads: ThreadTasks::new(), shared, options }))
    }

    /// The options.
    pub fn options(&self) -> &HubOptions {
        &self.options
    }

    /// Places a worker, within about [`Timings::start`] and 2 s. Workers of one `group` wait for each other while a machine
    /// starts them. `make` makes the handle of the worker and the end for the hub. After the future was dropped, the hub
    /// sends no further request; a worker that starts at that moment ends at once.
    ///
    /// # Errors
    ///
    /// Returns a [`PlaceError`] if there is no worker.
    pub async fn place<T, E>(
        &self,
        setup: &Arc<Setup>,
        group: u64,
        make: impl FnOnce(&Placed) -> (T, E) + Send + 'static,
    ) -> Result<(Placed, T), PlaceError>
    where
        T: Send + 'static,
        E: RemoteEnd,
    {
        let (sender, answer) = oneshot::channel();
        let accept = Box::new(move |result: Result<Placed, PlaceError>| {
            let placed = match result {
                // Nobody waits for the worker any more.
                Ok(_) if sender.is_closed() => return None,
                Ok(placed) => placed,
                Err(error) => {
                    let _nobody_waits = sender.send(Err(error));
                    return None;
                }
            };
            let (handle, end) = make(&placed);
            sender.send(Ok((placed, handle))).ok()?;
            Some(Box::new(end) as Box<dyn RemoteEnd>)
        });
        let waiting = Arc::new(());
        let placement = Placement::new(setup.clone(), group, accept, &waiting, Instant::now());
        let ended = || PlaceError::NotConnected("the hub has ended".into());
        let queue = self.threads.queue(&self.options, &self.shared, &self.placements);
        if let Err(mpsc::error::SendError(placement)) = queue.send(placement).await {
            // The task of the thread has no connection.
            self.placements.send(placement).await.map_err(|_| ended())?;
        }
        answer.await.map_err(|_| ended())?
    }

    /// What the hub has seen.
    pub fn status(&self) -> HubStatus {
        self.observer().status()
    }

    /// An observer, which does not keep the hub alive.
    pub fn observer(&self) -> HubObserver {
        HubObserver { shared: self.shared.clone(), build: self.options.build.clone() }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // Every change leaves the state consistent, even if a thread panics.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
