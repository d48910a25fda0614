//! Snapshot tests of commands: output and exit codes, recorded in `cmd/`.
//!
//! A case is a command line, `? N` for an exit code other than 0, and the output, stdout and stderr together; `[..]` stands
//! for any text. `TRYCMD=overwrite` records the current output; review it before you commit it.

use std::{path::PathBuf, process::Command};

use serde_json::json;
use trycmd::TestCases;

use crate::support::{BINARY, Home, background::BackgroundCircles, ports::free_port};

/// The home has the keys `alice` (default) and `bob`. The circles `sandbox` (open) and `team` (member alice) are up, `down`
/// is down.
#[test]
fn commands_match_their_recorded_cases() {
    let here = BackgroundCircles::start("{}");
    let home = &here.home;
    let alice = home.add_key("alice").public_key().to_hex();
    home.add_key("bob");
    let circles = json!({ "circles": [
        { "name": "sandbox", "port": free_port() },
        { "name": "team", "port": free_port(), "members": [alice] },
        // Only root can listen on port 1, and does not.
        { "name": "down", "port": 1 },
    ]});
    here.configure(&circles.to_string());
    let configuration = home.path().join(".config/circles");
    std::fs::create_dir_all(&configuration).expect("made");
    std::os::unix::fs::symlink("../../circles.json", configuration.join("circles.json")).expect("linked");
    here.run_ok(&["up", "sandbox", "team"]);
    let cases = TestCases::new();
    cases.register_bin("circles", normalized(home));
    cases.case(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cmd/*.trycmd")).run();
}

/// Writes a wrapper that runs the binary in this home, with an empty working directory and a clean environment: whoever runs
/// the tests may have a circles.json or a passphrase of their own.
fn normalized(home: &Home) -> PathBuf {
    let quoted = |word: &str| format!("'{}'", word.replace('\'', "'\\''"));
    let command = home.command();
    let set = command.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)));
    let set: Vec<String> = set.map(|(name, value)| format!("{name}={value}")).collect();
    let words = ["env", "-i"].into_iter().chain(set.iter().map(String::as_str)).chain(["NO_COLOR=1", BINARY]);
    let words: Vec<String> = words.map(quoted).collect();
    let directory = quoted(&home.path().join("case.XXXXXX").to_string_lossy());
    let script = format!("#!/bin/sh\ncd \"$(mktemp -d {directory})\" && exec {} \"$@\"\n", words.join(" "));
    let path = home.path().join("circles");
    // A separate process writes the file: a child of another test could inherit the descriptor, and a file that is open for
    // writing cannot be executed.
    let write = ["-c", "printf %s \"$2\" >\"$1\" && chmod 700 \"$1\"", "sh"];
    let written = Command::new("sh").args(write).arg(&path).arg(script).status().expect("there is a shell");
    assert!(written.success(), "{written}");
    path
}
