//! `circles.json`: `circles check`, and circles by their names.

use crate::support::{Home, process::Server};

fn with(home: &Home, text: &str) {
    std::fs::write(home.path().join("circles.json"), text).expect("written");
}

#[test]
fn the_example_is_right() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../circles.json");
    let ran = Home::new().run(&["check", "--config", example]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.starts_with("sandbox  ws://127.0.0.1:9001  open\nteam     ws://127.0.0.1:9002  members (0)\n"),
        "{ran:?}"
    );
}

#[test]
fn a_mistake_is_shown_with_its_line_and_a_caret() {
    let home = Home::new();
    with(&home, "{ \"circles\": [\n  { \"name\": \"a\", \"port\": 1 },\n  { \"name\": \"b\", \"port\": 1 }\n] }\n");
    let ran = home.run(&["check"]);
    assert_eq!(ran.code, Some(2));
    insta::assert_snapshot!(ran.stderr, @r#"
    3 |   { "name": "b", "port": 1 }
                                 ^
    error: circles.json:3:26: the port 1 is that of 'a', too
    "#);
}

#[test]
fn an_init_script_that_fails_is_found_without_starting_anything() {
    let home = Home::new();
    std::fs::write(home.path().join("team.rhai"), "const A = 1;\nA + nowhere").expect("written");
    with(&home, r#"{ "circles": [{ "name": "team", "port": 1, "init": "team.rhai" }] }"#);
    let ran = home.run(&["check"]);
    assert_eq!(ran.code, Some(2));
    for piece in ["'team' cannot start", "nowhere (line 2, column 5)", "mend team.rhai"] {
        assert!(ran.stderr.contains(piece), "{ran:?}");
    }
}

#[test]
fn a_circle_is_found_by_its_name() {
    let home = Home::new();
    let server = Server::start(&["--name", "team"]);
    let port = server.authority().rsplit_once(':').expect("a port").1;
    with(&home, &format!(r#"{{ "circles": [{{ "name": "team", "port": {port} }}] }}"#));
    assert_eq!(home.run(&["play", "--circle", "team", "-e", "CIRCLE_NAME"]).stdout, "team\n");
    let ran = home.run(&["play", "--circle", "taem", "-e", "1"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("did you mean 'team'?"), "{ran:?}");
    // Not here: the one of the user.
    let elsewhere = Home::new();
    let users = elsewhere.path().join("config/circles");
    std::fs::create_dir_all(&users).expect("made");
    std::fs::rename(home.path().join("circles.json"), users.join("circles.json")).expect("moved");
    let output = elsewhere
        .command()
        .args(["play", "--circle", "team", "-e", "1"])
        .env("XDG_CONFIG_HOME", elsewhere.path().join("config"))
        .output()
        .expect("runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n");
    let ran = home.run(&["play", "--circle", "team", "-e", "1"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("there is no circles.json"), "{ran:?}");
}
