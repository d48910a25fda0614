//! The worker pool of a circle. Workers are forked from one fork server, which the pool restarts after a loss, or they
//! are threads.

use std::{io, time::Duration};

use tokio::{sync::Mutex, time::timeout};
use worker::{ForkServer, Program, Worker, WorkerSetup};

use crate::quota;

/// How long a process may take to start, not counting the script that it runs.
pub(super) const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The kind of workers in a pool.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WorkerKind {
    /// Processes, forked from a fork server of this program.
    Process(Program),
    /// Threads of this process.
    Threads,
}

impl WorkerKind {
    /// Returns the number of this process's file descriptors that a worker uses.
    pub(super) fn descriptors(&self) -> u64 {
        match self {
            Self::Process(_) => quota::PROCESS_DESCRIPTORS,
            Self::Threads => quota::THREADS_DESCRIPTORS,
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
}

/// The current factory of workers.
pub(super) enum WorkerFactory<'s> {
    ForkServer(ForkServer),
    Threads(&'s WorkerSetup),
}

impl WorkerFactory<'_> {
    /// Starts a worker for a group of sessions. Groups take turns.
    pub(super) async fn start_worker(&self, group: u64) -> io::Result<Worker> {
        match self {
            Self::ForkServer(fork_server) => fork_server.start_worker_for_group(group).await,
            Self::Threads(setup) => Worker::start_on_threads((*setup).clone()),
        }
    }

    fn is_lost(&self) -> bool {
        matches!(self, Self::ForkServer(fork_server) if fork_server.has_ended())
    }
}

impl WorkerPool {
    /// Makes a pool whose init script may take `script_time`.
    pub(super) fn new(kind: WorkerKind, setup: WorkerSetup, script_time: Duration) -> Self {
        Self { kind, setup, timeout: START_TIMEOUT.saturating_add(script_time), fork_server: Mutex::default() }
    }

    /// Whether each worker is a process.
    pub(crate) fn has_processes(&self) -> bool {
        matches!(self.kind, WorkerKind::Process(_))
    }

    /// Returns the current factory. Its fork server may not be ready yet.
    pub(super) async fn factory(&self) -> io::Result<WorkerFactory<'_>> {
        let WorkerKind::Process(program) = &self.kind else { return Ok(WorkerFactory::Threads(&self.setup)) };
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
    }

    /// Starts a worker for a group of sessions. If many sessions request workers, groups take turns.
    pub(crate) async fn start_worker(&self, group: u64) -> io::Result<Worker> {
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
        self.discard_fork_server().await;
        Err(io::Error::new(io::ErrorKind::TimedOut, "the fork server did not become ready in time"))
    }
}
