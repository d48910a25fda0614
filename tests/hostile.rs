//! Malicious scripts, in `hostile/`; the first line of each lists its possible outcomes. Other sessions must lose nothing.
//! `benches/` measures how long others wait.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{
    process::{MAX_SPARES, ServeProcess},
    wire::WireClient,
};

/// Memory that a server may keep after hundreds of sessions: the allocator's.
const MAX_GROWTH_KIB: u64 = 64 << 10;

/// Outcome of a play, in the words of the scripts' first lines.
fn outcome(answer: &Value) -> String {
    let error = &answer["error"];
    let word = |name: &str| error["data"][name].as_str().unwrap_or("?").to_owned();
    match error["code"].as_i64() {
        None => "value".into(),
        Some(-32000) if word("kind") == "parse" => "parse".into(),
        Some(-32000) => "error".into(),
        Some(-32004) => format!("limit {}", word("limit")),
        Some(-32009) => format!("lost {}", word("reason")),
        Some(code) => format!("{code}"),
    }
}

fn scripts() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/hostile");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(directory).expect("it is there").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files
}

#[test]
fn hostile_scripts_have_expected_outcomes_and_disturb_no_neighbour() {
    let limits = ["play_ms=20000", "memory_mib=16", "output_kib=64", "message_kib=4096"];
    let arguments: Vec<&str> = limits.iter().flat_map(|limit| ["--limit", limit]).collect();
    let server = ServeProcess::start(&arguments);
    let mut neighbour = server.connect();
    neighbour.value("let mine = 7;");
    server.wait_for_spares(MAX_SPARES);
    let before = server.descriptors();
    let mut wrong = Vec::new();
    let resident = server.resident_kib();
    let files = scripts();
    assert!(files.len() >= 150, "{}", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("UTF-8");
        let expected = text.lines().next().and_then(|line| line.strip_prefix("// expect: ")).expect("its first line");
        let mut wire: WireClient = server.connect();
        // Only scripts that may run for ever get a short timeout: others may be slow on a busy machine.
        let timeout_ms = expected.contains(" time").then_some(200);
        let answer = wire.call("play", json!({ "script": text, "timeout_ms": timeout_ms }));
        let came_to = outcome(&answer);
        if !expected.split(" | ").any(|expected| expected == came_to) {
            wrong.push(format!("{}: {came_to}, not {expected}", file.display()));
        }
        // The script's own session goes on, and so does the neighbour's.
        assert_eq!(wire.value("40 + 2"), 42, "{}", file.display());
        assert_eq!(neighbour.value("mine"), 7, "{}", file.display());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The memory of the sessions is returned.
    let grown = server.resident_kib().saturating_sub(resident);
    assert!(grown < MAX_GROWTH_KIB, "the server has {grown} KiB more");
    server.wait_until_at_most(1, before);
}
