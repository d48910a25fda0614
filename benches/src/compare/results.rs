//! The file of results: how and on what a run measured, and its tables.

use std::{path::Path, process::Command};

use super::{Options, report::Report, servers};
use crate::BoxError;

/// What stands before the tables.
const INTRODUCTION: &str = "\
# Results

`benches/run` wrote this page. [README.md](README.md) describes the scenarios, the peers and the columns.
Compare ratios, not figures: everything runs on one machine, which the servers and the load generator share.
";

/// Writes the results of a whole run.
pub(crate) fn write(file: &Path, options: &Options, report: &Report) -> Result<(), BoxError> {
    let [rows, details] = report.tables();
    let facts = facts(options).map(|(what, value)| format!("- {what}: {value}")).join("\n");
    let text = format!("{INTRODUCTION}\n{facts}\n\n## Rows\n\n{rows}\n## Short plays under load\n\n{details}");
    std::fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    println!("\nwrote {}", file.display());
    Ok(())
}

/// Returns when and on what the run measured.
fn facts(options: &Options) -> [(&'static str, String); 7] {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let cpu_info = read("/proc/cpuinfo");
    let model = cpu_info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = read("/proc/meminfo");
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok());
    let gib = kib.unwrap_or(0.0) / 1024.0 / 1024.0;
    let (warm_up, time) = options.times();
    [
        ("date", output("date", &["-u", "+%F"])),
        ("commit", output("git", &["describe", "--always", "--dirty", "--abbrev=10"])),
        ("machine", format!("{cores} cores ({}), {gib:.0} GiB", model.trim_start_matches([' ', '\t', ':']))),
        ("kernel", read("/proc/sys/kernel/osrelease").trim().into()),
        ("rounds", format!("{} of {time:?} each, after {warm_up:?} of warm-up", options.rounds())),
        ("circle", format!("`{}`, with its log at `/dev/null`", servers::CIRCLE_ARGUMENTS.join(" "))),
        ("peers", versions()),
    ]
}

/// Returns the first line that a command prints, or a dash.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok();
    let text = output.filter(|output| output.status.success()).and_then(|output| String::from_utf8(output.stdout).ok());
    text.and_then(|text| text.lines().next().map(String::from)).unwrap_or_else(|| "-".into())
}

/// Returns the versions of the peers that are installed.
fn versions() -> String {
    let peers = [("redis-server", "Redis"), ("node", "Node")];
    peers.map(|(program, name)| format!("{name} {}", output(program, &["--version"]))).join(", ")
}
