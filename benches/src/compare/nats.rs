//! Workers on other machines: figures of a circle whose workers are on worker machines, beside those of one with local
//! workers, in the same run. Circle, machines and nats-server are processes on this machine.

mod bare_requests;
mod cluster;
mod crowd;
mod delay_proxy;
mod latencies;
mod rates;
mod section;
mod traffic;

use std::{path::PathBuf, time::Duration};

use super::{
    Options,
    crowds::raise_descriptor_limit,
    report::{Beside, Goal, Report, Unit, median},
    servers::Servers,
};
use crate::BoxError;
pub(crate) use bare_requests::{RESPONDER_FLAG, respond};
pub(super) use section::existing as existing_section;

/// The argument that measures workers on other machines.
pub(crate) const FLAG: &str = "--nats";

/// The time for which a server is under load during a measurement.
const TIME: Duration = Duration::from_millis(700);

/// The play of the scenarios, and a piece of its response.
const SCRIPT: &str = "40 + 2";
const ANSWER: &str = "\"value\":42";

/// Measures, prints each row as soon as it is measured, and replaces the section of the results of a whole run.
pub(crate) fn run() -> Result<(), BoxError> {
    let mut options = Options { time: TIME, ..Options::from_arguments()? };
    options.circles = Some(options.circles.map_or_else(executable_beside, Ok)?);
    cluster::nats_server()?;
    raise_descriptor_limit()?;
    let servers = Servers::new(&options);
    let mut report = Report::new(&options.only);
    rates::compare(&options, &servers, &mut report)?;
    latencies::compare(&options, &servers, &mut report)?;
    crowd::compare(&options, &servers, &mut report)?;
    let traffic = traffic::measure(&options, &servers, &mut report)?;
    if report.is_empty() && traffic.is_none() {
        return Err(format!("no row's name contains {:?}", options.only).into());
    }
    match (&options.results, traffic) {
        (Some(file), Some(traffic)) if options.only.is_empty() => section::write(file, &options, &report, &traffic),
        _ => Ok(()),
    }
}

/// Returns the `circles` executable of the same build.
fn executable_beside() -> Result<PathBuf, BoxError> {
    let file = std::env::current_exe()?.with_file_name("circles");
    if file.is_file() { Ok(file) } else { Err("the circles executable is missing: name it with --circles".into()) }
}

/// Measures two contenders in turns, and returns the figures of each round.
fn in_turns(
    options: &Options,
    mut remote: impl FnMut() -> Result<f64, BoxError>,
    mut beside: impl FnMut() -> Result<f64, BoxError>,
) -> Result<Vec<[f64; 2]>, BoxError> {
    (0..options.rounds()).map(|_| Ok([remote()?, beside()?])).collect()
}

/// Adds the row of a figure and of what it is compared with, by the figures of each round.
fn add_ratio(report: &mut Report, name: &str, unit: Unit, rounds: &[[f64; 2]], goal: Option<Goal>) {
    let figures = |of: usize| rounds.iter().map(move |round| round[of]);
    let ratio = median(rounds.iter().map(|[figure, beside]| figure / beside));
    report.add(name, median(figures(0)), unit, &Beside::Figure { figure: median(figures(1)), ratio }, goal);
}
