//! `circles up [NAME…]` and `circles restart [NAME…]`: until every one of them takes connections, or does not.

mod dry_run;

use std::time::Duration;

use launcher::{
    CircleState, CircleStatus, Statuses,
    log::{LogFilter, LogReader, RotationPolicy},
    place::SupervisorFiles,
};

use crate::cli::UpArgs;
use frontend::{
    config,
    error::CliError,
    log_line,
    supervisor::{self, StartCommand, SupervisorSetup},
    visible::visible,
};
use terminal::output::{Paint, to_stderr, to_stdout};

/// Lines of its log that are shown of a circle that does not start.
const LAST_LINES: usize = 8;

pub(crate) fn run(args: &UpArgs, wish: StartCommand) -> Result<(), CliError> {
    if args.dry_run {
        return dry_run::run(args, wish);
    }
    let wanted: Vec<String> =
        config::circles(args.config.path(), &args.names)?.into_iter().map(|circle| circle.name).collect();
    let supervisors = SupervisorSetup::for_user()?;
    let place = supervisors.files(args.config.path())?;
    let told = supervisor::start_circles(&supervisors, &place, &args.names, wish, args.timeout);
    let statuses = terminal::runtime::client_runtime()?.block_on(told)?;
    report(&place, &wanted, &statuses, args.timeout)
}

fn report(place: &SupervisorFiles, wanted: &[String], statuses: &Statuses, patience: Duration) -> Result<(), CliError> {
    let width = wanted.iter().map(String::len).max().unwrap_or_default();
    let (mut failed, mut late) = (Vec::new(), Vec::new());
    for circle in statuses.circles.iter().filter(|circle| wanted.contains(&circle.name)) {
        match circle.state {
            CircleState::Ready => to_stdout(&format!("{:width$}  ready  {}\n", circle.name, circle.url))?,
            CircleState::Starting | CircleState::Draining => {
                last_words(place, circle);
                late.push(circle.name.as_str());
            }
            _ => {
                last_words(place, circle);
                failed.push(format!("'{}' ({})", circle.name, circle.why.as_deref().unwrap_or("it was taken down")));
            }
        }
    }
    let why_late = format!("not ready after {} s", patience.as_secs_f64());
    if !failed.is_empty() {
        failed.extend(late.iter().map(|name| format!("'{name}' ({why_late})")));
        let fix = "their logs above say why; circles check looks at circles.json, circles logs has more";
        return Err(CliError::usage("not up", failed.join(", "), fix));
    }
    if !late.is_empty() {
        let fix = "it is still being tried: circles status; or wait longer: --timeout";
        return Err(CliError::supervisor(format!("not up: {}", late.join(", ")), why_late, fix));
    }
    Ok(())
}

pub(crate) fn last_words(place: &SupervisorFiles, circle: &CircleStatus) {
    // Without a log there is still the error.
    let wanted = LogFilter { last: Some(LAST_LINES), since: None };
    let Ok((lines, _)) = LogReader::last_lines(&place.log(&circle.name), RotationPolicy::LOG, wanted) else { return };
    let paint = Paint::for_stderr();
    for line in lines {
        to_stderr(&format!(
            "{} {}\n",
            paint.dim(&format!("{} |", circle.name)),
            visible(&log_line::format_log(&line.text))
        ));
    }
}
