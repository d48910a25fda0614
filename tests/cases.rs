//! Commands with what they print and their exit codes, kept as data in `cmd/`.
//!
//! A case is a command as it is typed, `? N` where it does not end with 0, and what it says, stdout and stderr together;
//! `[..]` is any text. `TRYCMD=overwrite` writes what is said now, to be read before it is kept.

use serde_json::json;
use trycmd::TestCases;

use crate::support::{BINARY, Home, PASSPHRASE, process::Server};

/// There are the keys `alice`, the default one, and `bob`; a circle `sandbox` for all and a circle `team` for alice, which
/// are up, and `down`, which is not.
#[test]
fn commands_say_and_end_as_their_cases_have_it() {
    let home = Home::new();
    let alice = home.add_key("alice").public_key().to_hex();
    home.add_key("bob");
    let (sandbox, team) = (Server::open(), Server::start(&["--name", "team", "--member", &alice]));
    let port = |server: &Server| server.authority().rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
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
    cases.register_bin("circles", std::path::Path::new(BINARY));
    for (name, value) in [
        ("HOME", home.path().to_str().expect("UTF-8")),
        ("XDG_DATA_HOME", home.path().join("data").to_str().expect("UTF-8")),
        ("XDG_STATE_HOME", home.path().join("state").to_str().expect("UTF-8")),
        ("XDG_CONFIG_HOME", ""),
        ("XDG_RUNTIME_DIR", ""),
        ("CIRCLES_CIRCLE", ""),
        ("CIRCLES_PASSPHRASE", PASSPHRASE),
        ("NO_COLOR", "1"),
    ] {
        cases.env(name, value);
    }
    cases.case(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cmd/*.trycmd")).run();
}
