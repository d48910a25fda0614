//! `circles keygen` and `circles keys`.

mod changes;
mod questions;
mod secrets;

use std::{fs, os::unix::fs::PermissionsExt};

use crate::support::{Home, PASSPHRASE};

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

#[test]
fn keygen_creates_an_encrypted_private_key_file() {
    let home = Home::new();
    let made = home.run(&["keygen", "alice"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let public_key = made.stdout.trim();
    assert!(public_key.len() == 66 && public_key.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made:?}");
    let file = home.keys_directory().join("alice.json");
    assert_eq!((mode(&file), mode(&home.keys_directory())), (0o600, 0o700));
    let text = fs::read_to_string(&file).expect("readable");
    assert!(text.contains("BEGIN AGE ENCRYPTED FILE") && text.contains(public_key));
    let keypair = keys::keystore::Keystore::at(home.keys_directory())
        .unlock(&"alice".parse().expect("a name"), PASSPHRASE)
        .expect("the passphrase opens it");
    assert!(!text.contains(keypair.secret_hex().as_str()));
    assert_eq!(keypair.public_key().to_hex(), public_key);
}

#[test]
fn keygen_never_overwrites_a_key() {
    let home = Home::new();
    home.add_key("alice");
    let file = home.keys_directory().join("alice.json");
    let before = fs::read(&file).expect("readable");
    let again = home.run(&["keygen", "alice"]);
    assert_eq!(again.code, Some(6));
    assert!(again.stderr.contains("already exists") && again.stderr.contains("choose another name"), "{again:?}");
    assert_eq!(fs::read(&file).expect("readable"), before);
}

#[test]
fn keygen_rejects_a_name_with_a_path() {
    for name in ["a/b", "../alice", "", ".hidden", "a b", "-x"] {
        let home = Home::new();
        let refused = home.run(&["keygen", "--", name]);
        assert_eq!(refused.code, Some(2), "{name}: {refused:?}");
        assert!(!home.keys_directory().exists(), "{name}");
    }
}

#[test]
fn keygen_requires_a_passphrase() {
    let home = Home::new();
    for (variable, value) in [("CIRCLES_PASSPHRASE", ""), ("CIRCLES_PASSPHRASE_FILE", "/nonexistent/file")] {
        let output = home.command().args(["keygen", "alice"]).env(variable, value).output().expect("runs");
        assert_eq!(output.status.code(), Some(6), "{variable}");
    }
    // A session without a terminal has nobody to ask.
    let output = std::process::Command::new("setsid")
        .args(["--wait", crate::support::BINARY, "keygen", "alice"])
        .env_remove("CIRCLES_PASSPHRASE")
        .env("HOME", home.path())
        .env("XDG_DATA_HOME", home.path().join("data"))
        .stdin(std::process::Stdio::null())
        .output()
        .expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{stderr}");
    assert!(stderr.contains("CIRCLES_PASSPHRASE_FILE"), "{stderr}");
    assert!(!home.keys_directory().exists());
}

#[test]
fn passphrase_can_come_from_a_file() {
    let home = Home::new();
    fs::write(home.path().join("secret"), format!("{PASSPHRASE}\n")).expect("written");
    home.add_key("alice");
    let server = crate::support::process::ServeProcess::start(&["--access", "authenticated"]);
    let output = home
        .command()
        .args(["play", "--circle", &server.url, "-e", "1"])
        .env_remove("CIRCLES_PASSPHRASE")
        .env("CIRCLES_PASSPHRASE_FILE", home.path().join("secret"))
        .output()
        .expect("runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n");
}

#[test]
fn keys_are_listed_shown_and_chosen() {
    let home = Home::new();
    let empty = home.run(&["keys", "list"]);
    assert_eq!((empty.code, empty.stdout.as_str()), (Some(0), ""));
    assert!(empty.stderr.contains("circles keygen"));
    assert_eq!(home.run(&["keys", "list", "--json"]).stdout, "{\"keys\":[]}\n");
    assert_eq!(home.run(&["keys", "show"]).code, Some(6));

    let (alice, bob) = (home.add_key("alice").public_key(), home.add_key("bob").public_key());
    let list: serde_json::Value = serde_json::from_str(&home.run(&["keys", "list", "--json"]).stdout).expect("JSON");
    let expected = serde_json::json!({ "keys": [
        { "name": "alice", "public_key": alice.to_hex(), "default": true },
        { "name": "bob", "public_key": bob.to_hex(), "default": false },
    ] });
    assert_eq!(list, expected);
    assert_eq!(home.run(&["keys", "show"]).stdout, format!("{alice}\n"));
    assert_eq!(home.run(&["keys", "default", "bob"]).code, Some(0));
    assert_eq!(home.run(&["keys", "default"]).stdout, "bob\n");
    assert_eq!(home.run(&["keys", "show"]).stdout, format!("{bob}\n"));
    let missing = home.run(&["keys", "show", "carol"]);
    assert_eq!(missing.code, Some(6));
    assert!(missing.stderr.contains("alice") && missing.stderr.contains("bob"), "{missing:?}");
}

#[test]
fn damaged_key_does_not_hide_the_others() {
    let home = Home::new();
    home.add_key("alice");
    fs::write(home.keys_directory().join("broken.json"), "{").expect("written");
    let list = home.run(&["keys", "list"]);
    assert!(list.stdout.contains("alice") && list.stderr.contains("broken.json"), "{list:?}");
}

#[test]
fn loose_key_permissions_are_refused_with_the_fixing_command() {
    let home = Home::new();
    home.add_key("alice");
    let (directory, file) = (home.keys_directory(), home.keys_directory().join("alice.json"));
    let server = crate::support::process::ServeProcess::start(&["--access", "authenticated"]);
    let play = || home.run(&["play", "--circle", &server.url, "-e", "1"]);
    for (path, loose, private) in [(&file, 0o666, "600"), (&directory, 0o777, "700")] {
        fs::set_permissions(path, fs::Permissions::from_mode(loose)).expect("opened");
        let fix = format!("chmod {private} {}", path.display());
        for refused in [play(), home.run(&["keys", "export", "alice", "--secret", "--yes"])] {
            assert_eq!((refused.code, refused.stdout.as_str()), (Some(6), ""), "{refused:?}");
            assert!(refused.stderr.starts_with("error: keystore: "), "{refused:?}");
            let words = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains(&format!("(mode {loose:04o})")) && words.ends_with(&fix), "{refused:?}");
        }
        let fixed = std::process::Command::new("sh").args(["-c", &fix]).status().expect("sh is everywhere");
        assert!(fixed.success());
        assert_eq!(play().stdout, "1\n");
    }
}
