//! `circles logs [-f] [--audit] [NAME…]`: show the logs or audits of circles, and follow them.

use std::{
    io::{IsTerminal, stdout},
    sync::mpsc::sync_channel,
};

use launcher::log::{LogFilter, LogLine, LogReader, RotationPolicy};

use crate::cli::LogsArgs;
use frontend::{
    config,
    error::{CliError, OutputError},
    log_line, log_watch, supervisor,
    visible::visible,
};
use terminal::output::{Paint, to_stdout};

/// Lines of each log that are shown without `--tail` and `--since`.
const LAST_LINES: usize = 100;

pub(crate) fn run(args: &LogsArgs) -> Result<(), CliError> {
    let circles = config::circles(args.config.path(), &args.names)?;
    let mut names: Vec<String> = circles.iter().map(|circle| circle.name.clone()).collect();
    let files = supervisor::place(args.config.path())?;
    if args.names.is_empty() && !args.audit {
        names.push(launcher::SUPERVISOR_LOG_NAME.to_owned());
    }
    let mut printer = LinePrinter::new(args, &names);
    printer.print_titles()?;
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
        printer.print(name, line)?;
    }
    drop(all);
    if watching.is_none() {
        return Ok(());
    }
    while changes.recv().is_ok() {
        for (name, reader) in &mut readers {
            for line in reader.read_new().map_err(|error| read_error(name, &error))? {
                printer.print(name, &line)?;
            }
        }
    }
    Ok(())
}

/// Prints lines as the options say: as JSON, or for people; on a terminal with colours and short times.
struct LinePrinter {
    is_json: bool,
    is_audit: bool,
    is_terminal: bool,
    /// The width of the names before each line; `None` if all lines are of one circle.
    name_width: Option<usize>,
    /// The date of the last line on a terminal, where lines have only the time of the day.
    date: Option<String>,
}

impl LinePrinter {
    fn new(args: &LogsArgs, names: &[String]) -> Self {
        let circle_names = names.iter().filter(|name| *name != launcher::SUPERVISOR_LOG_NAME);
        let width = circle_names.map(String::len).max().unwrap_or_default();
        Self {
            is_json: args.json,
            is_audit: args.audit,
            is_terminal: stdout().is_terminal(),
            name_width: (names.len() > 1 && !args.json).then_some(width),
            date: None,
        }
    }

    fn print_titles(&self) -> Result<(), OutputError> {
        if !self.is_audit || self.is_json || !self.is_terminal {
            return Ok(());
        }
        let indent = " ".repeat(self.name_width.map_or(0, |width| width + " | ".len()));
        to_stdout(&format!("{}\n", Paint::for_stdout().dim(&format!("{indent}{}", log_line::audit_titles()))))
    }

    fn print(&mut self, name: &str, line: &LogLine) -> Result<(), OutputError> {
        let paint = Paint::for_stdout();
        if self.is_json {
            return to_stdout(&format!("{}\n", visible(&log_line::json_line(name, &line.text))));
        }
        let before = self.name_width.map(|width| paint.dim(&format!("{name:width$} |")) + " ").unwrap_or_default();
        if self.is_audit {
            return to_stdout(&format!("{before}{}\n", visible(&log_line::format_audit(&line.text))));
        }
        if !self.is_terminal {
            return to_stdout(&format!("{before}{}\n", visible(&log_line::format_log(&line.text))));
        }
        if let Some(date) = log_line::date(&line.text).filter(|date| self.date.as_ref() != Some(date)) {
            to_stdout(&format!("{}\n", paint.dim(&format!("{date} (UTC)"))))?;
            self.date = Some(date);
        }
        to_stdout(&format!("{before}{}\n", paint.line(&log_line::styled_log(&line.text))))
    }
}

fn read_error(name: &str, error: &std::io::Error) -> CliError {
    CliError::io(format!("cannot read the log of '{name}'"), error, "")
}
