//! A session: a worker that one user has checked out.

use std::{mem, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{error::RunError, run::Run, state::Place};
use crate::{
    message::Layer,
    parent::{Loss, Worker, WorkerEvent},
};

/// Time for a stopped script to end before its worker is killed.
pub(super) const STOP_GRACE_PERIOD: Duration = Duration::from_secs(1);

/// A worker of a [`Pool`](super::Pool), whose variables, functions and imports persist between runs.
///
/// Dropping the session kills the worker, and frees its place in the pool at once: the process may take a moment longer
/// to end. [`close`](Self::close) waits for that.
#[derive(Debug)]
pub struct Session {
    // Dropped first: the place is free once the worker is being killed.
    worker: SessionWorker,
    pub(super) place: Place,
    /// Number of runs so far.
    runs: u64,
}

#[derive(Debug)]
enum SessionWorker {
    Ready(Box<Worker>),
    /// A task stops the script of a run that was dropped, or that ran too long, and then returns the worker.
    Stopping(StoppingWorker),
    Lost(Loss),
}

#[derive(Debug)]
struct StoppingWorker {
    task: JoinHandle<Result<Box<Worker>, Loss>>,
}

impl Drop for StoppingWorker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Session {
    pub(super) fn new(worker: Box<Worker>, place: Place) -> Self {
        Self { worker: SessionWorker::Ready(worker), place, runs: 0 }
    }

    /// Prepares a run of a script; awaiting the [`Run`] runs it. `T` is the type of the script's value: see [`Run`].
    pub fn run<'s, T>(&'s mut self, script: &'s str) -> Run<'s, T> {
        Run::new(self, script)
    }

    /// Ends the session, and waits until its process has ended. Dropping the session does not wait.
    pub async fn close(mut self) {
        if let Ok(worker) = self.worker().await {
            worker.kill();
            while !matches!(worker.event().await, WorkerEvent::Lost(_)) {}
        }
    }

    /// Whether the worker is known to have ended. All further runs then fail.
    pub fn is_lost(&self) -> bool {
        matches!(self.worker, SessionWorker::Lost(_))
    }

    /// The active layers of the worker's sandbox. Empty while a dropped run is being stopped, and after a loss.
    pub fn layers(&self) -> &[Layer] {
        match &self.worker {
            SessionWorker::Ready(worker) => worker.layers().unwrap_or_default(),
            _ => &[],
        }
    }

    /// The process id of the worker, for log lines. `None` while a dropped run is being stopped, and after a loss.
    pub fn pid(&self) -> Option<u32> {
        match &self.worker {
            SessionWorker::Ready(worker) => worker.pid(),
            _ => None,
        }
    }

    /// The number of the next run.
    pub(super) fn next_run(&mut self) -> u64 {
        self.runs += 1;
        self.runs
    }

    /// Returns the worker, once the script of an earlier run has stopped. Cancel safe.
    pub(super) async fn worker(&mut self) -> Result<&mut Worker, RunError> {
        if let SessionWorker::Stopping(stopping) = &mut self.worker {
            self.worker = match (&mut stopping.task).await {
                Ok(Ok(worker)) => SessionWorker::Ready(worker),
                Ok(Err(loss)) => SessionWorker::Lost(loss),
                // The runtime has shut down, and the worker ended with the task.
                Err(_) => SessionWorker::Lost(Loss::Killed),
            };
        }
        match &mut self.worker {
            SessionWorker::Ready(worker) => Ok(worker),
            SessionWorker::Stopping(_) => Err(RunError::WorkerLost(Loss::Killed)),
            SessionWorker::Lost(loss) => Err(RunError::WorkerLost(*loss)),
        }
    }

    /// Records that the worker has ended.
    pub(super) fn set_lost(&mut self, loss: Loss) {
        self.worker = SessionWorker::Lost(loss);
    }

    /// Stops a run in a task, which outlives the future of the run. [`worker`](Self::worker) waits for it.
    pub(super) fn stop(&mut self, run: u64) {
        let SessionWorker::Ready(worker) = mem::replace(&mut self.worker, SessionWorker::Lost(Loss::Killed)) else {
            return;
        };
        let task = self.place.pool.runtime.spawn(stop(worker, run));
        self.worker = SessionWorker::Stopping(StoppingWorker { task });
    }
}

/// Stops a run, and kills the worker if that takes too long. Returns the worker, or how it was lost.
async fn stop(mut worker: Box<Worker>, run: u64) -> Result<Box<Worker>, Loss> {
    worker.stop(run);
    let deadline = Instant::now() + STOP_GRACE_PERIOD;
    let mut is_killed = false;
    loop {
        tokio::select! {
            event = worker.event() => match event {
                WorkerEvent::Done { play, .. } | WorkerEvent::Withdrawn { play } if play == run => return Ok(worker),
                WorkerEvent::Lost(loss) => return Err(loss),
                // Output that nobody waits for. The handle of the worker aborts host calls.
                _ => {}
            },
            () = sleep_until(deadline), if !is_killed => {
                is_killed = true;
                worker.kill();
            }
        }
    }
}
