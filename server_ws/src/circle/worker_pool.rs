//! The worker pool of a circle. Workers are forked from one fork server, which the pool restarts after a loss, or they
//! are threads, or processes on other machines.

#[cfg(feature = "nats")]
use std::sync::OnceLock;
use std::{
    convert::Infallible,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Mutex, time::timeout};
use worker::{ForkServer, Program, Worker, WorkerSetup};
#[cfg(feature = "nats")]
use worker_nats::workers::PlaceableSetup;

#[cfg(feature = "nats")]
use super::remote_workers::{self, RemoteWorkers};
use super::spare_workers::{SpareWorkers, WaitingWorker, WorkerStartGuard};
use crate::{metrics::PoolObserver, quota};

/// How long a process may take to start, not counting the script that it runs.
pub(super) const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The kind of workers in a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WorkerKind {
    /// Processes, forked from a fork server of this program.
    Process(Program),
    /// Threads of this process.
    Threads,
    /// Processes on other machines.
    #[cfg(feature = "nats")]
    Remote(RemoteWorkers),
}

impl WorkerKind {
    /// Returns the number of this process's file descriptors that a worker uses.
    pub(super) fn descriptors(&self) -> u64 {
        match self {
            Self::Process(_) => quota::PROCESS_DESCRIPTORS,
            Self::Threads => quota::THREADS_DESCRIPTORS,
            #[cfg(feature = "nats")]
            Self::Remote(_) => 0,
        }
    }

    /// Whether the workers use the memory of this machine.
    pub(super) fn has_own_workers(&self) -> bool {
        match self {
            Self::Process(_) | Self::Threads => true,
            #[cfg(feature = "nats")]
            Self::Remote(_) => false,
        }
    }

    /// Returns an observer of the workers on other machines, if there are any.
    pub(super) fn pool_observer(&self) -> Option<PoolObserver> {
        match self {
            Self::Process(_) | Self::Threads => None,
            #[cfg(feature = "nats")]
            Self::Remote(remote) => Some(remote.hub().observer()),
        }
    }
}

#[derive(Debug)]
pub(crate) struct WorkerPool {
    pub(super) kind: WorkerKind,
    pub(super) setup: WorkerSetup,
    /// How long a worker may take to start. A new fork server runs the init script first.
    timeout: Duration,
    fork_server: Mutex<Option<ForkServer>>,
    spares: Arc<SpareWorkers>,
    /// The setup for other machines, made for the first worker.
    #[cfg(feature = "nats")]
    placeable: OnceLock<PlaceableSetup>,
}

/// A worker that has started for a session.
#[derive(Debug)]
pub(crate) struct StartedWorker {
    pub(crate) worker: Box<Worker>,
    /// Whether it was a spare worker, for log lines.
    pub(crate) was_spare: bool,
    /// The memory of the worker in bytes before its first play, if known.
    pub(crate) memory_base: Option<u64>,
    /// Held until the first outcome.
    pub(crate) start: WorkerStartGuard,
}

/// The current factory of workers.
pub(super) enum WorkerFactory<'s> {
    ForkServer(ForkServer),
    Threads(&'s WorkerSetup),
    #[cfg(feature = "nats")]
    Remote(&'s RemoteWorkers, &'s PlaceableSetup),
}

impl WorkerFactory<'_> {
    /// Starts a worker for a group of sessions. Groups take turns.
    pub(super) async fn start_worker(&self, group: u64) -> io::Result<Worker> {
        match self {
            Self::ForkServer(fork_server) => fork_server.start_worker_for_group(group).await,
            Self::Threads(setup) => Worker::start_on_threads((*setup).clone()),
            #[cfg(feature = "nats")]
            Self::Remote(remote, setup) => remote.place(setup, group).await,
        }
    }

    fn is_lost(&self) -> bool {
        matches!(self, Self::ForkServer(fork_server) if fork_server.has_ended())
    }
}

impl WorkerPool {
    /// Makes a pool whose init script may take `script_time`.
    pub(crate) fn new(kind: WorkerKind, setup: WorkerSetup, script_time: Duration) -> Self {
        Self {
            kind,
            setup,
            timeout: START_TIMEOUT.saturating_add(script_time),
            fork_server: Mutex::default(),
            spares: Arc::default(),
            #[cfg(feature = "nats")]
            placeable: OnceLock::new(),
        }
    }

