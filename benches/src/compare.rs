//! The comparison with the peers: figures of `circles serve` beside those of other servers, as ratios from one run.
//!
//! Each scenario runs in rounds. In each round, every server is measured for a short time, one after the other, so that
//! whatever else the machine does falls on all of them alike. A ratio is the median of the ratios within the rounds.

mod attacked;
mod connecting;
mod contest;
mod crowds;
mod function_calls;
mod function_crowds;
mod function_files;
mod host_calls;
pub(crate) mod nats;
mod report;
mod results;
mod scripts;
mod servers;
mod short_plays;
mod store_calls;

use std::{path::PathBuf, time::Duration};

use tokio::runtime::Handle;

use crate::BoxError;
use report::Report;
use servers::Servers;

/// The argument that compares.
pub(crate) const FLAG: &str = "--compare";

/// What to compare, and how thoroughly.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The `circles` executable; in its absence, this program serves the circle.
    circles: Option<PathBuf>,
    /// Another `circles` executable, a peer of the first.
    program: Option<PathBuf>,
    /// A part of the names of the rows to measure.
    only: String,
    /// The file that gets the tables of a whole run.
    results: Option<PathBuf>,
    /// Whether the run only checks that the comparison works.
    is_quick: bool,
    /// The time for which a server is under load during a measurement, unless the run is quick.
    time: Duration,
}

impl Options {
    fn from_arguments() -> Result<Self, BoxError> {
        let value = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
        let program = |name: &str| {
            let file = value(name).map(|file| PathBuf::from(&file).canonicalize().map_err(|error| (file, error)));
            file.transpose().map_err(|(file, error)| format!("cannot run {file}: {error}"))
        };
        Ok(Self {
            circles: program("--circles")?,
            program: program("--program")?,
            only: value("--only").unwrap_or_default(),
            results: value("--results").map(Into::into),
            is_quick: std::env::args().any(|argument| argument == "--quick"),
            time: Duration::from_millis(1200),
        })
    }

    /// Number of rounds of a scenario.
    fn rounds(&self) -> usize {
        if self.is_quick { 1 } else { 5 }
    }

    /// How long a server is under load before a measurement, and during it.
    fn times(&self) -> (Duration, Duration) {
        let ms = Duration::from_millis;
        if self.is_quick { (ms(10), ms(50)) } else { (self.time / 4, self.time) }
    }
}

/// Compares, prints each row as soon as it is measured, and writes the results of a whole run.
pub(crate) fn run(runtime: &Handle) -> Result<(), BoxError> {
    let options = Options::from_arguments()?;
    let mut report = Report::new(&options.only);
    let mut servers = Servers::new(&options);
    short_plays::compare(&options, &mut servers, &mut report)?;
    host_calls::compare(&options, &mut report)?;
    function_calls::compare(&options, &mut servers, &mut report)?;
    store_calls::compare(&options, &mut servers, &mut report)?;
    scripts::compare(&options, &mut servers, &mut report)?;
    connecting::compare(&options, &mut servers, &mut report, runtime)?;
    // The other scenarios start circles of their own.
    servers.stop();
    attacked::compare(&options, &servers, &mut report, runtime)?;
    crowds::compare(&options, &servers, &mut report)?;
    function_crowds::compare(&options, &servers, &mut report, runtime)?;
    if report.is_empty() {
        return Err(format!("no row's name contains {:?}", options.only).into());
    }
    report.print_details();
    match &options.results {
        Some(file) if options.only.is_empty() && options.program.is_none() => results::write(file, &options, &report),
        _ => Ok(()),
    }
}
