//! Changes of keys: export, import, passphrases, names, removal.

use std::{fs, process::Command};

use keys::keystore::Keystore;
use serde_json::{Value, json};

use super::mode;
use crate::support::{CommandOutput, Home, PASSPHRASE, command_output};

/// A secret key that nobody uses.
const SECRET: &str = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";

fn public_key_of_secret() -> String {
    keys::KeyPair::from_secret_hex(SECRET).expect("a secret key").public_key().to_hex()
}

fn with(home: &Home, args: &[&str], environment: &[(&str, &str)]) -> CommandOutput {
    command_output(&home.command().args(args).envs(environment.iter().copied()).output().expect("it runs"))
}

fn unlock(home: &Home, name: &str, passphrase: &str) -> Option<String> {
    let keypair = Keystore::at(home.keys_directory()).unlock(&name.parse().expect("a name"), passphrase).ok()?;
    Some(keypair.secret_hex().to_string())
}

#[test]
fn exported_key_is_imported_with_its_passphrase() {
    let (home, elsewhere) = (Home::new(), Home::new());
    let alice = home.add_key("alice");
    let exported = home.run(&["keys", "export", "alice"]);
    assert_eq!(exported.code, Some(0), "{exported:?}");
    assert!(!exported.stdout.contains(alice.secret_hex().as_str()));

    let imported = elsewhere.run_with(&["keys", "import", "a"], &exported.stdout);
    assert_eq!(imported.code, Some(0), "{imported:?}");
    assert_eq!(imported.stdout, format!("{}\n", alice.public_key()));
    assert!(imported.stderr.contains("imported a (default key)"), "{imported:?}");
    assert_eq!(mode(&elsewhere.keys_directory().join("a.json")), 0o600);
    assert_eq!(unlock(&elsewhere, "a", PASSPHRASE).as_deref(), Some(alice.secret_hex().as_str()));

    // Imports from a file, too, and reports that the key exists already under another name.
    fs::write(elsewhere.path().join("key"), &exported.stdout).expect("written");
    let again = elsewhere.run(&["keys", "import", "b", "key", "--json"]);
    let shown: Value = serde_json::from_str(&again.stdout).expect("JSON");
    assert_eq!(shown, json!({ "name": "b", "public_key": alice.public_key().to_hex(), "default": false }));
    assert!(again.stderr.contains("the same key as a"), "{again:?}");
    let taken = elsewhere.run(&["keys", "import", "B", "key"]);
    assert_eq!(taken.code, Some(6), "{taken:?}");
}

#[test]
fn bare_secret_is_exported_on_confirmation_and_imported_with_a_passphrase() {
    let home = Home::new();
    let imported = home.run_with(&["keys", "import", "alice", "-"], &format!("0x{SECRET}\n"));
    assert_eq!((imported.code, imported.stdout), (Some(0), format!("{}\n", public_key_of_secret())));
    assert!(!imported.stderr.contains(SECRET));
    let file = fs::read_to_string(home.keys_directory().join("alice.json")).expect("readable");
    assert!(!file.contains(SECRET) && unlock(&home, "alice", PASSPHRASE).as_deref() == Some(SECRET));

    let bare = home.run(&["keys", "export", "alice", "--secret", "--yes"]);
    assert_eq!(bare, CommandOutput { code: Some(0), stdout: format!("{SECRET}\n"), stderr: String::new() });
    let wrong = with(&home, &["keys", "export", "alice", "--secret", "--yes"], &[("CIRCLES_PASSPHRASE", "wrong")]);
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(6), ""));
    assert!(wrong.stderr.contains("wrong passphrase"), "{wrong:?}");
    // An encrypted export needs no confirmation, so --yes is an error.
    assert_eq!(home.run(&["keys", "export", "alice", "--yes"]).code, Some(2));

    let empty = Home::new();
    fs::write(empty.path().join("secret"), SECRET).expect("written");
    let protected = with(&empty, &["keys", "import", "alice", "secret"], &[("CIRCLES_PASSPHRASE", "")]);
    assert_eq!(protected.code, Some(6), "{protected:?}");
    assert!(!empty.keys_directory().exists());
}

#[test]
fn secret_on_the_command_line_is_refused_and_not_echoed() {
    let home = Home::new();
    let prefixed = format!("0x{SECRET}");
    for args in [vec!["alice", SECRET], vec!["alice", &prefixed], vec![SECRET], vec![&prefixed, "-"]] {
        let refused = home.run(&[&["keys", "import"], args.as_slice()].concat());
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{refused:?}");
        assert!(refused.stderr.contains("standard input") && !refused.stderr.contains(SECRET), "{refused:?}");
    }
    assert!(!home.keys_directory().exists());
    // A file may have such a name.
    fs::write(home.path().join(SECRET), SECRET).expect("written");
    assert_eq!(home.run(&["keys", "import", "alice", SECRET]).code, Some(0));
}

#[test]
fn import_rejects_invalid_keys() {
    let home = Home::new();
    home.add_key("alice");
    let exported = home.run(&["keys", "export", "alice"]).stdout;
    let cases = [
        (String::new(), "neither an exported key nor"),
        ("02".repeat(33), "neither an exported key nor"),
        ("0".repeat(64), "neither an exported key nor"),
        (format!("{SECRET}{SECRET}"), "neither an exported key nor"),
        ("{}".into(), "a field is missing"),
        (exported[..exported.len() / 2].into(), "it is not JSON"),
        ("x".repeat(65_600), "larger than 65536 bytes"),
    ];
    for (text, expected) in cases {
        let refused = home.run_with(&["keys", "import", "bob"], &text);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{refused:?}");
        let verb = if text.len() > 65_536 { "read" } else { "import" };
        assert!(refused.stderr.contains(&format!("cannot {verb} standard input")), "{refused:?}");
        assert!(refused.stderr.contains(expected) && !refused.stderr.contains(&SECRET[..16]), "{refused:?}");
    }
    let missing = home.run(&["keys", "import", "bob", "nowhere"]);
    assert!(missing.code == Some(2) && missing.stderr.contains("cannot read nowhere"), "{missing:?}");
    assert_eq!(home.run(&["keys", "list"]).stdout.lines().count(), 1);
}

