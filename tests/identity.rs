//! Identities of circles: files, `status`, and `circles serve --identity`.

mod clients;
mod rotation;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use keys::identity_file;

use crate::support::{background::BackgroundCircles, process::ServeProcess};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the owner may");
}

fn public_key(file: &Path) -> String {
    identity_file::load(file).expect("an identity").public_key().to_hex()
}

impl BackgroundCircles {
    /// Identity according to `status`.
    fn identity(&self, name: &str) -> String {
        self.status(name)["identity"].as_str().expect("an identity").to_owned()
    }

    /// File according to `identity show`.
    fn identity_file(&self, name: &str) -> PathBuf {
        let shown = self.run_ok(&["identity", "show", name]);
        let (key, file) = shown.trim_end().split_once("  ").expect("a key and a file");
        assert_eq!(key, public_key(Path::new(file)));
        file.into()
    }
}

#[test]
fn supervised_circle_keeps_its_own_identity() {
    let background =
        BackgroundCircles::start(r#"{ "circles": [{ "name": "a", "port": 0 }, { "name": "b", "port": 0 }] }"#);
    let none = background.run(&["identity", "show", "a"]);
    assert_eq!(none.code, Some(2), "{none:?}");
    assert!(none.stderr.contains("circles up a"), "{none:?}");
    background.run_ok(&["up"]);
    let (a, b) = (background.identity("a"), background.identity("b"));
    assert_ne!(a, b);
    let file = background.identity_file("a");
    assert_eq!((public_key(&file), mode(&file)), (a.clone(), 0o600));
    assert_eq!(mode(file.parent().expect("a directory")), 0o700);
    assert!(file.starts_with(background.home.path().join("state")), "beside what else is kept of circles: {file:?}");
    let shown: serde_json::Value =
        serde_json::from_str(&background.run_ok(&["identity", "show", "a", "--json"])).expect("JSON");
    assert_eq!((&shown["public_key"], &shown["name"]), (&a.as_str().into(), &"a".into()));

    background.kill("a");
    background.run_ok(&["restart", "a"]);
    assert_eq!(background.identity("a"), a, "it stays over restarts");
    background.run_ok(&["down"]);
    assert!(background.status("a")["identity"].is_null(), "nothing runs");
    background.run_ok(&["up", "a"]);
    assert_eq!(background.identity("a"), a, "it stays over supervisors");
    let log = fs::read_to_string(background.files("a.log").pop().expect("a log")).expect("readable");
    assert_eq!(log.matches(&format!("created identity {a} in ")).count(), 1, "{log}");
    let secret = fs::read_to_string(&file).expect("readable");
    assert!(!log.contains(secret.trim()), "no secret in the log");
}

/// A user may remove the directory while circles run.
#[test]
fn removed_identities_directory_is_recreated() {
    let background = BackgroundCircles::start(r#"{ "circles": [{ "name": "a", "port": 0 }] }"#);
    background.run_ok(&["up"]);
    let (before, file) = (background.identity("a"), background.identity_file("a"));
    fs::remove_dir_all(file.parent().expect("a directory")).expect("removed");
    background.run_ok(&["restart", "a"]);
    assert_ne!(background.identity("a"), before);
    assert_eq!(background.identity_file("a"), file);
}

#[test]
fn configured_identity_is_created_and_shared_by_replicas() {
    let replica = |name: &str| format!(r#"{{ "name": "{name}", "port": 0, "identity": "team.identity" }}"#);
    let background = BackgroundCircles::start(&format!("{{ \"circles\": [\n{},\n{}\n] }}", replica("a"), replica("b")));
    background.run_ok(&["up"]);
    let file = background.home.path().join("team.identity");
    assert_eq!(mode(&file), 0o600);
    assert_eq!((background.identity("a"), background.identity("b")), (public_key(&file), public_key(&file)));
    assert_eq!(background.identity_file("a"), file);
    background.run_ok(&["down"]);

    set_mode(&file, 0o640);
    for args in [&["up", "a"][..], &["check"], &["identity", "show", "a"], &["identity", "rotate", "a", "--yes"]] {
        let refused = background.run(args);
        assert_eq!(refused.code, Some(2), "{args:?}: {refused:?}");
        let (output, chmod) = (format!("{}{}", refused.stdout, refused.stderr), "chmod 600 ");
        assert!(output.contains("(mode 0640)") && output.contains(chmod), "{args:?}: {refused:?}");
    }
    set_mode(&file, 0o600);
    background.run_ok(&["check"]);
    fs::write(&file, "no identity\n").expect("written");
    let refused = background.run(&["check"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("is not a valid identity file"), "{refused:?}");
    assert_eq!(fs::read_to_string(&file).expect("readable"), "no identity\n", "it is kept");
}

#[test]
fn identity_of_a_served_circle_is_created_at_first_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("team.identity");
    let flag = format!("--identity={}", file.display());
    drop(ServeProcess::start(&[&flag]));
    let first = public_key(&file);
    assert_eq!(mode(&file), 0o600);
    drop(ServeProcess::start(&[&flag]));
    assert_eq!(public_key(&file), first);
}
