//! Smoke tests of the benchmarks. They are tests so that the benchmarks are built together with the other tests.

use std::{path::Path, process::Command};

#[test]
fn harness_runs_all_benchmarks_once() {
    let printed = run(&["--quick"]);
    for piece in ["µs a play in a process", "µs cancel to its play's end", "µs a neighbour's play", "KiB per session"]
    {
        assert!(printed.contains(piece), "{piece}: {printed}");
    }
}

#[test]
fn comparison_has_a_row_for_every_scenario() {
    let results = tempfile::NamedTempFile::new().expect("a file");
    let file = results.path().to_str().expect("UTF-8");
    run(&["--compare", "--quick", "--results", file]);
    let table = std::fs::read_to_string(file).expect("it is written");
    for row in [
        "short play, C=1 D=1 / raw echo",
        "short play, C=16 D=1 / raw echo",
        "short play, C=8 D=32 / raw echo",
        "short play, C=8 D=32 / Monty's pool",
        "a play with a host call, C=1 D=1 / a play",
        "a function call, C=1 D=1 / a short play",
        "a function call, C=1 D=1 / Redis FCALL",
        "a function call, C=16 D=1 / of one caller",
        "a function call, C=64 D=1 / a short play",
        "a play with 100 prints / Node ws + vm",
        "a value of 100 KB / Node ws + vm",
        "a million additions / plain Rhai",
        "100,000 pushes / plain Rhai",
        "an array of 100,000 by index / plain Rhai",
        "first answer of a new session",
        "authenticated connect to the first answer",
        "an honest client's p99 beside 8 attackers / quiet",
        "an idle connection, of 10,000",
        "4,000 sessions with a process each, all memory",
        "a session's process, private",
        "p99 of a play beside 4,000 idle sessions / of one",
        "a visitor who calls functions, of 15,000",
        "p99 of visitors' function calls beside 8 hostile players / quiet",
        "p99 of a function call beside another caller's flood of short calls / quiet",
        "p99 of a function call beside another caller's flood of endless calls / quiet",
    ] {
        assert!(table.lines().any(|line| line.starts_with(&format!("| {row} | "))), "{row}: {table}");
    }
    // Peers that have to be installed are no part of a test.
    assert!(!table.contains("failed"), "{table}");
}

#[test]
fn workers_on_other_machines_are_compared() {
    let circles = Path::new(env!("CARGO_BIN_EXE_circles-benches")).with_file_name("circles");
    let has_nats = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !circles.exists() || !["nats-server", "/usr/sbin/nats-server"].into_iter().any(has_nats) {
        eprintln!("skipped: there is no {} or no nats-server", circles.display());
        return;
    }
    let results = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(results.path(), "# Results\n\n## Workers on other machines\n\nold\n").expect("written");
    run(&["--nats", "--quick", "--results", results.path().to_str().expect("UTF-8")]);
    let table = std::fs::read_to_string(results.path()).expect("it is written");
    for row in [
        "CPU-bound plays of 4 sessions, machines: 4 / local workers",
        "calls of a function, C=4 D=16 / local workers",
        "new sessions with a first play, clients: 8 / local workers",
        "a short play, p99 / a bare NATS request and a local play",
        "latency that 5 ms each way adds / one round trip",
        "4,000 sessions on 4 machines, all memory for each / local workers",
        "short play, C=1 D=1",
        "session with its first play",
    ] {
        assert!(table.lines().any(|line| line.starts_with(&format!("| {row} | "))), "{row}: {table}");
    }
    assert!(table.starts_with("# Results\n\n## Workers on other machines\n") && !table.contains("old"), "{table}");
}

#[test]
fn comparison_without_rows_is_an_error() {
    let output = command(&["--compare", "--quick", "--only", "no such row"]).output().expect("the binary runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains("no such row"), "{stderr}");
}

/// Runs the benchmarks and returns what they print.
fn run(arguments: &[&str]) -> String {
    let output = command(arguments).output().expect("the binary runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    stdout.into()
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_circles-benches"));
    command.args(arguments);
    command
}
