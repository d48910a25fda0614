//! The execution of a run: it sends the script, answers its host calls, and watches its time.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{
    error::RunError,
    functions::{Replacements, RunningCall},
    session::Session,
};
use crate::{
    message::{
        EvalOutcome, HostError, HostReturn, LimitKind, NamedValue, PRINT_COST, Play, PlayValue, Print, ScriptError,
    },
    parent::{Loss, WorkerEvent},
};

/// A time limit that is never reached.
pub(super) const FAR_FUTURE: Duration = Duration::from_hours(100 * 365 * 24);

/// What to run.
pub(super) struct Request<'r> {
    pub(super) script: &'r str,
    pub(super) name: Option<&'r str>,
    pub(super) inputs: Vec<NamedValue>,
    pub(super) timeout: Duration,
    pub(super) prints: PrintSink<'r>,
    pub(super) functions: Replacements<'r>,
}

/// Where the prints of a run go.
pub(super) enum PrintSink<'r> {
    Dropped,
    Function(Box<dyn FnMut(Print) + Send + 'r>),
    List(&'r mut Vec<Print>),
}

impl PrintSink<'_> {
    fn take(&mut self, print: Print) {
        match self {
            Self::Dropped => {}
            Self::Function(function) => function(print),
            Self::List(list) => list.push(print),
        }
    }
}

/// Stops the script if the future of its run is dropped.
struct StopOnDrop<'s> {
    session: &'s mut Session,
    run: u64,
    has_ended: bool,
}

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.session.stop(self.run);
        }
    }
}

/// What ended the wait for a run.
enum Ended {
    Outcome(EvalOutcome),
    Lost(Loss),
    TimedOut,
    /// The result of a host function is too large.
    HostBytes,
}

/// Runs a script. Cancel safe: if the future is dropped, a task stops the script.
pub(super) async fn execute(session: &mut Session, mut request: Request<'_>) -> Result<PlayValue, RunError> {
    session.worker().await?;
    let run = session.next_run();
    let mut running = StopOnDrop { session, run, has_ended: false };
    let mut failed_call = None;
    let ended = wait_for_end(&mut running, &mut request, &mut failed_call).await?;
    match ended {
        Ended::Outcome(outcome) => {
            running.has_ended = true;
            outcome_result(outcome, failed_call)
        }
        Ended::Lost(loss) => {
            running.has_ended = true;
            running.session.set_lost(loss);
            Err(RunError::WorkerLost(loss))
        }
        Ended::TimedOut | Ended::HostBytes => {
            let max = running.session.place.pool.setup.limits.host_bytes;
            running.has_ended = true;
            running.session.stop(run);
            // A script that cannot be stopped takes the session with it, which the next run reports.
            let _stopped = running.session.worker().await;
            Err(match ended {
                Ended::HostBytes => RunError::Limit { kind: LimitKind::HostBytes, max },
                _ => RunError::TimedOut { after: request.timeout },
            })
        }
    }
}

/// Sends the script and serves it until it has ended or has to be stopped. `failed_call` is the last host function that
/// failed, with its error.
async fn wait_for_end(
    running: &mut StopOnDrop<'_>,
    request: &mut Request<'_>,
    failed_call: &mut Option<(String, HostError)>,
) -> Result<Ended, RunError> {
    let run = running.run;
    let pool = running.session.place.pool.clone();
    let limits = &pool.setup.limits;
    let mut output_left = limits.output_bytes;
    let worker = running.session.worker().await?;
    worker.set_inputs(std::mem::take(&mut request.inputs));
    worker.play(&Play { number: run, script: request.script, name: request.name, bind: None });
    let deadline = Instant::now() + request.timeout.min(FAR_FUTURE);
    let mut call: Option<RunningCall<'_>> = None;
    loop {
        tokio::select! {
            biased;
            () = sleep_until(deadline) => return Ok(Ended::TimedOut),
            result = next_result(&mut call) => {
                let function = call.take().map(|call| call.function).unwrap_or_default();
                let returned = match result {
                    Ok(json) => HostReturn::Value(json),
                    Err(error) => HostReturn::Failed(error),
                };
                if returned.bytes() > limits.host_bytes {
                    return Ok(Ended::HostBytes);
                }
                if let HostReturn::Failed(error) = &returned {
                    *failed_call = Some((function, error.clone()));
                }
                worker.return_host_call(returned);
            }
            event = worker.event() => match event {
                WorkerEvent::Print(print) => match output_left.checked_sub(PRINT_COST + print.text.len() as u64) {
                    Some(left) => {
                        output_left = left;
                        request.prints.take(print);
                    }
                    // The worker enforces the limit, so this one is compromised.
                    None => worker.kill_as_crashed(),
                },
                WorkerEvent::HostCall(host_call) => {
                    call = RunningCall::start(&pool.functions, &request.functions, &host_call);
                    if call.is_none() {
                        worker.kill_as_crashed();
                    }
                }
                WorkerEvent::Done { outcome, .. } => return Ok(Ended::Outcome(outcome)),
                WorkerEvent::Lost(loss) => return Ok(Ended::Lost(loss)),
                _ => {}
            },
        }
    }
}

/// Waits for the result of the call; never returns without one. Cancel safe.
async fn next_result(call: &mut Option<RunningCall<'_>>) -> Result<String, HostError> {
    match call {
        Some(call) => call.result().await,
        None => std::future::pending().await,
    }
}

fn outcome_result(outcome: EvalOutcome, failed_call: Option<(String, HostError)>) -> Result<PlayValue, RunError> {
    match outcome {
        EvalOutcome::Value(value) => Ok(value),
        EvalOutcome::Failed(error) => Err(script_error(error.into(), failed_call)),
        EvalOutcome::Limit { kind, max } => Err(RunError::Limit { kind, max }),
        // Only a stop by the pool has this outcome, after which it waits for none.
        EvalOutcome::Stopped => Err(RunError::WorkerLost(Loss::Crashed)),
    }
}

/// The error of a script, which is that of a host function if the script did not catch it.
fn script_error(script: Box<ScriptError>, failed_call: Option<(String, HostError)>) -> RunError {
    match failed_call {
        Some((function, error)) if script.message == format!("{function}: {}", error.message) => {
            RunError::HostFunction { function, error, script }
        }
        _ => RunError::Script(script),
    }
}
