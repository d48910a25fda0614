//! Smoke test of the benchmarks. It is a test so that the benchmarks are built together with the other tests.

use std::process::Command;

#[test]
fn harness_runs_all_benchmarks_once() {
    let output = Command::new(env!("CARGO_BIN_EXE_circles-benches")).arg("--quick").output().expect("the binary runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    for piece in ["µs a play in a process", "µs cancel to its play's end", "µs a neighbour's play", "KiB per session"]
    {
        assert!(stdout.contains(piece), "{piece}: {stdout}");
    }
}
