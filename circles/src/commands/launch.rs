//! `circles launch [NAME…]`: the circles of circles.json in the foreground, a process each.

use std::time::Duration;

use launcher::{CircleEvent, CircleEventKind, SdNotifier, SupervisorHandle};

use crate::{
    cli::LaunchArgs,
    commands::serve::shutdown::{RUNTIME_TIMEOUT, shutdown_at},
};
use frontend::{config, error::CliError, supervisor, visible::visible};
use terminal::{
    modes::ignore_file_size_signal,
    output::{Paint, to_stdout},
};

/// How long the last lines may take to be written.
const FINAL_OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &LaunchArgs) -> Result<(), CliError> {
    config::circles(args.config.path(), &args.names)?;
    let place = supervisor::place(args.config.path())?;
    let runtime = terminal::runtime::runtime()?;
    ignore_file_size_signal(&runtime)?;
    let (supervisor_lock, start_lock) = supervisor::acquire_locks(&runtime, &place)?;
    let hangup = supervisor::HangupAction::for_foreground();
    let done = runtime.block_on(async {
        let mut begin = supervisor::prepare_start(&place, &args.names, true, hangup)?;
        begin.manager = SdNotifier::from_environment();
        let width = begin.circles.iter().map(|circle| circle.name.len()).max().unwrap_or_default();
        let shutdown = shutdown_at(&hangup.end_signals())?;
        let SupervisorHandle { mut events, task: mut ended } =
            launcher::supervisor::start(place, supervisor_lock, begin, shutdown)?;
        drop(start_lock);
        // A thread of its own: a reader of this output who stands still must hold up nothing.
        let (end, mut written) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut written = Ok(());
            while let Some(event) = events.blocking_recv().filter(|_| written.is_ok()) {
                written = to_stdout(&line(&event, width));
            }
            // The launcher may have gone on without it.
            let _unawaited = end.send(written);
        });
        let mut is_written = false;
        let failed = loop {
            tokio::select! {
                failed = &mut ended => break failed.unwrap_or_default(),
                outcome = &mut written, if !is_written => match outcome {
                    // Before the circles have ended, only because it could not be written.
                    Ok(Err(unwritten)) => return Err(unwritten.into()),
                    _ => is_written = true,
                },
            }
        };
        if !is_written && let Ok(Ok(Err(unwritten))) = tokio::time::timeout(FINAL_OUTPUT_TIMEOUT, written).await {
            return Err(unwritten.into());
        }
        if failed.is_empty() {
            return Ok(());
        }
        let fix = "its log above says why; circles check looks at circles.json";
        Err(CliError::usage(format!("failed, and not started again: {}", failed.join(", ")), "", fix))
    });
    runtime.shutdown_timeout(RUNTIME_TIMEOUT);
    done
}

fn line(event: &CircleEvent, width: usize) -> String {
    let paint = Paint::for_stdout();
    let name = paint.dim(&format!("{:width$} |", event.circle));
    match &event.kind {
        // That it is ready says it all.
        CircleEventKind::Started { .. } | CircleEventKind::Listening(_) | CircleEventKind::Heartbeat(_) => {
            String::new()
        }
        CircleEventKind::Log(line) | CircleEventKind::Warning(line) | CircleEventKind::Info(line) => {
            format!("{name} {}\n", visible(line))
        }
        CircleEventKind::Ready => format!("{name} {}\n", paint.strong("ready")),
        CircleEventKind::Configured { refused: None, .. } => String::new(),
        CircleEventKind::Configured { refused: Some(why), .. } => {
            format!("{name} {}: {}\n", paint.error("goes on as it was"), visible(why))
        }
        CircleEventKind::Ended { reason: why, restart_in: Some(wait) } => {
            format!("{name} {}: {}; again in {:.1} s\n", paint.error("down"), visible(why), wait.as_secs_f64())
        }
        CircleEventKind::Ended { reason: why, restart_in: None } => {
            format!("{name} {}: {}\n", paint.error("down"), visible(why))
        }
        other => format!("{name} {other:?}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launch_escapes_output_of_circles() {
        let hostile = || "\u{1b}[2J\u{202e}".to_owned();
        let all = [
            CircleEventKind::Log(hostile()),
            CircleEventKind::Configured { generation: 1, refused: Some(hostile()) },
            CircleEventKind::Ended { reason: hostile(), restart_in: None },
            CircleEventKind::Ended { reason: hostile(), restart_in: Some(Duration::ZERO) },
        ];
        for what in all {
            let line = line(&CircleEvent { circle: "team".into(), kind: what }, 4);
            assert!(line.contains("␛[2J\u{fffd}") && !line.contains("\u{1b}[2J"), "{line:?}");
        }
    }
}
