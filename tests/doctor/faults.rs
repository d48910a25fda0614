//! Each thing that can be wrong, alone.

use std::{net::TcpListener, os::unix::fs::PermissionsExt, process::Command};

use rustix::process::{Signal, kill_process};
use serde_json::json;

use super::*;
use crate::support::{
    eventually, fake, free_port,
    process::{Server, wait_for_end, wait_until_stopped},
};

/// A home in which all is well, without circles that should be up.
fn well() -> Home {
    let home = Home::new();
    home.add_key("alice");
    configure(&home, r#"{ "circles": [] }"#);
    assert_eq!(Examined::of(&home, &[]).complaints(), Vec::<String>::new());
    home
}

fn configure(home: &Home, text: &str) {
    fs::write(home.path().join("circles.json"), text).expect("written");
}

fn open(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode is changed");
}

/// Runs the command that mends the one thing that is wrong, and all is well.
fn mend(home: &Home) {
    let examined = Examined::of(home, &[]);
    let complaints = examined.complaints();
    let (_, fix) = complaints[0].split_once(" -> ").expect("it is said");
    let fix =
        fix.rsplit(": ").next().expect("a command").replacen("circles ", &format!("{} ", crate::support::BINARY), 1);
    let mut command = Command::new("sh");
    command.args(["-c", &fix]).env("HOME", home.path()).env("XDG_DATA_HOME", home.path().join("data"));
    command.env("XDG_STATE_HOME", home.path().join("state")).current_dir(home.path());
    let mended = ran(&command.output().expect("sh is everywhere"));
    assert_eq!(mended.code, Some(0), "{fix}: {mended:?}");
    assert_eq!(Examined::of(home, &[]).complaints(), Vec::<String>::new());
}

/// A circles.json of two circles, `a` and `b`, whose ports are free and stay the same.
fn fixed_ports() -> String {
    let (a, b) = (free_port(), free_port());
    format!(r#"{{ "circles": [{{ "name": "a", "port": {a} }}, {{ "name": "b", "port": {b} }}] }}"#)
}

#[test]
fn of_keys() {
    let home = well();
    let (directory, alice) = (home.keys_directory(), home.keys_directory().join("alice.json"));
    open(&directory, 0o755);
    Examined::of(&home, &[]).only(0, &["warning", "which others can look into", "chmod 700"]);
    mend(&home);
    open(&directory, 0o722);
    Examined::of(&home, &[]).only(6, &["error", "others can write to", "(mode 0722)", "chmod 700"]);
    mend(&home);
    open(&alice, 0o644);
    Examined::of(&home, &[]).only(6, &["error", "alice.json is open to others (mode 0644)", "chmod 600"]);
    mend(&home);
    fs::write(directory.join("bob.json"), "{").expect("written");
    open(&directory.join("bob.json"), 0o600);
    let examined = Examined::of(&home, &[]);
    examined.only(6, &["error", "bob.json is damaged: it is not JSON", "mv "]);
    assert!(examined.says("1 key; the default is alice"));
    mend(&home);
    fs::remove_file(directory.join("default")).expect("removed");
    Examined::of(&home, &[]).only(0, &["warning", "none is the default", "circles keys default alice"]);
    mend(&home);
    fs::write(directory.join("default"), "../x\n").expect("written");
    Examined::of(&home, &[]).only(6, &["default is damaged", "circles keys default alice"]);
    mend(&home);
    fs::remove_dir_all(&directory).expect("removed");
    fs::write(&directory, "").expect("written");
    let examined = Examined::of(&home, &[]);
    assert_eq!(examined.code, Some(6));
    assert!(examined.complaints()[0].contains("it is no directory"), "{:#?}", examined.complaints());
}

#[test]
fn of_interrupted_writes() {
    let home = well();
    let left = ["AbCdEf", "gHiJkL"].map(|end| home.keys_directory().join(format!(".new-{end}")));
    let (one, other) = (&left[0], &left[1]);
    fs::write(one, "{").expect("written");
    let why = "the next change of the keystore removes it";
    Examined::of(&home, &[]).only(0, &["warning", ".new-AbCdEf is left of an interrupted write", why, "rm -f "]);
    fs::write(other, "{").expect("written");
    Examined::of(&home, &[]).only(0, &["warning", ".new-AbCdEf and another file are left", ".new-gHiJkL"]);
    mend(&home);
    assert!(!one.exists() && !other.exists());
    // What it says of the next change is so.
    fs::write(one, "{").expect("written");
    assert_eq!(home.run(&["keys", "remove", "alice", "--yes"]).code, Some(0));
    assert!(!one.exists());
}

#[test]
fn of_passphrases() {
    let home = well();
    let file = home.path().join("secret");
    let named = [("CIRCLES_PASSPHRASE_FILE", file.to_str().expect("text"))];
    Examined::of(&home, &named).only(6, &["error", "CIRCLES_PASSPHRASE_FILE names", "unset"]);
    fs::write(&file, "x").expect("written");
    open(&file, 0o640);
    Examined::of(&home, &named).only(6, &["error", "it holds a passphrase", "chmod 600"]);
    open(&file, 0o600);
    assert_eq!(Examined::of(&home, &named).complaints(), Vec::<String>::new());
    let examined = Examined::of(&home, &[("CIRCLES_PASSPHRASE", "hush")]);
    assert!(examined.says("CIRCLES_PASSPHRASE") && !examined.says("hush"));
}

#[test]
fn of_circles_json() {
    let home = well();
    configure(&home, "{ \"circles\": [{ \"name\": \"a\" }] }");
    Examined::of(&home, &[]).only(2, &["error", "circles.json:1:", "port", "circles check"]);
    let missing = ran(&home.command().args(["doctor", "--config", "nowhere.json"]).output().expect("it runs"));
    assert!(missing.code == Some(2) && missing.stdout.contains("cannot read nowhere.json"), "{missing:?}");

    // What mends it is said for the file that was named.
    fs::write(home.path().join("other.json"), "[]").expect("written");
    let other = ran(&home.command().args(["doctor", "--config", "other.json"]).output().expect("it runs"));
    assert!(other.code == Some(2) && other.stdout.contains("circles check --config other.json"), "{other:?}");

    configure(&home, r#"{ "circles": [{ "name": "a", "port": 0, "init": "a.rhai" }] }"#);
    fs::write(home.path().join("a.rhai"), "nowhere").expect("written");
    let complaints = Examined::of(&home, &[]).complaints();
    assert!(complaints[0].contains("'a' cannot start") && complaints[0].contains("mend a.rhai"), "{complaints:#?}");

    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    configure(&home, &format!(r#"{{ "circles": [{{ "name": "a", "port": {port} }}] }}"#));
    let examined = Examined::of(&home, &[]);
    let complaints = examined.complaints();
    assert_eq!(examined.code, Some(2));
    assert!(complaints[0].contains(&format!("port {port} is taken")), "{complaints:#?}");
    // It takes connections and says nothing, which is waited for within bounds.
    assert!(complaints[1].contains("a is down"), "{complaints:#?}");
}

#[test]
fn of_circles() {
    let here = Background::with("{}");
    here.home.add_key("alice");
    let fixed = fixed_ports();
    here.configure(&fixed.replace("\"name\": \"a\",", "\"name\": \"a\", \"restart\": \"never\","));
    let down = Examined::of(&here.home, &[]);
    assert_eq!((down.code, down.complaints().len()), (Some(0), 2), "{:#?}", down.complaints());
    assert!(down.complaints()[0].contains("a is down") && down.complaints()[0].ends_with("circles up a"));
    here.ok(&["up"]);

    // One stands still, and one has ended for good.
    let (a, b) = (here.pid("a"), here.pid("b"));
    kill_process(b, Signal::STOP).expect("it is there");
    wait_until_stopped(b);
    Examined::of(&here.home, &[]).only(3, &["error", "b is up and does not answer", "circles restart b"]);
    kill_process(b, Signal::CONT).expect("it is there");
    // It has come to itself.
    drop(here.connect("b"));
    kill_process(a, Signal::KILL).expect("it is there");
    wait_for_end(a);
    eventually(|| (here.state("a") == "failed").then_some(()).ok_or("a has not failed"));
    Examined::of(&here.home, &[]).only(3, &["error", "a has failed", "ended by signal 9", "circles up a"]);

    let supervisor = here.supervisor("b");
    kill_process(supervisor, Signal::STOP).expect("it is there");
    wait_until_stopped(supervisor);
    let stopped = Examined::of(&here.home, &[]);
    kill_process(supervisor, Signal::CONT).expect("it is there");
    assert_eq!(stopped.code, Some(3));
    assert!(stopped.complaints()[0].contains("the supervisor does not answer"), "{:#?}", stopped.complaints());

    // What is wrong with keys comes first, and so does its code.
    fs::write(here.home.keys_directory().join("bob.json"), "{").expect("written");
    open(&here.home.keys_directory().join("bob.json"), 0o600);
    let both = Examined::of(&here.home, &[]);
    assert_eq!((both.code, both.complaints().len()), (Some(6), 2), "{:#?}", both.complaints());
}

#[test]
fn of_a_circle_that_nobody_here_keeps() {
    let home = well();
    let served = Server::start(&["--name", "a", "--access", "authenticated"]);
    let port = served.authority().rsplit_once(':').expect("a port").1.to_owned();
    configure(&home, &format!(r#"{{ "circles": [{{ "name": "a", "port": {port} }}] }}"#));
    let examined = Examined::of(&home, &[]);
    examined.only(0, &["the access of a is authenticated", "circles.json says open"]);
    assert!(examined.says("by no supervisor of yours"));

    let naked = fake::websocket(|text| {
        let call: Value = serde_json::from_str(text).expect("JSON");
        let said = json!({
            "name": "a", "version": "1", "protocol": 1, "access": "open", "modules": [],
            "you": { "public_key": null, "admitted": true }, "sandbox": ["process"], "limits": {},
        });
        json!({ "jsonrpc": "2.0", "id": call["id"], "result": said }).to_string()
    });
    let port = naked.rsplit_once(':').expect("a port").1.to_owned();
    configure(&home, &format!(r#"{{ "circles": [{{ "name": "a", "port": {port} }}] }}"#));
    Examined::of(&home, &[]).only(0, &["warning", "the scripts of a are not kept", "what holds is only: process"]);
}

#[test]
fn of_the_circle_that_is_meant_without_a_name() {
    let home = well();
    let examine = |place: &str| Examined::of(&home, &[("CIRCLES_CIRCLE", place)]);
    examine("x y").only(2, &["error", "says no circle", "give a name"]);
    examine("team").only(2, &["error", "there is no circle 'team'"]);
    examine(&free_port().to_string()).only(0, &["warning", "which does not answer", "unset CIRCLES_CIRCLE"]);
    let served = Server::open();
    assert_eq!(examine(served.authority()).complaints(), Vec::<String>::new());
    // As play takes several.
    examine(&format!("{},x y", served.authority())).only(2, &["'x y' says no circle"]);
}

#[test]
fn of_this_machine() {
    let home = well();
    Examined::of(&home, &[("LANG", "C")]).only(0, &["warning", "the locale is C, which is not UTF-8", "export LANG"]);
    Examined::of(&home, &[("EDITOR", "nowhere -x")]).only(0, &["warning", "the editor nowhere -x", "export EDITOR"]);
    let histories = home.path().join("state/circles/history");
    fs::create_dir_all(&histories).expect("made");
    for directory in [&histories, histories.parent().expect("one")] {
        open(directory, 0o700);
    }
    fs::write(histories.join("a-b.txt"), "x").expect("written");
    open(&histories.join("a-b.txt"), 0o644);
    Examined::of(&home, &[]).only(2, &["error", "a-b.txt is open to others", "chmod 600"]);
    mend(&home);
    fs::write(home.path().join("state/circles/logs"), "").expect("written");
    Examined::of(&home, &[]).only(2, &["error", "logs cannot be kept in", "it is no directory", "mv "]);
    mend(&home);
}
