use std::{fs, os::unix::fs::PermissionsExt as _, os::unix::fs::symlink, sync::Barrier};

use keys::KeyPair;
use tempfile::TempDir;

use super::*;
use crate::error::CliError;

fn fresh() -> (TempDir, KnownCircles) {
    let root = tempfile::tempdir().expect("a directory");
    let known = KnownCircles::at(root.path().join("circles"));
    (root, known)
}

fn key() -> PublicKey {
    KeyPair::generate().expect("random bytes").public_key()
}

fn at(text: &str) -> Authority {
    text.parse().expect("an authority")
}

fn write(known: &KnownCircles, text: &str) {
    fs::create_dir_all(&known.dir).expect("made");
    fs::set_permissions(&known.dir, fs::Permissions::from_mode(0o700)).expect("the owner may");
    fs::write(known.path(), text).expect("written");
    fs::set_permissions(known.path(), fs::Permissions::from_mode(0o600)).expect("the owner may");
}

fn text(known: &KnownCircles) -> String {
    fs::read_to_string(known.path()).expect("readable")
}

#[test]
fn known_circle_is_remembered_until_it_is_forgotten() {
    let (_root, known) = fresh();
    let (local, one, other) = (at("127.0.0.1:9001"), key(), key());
    assert_eq!(known.get(&local).expect("read"), None);
    assert!(!known.dir.exists(), "reading creates nothing");
    known.remember(&local, one).expect("remembered");
    known.remember(&at("[::1]:9002"), other).expect("remembered");
    known.remember(&local, one).expect("it is known already");
    assert_eq!(known.get(&local).expect("read"), Some(one));
    assert_eq!(text(&known), format!("127.0.0.1:9001 {one}\n[::1]:9002 {other}\n"));
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!((mode(&known.path()), mode(&known.dir)), (0o600, 0o700));

    let refused = known.remember(&local, other).expect_err("it is known by another");
    assert!(matches!(&refused, KnownCirclesError::IdentityMismatch { known, .. } if *known == one), "{refused}");
    assert_eq!(known.get(&local).expect("read"), Some(one));

    known.forget(&local).expect("forgotten");
    assert_eq!(known.get(&local).expect("read"), None);
    assert_eq!(known.list().expect("read").circles.len(), 1);
    let CliError::KnownCircles(parts) = known.forget(&at("[::1]:9003")).expect_err("it is unknown").into() else {
        panic!("an error of its own");
    };
    assert_eq!(parts.fix, "did you mean '[::1]:9002'?");
}

#[test]
fn unknown_lines_are_kept_and_unreadable_lines_are_reported() {
    let (_root, known) = fresh();
    let (one, two) = (key(), key());
    let before = format!(
        "# mine\n\n  EXAMPLE.org:80\t{one}  \nwhat is this\nb:1 {}\na:1 {one}\na:1 {two}\na:1 {one}\n\u{1b}[2J x\nlast:1 {two}",
        &one.to_hex()[1..]
    );
    write(&known, &before);
    let listing = known.list().expect("read");
    let found: Vec<_> = listing.circles.iter().map(|circle| circle.authority.as_str()).collect();
    assert_eq!(found, ["a:1", "example.org:80", "last:1"]);
    let numbers: Vec<_> = listing.unreadable.iter().map(|line| line.number).collect();
    assert_eq!(numbers, [4, 5, 7, 9]);

    // An invalid line of an authority is an error, because it may have held an identity.
    for authority in ["what", "b:1", "a:1"] {
        let refused = known.get(&at(authority)).expect_err(authority);
        assert!(matches!(refused, KnownCirclesError::Unreadable { .. }), "{refused}");
        known.remember(&at(authority), one).expect_err(authority);
    }
    known.remember(&at("new:1"), one).expect("remembered");
    assert_eq!(text(&known), format!("{before}\nnew:1 {one}\n"), "all else is as it was");
    known.forget(&at("a:1")).expect("forgotten");
    known.forget(&at("b:1")).expect("forgotten");
    assert_eq!(known.get(&at("a:1")).expect("read"), None);
    let left = format!("# mine\n\n  EXAMPLE.org:80\t{one}  \nwhat is this\n\u{1b}[2J x\nlast:1 {two}\nnew:1 {one}\n");
    assert_eq!(text(&known), left);
}

