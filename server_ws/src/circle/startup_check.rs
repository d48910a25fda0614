//! The startup check: one worker starts, has its sandbox and runs the init script, before the circle serves anyone.

use std::{io, time::Duration};

use protocol::error::ScriptError;
use worker::{EvalOutcome, Layer, Play, WorkerEvent};

use super::{
    Circle, Sandbox,
    worker_pool::{START_TIMEOUT, WorkerFactory},
};
use crate::{conversion::script_error, metrics::SandboxLayer, quota::kernel};

/// The error of an init script that fails in another way than by an error of its own.
fn init_script_error(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the init script fails: {why}"))
}

/// The error of a circle's init script, with its position: what the [`io::Error`] of [`check`](crate::check) has inside
/// where the script itself failed.
#[derive(Debug)]
pub struct InitScriptError(pub ScriptError);

impl std::fmt::Display for InitScriptError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ScriptError { message, line, column, .. } = &self.0;
        write!(f, "the init script fails: {message}")?;
        match (line, column) {
            (Some(line), Some(column)) => write!(f, " (line {line}, column {column})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for InitScriptError {}

/// The error of a worker that ends or hangs: the init script's, if there is one, because the worker runs it.
fn worker_error(circle: &Circle, why: &str) -> io::Error {
    if circle.settings.borrow().workers.setup.init.is_some() {
        init_script_error(why)
    } else {
        io::Error::other(format!("no worker can be used: {why}"))
    }
}

/// Tries a worker, within the time of a play. A circle that has passed is not checked again. The fork server of the
/// worker stays, for the workers of sessions.
pub(crate) async fn check(circle: &Circle) -> io::Result<()> {
    if circle.layers.get().is_some() {
        return Ok(());
    }
    let settings = circle.settings();
    let workers = &settings.workers;
    let factory = workers.factory().await?;
    // Without an init script nothing is played, so the time of a play says nothing.
    let limit = match workers.setup.init {
        Some(_) => Duration::from_millis(settings.limits.values.play_ms),
        None => START_TIMEOUT,
    };
    let result = match tokio::time::timeout(limit, try_worker(circle, &factory)).await {
        Ok(result) => result,
        Err(_) => Err(worker_error(circle, &format!("it takes longer than {} ms", limit.as_millis()))),
    };
    if result.is_err() {
        workers.discard_fork_server().await;
    }
    let layers = result?;
    check_layers(circle.sandbox, workers.has_processes(), &layers)?;
    circle.metrics.set_sandbox(SandboxLayer::all(workers.has_processes(), &layers));
    circle.layers.get_or_init(|| layers);
    Ok(())
}

/// Checks what a worker's sandbox consists of, and logs what is missing.
fn check_layers(sandbox: Sandbox, has_processes: bool, layers: &[Layer]) -> io::Result<()> {
    let is_required = sandbox == Sandbox::Required;
    let missing = |why| Err(io::Error::new(io::ErrorKind::Unsupported, why));
    if is_required && !layers.contains(&Layer::Syscalls) {
        return missing(
            "a sandbox is required, and this system has none for its scripts (seccomp on Linux is missing)",
        );
    }
    if has_processes && !layers.contains(&Layer::Memory) {
        if is_required {
            return missing(
                "a sandbox is required, and nothing bounds the memory of scripts: \
                 make worker::Allocator the #[global_allocator] of this program",
            );
        }
        tracing::warn!(
            "memory_mib does not hold, because the program has another allocator: \
             make worker::Allocator its #[global_allocator]"
        );
    }
    // The layer of system calls forbids sockets already, so the circle starts without this one.
    if has_processes && !layers.contains(&Layer::Network) {
        tracing::warn!(
            "the sandbox of workers lacks the layer network, because the system refuses them a network namespace: \
             allow user namespaces to this program to have it"
        );
    }
    Ok(())
}

/// Has a worker play an empty script, and returns the layers of its sandbox.
async fn try_worker(circle: &Circle, factory: &WorkerFactory<'_>) -> io::Result<Vec<Layer>> {
    let mut worker = factory.start_worker(0).await.map_err(|error| worker_error(circle, &error.to_string()))?;
    worker.play(&Play { number: 1, script: "", bind: None, caller: None });
    let mut has_passed = false;
    loop {
        match worker.event().await {
            WorkerEvent::Done { outcome, .. } => {
                check_outcome(outcome)?;
                has_passed = true;
                if worker.pid().and_then(kernel::process_bytes).is_none() {
                    tracing::warn!("what workers have cannot be seen: total_mib and memory_per_caller_mib do not hold");
                    circle.admission.disable_memory_quota();
                }
                worker.kill();
            }
            // The check waits for the end, so that the circle starts to serve without a worker.
            WorkerEvent::Lost(_) if has_passed => return Ok(worker.layers().unwrap_or_default().to_vec()),
            WorkerEvent::Lost(loss) => return Err(worker_error(circle, &format!("its worker ended ({loss:?})"))),
            // An empty script prints nothing and calls no host function.
            _ => {}
        }
    }
}

fn check_outcome(outcome: EvalOutcome) -> io::Result<()> {
    match outcome {
        EvalOutcome::Value(_) => Ok(()),
        EvalOutcome::Failed(error) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, InitScriptError(script_error(error))))
        }
        EvalOutcome::Limit { kind, max } => Err(init_script_error(&format!("it meets the limit {kind:?} ({max})"))),
        EvalOutcome::Stopped => Err(init_script_error("it was stopped")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_sandbox_needs_all_layers() {
        let check = |sandbox, layers: &[Layer]| check_layers(sandbox, true, layers).is_ok();
        assert!(check(Sandbox::Required, &[Layer::Memory, Layer::Syscalls]));
        assert!(!check(Sandbox::Required, &[Layer::Memory]) && check(Sandbox::BestEffort, &[Layer::Memory]));
        // The program has no worker::Allocator.
        assert!(!check(Sandbox::Required, &[Layer::Syscalls]) && check(Sandbox::BestEffort, &[Layer::Syscalls]));
    }
}
