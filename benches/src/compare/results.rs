//! The file of results: how and on what a run measured, and its tables.

use std::{path::Path, process::Command};

use super::{Options, nats, report::Report, servers};
use crate::BoxError;

/// What stands before the tables.
const INTRODUCTION: &str = "\
# Results

`benches/run` wrote this page. [README.md](README.md) describes the scenarios, the peers and the columns.
Compare ratios, not figures: everything runs on one machine, which the servers and the load generator share.
";

/// The limits that are not the default ones.
const LIMITS: &str = "\
default limits, except `message_kib=4096` beside the attackers, `connections=10008` for the idle connections, \
`connections`, `workers` and `sessions_per_caller` of 4008 for the 4,000 sessions, and `connections=15064`, `workers=64` \
and `message_kib=4096` for the visitors";

/// Writes the results of a whole run.
pub(crate) fn write(file: &Path, options: &Options, report: &Report) -> Result<(), BoxError> {
    let [rows, details] = report.tables();
    let facts = facts(options).map(|(what, value)| format!("- {what}: {value}")).join("\n");
    let remote = nats::existing_section(file);
    let text = format!(
        "{INTRODUCTION}\n{facts}\n\n## Rows\n\n{rows}\n## Short plays and function calls under load\n\n{details}{remote}"
    );
    std::fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    println!("\nwrote {}", file.display());
    Ok(())
}

/// Returns when and on what the run measured.
pub(super) fn facts(options: &Options) -> [(&'static str, String); 7] {
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
        ("circle", format!("`{}`, with its log at `/dev/null`; {LIMITS}", servers::CIRCLE_ARGUMENTS.join(" "))),
        ("peers", versions()),
    ]
}

/// Returns the first line that a command prints, or a dash.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok();
    let text = output.filter(|output| output.status.success()).and_then(|output| String::from_utf8(output.stdout).ok());
    text.and_then(|text| text.lines().next().map(String::from)).unwrap_or_else(|| "-".into())
}

/// Returns the versions of the peers, of those from Debian as far as they are installed.
fn versions() -> String {
    let peers = servers::peers_directory();
    let read = |file: &str| std::fs::read_to_string(peers.join(file)).unwrap_or_default();
    let locked = |name: &str| {
        let lock = read("jsonrpsee/Cargo.lock");
        let after = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).map(|(_, after)| after);
        after.and_then(|after| after.split('"').next()).unwrap_or("-").to_owned()
    };
    let ws: Option<String> = serde_json::from_str(&read("node/package.json"))
        .ok()
        .and_then(|package: serde_json::Value| package["dependencies"]["ws"].as_str().map(String::from));
    let redis = output("redis-server", &["--version"]);
    let redis = redis.split_whitespace().find_map(|word| word.strip_prefix("v=")).unwrap_or("-");
    let lua = output("lua5.4", &["-v"]);
    [
        format!("jsonrpsee {}", locked("jsonrpsee")),
        format!("Rhai {}", locked("rhai")),
        format!("Redis {redis}"),
        format!("Node {}", output("node", &["--version"])),
        format!("ws {}", ws.unwrap_or_else(|| "-".into())),
        read("monty/requirements.txt").trim().replace("==", " "),
        lua.split_whitespace().take(2).collect::<Vec<_>>().join(" "),
        output("python3", &["--version"]),
    ]
    .join(", ")
}