    /// Whether the workers of another pool would be the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.setup == other.setup
    }

    /// Returns how long a worker may take to start.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether each worker is a process.
    pub(crate) fn has_processes(&self) -> bool {
        self.kind != WorkerKind::Threads
    }

    /// Whether the workers are on other machines.
    pub(crate) fn is_remote(&self) -> bool {
        match &self.kind {
            WorkerKind::Process(_) | WorkerKind::Threads => false,
            #[cfg(feature = "nats")]
            WorkerKind::Remote(_) => true,
        }
    }

    /// Returns a pool of local workers with the same setup, if the workers of this one are on other machines.
    pub(super) fn local(&self) -> Option<Self> {
        match &self.kind {
            WorkerKind::Process(_) | WorkerKind::Threads => None,
            #[cfg(feature = "nats")]
            WorkerKind::Remote(_) => {
                let script_time = self.timeout.saturating_sub(START_TIMEOUT);
                Some(Self::new(WorkerKind::Process(Program::SameExecutable), self.setup.clone(), script_time))
            }
        }
    }

    /// Returns the current factory. Its fork server may not be ready yet.
    pub(super) async fn factory(&self) -> io::Result<WorkerFactory<'_>> {
        let program = match &self.kind {
            WorkerKind::Process(program) => program,
            WorkerKind::Threads => return Ok(WorkerFactory::Threads(&self.setup)),
            #[cfg(feature = "nats")]
            WorkerKind::Remote(remote) => {
                let setup = self.placeable.get_or_init(|| remote_workers::placeable(&self.setup));
                return Ok(WorkerFactory::Remote(remote, setup));
            }
        };
        let mut current = self.fork_server.lock().await;
        if let Some(fork_server) = current.as_ref().filter(|fork_server| !fork_server.has_ended()) {
            return Ok(WorkerFactory::ForkServer(fork_server.clone()));
        }
        let fork_server = ForkServer::start(program.clone(), self.setup.clone()).await?;
        Ok(WorkerFactory::ForkServer(current.insert(fork_server).clone()))
    }

    /// Discards the fork server, so that the next worker comes from a new one.
    pub(super) async fn discard_fork_server(&self) {
        *self.fork_server.lock().await = None;
        self.discard_spares();
    }

    /// Starts a worker for a group of sessions: a spare worker, or a fork. If many sessions request forks, groups take
    /// turns.
    pub(crate) async fn start_worker(&self, group: u64) -> io::Result<StartedWorker> {
        let start = self.spares.begin_start();
        if let Some(WaitingWorker { worker, memory_base }) = self.spares.take(group)
            && let Ok(worker) = worker.into_worker()
        {
            return Ok(StartedWorker { worker: worker.into(), was_spare: true, memory_base, start });
        }
        let begun = Instant::now();
        let worker = self.fork_worker(group).await?;
        // No play has run yet.
        let memory_base = worker.memory_usage(begun).known();
        Ok(StartedWorker { worker: worker.into(), was_spare: false, memory_base, start })
    }

    /// Forks a worker for a group of callers, which take turns.
    pub(crate) async fn fork_worker(&self, group: u64) -> io::Result<Worker> {
        let started = async {
            let factory = self.factory().await?;
            match factory.start_worker(group).await {
                // The fork server was lost before this request, so this session is not the cause.
                Err(_) if factory.is_lost() => self.factory().await?.start_worker(group).await,
                started => started,
            }
        };
        if let Ok(started) = timeout(self.timeout, started).await {
            return started;
        }
        #[cfg(feature = "nats")]
        if let WorkerKind::Remote(_) = self.kind {
            return Err(remote_workers::timeout_error());
        }
        self.discard_fork_server().await;
        Err(io::Error::new(io::ErrorKind::TimedOut, "the fork server did not become ready in time"))
    }

    /// Keeps as many spare workers as `target` returns, from the first start of a session's worker on. Never returns.
    pub(super) async fn keep_spares(&self, target: impl Fn() -> usize) -> Infallible {
        if !matches!(self.kind, WorkerKind::Process(_)) {
            return std::future::pending().await;
        }
        loop {
            self.spares.wait_until_needed(&target).await;
            self.spares.add(self.start_spare().await);
        }
    }

    /// Starts a spare worker. It needs a fork server that runs: only a session that needs a worker starts one.
    async fn start_spare(&self) -> io::Result<WaitingWorker> {
        let fork_server = self.fork_server.lock().await.clone().filter(|fork_server| !fork_server.has_ended());
        let fork_server = fork_server.ok_or(io::ErrorKind::NotConnected)?;
        let worker = timeout(self.timeout, fork_server.start_spare_worker()).await??;
        let memory_base = worker.memory_usage().known();
        Ok(WaitingWorker { worker, memory_base })
    }

    /// Ends the spare workers.
    pub(super) fn discard_spares(&self) {
        self.spares.discard();
    }
}

/// Returns the time after which another start makes sense in milliseconds, if no other machine had a place for a worker.
#[cfg(feature = "nats")]
pub(crate) fn retry_after_ms(error: &io::Error) -> Option<u64> {
    remote_workers::retry_after_ms(error)
}

/// There are no other machines.
#[cfg(not(feature = "nats"))]
pub(crate) fn retry_after_ms(_: &io::Error) -> Option<u64> {
    None
}