#[test]
fn known_circles_that_others_can_write_are_refused() {
    let (_root, known) = fresh();
    known.remember(&at("a:1"), key()).expect("remembered");
    let refuses = || {
        let refused = known.get(&at("a:1")).expect_err("others can write there");
        let CliError::KnownCircles(parts) = refused.into() else { panic!("an error of its own") };
        parts.fix
    };
    fs::set_permissions(known.path(), fs::Permissions::from_mode(0o620)).expect("the owner may");
    assert!(refuses().contains("chmod 600"));
    fs::set_permissions(known.path(), fs::Permissions::from_mode(0o644)).expect("the owner may");
    known.get(&at("a:1")).expect("others may read what is public");
    fs::set_permissions(&known.dir, fs::Permissions::from_mode(0o770)).expect("the owner may");
    assert!(refuses().contains("chmod 700"));
}

#[test]
fn known_circles_are_bounded() {
    let (_root, known) = fresh();
    let one = key();
    let full: Vec<_> = (0..MAX_ENTRIES).map(|number| format!("circle-{number}:1 {one}\n")).collect();
    write(&known, &full.concat());
    known.remember(&at("circle-1:1"), one).expect("it is known already");
    let refused = known.remember(&at("another:1"), one).expect_err("there is no room");
    assert!(matches!(refused, KnownCirclesError::Full { .. }), "{refused}");
    write(&known, &"#".repeat(5 << 20));
    known.get(&at("a:1")).expect_err("too large");
    known.remember(&at("a:1"), one).expect_err("too large");
    assert_eq!(text(&known).len(), 5 << 20, "it is kept");
    write(&known, &"#".repeat(4 << 20));
    let refused = known.remember(&at("a:1"), one).expect_err("there is no room");
    assert!(matches!(refused, KnownCirclesError::Full { .. }), "{refused}");
}

#[test]
fn concurrent_writes_lose_no_circle() {
    let (_root, known) = fresh();
    let (together, one) = (Barrier::new(8), key());
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (known, together) = (&known, &together);
            scope.spawn(move || {
                together.wait();
                known.remember(&at(&format!("circle-{number}:1")), one).expect("remembered");
            });
        }
    });
    assert_eq!(known.list().expect("read").circles.len(), 8);
}

#[test]
fn symlink_stays_a_symlink_and_leftovers_of_killed_writes_are_removed() {
    let (root, known) = fresh();
    write(&known, "");
    let elsewhere = root.path().join("elsewhere");
    fs::rename(known.path(), &elsewhere).expect("moved");
    symlink(&elsewhere, known.path()).expect("linked");
    fs::write(known.dir.join(".new-AbCdEf"), "half").expect("written");
    known.remember(&at("a:1"), key()).expect("remembered");
    assert!(fs::symlink_metadata(known.path()).expect("it is there").is_symlink());
    assert!(text(&known).starts_with("a:1 "));
    assert!(!known.dir.join(".new-AbCdEf").exists());
}

#[test]
fn loopback_addresses_are_one_circle_and_others_are_not() {
    let (_root, known) = fresh();
    let (one, other) = (key(), key());
    known.remember(&at("127.0.0.1:9001"), one).expect("remembered");
    for authority in ["127.0.0.1:9001", "[::1]:9001", "localhost:9001"] {
        assert_eq!(known.get(&at(authority)).expect("read"), Some(one), "{authority}");
        known.remember(&at(authority), other).expect_err("it is another circle");
    }
    for authority in ["127.0.0.2:9001", "127.0.0.1:9002", "127.0.0.11:9001", "localhost.example:9001", "localhost"] {
        assert_eq!(known.get(&at(authority)).expect("read"), None, "{authority}");
    }
    known.forget(&at("localhost:9001")).expect("forgotten");
    assert_eq!(known.list().expect("read").circles, []);
}