#[test]
fn passphrase_is_changed_without_a_terminal() {
    let home = Home::new();
    let alice = home.add_key("alice").secret_hex().to_string();
    let change = |environment: &[(&str, &str)]| with(&home, &["keys", "passwd", "alice"], environment);
    let wrong = change(&[("CIRCLES_PASSPHRASE", "wrong"), ("CIRCLES_NEW_PASSPHRASE", "two")]);
    assert_eq!(wrong.code, Some(6), "{wrong:?}");
    let empty = change(&[("CIRCLES_NEW_PASSPHRASE", "")]);
    assert!(empty.code == Some(6) && empty.stderr.contains("an empty passphrase"), "{empty:?}");
    assert_eq!(unlock(&home, "alice", PASSPHRASE).as_deref(), Some(alice.as_str()));

    let changed = change(&[("CIRCLES_NEW_PASSPHRASE", "two")]);
    assert_eq!((changed.code, changed.stdout.as_str()), (Some(0), ""), "{changed:?}");
    assert_eq!((unlock(&home, "alice", PASSPHRASE), unlock(&home, "alice", "two")), (None, Some(alice.clone())));
    assert_eq!(mode(&home.keys_directory().join("alice.json")), 0o600);

    fs::write(home.path().join("three"), "three\n").expect("written");
    let three = home.path().join("three").display().to_string();
    let changed = change(&[("CIRCLES_PASSPHRASE", "two"), ("CIRCLES_NEW_PASSPHRASE_FILE", &three)]);
    assert_eq!(changed.code, Some(0), "{changed:?}");

    // Both passphrases come from file descriptors.
    let changed = Command::new("sh")
        .args(["-c", "\"$0\" keys passwd alice --passphrase-fd 3 --new-passphrase-fd 4 3<three 4<<X\nfour\nX"])
        .arg(crate::support::BINARY)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .env("XDG_DATA_HOME", home.path().join("data"))
        .current_dir(home.path())
        .output()
        .expect("sh is everywhere");
    assert!(changed.status.success(), "{changed:?}");
    assert_eq!(unlock(&home, "alice", "four"), Some(alice));
}

#[test]
fn rename_never_overwrites_a_key() {
    let home = Home::new();
    let alice = home.add_key("alice").public_key();
    home.add_key("bob");
    let over = home.run(&["keys", "rename", "alice", "BOB"]);
    assert!(over.code == Some(6) && over.stderr.contains("already exists"), "{over:?}");
    let renamed = home.run(&["keys", "rename", "alice", "carol"]);
    assert!(renamed.code == Some(0) && renamed.stderr.contains("renamed alice to carol (default key)"), "{renamed:?}");
    assert_eq!(home.run(&["keys", "default"]).stdout, "carol\n");
    assert_eq!(home.run(&["keys", "show", "carol"]).stdout, format!("{alice}\n"));
    assert_eq!(home.run(&["keys", "rename", "carol", "../x"]).code, Some(2));
}

#[test]
fn remove_deletes_a_key_and_reports_the_missing_default() {
    let home = Home::new();
    for name in ["alice", "bob"] {
        home.add_key(name);
    }
    let removed = home.run(&["keys", "remove", "alice", "--yes"]);
    assert!(removed.code == Some(0) && removed.stderr.contains("there is no default key now"), "{removed:?}");
    assert_eq!(home.run(&["keys", "default"]).code, Some(6));
    fs::write(home.keys_directory().join("bob.json"), "{").expect("written");
    let damaged = home.run(&["keys", "remove", "bob", "-y"]);
    assert_eq!((damaged.code, damaged.stderr.as_str()), (Some(0), "removed bob\n"));
    assert_eq!(home.run(&["keys", "list", "--json"]).stdout, "{\"keys\":[]}\n");
}

#[test]
fn missing_key_is_reported_with_a_suggestion_by_every_command() {
    let home = Home::new();
    home.add_key("alice");
    for args in [
        &["show", "alcie"] as &[&str],
        &["default", "alcie"],
        &["export", "alcie"],
        &["export", "alcie", "--secret", "--yes"],
        &["passwd", "alcie"],
        &["rename", "alcie", "bob"],
        &["remove", "alcie", "--yes"],
        &["remove", "alcie"],
    ] {
        let missing = home.run(&[&["keys"], args].concat());
        assert_eq!((missing.code, missing.stdout.as_str()), (Some(6), ""), "{args:?}: {missing:?}");
        assert!(missing.stderr.contains("did you mean 'alice'?"), "{args:?}: {missing:?}");
    }
}

#[test]
fn public_key_commands_have_json_output() {
    let home = Home::new();
    let alice = home.add_key("alice").public_key().to_hex();
    let expected = json!({ "name": "alice", "public_key": alice, "default": true });
    for args in [&["show", "--json"] as &[&str], &["show", "alice", "--json"], &["default", "--json"]] {
        let shown: Value = serde_json::from_str(&home.run(&[&["keys"], args].concat()).stdout).expect("JSON");
        assert_eq!(shown, expected, "{args:?}");
    }
    let made: Value = serde_json::from_str(&home.run(&["keygen", "bob", "--json"]).stdout).expect("JSON");
    assert_eq!((&made["name"], &made["default"]), (&json!("bob"), &json!(false)));
}
