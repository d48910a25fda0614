//! `circles completions`, and the candidates that shells request.

use std::process::Command;

use crate::support::{CommandOutput, Home};

const CIRCLES: &str = r#"{ "circles": [
    { "name": "sandbox", "port": 9001, "description": "for all" },
    { "name": "team", "port": 9002 }
] }"#;

/// A home with two circles and a key.
fn home() -> Home {
    let home = Home::new();
    home.add_key("alice");
    std::fs::write(home.path().join("circles.json"), CIRCLES).expect("written");
    home
}

/// Candidates for fish at the last of these words: one per line, with a description.
fn offered(home: &Home, words: &[&str]) -> CommandOutput {
    let mut command = home.command();
    let output = command.args(["--", "circles"]).args(words).env("CIRCLES_COMPLETE", "fish").output().expect("runs");
    CommandOutput {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn names(home: &Home, words: &[&str]) -> Vec<String> {
    let ran = offered(home, words);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{words:?}");
    let names = ran.stdout.lines().filter_map(|line| line.split('\t').next());
    names.filter(|name| !name.starts_with('-')).map(str::to_owned).collect()
}

#[test]
fn completion_offers_circles_and_keys_where_they_apply() {
    let home = home();
    let circles: &[&[&str]] = &[
        &["play", "--circle", ""],
        &["repl", ""],
        &["repl", "--circle", ""],
        &["tui", ""],
        &["up", ""],
        &["down", ""],
        &["restart", ""],
        &["status", ""],
        &["logs", ""],
        &["identity", "show", ""],
        &["identity", "rotate", ""],
        &["launch", "sandbox", ""],
        &["admit", ""],
        &["roles", ""],
    ];
    for words in circles {
        assert_eq!(names(&home, words), ["sandbox", "team"], "{words:?}");
    }
    let keys: &[&[&str]] =
        &[&["play", "--key", ""], &["repl", "--key", ""], &["keys", "show", ""], &["keys", "default", ""]];
    for words in keys {
        assert_eq!(names(&home, words), ["alice"], "{words:?}");
    }
    assert_eq!(names(&home, &["play", "--circle", "sandbox,t"]), ["sandbox,team"]);
    assert_eq!(names(&home, &["completions", ""]), ["bash", "zsh", "fish"]);
    assert_eq!(names(&home, &["play", "--circle", "sandbox", "ci"]), ["circles.json"]);
}

#[test]
fn completion_offers_roles() {
    let home = home();
    let text = r#"{ "circles": [{ "name": "team", "port": 0, "roles": { "clerk": {}, "bot": {} } }] }"#;
    std::fs::write(home.path().join("circles.json"), text).expect("written");
    assert_eq!(names(&home, &["admit", "team", "alice", "--role", ""]), ["bot", "clerk"]);
}

#[test]
fn completion_candidates_have_descriptions() {
    let ran = offered(&home(), &["up", "s"]);
    assert_eq!(ran.stdout, "sandbox\tws://127.0.0.1:9001, for all\n");
    let ran = offered(&home(), &["keys", "show", "a"]);
    assert!(ran.stdout.starts_with("alice\t0") && ran.stdout.ends_with("…, the default key\n"), "{ran:?}");
}

#[test]
fn completion_is_silent_for_an_invalid_config() {
    let home = home();
    std::fs::write(home.path().join("other.json"), CIRCLES.replace("team", "other")).expect("written");
    std::fs::write(home.path().join("circles.json"), "{ broken").expect("written");
    assert!(names(&home, &["up", ""]).is_empty());
    assert!(names(&home, &["up", "--config", "missing.json", ""]).is_empty());
    // `--config` on the command line applies.
    assert_eq!(names(&home, &["up", "--config", "other.json", ""]), ["sandbox", "other"]);
    std::fs::write(home.keys_directory().join("alice.json"), "{ broken").expect("written");
    assert!(names(&home, &["keys", "show", ""]).is_empty());
}

#[test]
fn completion_is_silent_for_an_invalid_request() {
    let home = home();
    for (shell, args) in [("tcsh", ["--", "circles", ""]), ("fish", ["up", "--", "circles"])] {
        let output = home.command().args(args).env("CIRCLES_COMPLETE", shell).output().expect("runs");
        assert!(output.stderr.is_empty(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(!home.path().join("state").exists(), "something was started, or made");
}

#[test]
fn bash_completes_with_the_printed_script() {
    let home = home();
    let script = r#"
        source <("$CIRCLES" completions bash)
        COMP_WORDS=(circles play --circle te) COMP_CWORD=3 COMP_TYPE=9
        _clap_complete_circles circles te --circle
        echo "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", script]).current_dir(home.path()).env_clear().env("HOME", home.path());
    let output =
        bash.env("PATH", "/usr/bin:/bin").env("CIRCLES", crate::support::BINARY).output().expect("bash is there");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "team\n", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn completions_print_install_help_and_reject_unknown_shells() {
    let home = Home::new();
    let ran = home.run(&["completions"]);
    assert!(ran.code == Some(0) && ran.stdout.contains("source <(circles completions bash)"), "{ran:?}");
    let ran = home.run(&["completions", "tcsh"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("bash, zsh, fish"), "{ran:?}");
}
