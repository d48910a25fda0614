//! Commands with what they print and their exit codes, kept as data in `cmd/`.
//!
//! A case is a command as it is typed, `? N` where it does not end with 0, and what it says, stdout and stderr together;
//! `[..]` is any text. `TRYCMD=overwrite` writes what is said now, to be read before it is kept.

use std::{path::PathBuf, process::Command};

use serde_json::json;
use trycmd::TestCases;

use crate::support::{BINARY, Home, process::ServeProcess};

/// There are the keys `alice`, the default one, and `bob`; a circle `sandbox` for all and a circle `team` for alice, which
/// are up, and `down`, which is not.
#[test]
fn commands_match_their_recorded_cases() {
    let home = Home::new();
    let alice = home.add_key("alice").public_key().to_hex();
    home.add_key("bob");
    let (sandbox, team) = (ServeProcess::open(), ServeProcess::start(&["--name", "team", "--member", &alice]));
    let port =
        |server: &ServeProcess| server.authority().rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let circles = json!({ "circles": [
        { "name": "sandbox", "port": port(&sandbox) },
        { "name": "team", "port": port(&team), "members": [alice] },
        // Nobody but the superuser listens there, and they do not.
        { "name": "down", "port": 1 },
    ]});
    let configuration = home.path().join(".config/circles");
    std::fs::create_dir_all(&configuration).expect("made");
    std::fs::write(configuration.join("circles.json"), circles.to_string()).expect("written");
    let cases = TestCases::new();
    cases.register_bin("circles", normalized(&home));
    cases.case(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cmd/*.trycmd")).run();
}

/// A program that is the binary in that home, with an empty working directory of its own and nothing of the environment
/// that this test was started in: whoever runs it may have a circles.json here, and a passphrase there.
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
    // By a process of its own: what another test starts at the same time could still have the file open for writing, and
    // then it cannot be run.
    let write = ["-c", "printf %s \"$2\" >\"$1\" && chmod 700 \"$1\"", "sh"];
    let written = Command::new("sh").args(write).arg(&path).arg(script).status().expect("there is a shell");
    assert!(written.success(), "{written}");
    path
}
