//! `circles known`.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use keys::KeyPair;

use crate::support::Home;

fn key() -> String {
    KeyPair::generate().expect("random bytes").public_key().to_hex()
}

/// A home with this text in the file of known circles.
fn knowing(text: &str) -> (Home, PathBuf) {
    let home = Home::new();
    let file = home.keys_directory().with_file_name("known_circles");
    let directory = file.parent().expect("a directory");
    fs::create_dir_all(directory).expect("made");
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).expect("the owner may");
    fs::write(&file, text).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("the owner may");
    (home, file)
}

#[test]
fn known_circles_are_listed_and_forgotten() {
    let (one, two) = (key(), key());
    let (home, file) = knowing(&format!("# mine\n10.0.0.1:9001 {one}\nteam.example {two}\n"));
    let listed = home.run(&["known", "list"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert_eq!(listed.stdout, format!("10.0.0.1:9001  {one}\nteam.example   {two}\n"));
    let listed: serde_json::Value = serde_json::from_str(&home.run(&["known", "list", "--json"]).stdout).expect("JSON");
    assert_eq!(listed["circles"][1], serde_json::json!({ "authority": "team.example", "public_key": two }));

    let forgotten = home.run(&["known", "forget", "TEAM.example"]);
    assert_eq!(forgotten.code, Some(0), "{forgotten:?}");
    assert_eq!(fs::read_to_string(&file).expect("readable"), format!("# mine\n10.0.0.1:9001 {one}\n"));
    let unknown = home.run(&["known", "forget", "10.0.0.1:9002"]);
    assert_eq!(unknown.code, Some(6), "{unknown:?}");
    assert!(unknown.stderr.contains("no circle is known at 10.0.0.1:9002"), "{unknown:?}");
    assert!(unknown.stderr.contains("did you mean '10.0.0.1:9001'?"), "{unknown:?}");
}

#[test]
fn known_circles_of_a_user_who_knows_none_are_none() {
    let home = Home::new();
    let listed = home.run(&["known", "list"]);
    assert_eq!((listed.code, listed.stdout.as_str()), (Some(0), ""), "{listed:?}");
    assert!(listed.stderr.contains("there are no known circles yet"), "{listed:?}");
    assert_eq!(home.run(&["known", "forget", "a:1"]).code, Some(6));
    assert_eq!(home.run(&["known", "forget", "a b"]).code, Some(2));
    assert!(!home.keys_directory().with_file_name("known_circles").exists());
    assert!(!home.keys_directory().with_file_name(".lock").exists(), "nothing is made");
}

#[test]
fn known_circles_that_cannot_be_read_are_reported_and_hide_no_other() {
    let one = key();
    let (home, file) = knowing(&format!("a:1 {one}\nb:1 \u{1b}[2J\n"));
    let listed = home.run(&["known", "list"]);
    assert_eq!(listed.code, Some(6), "{listed:?}");
    assert_eq!(listed.stdout, format!("a:1  {one}\n"));
    assert!(listed.stderr.contains("line 2 of ") && listed.stderr.contains("circles known forget b:1"), "{listed:?}");
    assert!(!listed.stderr.contains('\u{1b}'), "{listed:?}");
    assert_eq!(home.run(&["known", "forget", "b:1"]).code, Some(0));
    assert_eq!(fs::read_to_string(&file).expect("readable"), format!("a:1 {one}\n"));

    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("the owner may");
    let refused = home.run(&["known", "list"]);
    assert_eq!(refused.code, Some(6), "{refused:?}");
    assert!(refused.stderr.contains("chmod 600"), "{refused:?}");
}

#[test]
fn known_circles_are_offered_to_shells() {
    let (home, _) = knowing(&format!("a:1 {}\n", key()));
    let mut command = home.command();
    command.args(["--", "circles", "known", "forget", ""]).env("CIRCLES_COMPLETE", "fish");
    let output = command.output().expect("runs");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("a:1\t0"), "{output:?}");
}
