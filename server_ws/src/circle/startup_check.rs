//! The startup check: before a circle serves anyone, it starts one worker, checks the worker's sandbox and runs the
//! init script.

use std::{
    io,
    time::{Duration, Instant},
};

use protocol::error::ScriptError;
use worker::{Call, EvalOutcome, Layer, NO_FUNCTION, Play, TraceSource, WorkerEvent};

use super::{
    Circle, Sandbox,
    worker_pool::{START_TIMEOUT, WorkerFactory},
};
use crate::{circle_functions::Generation, conversion::script_error, metrics::SandboxLayer};

/// The error of an init script that fails for another reason than its own error.
fn init_script_error(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the init script failed: {why}"))
}

/// The error of a circle's init script, with its position. If the script itself fails, the [`io::Error`] of
/// [`check`](crate::check) contains this error.
#[derive(Debug)]
pub struct InitScriptError(pub ScriptError);

impl std::fmt::Display for InitScriptError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ScriptError { message, line, column, .. } = &self.0;
        write!(f, "the init script failed: {message}")?;
        match (line, column) {
            (Some(line), Some(column)) => write!(f, " (line {line}, column {column})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for InitScriptError {}

/// The error of a worker that ends or hangs. The cause is the init script if there is one, because the worker runs it.
fn worker_error(circle: &Circle, why: &str) -> io::Error {
    if circle.settings.borrow().workers.setup.init.is_some() {
        init_script_error(why)
    } else {
        io::Error::other(format!("the startup check failed: {why}"))
    }
}

/// Runs the startup check in a local worker, within the time of a play. A circle that has passed is not checked again. The fork server of
/// the worker stays, for the workers of sessions.
pub(crate) async fn check(circle: &Circle) -> io::Result<()> {
    if circle.metrics.sandbox().is_some() {
        return Ok(());
    }
    let settings = circle.settings();
    let local = settings.workers.local();
    let workers = local.as_ref().unwrap_or(&*settings.workers);
    let factory = workers.factory().await?;
    // Without an init script, the time limit of a play does not apply.
    let limit = match workers.setup.init {
        Some(_) => Duration::from_millis(settings.limits.values.play_ms),
        None => START_TIMEOUT,
    };
    let result = match tokio::time::timeout(limit, try_worker(circle, &factory)).await {
        Ok(result) => result,
        Err(_) => Err(worker_error(circle, &format!("it took longer than {} ms", limit.as_millis()))),
    };
    if result.is_err() {
        workers.discard_fork_server().await;
    }
    let layers = result?;
    check_layers(circle.sandbox, workers.has_processes(), &layers)?;
    if let Some(functions) = &settings.functions {
        check_functions(functions).await?;
    }
    circle.metrics.set_sandbox(SandboxLayer::all(workers.has_processes(), &layers));
    Ok(())
}

/// Starts a worker for functions, so that an error at the top level of a file is known before a caller meets it.
pub(super) async fn check_functions(functions: &Generation) -> io::Result<()> {
    if !functions.has_files() {
        return Ok(());
    }
    let failed = |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("the functions failed: {why}"));
    let checked = async {
        let local = functions.pool().local();
        let mut worker = local.as_ref().unwrap_or(functions.pool()).fork_worker(0).await?;
        // No function has this number. The error of a file comes before the one that says so.
        let call = Call { number: 1, function: u32::MAX, args: &[], constants: &[] };
        worker.call(&call).map_err(|error| failed(error.to_string()))?;
        worker.flush();
        loop {
            match worker.event().await {
                WorkerEvent::Done { outcome: EvalOutcome::Failed(error), .. } => {
                    return if error.message.starts_with(NO_FUNCTION) {
                        Ok(())
                    } else {
                        Err(failed(file_error(&error)))
                    };
                }
                WorkerEvent::Done { outcome, .. } => return Err(failed(format!("{outcome:?}"))),
                WorkerEvent::Lost(loss) => return Err(failed(format!("their worker was lost ({loss:?})"))),
                _ => {}
            }
        }
    };
    let limit = functions.pool().timeout();
    let timed_out =
        |_| failed(format!("the top level of a file took longer than {} ms: look for a loop", limit.as_millis()));
    tokio::time::timeout(limit, checked).await.map_err(timed_out)?
}

/// Returns the text of an error at the top level of a file, with its place.
fn file_error(error: &worker::ScriptError) -> String {
    let place = error.trace.iter().find_map(|frame| match (&frame.source, frame.position) {
        (TraceSource::File(path), Some(position)) => Some(format!("{path}:{}:{}: ", position.line, position.column)),
        _ => None,
    });
    format!("{}{}", place.unwrap_or_default(), error.message)
}

/// Checks the layers of a worker's sandbox, and logs missing layers.
fn check_layers(sandbox: Sandbox, has_processes: bool, layers: &[Layer]) -> io::Result<()> {
    let is_required = sandbox == Sandbox::Required;
    let missing = |why| Err(io::Error::new(io::ErrorKind::Unsupported, why));
    if is_required && !layers.contains(&Layer::Syscalls) {
        return missing(
            "the required sandbox is not available: this system cannot filter system calls (seccomp on Linux)",
        );
    }
    // Otherwise the worker's handle has logged that memory_mib is not enforced.
    if is_required && has_processes && !layers.contains(&Layer::Memory) {
        return missing(
            "the required sandbox is not available, because nothing limits the memory of scripts: \
             make worker::Allocator the #[global_allocator] of this program",
        );
    }
    // The filter of system calls already forbids sockets, so the circle starts without this layer.
    if has_processes && !layers.contains(&Layer::Network) {
        tracing::warn!(
            "the sandbox of workers has no network layer, because the system denies a network namespace: \
             allow user namespaces for this program"
        );
    }
    Ok(())
}

/// Runs an empty script in a worker, and returns the layers of the worker's sandbox.
async fn try_worker(circle: &Circle, factory: &WorkerFactory<'_>) -> io::Result<Vec<Layer>> {
    let mut worker = factory.start_worker(0).await.map_err(|error| worker_error(circle, &error.to_string()))?;
    worker.play(&Play { number: 1, script: "", name: None, bind: None });
    let mut has_passed = false;
    loop {
        match worker.event().await {
            WorkerEvent::Done { outcome, .. } => {
                check_outcome(outcome)?;
                has_passed = true;
                if worker.memory_usage(Instant::now()).known().is_none() {
                    tracing::warn!(
                        "cannot read the memory of workers: total_mib and memory_per_caller_mib are not enforced"
                    );
                    circle.admission.disable_memory_quota();
                }
                worker.kill();
            }
            // The check waits until the worker has ended, so that the circle starts to serve without a worker.
            WorkerEvent::Lost(_) if has_passed => return Ok(worker.layers().unwrap_or_default().to_vec()),
            WorkerEvent::Lost(loss) => return Err(worker_error(circle, &format!("its worker was lost ({loss:?})"))),
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
        EvalOutcome::Limit { kind, max } => Err(init_script_error(&format!("it exceeded the limit {kind:?} ({max})"))),
        EvalOutcome::Stopped => Err(init_script_error("it was stopped")),
        other => Err(init_script_error(&format!("it ended in an unknown way ({other:?})"))),
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
        // As in a program without worker::Allocator.
        assert!(!check(Sandbox::Required, &[Layer::Syscalls]) && check(Sandbox::BestEffort, &[Layer::Syscalls]));
    }
}
