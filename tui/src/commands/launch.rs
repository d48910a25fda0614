//! `circles launch [NAME…]`: the circles of circles.json in the foreground, a process each.

use std::path::PathBuf;

use launcher::{Event, Happened};

use crate::{
    cli::LaunchArgs,
    commands::serve::shutdown,
    config, connect,
    error::{CliError, os_text},
    printing::{Paint, to_stdout, visible},
};

pub(crate) fn run(args: &LaunchArgs) -> Result<(), CliError> {
    let circles = if args.names.is_empty() {
        config::load(&args.config)?.1
    } else {
        args.names.iter().map(|name| config::circle(&args.config, name)).collect::<Result<_, _>>()?
    };
    if circles.is_empty() {
        return Err(CliError::usage("there is nothing to launch", "circles.json lists no circle", "add one to it"));
    }
    let width = circles.iter().map(|circle| circle.name.len()).max().unwrap_or_default();
    // The very file that is running, even if another was put in its place since.
    let program: PathBuf = if cfg!(target_os = "linux") {
        "/proc/self/exe".into()
    } else {
        std::env::current_exe().map_err(|error| {
            CliError::usage("cannot find this program itself", os_text(&error), "start it by its whole path")
        })?
    };
    connect::runtime()?.block_on(async {
        let mut events = launcher::supervise(circles, &program, shutdown()?);
        while let Some(event) = events.recv().await {
            to_stdout(&line(&event, width))?;
        }
        Ok(())
    })
}

fn line(event: &Event, width: usize) -> String {
    let paint = Paint::for_stdout();
    let name = paint.dim(&format!("{:width$} |", event.circle));
    match &event.what {
        Happened::Log(line) => format!("{name} {}\n", visible(line)),
        Happened::Ready => format!("{name} {}\n", paint.strong("ready")),
        Happened::Ended { why, again_in: Some(wait) } => {
            format!("{name} {}: {why}; again in {:.1} s\n", paint.error("down"), wait.as_secs_f64())
        }
        Happened::Ended { why, again_in: None } => format!("{name} {}: {why}\n", paint.error("down")),
        other => format!("{name} {other:?}\n"),
    }
}
