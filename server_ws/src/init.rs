//! The circle's own script, tried once before anyone is served.

use std::{io, sync::atomic::Ordering, time::Duration};

use worker::{Event, Outcome, Play, Worker};

use crate::circle::Circle;

/// How the script of a circle fails; for a person.
fn failed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the init script fails: {why}"))
}

/// Runs it in a worker of its own, within the time of a play; once it has run well, not again.
pub(crate) async fn check(circle: &Circle) -> io::Result<()> {
    if circle.setup.init.is_none() || circle.is_init_tried.load(Ordering::Relaxed) {
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
    let tried = tokio::time::timeout(limit, ended)
        .await
        .unwrap_or_else(|_| Err(failed(&format!("it takes longer than {} ms", circle.limits.play_ms))));
    circle.is_init_tried.store(tried.is_ok(), Ordering::Relaxed);
    tried
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
