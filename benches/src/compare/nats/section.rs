//! The section of the file of results about workers on other machines.

use std::path::Path;

use super::{Options, Report, traffic::Traffic};
use crate::{BoxError, compare::results::facts};

const HEADING: &str = "## Workers on other machines";

/// What stands before the tables.
const INTRODUCTION: &str = "\
`benches/run --nats` wrote this section. [README.md](README.md#workers-on-other-machines) describes the rows.
The circle, nats-server, the worker machines, their workers and the load generator share the cores of one machine.
";

/// Replaces the section in the file, or appends it.
pub(super) fn write(file: &Path, options: &Options, report: &Report, traffic: &Traffic) -> Result<(), BoxError> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let [rows, _] = report.tables();
    let facts = facts(options).into_iter().filter(|(what, _)| ["date", "commit", "machine", "rounds"].contains(what));
    let facts: Vec<_> = facts.map(|(what, value)| format!("- {what}: {value}\n")).collect();
    let section = format!("{HEADING}\n\n{INTRODUCTION}\n{}\n{rows}\n{}", facts.concat(), traffic.table());
    let before = text.split_once(HEADING).map_or(text.as_str(), |(before, _)| before).trim_end();
    let separator = if before.is_empty() { "" } else { "\n\n" };
    std::fs::write(file, format!("{before}{separator}{section}"))
        .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    println!("wrote {}", file.display());
    Ok(())
}

/// Returns the section of a file, which a run of the other rows keeps.
pub(crate) fn existing(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.find(HEADING).map_or_else(String::new, |at| format!("\n{}", &text[at..]))
}
