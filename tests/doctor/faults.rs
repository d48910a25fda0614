//! Each problem that `circles doctor` finds, one at a time.

use std::{net::TcpListener, os::unix::fs::PermissionsExt, process::Command};

use rustix::process::{Signal, kill_process};
use serde_json::json;

use super::*;
use crate::support::{
    eventually, fake, free_port,
    process::{ServeProcess, wait_for_end, wait_until_stopped},
};

/// A home without problems, and without circles that should be up.
fn healthy_home() -> Home {
    let home = Home::new();
    home.add_key("alice");
    configure(&home, r#"{ "circles": [] }"#);
    assert_eq!(DoctorReport::of(&home, &[]).findings(), Vec::<String>::new());
    home
}

fn configure(home: &Home, text: &str) {
    fs::write(home.path().join("circles.json"), text).expect("written");
}

fn open(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode is changed");
}

/// Runs the command that fixes the only problem, and checks that none is left.
fn fix(home: &Home) {
    let examined = DoctorReport::of(home, &[]);
    let complaints = examined.findings();
    let (_, fix) = complaints[0].split_once(" -> ").expect("a fix");
    let fix =
        fix.rsplit(": ").next().expect("a command").replacen("circles ", &format!("{} ", crate::support::BINARY), 1);
    let mut command = Command::new("sh");
    command.args(["-c", &fix]).env("HOME", home.path()).env("XDG_DATA_HOME", home.path().join("data"));
    command.env("XDG_STATE_HOME", home.path().join("state")).current_dir(home.path());
    let fixed = command_output(&command.output().expect("sh is everywhere"));
    assert_eq!(fixed.code, Some(0), "{fix}: {fixed:?}");
    assert_eq!(DoctorReport::of(home, &[]).findings(), Vec::<String>::new());
}

/// A circles.json with two circles, `a` and `b`, on fixed free ports.
fn fixed_ports() -> String {
    let (a, b) = (free_port(), free_port());
    format!(r#"{{ "circles": [{{ "name": "a", "port": {a} }}, {{ "name": "b", "port": {b} }}] }}"#)
}

#[test]
fn doctor_finds_faults_of_keys() {
    let home = healthy_home();
    let (directory, alice) = (home.keys_directory(), home.keys_directory().join("alice.json"));
    open(&directory, 0o755);
    DoctorReport::of(&home, &[]).expect_only(0, &["warning", "which is open to others", "chmod 700"]);
    fix(&home);
    open(&directory, 0o722);
    DoctorReport::of(&home, &[]).expect_only(6, &["error", "others can write to", "(mode 0722)", "chmod 700"]);
    fix(&home);
    open(&alice, 0o644);
    DoctorReport::of(&home, &[]).expect_only(6, &["error", "alice.json is open to others (mode 0644)", "chmod 600"]);
    fix(&home);
    fs::write(directory.join("bob.json"), "{").expect("written");
    open(&directory.join("bob.json"), 0o600);
    let examined = DoctorReport::of(&home, &[]);
    examined.expect_only(6, &["error", "bob.json is damaged: it is not JSON", "mv "]);
    assert!(examined.expect_finding("1 key; the default is alice"));
    fix(&home);
    fs::remove_file(directory.join("default")).expect("removed");
    DoctorReport::of(&home, &[]).expect_only(0, &["warning", "but no default key", "circles keys default alice"]);
    fix(&home);
    fs::write(directory.join("default"), "../x\n").expect("written");
    DoctorReport::of(&home, &[]).expect_only(6, &["default is damaged", "circles keys default alice"]);
    fix(&home);
    fs::remove_dir_all(&directory).expect("removed");
    fs::write(&directory, "").expect("written");
    let examined = DoctorReport::of(&home, &[]);
    assert_eq!(examined.code, Some(6));
    assert!(examined.findings()[0].contains("it is not a directory"), "{:#?}", examined.findings());
}

#[test]
fn doctor_finds_leftovers_of_interrupted_writes() {
    let home = healthy_home();
    let left = ["AbCdEf", "gHiJkL"].map(|end| home.keys_directory().join(format!(".new-{end}")));
    let (one, other) = (&left[0], &left[1]);
    fs::write(one, "{").expect("written");
    let why = "the next change to the keystore removes it";
    DoctorReport::of(&home, &[])
        .expect_only(0, &["warning", ".new-AbCdEf is left over from an interrupted write", why, "rm -f "]);
    fs::write(other, "{").expect("written");
    DoctorReport::of(&home, &[]).expect_only(0, &["warning", ".new-AbCdEf and another file are left", ".new-gHiJkL"]);
    fix(&home);
    assert!(!one.exists() && !other.exists());
    // The next change of the keystore removes the file, as the finding says.
    fs::write(one, "{").expect("written");
    assert_eq!(home.run(&["keys", "remove", "alice", "--yes"]).code, Some(0));
    assert!(!one.exists());
}

#[test]
fn doctor_finds_faults_of_passphrases() {
    let home = healthy_home();
    let file = home.path().join("secret");
    let named = [("CIRCLES_PASSPHRASE_FILE", file.to_str().expect("text"))];
    DoctorReport::of(&home, &named).expect_only(6, &["error", "CIRCLES_PASSPHRASE_FILE names", "unset"]);
    fs::write(&file, "x").expect("written");
    open(&file, 0o640);
    DoctorReport::of(&home, &named).expect_only(6, &["error", "it contains a passphrase", "chmod 600"]);
    open(&file, 0o600);
    assert_eq!(DoctorReport::of(&home, &named).findings(), Vec::<String>::new());
    let examined = DoctorReport::of(&home, &[("CIRCLES_PASSPHRASE", "hush")]);
    assert!(examined.expect_finding("CIRCLES_PASSPHRASE") && !examined.expect_finding("hush"));
}

#[test]
fn doctor_finds_faults_of_circles_json() {
    let home = healthy_home();
    configure(&home, "{ \"circles\": [{ \"name\": \"a\" }] }");
    DoctorReport::of(&home, &[]).expect_only(2, &["error", "circles.json:1:", "port", "circles check"]);
    let missing =
        command_output(&home.command().args(["doctor", "--config", "nowhere.json"]).output().expect("it runs"));
    assert!(missing.code == Some(2) && missing.stdout.contains("cannot read nowhere.json"), "{missing:?}");

    // The fix names the file of `--config`.
    fs::write(home.path().join("other.json"), "[]").expect("written");
    let other = command_output(&home.command().args(["doctor", "--config", "other.json"]).output().expect("it runs"));
    assert!(other.code == Some(2) && other.stdout.contains("circles check --config other.json"), "{other:?}");

    configure(&home, r#"{ "circles": [{ "name": "a", "port": 0, "init": "a.rhai" }] }"#);
    fs::write(home.path().join("a.rhai"), "nowhere").expect("written");
    let complaints = DoctorReport::of(&home, &[]).findings();
    assert!(complaints[0].contains("'a' cannot start") && complaints[0].contains("fix a.rhai"), "{complaints:#?}");

    // Functions are checked without an init script, too.
    fs::create_dir(home.path().join("shop")).expect("made");
    fs::write(home.path().join("shop/price.rhai"), "fn price( {}").expect("written");
    configure(
        &home,
        r#"{ "circles": [{ "name": "a", "port": 0, "functions": "shop", "roles": { "v": { "call": ["price"] } }, "anyone": "v" }] }"#,
    );
    let complaints = DoctorReport::of(&home, &[]).findings();
    assert!(complaints[0].contains("'a' cannot start") && complaints[0].contains("price.rhai:1:"), "{complaints:#?}");

    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    configure(&home, &format!(r#"{{ "circles": [{{ "name": "a", "port": {port} }}] }}"#));
    let examined = DoctorReport::of(&home, &[]);
    let complaints = examined.findings();
    assert_eq!(examined.code, Some(2));
    assert!(complaints[0].contains(&format!("port {port} is taken")), "{complaints:#?}");
    // A listener that never answers: the doctor waits a bounded time.
    assert!(examined.expect_finding("a is down"), "{complaints:#?}");
}

#[test]
fn doctor_finds_faults_of_circles() {
    let here = BackgroundCircles::start("{}");
    here.home.add_key("alice");
    let fixed = fixed_ports();
    here.configure(&fixed.replace("\"name\": \"a\",", "\"name\": \"a\", \"restart\": \"never\","));
    let down = DoctorReport::of(&here.home, &[]);
    // A circle that nobody has started is no problem.
    assert_eq!((down.code, down.findings().len()), (Some(0), 0), "{:#?}", down.findings());
    assert!(down.expect_finding("a is down") && down.expect_finding("b is down"));
    here.run_ok(&["up"]);

    // One circle hangs, and one has failed.
    let (a, b) = (here.pid("a"), here.pid("b"));
    kill_process(b, Signal::STOP).expect("it is there");
    wait_until_stopped(b);
    DoctorReport::of(&here.home, &[]).expect_only(3, &["error", "b is up but does not answer", "circles restart b"]);
    kill_process(b, Signal::CONT).expect("it is there");
    // The circle answers again.
    drop(here.connect("b"));
    kill_process(a, Signal::KILL).expect("it is there");
    wait_for_end(a);
    eventually(|| (here.state("a") == "failed").then_some(()).ok_or("a has not failed"));
    DoctorReport::of(&here.home, &[]).expect_only(3, &["error", "a has failed", "killed by signal 9", "circles up a"]);

    let supervisor = here.supervisor("b");
    kill_process(supervisor, Signal::STOP).expect("it is there");
    wait_until_stopped(supervisor);
    let stopped = DoctorReport::of(&here.home, &[]);
    kill_process(supervisor, Signal::CONT).expect("it is there");
    assert_eq!(stopped.code, Some(3));
    assert!(stopped.findings()[0].contains("the supervisor does not answer"), "{:#?}", stopped.findings());

    // Problems with keys come first, and determine the exit code.
    fs::write(here.home.keys_directory().join("bob.json"), "{").expect("written");
    open(&here.home.keys_directory().join("bob.json"), 0o600);
    let both = DoctorReport::of(&here.home, &[]);
    assert_eq!((both.code, both.findings().len()), (Some(6), 2), "{:#?}", both.findings());
}

#[test]
fn doctor_finds_an_unsupervised_circle() {
    let home = healthy_home();
    let served = ServeProcess::start(&["--name", "a", "--access", "authenticated"]);
    let port = served.authority().rsplit_once(':').expect("a port").1.to_owned();
    configure(&home, &format!(r#"{{ "circles": [{{ "name": "a", "port": {port} }}] }}"#));
    let examined = DoctorReport::of(&home, &[]);
    examined.expect_only(0, &["the access of a is authenticated", "circles.json says open"]);
    assert!(examined.expect_finding("not under your supervisor"));

    let naked = fake::serve_websocket(|text| {
        let call: Value = serde_json::from_str(text).expect("JSON");
        let description = json!({
            "name": "a", "version": "1", "protocol": 1, "access": "open", "modules": [],
            "you": { "public_key": null, "admitted": true }, "sandbox": ["process"], "limits": {},
        });
        json!({ "jsonrpc": "2.0", "id": call["id"], "result": description }).to_string()
    });
    let port = naked.rsplit_once(':').expect("a port").1.to_owned();
    configure(&home, &format!(r#"{{ "circles": [{{ "name": "a", "port": {port} }}] }}"#));
    DoctorReport::of(&home, &[])
        .expect_only(0, &["warning", "the scripts of a are not fully isolated", "active layers: only process"]);
}

#[test]
fn doctor_finds_faults_of_the_default_circle() {
    let home = healthy_home();
    let examine = |target: &str| DoctorReport::of(&home, &[("CIRCLES_CIRCLE", target)]);
    examine("x y").expect_only(2, &["error", "is not a circle", "for example: team"]);
    examine("team").expect_only(2, &["error", "there is no circle 'team'"]);
    examine(&free_port().to_string()).expect_only(0, &["warning", "which does not answer", "unset CIRCLES_CIRCLE"]);
    let served = ServeProcess::open();
    assert_eq!(examine(served.authority()).findings(), Vec::<String>::new());
    // Several circles, as `play` takes them.
    examine(&format!("{},x y", served.authority())).expect_only(2, &["'x y' is not a circle"]);
}

#[test]
fn doctor_finds_faults_of_this_machine() {
    let home = healthy_home();
    DoctorReport::of(&home, &[("LANG", "C")])
        .expect_only(0, &["warning", "the locale is C, which is not UTF-8", "export LANG"]);
    DoctorReport::of(&home, &[("EDITOR", "nowhere -x")])
        .expect_only(0, &["warning", "the editor nowhere -x", "export EDITOR"]);
    let histories = home.path().join("state/circles/history");
    fs::create_dir_all(&histories).expect("made");
    for directory in [&histories, histories.parent().expect("one")] {
        open(directory, 0o700);
    }
    fs::write(histories.join("a-b.txt"), "x").expect("written");
    open(&histories.join("a-b.txt"), 0o644);
    DoctorReport::of(&home, &[]).expect_only(2, &["error", "a-b.txt is open to others", "chmod 600"]);
    fix(&home);
    fs::write(home.path().join("state/circles/logs"), "").expect("written");
    DoctorReport::of(&home, &[]).expect_only(2, &["error", "cannot keep logs in", "it is not a directory", "mv "]);
    fix(&home);
}
