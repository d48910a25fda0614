//! What a circle needs before it serves: a worker that starts, is kept where it is, and runs the circle's own script.

use std::{io, time::Duration};

use worker::{Event, Layer, Outcome, Play, Worker};

use crate::{
    circle::{Circle, Sandbox},
    kernel,
};

/// How long a worker may take to start.
const STARTING: Duration = Duration::from_secs(10);

/// How the script of a circle fails; for a person.
fn failed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the init script fails: {why}"))
}

/// How a worker ends or hangs: the fault of the script, if there is one that it runs.
fn unusable(circle: &Circle, why: &str) -> io::Error {
    if circle.setup.init.is_some() { failed(why) } else { io::Error::other(format!("no worker can be used: {why}")) }
}

/// Tries a worker, within the time of a play; once it has run well, not again.
pub(crate) async fn check(circle: &Circle) -> io::Result<()> {
    if circle.layers.get().is_some() {
        return Ok(());
    }
    let mut worker = Worker::start(circle.program.clone(), circle.setup.clone()).await?;
    worker.play(&Play { number: 1, script: "", bind: None, caller: None });
    let ended = async {
        loop {
            match worker.event().await {
                Event::Done { outcome, .. } => return judge(outcome),
                Event::Lost(loss) => return Err(unusable(circle, &format!("its process ended ({loss:?})"))),
                Event::Print(_) | Event::Progress(_) | Event::Answer { .. } => {}
            }
        }
    };
    // Without a script there is no play whose time could count, only a process that starts.
    let limit = match circle.setup.init {
        Some(_) => Duration::from_millis(circle.limits.play_ms),
        None => STARTING,
    };
    tokio::time::timeout(limit, ended)
        .await
        .unwrap_or_else(|_| Err(unusable(circle, &format!("it takes longer than {} ms", limit.as_millis()))))?;
    if worker.pid().and_then(kernel::memory_of).is_none() {
        tracing::warn!("what workers have cannot be seen here: total_mib and memory_per_caller_mib do not hold");
        circle.admission.be_blind();
    }
    let layers = worker.layers().unwrap_or_default();
    if circle.sandbox == Sandbox::Required && !layers.contains(&Layer::Syscalls) {
        let why = "a sandbox is required, and this system has none for its scripts (seccomp on Linux is missing)";
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    }
    circle.layers.get_or_init(|| layers.to_vec());
    // It is gone before anyone is served.
    worker.kill();
    while !matches!(worker.event().await, Event::Lost(_)) {}
    Ok(())
}

fn judge(outcome: Outcome) -> io::Result<()> {
    match outcome {
        Outcome::Value(_) => Ok(()),
        Outcome::Failed(error) => {
            let place = error.position.map_or(String::new(), |at| format!(" (line {}, column {})", at.line, at.column));
            Err(failed(&format!("{}{place}", error.message)))
        }
        Outcome::Limit { kind, max } => Err(failed(&format!("it meets the limit {kind:?} ({max})"))),
        Outcome::Stopped => Err(failed("it was stopped")),
    }
}
