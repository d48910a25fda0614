//! `circles logs [-f] [--audit] [NAME…]`: show the logs or audits of circles, and follow them.

use std::sync::mpsc::sync_channel;

use launcher::log::{LogFilter, LogLine, LogReader, RotationPolicy};

use crate::cli::LogsArgs;
use frontend::{config, error::CliError, log_line, log_watch, supervisor, visible::visible};
use terminal::output::{Paint, to_stdout};

/// Lines of each log that are shown without `--tail` and `--since`.
const LAST_LINES: usize = 100;

pub(crate) fn run(args: &LogsArgs) -> Result<(), CliError> {
    let circles = config::circles(args.config.path(), &args.names)?;
    let mut names: Vec<String> = circles.iter().map(|circle| circle.name.clone()).collect();
    let files = supervisor::place(args.config.path())?;
    let width = names.iter().map(String::len).max().unwrap_or_default();
    if args.names.is_empty() && !args.audit && !args.json {
        names.push(launcher::SUPERVISOR_LOG_NAME.to_owned());
    }
    let print = |name: &str, line: &LogLine| {
        let paint = Paint::for_stdout();
        let before =
            if names.len() > 1 && !args.json { paint.dim(&format!("{name:width$} |")) + " " } else { String::new() };
        let text = match (args.json, args.audit) {
            (true, _) => line.text.as_str().into(),
            (false, true) => log_line::format_audit(&line.text),
            (false, false) => log_line::format_log(&line.text),
        };
        to_stdout(&format!("{before}{}\n", visible(&text)))
    };
    // One pending notification is enough: reading takes all new lines.
    let (changed, changes) = sync_channel(1);
    let watching = args
        .follow
        .then(|| {
            log_watch::watch(files.logs(), move || {
                let _already_pending = changed.try_send(());
            })
        })
        .transpose()?;
    let filter = LogFilter { last: args.tail.or(args.since.is_none().then_some(LAST_LINES)), since: args.since };
    let (mut readers, mut all) = (Vec::new(), Vec::new());
    for name in &names {
        let rotation = circles.iter().find(|circle| circle.name == *name).map(|circle| circle.audit_rotation);
        let (path, bounds) = match rotation {
            Some(rotation) if args.audit => (files.audit(name), rotation.bounds()),
            _ => (files.log(name), RotationPolicy::LOG),
        };
        let (lines, reader) = LogReader::last_lines(&path, bounds, filter).map_err(|error| read_error(name, &error))?;
        all.extend(lines.into_iter().map(|line| (name, line)));
        readers.push((name, reader));
    }
    // A stable sort: lines of one circle with equal times keep their order.
    all.sort_by_key(|(_, line)| line.time);
    for (name, line) in &all {
        print(name, line)?;
    }
    drop(all);
    if watching.is_none() {
        return Ok(());
    }
    while changes.recv().is_ok() {
        for (name, reader) in &mut readers {
            for line in reader.read_new().map_err(|error| read_error(name, &error))? {
                print(name, &line)?;
            }
        }
    }
    Ok(())
}

fn read_error(name: &str, error: &std::io::Error) -> CliError {
    CliError::io(format!("cannot read the log of '{name}'"), error, "")
}
