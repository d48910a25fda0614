//! The shared state of a pool: its fork server, its spare workers, and the number of its workers.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::{error::RunError, functions::FunctionTable};
use crate::{
    message::{Query, WorkerSetup},
    parent::{ForkServer, Loss, Program, SpareWorker, Worker, WorkerEvent},
};

/// Number of attempts to start a worker. Each one that fails has found a process that was lost.
const START_ATTEMPTS: usize = 3;

#[derive(Debug)]
pub(super) struct PoolState {
    pub(super) program: Program,
    pub(super) setup: WorkerSetup,
    pub(super) functions: FunctionTable,
    /// The time limit of runs that set none.
    pub(super) timeout: Duration,
    /// The time in which a worker has to start. A new fork server runs the init script first.
    pub(super) start_timeout: Duration,
    pub(super) max_spares: usize,
    pub(super) runtime: Handle,
    /// One permit for each worker that may exist. A spare worker holds none: each one stands for an available permit.
    pub(super) places: Arc<Semaphore>,
    pub(super) fork_server: tokio::sync::Mutex<Option<ForkServer>>,
    pub(super) spares: Mutex<VecDeque<SpareWorker>>,
    /// Signals that a spare worker may be missing.
    pub(super) changed: Arc<Notify>,
}

/// The right to have a worker.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) pool: Arc<PoolState>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.pool.changed.notify_one();
    }
}

impl PoolState {
    /// Waits for the right to have a worker. Cancel safe.
    pub(super) async fn place(self: &Arc<Self>) -> Result<Place, RunError> {
        let permit = self.places.clone().acquire_owned().await.map_err(|_| RunError::PoolClosed)?;
        Ok(Place { pool: self.clone(), permit: Some(permit) })
    }

    /// Takes a spare worker or forks one, and makes sure that it lives. The caller holds a [`Place`].
    pub(super) async fn start_worker(&self) -> Result<Box<Worker>, RunError> {
        let mut error = None;
        for _ in 0..START_ATTEMPTS {
            let spare = self.take_spare();
            let is_spare = spare.is_some();
            let started = match spare {
                Some(spare) => spare.into_worker().map_err(RunError::Start),
                None => self.fork().await,
            };
            match started {
                Ok(mut worker) => match self.probe(&mut worker).await {
                    Ok(()) => {
                        self.changed.notify_one();
                        return Ok(worker.into());
                    }
                    Err(lost) => error = Some(lost),
                },
                // Another attempt would take as long.
                Err(RunError::Start(slow)) if slow.kind() == io::ErrorKind::TimedOut => {
                    return Err(RunError::Start(slow));
                }
                Err(failed) => error = Some(failed),
            }
            if self.places.is_closed() {
                return Err(RunError::PoolClosed);
            }
            if is_spare {
                // The others are probably lost, too: they have the same fork server.
                self.spares().clear();
            }
        }
        Err(error.unwrap_or(RunError::PoolClosed))
    }

    /// Waits until a worker answers. A worker that was lost a moment ago may look alive, but does not answer.
    async fn probe(&self, worker: &mut Worker) -> Result<(), RunError> {
        let lost = |loss| {
            let why = format!("the new worker process ended: {loss}");
            Err(RunError::Start(io::Error::new(io::ErrorKind::BrokenPipe, why)))
        };
        worker.send_query(0, Query::Lookup { name: String::new() });
        let deadline = Instant::now() + self.start_timeout;
        loop {
            match timeout_at(deadline, worker.event()).await {
                Ok(WorkerEvent::Answer { .. }) => return Ok(()),
                Ok(WorkerEvent::Lost(loss)) => return lost(loss),
                Ok(_) => {}
                // The caller kills it.
                Err(_) => return lost(Loss::Killed),
            }
        }
    }

    async fn fork(&self) -> Result<Worker, RunError> {
        let deadline = Instant::now() + self.start_timeout;
        let fork_server = self.fork_server().await?;
        if let Ok(started) = timeout_at(deadline, fork_server.start_worker()).await {
            return started.map_err(RunError::Start);
        }
        // It hangs, for example in the init script. Another checkout may have replaced it already.
        let mut current = self.fork_server.lock().await;
        current.take_if(|current| current.pid() == fork_server.pid());
        drop(current);
        let why = format!("the fork server was not ready within {:?}", self.start_timeout);
        Err(RunError::Start(io::Error::new(io::ErrorKind::TimedOut, why)))
    }

    /// The fork server, or a new one if it was lost.
    async fn fork_server(&self) -> Result<ForkServer, RunError> {
        let mut current = self.fork_server.lock().await;
        if let Some(fork_server) = current.as_ref().filter(|fork_server| !fork_server.has_ended()) {
            return Ok(fork_server.clone());
        }
        if self.places.is_closed() {
            return Err(RunError::PoolClosed);
        }
        let started = ForkServer::start(self.program.clone(), self.setup.clone()).await;
        Ok(current.insert(started.map_err(RunError::Start)?).clone())
    }

    fn spares(&self) -> MutexGuard<'_, VecDeque<SpareWorker>> {
        // Every change leaves the queue consistent, even if a thread panics.
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the oldest spare worker that is alive.
    fn take_spare(&self) -> Option<SpareWorker> {
        let mut spares = self.spares();
        spares.retain_mut(SpareWorker::is_alive);
        spares.pop_front()
    }

    /// Starts the missing spare workers.
    async fn fill_spares(&self) {
        while let Some(permit) = self.permit_for_spare() {
            // A spare worker that cannot be started is no error: the next checkout tries a fork.
            let Some(spare) = self.start_spare().await else { break };
            self.spares().push_back(spare);
            // Only now: a checkout that waits for the permit finds the spare worker.
            drop(permit);
        }
        if self.places.is_closed() {
            self.spares().clear();
            *self.fork_server.lock().await = None;
        }
    }

    /// A permit to start a spare worker, if one is missing and no checkout needs the permit.
    fn permit_for_spare(&self) -> Option<OwnedSemaphorePermit> {
        let mut spares = self.spares();
        spares.retain_mut(SpareWorker::is_alive);
        let is_missing = spares.len() < self.max_spares && spares.len() < self.places.available_permits();
        drop(spares);
        if is_missing { self.places.clone().try_acquire_owned().ok() } else { None }
    }

    async fn start_spare(&self) -> Option<SpareWorker> {
        let deadline = Instant::now() + self.start_timeout;
        let fork_server = self.fork_server().await.ok()?;
        timeout_at(deadline, fork_server.start_spare_worker()).await.ok()?.ok()
    }

    /// Fails all waiting and later checkouts, and ends the spare workers.
    pub(super) fn close(&self) {
        self.places.close();
        self.spares().clear();
        // The upkeep drops the fork server, which ends with its last worker, and a spare worker that has just started.
        self.changed.notify_one();
    }
}

/// Keeps the spare workers of a pool, until the pool is closed.
pub(super) async fn keep_spares(pool: Weak<PoolState>, changed: Arc<Notify>) {
    loop {
        changed.notified().await;
        let Some(pool) = pool.upgrade() else { return };
        pool.fill_spares().await;
        if pool.places.is_closed() {
            return;
        }
    }
}
