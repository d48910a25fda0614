//! `circles check`, and circles of circles.json by name.

use crate::support::{Home, free_port, process::ServeProcess};

fn with(home: &Home, text: &str) {
    std::fs::write(home.path().join("circles.json"), text).expect("written");
}

#[test]
fn example_config_is_valid() {
    let example = include_str!("../circles.json");
    let home = Home::new();
    // The ports may be taken on this machine.
    with(&home, &example.replace("9001", "0").replace("9002", "0"));
    let ran = home.run(&["check"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.starts_with("sandbox  ws://127.0.0.1:0  open\nteam     ws://127.0.0.1:0  members (0)\n"),
        "{ran:?}"
    );
}

#[test]
fn check_shows_a_mistake_with_its_line_and_a_caret() {
    let home = Home::new();
    with(&home, "{ \"circles\": [\n  { \"name\": \"a\", \"port\": 1 },\n  { \"name\": \"b\", \"port\": 1 }\n] }\n");
    let ran = home.run(&["check"]);
    assert_eq!(ran.code, Some(2));
    insta::assert_snapshot!(ran.stderr, @r#"
    3 |   { "name": "b", "port": 1 }
                                 ^
    error: circles.json:3:26: port 1 is already used by circle 'a'
    "#);
}

#[test]
fn check_finds_a_failing_init_script_without_starting_anything() {
    let home = Home::new();
    std::fs::write(home.path().join("team.rhai"), "const A = 1;\nA + nowhere").expect("written");
    with(&home, r#"{ "circles": [{ "name": "team", "port": 0, "init": "team.rhai" }] }"#);
    let ran = home.run(&["check"]);
    assert_eq!(ran.code, Some(2));
    for piece in
        ["2 | A + nowhere\n        ^\nerror: ", "'team' cannot start", "nowhere (line 2, column 5)", "fix team.rhai"]
    {
        assert!(ran.stderr.contains(piece), "{ran:?}");
    }
}

#[test]
fn check_reports_everything_that_would_not_start() {
    // A separate process takes the port: a child of the test process could inherit a listening socket for a moment.
    let taken = ServeProcess::open();
    let port = taken.port();
    let home = Home::new();
    std::fs::write(home.path().join("bad.rhai"), "nowhere").expect("written");
    with(
        &home,
        &format!(
            r#"{{
  "defaults": {{ "host": "192.0.2.7", "access": "authenticated" }},
  "circles": [
    {{ "name": "far", "port": 0 }},
    {{ "name": "late", "port": {port}, "host": "127.0.0.1", "init": "bad.rhai" }},
    {{ "name": "fine", "port": 0, "host": "::1" }}
] }}"#
        ),
    );
    let ran = home.run(&["check"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    for piece in [
        "circles.json:2:25: this machine has no address 192.0.2.7".to_owned(),
        format!("circles.json:5:31: port {port} is taken by `circles` (pid {})", taken.pid()),
        "'late' cannot start".into(),
        "fix bad.rhai".into(),
        "cannot start: far, late\n".into(),
    ] {
        assert!(ran.stderr.contains(&piece), "{piece}: {ran:?}");
    }
    assert!(ran.stdout.contains("fine  ws://[::1]:0"), "{ran:?}");
}

#[test]
fn check_accepts_ports_of_own_running_circles() {
    let port = free_port();
    let home = Home::new();
    with(&home, &format!(r#"{{ "circles": [{{ "name": "a", "port": {port} }}] }}"#));
    assert_eq!(home.run(&["up"]).code, Some(0));
    let own = home.run(&["check"]);
    // For another configuration the port belongs to a foreign circle.
    let elsewhere = Home::new();
    with(&elsewhere, &format!(r#"{{ "circles": [{{ "name": "a", "port": {port} }}] }}"#));
    let foreign = elsewhere.run(&["check"]);
    assert_eq!(home.run(&["down"]).code, Some(0));
    assert_eq!(own.code, Some(0), "{own:?}");
    assert!(foreign.code == Some(2) && foreign.stderr.contains("is taken by `circles` (pid "), "{foreign:?}");
}

#[test]
fn check_reports_unwritable_logs() {
    let home = Home::new();
    with(&home, r#"{ "circles": [{ "name": "a", "port": 0 }] }"#);
    assert_eq!(home.run(&["check"]).code, Some(0));
    let logs = home.path().join("state/circles/logs");
    let id = std::fs::read_dir(&logs).expect("made").next().expect("one").expect("it is there").path();
    std::fs::create_dir(id.join("a.log")).expect("made");
    let ran = home.run(&["check"]);
    assert!(
        ran.code == Some(2) && ran.stderr.contains("cannot write the log") && ran.stderr.contains("a.log"),
        "{ran:?}"
    );
    std::fs::remove_dir_all(&logs).expect("removed");
    std::fs::write(&logs, "").expect("written");
    let ran = home.run(&["check"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("XDG_STATE_HOME"), "{ran:?}");
}

#[test]
fn circle_is_found_by_its_name() {
    let home = Home::new();
    let server = ServeProcess::start(&["--name", "team"]);
    let port = server.authority().rsplit_once(':').expect("a port").1;
    with(&home, &format!(r#"{{ "circles": [{{ "name": "team", "port": {port} }}] }}"#));
    assert_eq!(home.run(&["play", "--circle", "team", "-e", "CIRCLE_NAME"]).stdout, "team\n");
    let ran = home.run(&["play", "--circle", "taem", "-e", "1"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("did you mean 'team'?"), "{ran:?}");
    // Not in this directory: the user's own circles.json.
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

#[test]
fn check_json_is_one_object() {
    let home = Home::new();
    let circles =
        r#"{ "circles": [{ "name": "right", "port": 0 }, { "name": "wrong", "port": 0, "init": "wrong.rhai" }] }"#;
    std::fs::write(home.path().join("wrong.rhai"), "throw \"no luck\"").expect("written");
    std::fs::write(home.path().join("circles.json"), circles).expect("written");
    let ran = home.run(&["check", "--json"]);
    let all: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((ran.code, ran.stderr.as_str(), &all["errors"]), (Some(2), "", &serde_json::json!([])), "{ran:?}");
    let of = |index: usize, field: &str| all["circles"][index][field].clone();
    assert_eq!(
        (of(0, "name"), of(0, "access"), of(0, "errors")),
        ("right".into(), "open".into(), serde_json::json!([]))
    );
    assert!(of(1, "errors")[0].as_str().is_some_and(|error| error.contains("no luck")), "{ran:?}");
    with(&home, "{ \"circles\": 1 }");
    let ran = home.run(&["check", "--json"]);
    let all: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert!(ran.code == Some(2) && all["errors"][0].is_string(), "{ran:?}");
}

#[test]
fn check_reads_the_files_of_a_worker_pool() {
    use std::os::unix::fs::PermissionsExt;

    let home = Home::new();
    let file = |name: &str, text: &str, mode: u32| {
        let path = home.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("changed");
    };
    file("password", "hunter2\n", 0o640);
    file("seed", "SUNOSEED\n", 0o600);
    file("fine", "hunter2\n", 0o600);
    with(
        &home,
        r#"{ "circles": [
  { "name": "shared", "port": 0, "worker_pool": { "nats": "tls://n1", "user": "a", "password_file": "password" } },
  { "name": "seed", "port": 0, "worker_pool": { "nats": "tls://n1", "nkey": "seed" } },
  { "name": "fine", "port": 0, "worker_pool": { "nats": "nats://127.0.0.1:1", "user": "a", "password_file": "fine" } },
  { "name": "open", "port": 0, "worker_pool": { "nats": "localhost,nats://n2:4222" } }
] }"#,
    );
    let ran = home.run(&["check"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    for piece in [
        "circles.json:2:49: the NATS password file password is open to others (mode 0640); run: chmod 600 password",
        "circles.json:3:47: the NATS nkey file seed does not have the seed of a user's nkey; write the one line that",
        "warning: circles.json:5:47: anyone on the way to nats://n2:4222 can read and change scripts",
        "cannot start: shared, seed\n",
    ] {
        assert!(ran.stderr.contains(piece), "{piece}: {ran:?}");
    }
    assert!(!ran.stderr.contains("SUNOSEED") && !ran.stderr.contains("127.0.0.1:1"), "{ran:?}");
    // The check does not connect.
    assert!(ran.stdout.contains("open; workers by NATS: nats://127.0.0.1:1\n"), "{ran:?}");
    let ran = home.run(&["check", "--json"]);
    let all: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(all["circles"][2]["worker_pool"], serde_json::json!({ "nats": "nats://127.0.0.1:1" }), "{ran:?}");
}
