//! `circles up [NAME…]` and `circles restart [NAME…]`: until every one of them takes connections, or does not.

mod dry_run;

use std::time::Duration;

use launcher::{
    CircleStatus, State, Statuses,
    log::{Bounds, LogReader, Wanted},
    place::Place,
};

use crate::cli::UpArgs;
use frontend::{
    config,
    error::CliError,
    log_line,
    supervisor::{self, Supervisors, Wish},
    visible::visible,
};
use terminal::printing::{Paint, to_stderr, to_stdout};

/// Lines of its log that are shown of a circle that does not start.
const LAST_LINES: usize = 8;

pub(crate) fn run(args: &UpArgs, wish: Wish) -> Result<(), CliError> {
    if args.dry_run {
        return dry_run::run(args, wish);
    }
    let wanted: Vec<String> =
        config::circles(args.config.path(), &args.names)?.into_iter().map(|circle| circle.name).collect();
    let supervisors = Supervisors::of_user()?;
    let place = supervisors.place(args.config.path())?;
    let told = supervisor::tell(&supervisors, &place, &args.names, wish, args.timeout);
    let statuses = terminal::connect::client_runtime()?.block_on(told)?;
    report(&place, &wanted, &statuses, args.timeout)
}

fn report(place: &Place, wanted: &[String], statuses: &Statuses, patience: Duration) -> Result<(), CliError> {
    let width = wanted.iter().map(String::len).max().unwrap_or_default();
    let (mut failed, mut late) = (Vec::new(), Vec::new());
    for circle in statuses.circles.iter().filter(|circle| wanted.contains(&circle.name)) {
        match circle.state {
            State::Ready => to_stdout(&format!("{:width$}  ready  {}\n", circle.name, circle.url))?,
            State::Starting | State::Draining => {
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

pub(crate) fn last_words(place: &Place, circle: &CircleStatus) {
    // Without a log there is still the error.
    let wanted = Wanted { last: Some(LAST_LINES), since: None };
    let Ok((lines, _)) = LogReader::last_lines(&place.log(&circle.name), Bounds::LOG, wanted) else { return };
    let paint = Paint::for_stderr();
    for line in lines {
        to_stderr(&format!(
            "{} {}\n",
            paint.dim(&format!("{} |", circle.name)),
            visible(&log_line::of_log(&line.text))
        ));
    }
}
