//! What a circle needs before it serves: a worker that starts, is kept where it is, and runs the circle's own script.

use std::{io, time::Duration};

use worker::{Event, Layer, Outcome, Play, Worker};

use crate::circle::{Circle, Sandbox};

/// How the script of a circle fails; for a person.
fn failed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the init script fails: {why}"))
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
                Event::Lost(loss) => return Err(failed(&format!("its process ended ({loss:?})"))),
                Event::Print(_) | Event::Progress(_) | Event::Answer { .. } => {}
            }
        }
    };
    let limit = Duration::from_millis(circle.limits.play_ms);
    tokio::time::timeout(limit, ended)
        .await
        .unwrap_or_else(|_| Err(failed(&format!("it takes longer than {} ms", circle.limits.play_ms))))?;
    let layers = worker.layers().unwrap_or_default();
    if circle.sandbox == Sandbox::Required && !layers.contains(&Layer::Syscalls) {
        let why = "a sandbox is required, and this system has none for its scripts (seccomp on Linux is missing)";
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    }
    circle.layers.get_or_init(|| layers.to_vec());
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
