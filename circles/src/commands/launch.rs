//! `circles launch [NAME…]`: run the configured circles in the foreground, one process each.

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

/// Time for the last lines to be written.
const FINAL_OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &LaunchArgs) -> Result<(), CliError> {
    config::circles(args.config.path(), &args.names)?;
    let files = supervisor::place(args.config.path())?;
    let runtime = terminal::runtime::runtime()?;
    ignore_file_size_signal(&runtime)?;
    let (supervisor_lock, start_lock) = supervisor::acquire_locks(&runtime, &files)?;
    let hangup = supervisor::HangupAction::for_foreground();
    let done = runtime.block_on(async {
        let mut options = supervisor::prepare_start(&files, &args.names, true, hangup, !args.no_watch)?;
        options.manager = SdNotifier::from_environment();
        let width = options.circles.iter().map(|circle| circle.name.len()).max().unwrap_or_default();
        let shutdown = shutdown_at(&hangup.end_signals())?;
        let SupervisorHandle { mut events, task: mut ended } =
            launcher::supervisor::start(files, supervisor_lock, options, shutdown)?;
        drop(start_lock);
        // In a thread of its own: a reader that blocks must not delay anything else.
        let (end, mut written) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut written = Ok(());
            while let Some(event) = events.blocking_recv().filter(|_| written.is_ok()) {
                written = to_stdout(&line(&event, width));
            }
            // The receiver may have timed out.
            let _unawaited = end.send(written);
        });
        let mut is_written = false;
        let failed = loop {
            tokio::select! {
                failed = &mut ended => break failed.unwrap_or_default(),
                outcome = &mut written, if !is_written => match outcome {
                    // The thread ends before the circles only if it cannot write.
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
        let fix = "see the log above; circles check validates circles.json";
        Err(CliError::usage(format!("circles failed and were not restarted: {}", failed.join(", ")), "", fix))
    });
    runtime.shutdown_timeout(RUNTIME_TIMEOUT);
    done
}

fn line(event: &CircleEvent, width: usize) -> String {
    let paint = Paint::for_stdout();
    let name = paint.dim(&format!("{:width$} |", event.circle));
    match &event.kind {
        // `ready` is enough, and the log has the progress of a recovery.
        CircleEventKind::Started { .. }
        | CircleEventKind::Recovering { .. }
        | CircleEventKind::Listening(_)
        | CircleEventKind::Heartbeat(_) => String::new(),
        CircleEventKind::Log(line) | CircleEventKind::Warning(line) | CircleEventKind::Info(line) => {
            format!("{name} {}\n", visible(line))
        }
        CircleEventKind::Ready => format!("{name} {}\n", paint.strong("ready")),
        CircleEventKind::Configured { refused: None, .. } => String::new(),
        CircleEventKind::Configured { refused: Some(why), .. } => {
            format!("{name} {}: {}\n", paint.error("change not applied"), visible(why))
        }
        CircleEventKind::Ended { reason: why, restart_in: Some(wait) } => {
            format!("{name} {}: {}; restarting in {:.1} s\n", paint.error("down"), visible(why), wait.as_secs_f64())
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
