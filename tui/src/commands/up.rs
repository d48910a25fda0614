//! `circles up [NAME…]` and `circles restart [NAME…]`: until every one of them takes connections, or does not.

mod dry_run;

use std::time::{Duration, Instant};

use launcher::{
    CircleStatus, State, Statuses,
    control::{ControlError, Names, Restart, Status, Up},
    log::{Bounds, LogReader, Wanted},
    place::Place,
};
use protocol::{RpcError, methods::NoParams};

use crate::{
    cli::UpArgs,
    config, connect,
    error::CliError,
    log_line,
    printing::{Paint, to_stderr, to_stdout},
    supervisor,
    visible::visible,
};

/// Lines of its log that are shown of a circle that does not start.
const LAST_LINES: usize = 8;

/// How often a supervisor may turn out to be ending just when it is told.
const TRIES: usize = 3;

/// What is wished of circles.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wish {
    Up,
    Restart,
}

pub(crate) fn run(args: &UpArgs, wish: Wish) -> Result<(), CliError> {
    if args.dry_run {
        return dry_run::run(args, wish);
    }
    let wanted: Vec<String> =
        config::circles(&args.config, &args.names)?.into_iter().map(|circle| circle.name).collect();
    let place = supervisor::place(&args.config)?;
    let runtime = connect::client_runtime()?;
    let statuses = runtime.block_on(async {
        let deadline = Instant::now() + args.timeout;
        for _ in 1..TRIES {
            match told(&place, &args.names, wish, deadline).await {
                Err(ControlFailed::Ending) => {}
                Err(ControlFailed::Other(error)) => return Err(error),
                Ok(statuses) => return Ok(statuses),
            }
        }
        told(&place, &args.names, wish, deadline).await.map_err(|failed| match failed {
            ControlFailed::Ending => supervisor::failed(ControlError::Lost),
            ControlFailed::Other(error) => error,
        })
    })?;
    report(&place, &wanted, &statuses, args.timeout)
}

enum ControlFailed {
    /// It is ending: another one will do it.
    Ending,
    Other(CliError),
}

/// How the circles are once the supervisor has done what it could in the time.
async fn told(place: &Place, names: &[String], wish: Wish, deadline: Instant) -> Result<Statuses, ControlFailed> {
    let left = || deadline.saturating_duration_since(Instant::now());
    let mut client = supervisor::find_or_start(place, names, left()).await.map_err(ControlFailed::Other)?;
    let params = Names { names: (!names.is_empty()).then(|| names.to_vec()) };
    let answer = match wish {
        Wish::Up => client.call::<Up>(&params, left()).await,
        Wish::Restart => client.call::<Restart>(&params, left()).await,
    };
    match answer {
        Ok(statuses) => Ok(statuses),
        Err(ControlError::Lost | ControlError::Refused(RpcError::ShuttingDown)) => Err(ControlFailed::Ending),
        Err(ControlError::TimedOut { .. }) => {
            let client = supervisor::running(place).await.map_err(ControlFailed::Other)?;
            let mut client = client.ok_or(ControlFailed::Ending)?;
            let statuses = client.call::<Status>(&NoParams {}, supervisor::PATIENCE).await;
            statuses.map_err(|error| ControlFailed::Other(supervisor::failed(error)))
        }
        Err(error) => Err(ControlFailed::Other(supervisor::failed(error))),
    }
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
    if !failed.is_empty() {
        let fix = "their logs above say why; circles check looks at circles.json, circles logs has more";
        return Err(CliError::usage("not up", failed.join(", "), fix));
    }
    if !late.is_empty() {
        let why = format!("not ready after {} s", patience.as_secs_f64());
        let fix = "it is still being tried: circles status; or wait longer: --timeout";
        return Err(CliError::supervisor(format!("not up: {}", late.join(", ")), why, fix));
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
