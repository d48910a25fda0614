//! `circles up [NAME…]` and `circles restart [NAME…]`: wait until each circle accepts connections or has failed.

mod dry_run;

use std::time::Duration;

use launcher::{
    CircleState, CircleStatus, Statuses,
    log::{LogFilter, LogReader, RotationPolicy},
    supervisor_files::SupervisorFiles,
};

use crate::{cli::UpArgs, console_hint};
use frontend::{
    config,
    error::CliError,
    log_line,
    supervisor::{self, StartCommand, SupervisorSetup},
    visible::visible,
};
use terminal::output::{Paint, to_stderr, to_stdout};

/// Log lines that are shown for a circle that does not start.
const LAST_LINES: usize = 8;

pub(crate) fn run(args: &UpArgs, command: StartCommand) -> Result<(), CliError> {
    if args.dry_run {
        return dry_run::run(args, command);
    }
    let circles = config::circles(args.config.path(), &args.names)?;
    let names: Vec<String> = circles.iter().map(|circle| circle.name.clone()).collect();
    let supervisors = SupervisorSetup { is_watching: !args.no_watch, ..SupervisorSetup::for_user()? };
    let files = supervisors.files(args.config.path())?;
    let runtime = terminal::runtime::client_runtime()?;
    if args.no_watch && runtime.block_on(supervisor::connect_unless_ending(&files))?.is_some() {
        return Err(CliError::usage(
            "--no-watch has no effect",
            "the supervisor is running already",
            "stop it first: circles down; or write \"watch\": false into circles.json",
        ));
    }
    let show_recovery = |circle: &CircleStatus| {
        let why = circle.why.as_deref().filter(|_| names.contains(&circle.name));
        // Without stderr nobody reads it.
        let _unread = why.map(|why| to_stderr(&format!("{}  {}\n", circle.name, visible(why))));
    };
    let started = supervisor::start_circles(&supervisors, &files, &args.names, command, args.timeout, &show_recovery);
    let statuses = runtime.block_on(started)?;
    report(&files, &names, &statuses, args.timeout)?;
    // One address is enough to find the others.
    let has_console = |status: &&CircleStatus| circles.iter().any(|it| it.name == status.name && it.console);
    if let Some(circle) = statuses.circles.iter().find(has_console) {
        console_hint::show(&circle.url);
    }
    Ok(())
}

fn report(
    files: &SupervisorFiles,
    names: &[String],
    statuses: &Statuses,
    answer_timeout: Duration,
) -> Result<(), CliError> {
    let width = names.iter().map(String::len).max().unwrap_or_default();
    let (mut failed, mut late) = (Vec::new(), Vec::new());
    for circle in statuses.circles.iter().filter(|circle| names.contains(&circle.name)) {
        match circle.state {
            CircleState::Ready => to_stdout(&format!("{:width$}  ready  {}\n", circle.name, circle.url))?,
            CircleState::Starting | CircleState::Draining => {
                print_last_log_lines(files, circle);
                late.push((circle.name.as_str(), circle.why.as_deref()));
            }
            _ => {
                failed.push(failure(files, circle));
            }
        }
    }
    let why_late = format!("not ready after {} s", answer_timeout.as_secs_f64());
    if !failed.is_empty() {
        failed.extend(late.iter().map(|(name, _)| format!("'{name}' ({why_late})")));
        let fix = "see the logs above; circles check validates circles.json, circles logs shows more";
        return Err(CliError::usage("circles did not start", failed.join(", "), fix));
    }
    if !late.is_empty() {
        let fix = "the supervisor is still trying: circles status; or wait longer: --timeout";
        let names = late.iter().map(|(name, why)| match why {
            Some(why) => format!("{name} ({why})"),
            None => (*name).to_owned(),
        });
        let names: Vec<String> = names.collect();
        return Err(CliError::supervisor(format!("circles are not up yet: {}", names.join(", ")), why_late, fix));
    }
    Ok(())
}

/// Prints the end of the log of a circle that did not start. Returns its name for the error message, with the reason
/// unless a printed line has it.
pub(crate) fn failure(files: &SupervisorFiles, circle: &CircleStatus) -> String {
    let is_explained = print_last_log_lines(files, circle);
    match circle.why.as_deref() {
        Some(_) if is_explained => format!("'{}'", circle.name),
        why => format!("'{}' ({})", circle.name, why.unwrap_or("it was stopped")),
    }
}

/// Prints the end of a circle's log, without the supervisor's lines that repeat why it ended. Returns whether one of
/// the printed lines is an error.
fn print_last_log_lines(files: &SupervisorFiles, circle: &CircleStatus) -> bool {
    // If the log cannot be read, the error message is still printed.
    let filter = LogFilter { last: Some(LAST_LINES), since: None };
    let Ok((mut lines, _)) = LogReader::last_lines(&files.log(&circle.name), RotationPolicy::LOG, filter) else {
        return false;
    };
    let is_error = |text: &str| log_line::level(&log_line::format_log(text)) == Some("ERROR");
    let has_error = lines.iter().any(|line| is_error(&line.text));
    if let Some(why) = circle.why.as_deref().filter(|_| has_error) {
        lines.retain(|line| is_error(&line.text) || !line.text.contains(why));
    }
    let paint = Paint::for_stderr();
    for line in lines {
        to_stderr(&format!(
            "{} {}\n",
            paint.dim(&format!("{} |", circle.name)),
            visible(&log_line::format_log(&line.text))
        ));
    }
    has_error
}
