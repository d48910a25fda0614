//! What a circle needs before it serves: a worker that starts, is kept where it is, and runs the circle's own script.

use std::{io, time::Duration};

use protocol::error::ScriptError;
use worker::{Event, Layer, Outcome, Play};

use super::{
    Circle, Sandbox,
    worker_pool::{Giver, STARTING},
};
use crate::{metrics::SandboxLayer, quota::kernel, session::outcome::script_error};

/// How the script of a circle fails; for a person.
fn failed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the init script fails: {why}"))
}

/// The error of a circle's init script, with its position: what the [`io::Error`] of [`check`](crate::check) has inside
/// where the script itself failed.
#[derive(Debug)]
pub struct InitFailed(pub ScriptError);

impl std::fmt::Display for InitFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ScriptError { message, line, column, .. } = &self.0;
        write!(f, "the init script fails: {message}")?;
        match (line, column) {
            (Some(line), Some(column)) => write!(f, " (line {line}, column {column})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for InitFailed {}

/// How a worker ends or hangs: the fault of the script, if there is one that it runs.
fn unusable(circle: &Circle, why: &str) -> io::Error {
    if circle.settings.borrow().workers.setup.init.is_some() {
        failed(why)
    } else {
        io::Error::other(format!("no worker can be used: {why}"))
    }
}

/// Tries a worker, within the time of a play; once it has run well, not again. What it was forked from stays.
pub(crate) async fn check(circle: &Circle) -> io::Result<()> {
    if circle.layers.get().is_some() {
        return Ok(());
    }
    let settings = circle.settings();
    let workers = &settings.workers;
    let giver = workers.giver().await?;
    // Without a script there is no play whose time could count, only processes that start.
    let limit = match workers.setup.init {
        Some(_) => Duration::from_millis(settings.terms.limits.play_ms),
        None => STARTING,
    };
    let tried = match tokio::time::timeout(limit, try_worker(circle, &giver)).await {
        Ok(tried) => tried,
        Err(_) => Err(unusable(circle, &format!("it takes longer than {} ms", limit.as_millis()))),
    };
    if tried.is_err() {
        workers.discard().await;
    }
    let layers = tried?;
    if circle.sandbox == Sandbox::Required && !layers.contains(&Layer::Syscalls) {
        let why = "a sandbox is required, and this system has none for its scripts (seccomp on Linux is missing)";
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    }
    circle.metrics.sandbox_known(SandboxLayer::all(workers.has_processes(), &layers));
    circle.layers.get_or_init(|| layers);
    Ok(())
}

/// Has a worker play nothing; says what keeps it where it is.
async fn try_worker(circle: &Circle, giver: &Giver<'_>) -> io::Result<Vec<Layer>> {
    let mut worker = giver.worker().await.map_err(|error| unusable(circle, &error.to_string()))?;
    worker.play(&Play { number: 1, script: "", bind: None, caller: None });
    let mut is_good = false;
    loop {
        match worker.event().await {
            Event::Done { outcome, .. } => {
                judge(outcome)?;
                is_good = true;
                if worker.pid().and_then(kernel::memory_of).is_none() {
                    tracing::warn!("what workers have cannot be seen: total_mib and memory_per_caller_mib do not hold");
                    circle.admission.disable_memory_quota();
                }
                worker.kill();
            }
            // Waited for, so that the circle begins without a worker.
            Event::Lost(_) if is_good => return Ok(worker.layers().unwrap_or_default().to_vec()),
            Event::Lost(loss) => return Err(unusable(circle, &format!("its worker ended ({loss:?})"))),
            // What it makes no use of; in particular nothing calls a host function.
            _ => {}
        }
    }
}

fn judge(outcome: Outcome) -> io::Result<()> {
    match outcome {
        Outcome::Value(_) => Ok(()),
        Outcome::Failed(error) => Err(io::Error::new(io::ErrorKind::InvalidData, InitFailed(script_error(error)))),
        Outcome::Limit { kind, max } => Err(failed(&format!("it meets the limit {kind:?} ({max})"))),
        Outcome::Stopped => Err(failed("it was stopped")),
    }
}
