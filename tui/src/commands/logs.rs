//! `circles logs [-f] [NAME…]`: what circles have logged, and go on to log.

use std::{path::Path, sync::mpsc::sync_channel};

use launcher::log::LogReader;
use notify::{RecursiveMode, Watcher};

use crate::{
    cli::LogsArgs,
    config,
    error::CliError,
    printing::{Paint, to_stdout},
    supervisor,
    visible::visible,
};

pub(crate) fn run(args: &LogsArgs) -> Result<(), CliError> {
    let mut names: Vec<String> =
        config::circles(&args.config, &args.names)?.into_iter().map(|circle| circle.name).collect();
    let place = supervisor::place(&args.config)?;
    let width = names.iter().map(String::len).max().unwrap_or_default();
    if args.names.is_empty() {
        names.push(launcher::SUPERVISOR.to_owned());
    }
    let print = |name: &str, lines: Vec<String>| -> Result<(), CliError> {
        let paint = Paint::for_stdout();
        let before = if names.len() > 1 { paint.dim(&format!("{name:width$} |")) + " " } else { String::new() };
        for line in lines {
            to_stdout(&format!("{before}{}\n", visible(&line)))?;
        }
        Ok(())
    };
    // One that is not taken yet stands for all that follow.
    let (changed, changes) = sync_channel(1);
    let watching = args
        .follow
        .then(|| {
            watch(place.logs(), move || {
                let _one_waits_already = changed.try_send(());
            })
        })
        .transpose()?;
    let mut readers = Vec::new();
    for name in &names {
        let (lines, reader) =
            LogReader::last_lines(&place.log(name), args.tail).map_err(|error| unreadable(name, &error))?;
        print(name, lines)?;
        readers.push((name, reader));
    }
    if watching.is_none() {
        return Ok(());
    }
    while changes.recv().is_ok() {
        for (name, reader) in &mut readers {
            let lines = reader.more().map_err(|error| unreadable(name, &error))?;
            if !lines.is_empty() {
                print(name, lines)?;
            }
        }
    }
    Ok(())
}

/// Says when something in a directory has changed, until what is returned is dropped.
fn watch(directory: &Path, changed: impl Fn() + Send + 'static) -> Result<impl Watcher, CliError> {
    let failed = |error: notify::Error| {
        CliError::usage(
            format!("cannot follow the logs in {}", directory.display()),
            error.to_string(),
            "without -f they are shown as they are now",
        )
    };
    let is_worth_a_look = |event: &notify::Event| !event.kind.is_access();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // What could not be told in full is worth a look, too.
        if event.as_ref().map_or(true, is_worth_a_look) {
            changed();
        }
    })
    .map_err(failed)?;
    watcher.watch(directory, RecursiveMode::NonRecursive).map_err(failed)?;
    Ok(watcher)
}

fn unreadable(name: &str, error: &std::io::Error) -> CliError {
    CliError::io(format!("cannot read the log of '{name}'"), error, "")
}
