//! Scripts that mean harm, in `hostile/`: what each of them may come to stands in its first line. Others lose nothing by
//! them; how long others wait beside them, `benches/` measures.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{process::ServeProcess, wire::WireClient};

/// What a server may keep of hundreds of sessions that are over: its allocator's own.
const MAX_GROWTH_KIB: u64 = 64 << 10;

/// What a play came to, in the words of the files.
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
    let before = server.descriptors();
    let mut wrong = Vec::new();
    let resident = server.resident_kib();
    let files = scripts();
    assert!(files.len() >= 150, "{}", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("UTF-8");
        let expected = text.lines().next().and_then(|line| line.strip_prefix("// expect: ")).expect("its first line");
        let mut wire: WireClient = server.connect();
        // Only those that may go on for ever are cut short: on a busy machine any other takes its time.
        let timeout_ms = expected.contains(" time").then_some(200);
        let answer = wire.call("play", json!({ "script": text, "timeout_ms": timeout_ms }));
        let came_to = outcome(&answer);
        if !expected.split(" | ").any(|expected| expected == came_to) {
            wrong.push(format!("{}: {came_to}, not {expected}", file.display()));
        }
        // Its own session goes on, and so does the neighbour's.
        assert_eq!(wire.value("40 + 2"), 42, "{}", file.display());
        assert_eq!(neighbour.value("mine"), 7, "{}", file.display());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What they had is given back.
    let grown = server.resident_kib().saturating_sub(resident);
    assert!(grown < MAX_GROWTH_KIB, "the server has {grown} KiB more");
    server.wait_until_at_most(1, before);
}
