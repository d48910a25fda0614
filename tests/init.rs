//! `circles init` and `circles admit`: from nothing to an answer of a circle for members.

use crate::support::{Home, background::BackgroundCircles, eventually, free_port};

/// A home without a circles.json; its circles end with it.
fn empty_home() -> BackgroundCircles {
    BackgroundCircles { home: Home::new() }
}

/// Gives the circles free ports, since other tests use the default ones.
fn with_free_ports(here: &BackgroundCircles) {
    let path = here.home.path().join("circles.json");
    let text = std::fs::read_to_string(&path).expect("written");
    let port = |line: &str| line.split("\"port\": ").nth(1).and_then(|rest| rest.split(',').next()).map(str::to_owned);
    let ports: Vec<String> = text.lines().filter_map(port).collect();
    let text = ports.iter().fold(text.clone(), |text, port| {
        text.replace(&format!("\"port\": {port},"), &format!("\"port\": {},", free_port()))
    });
    std::fs::write(&path, text).expect("written");
}

#[test]
fn init_and_admit_lead_from_nothing_to_an_answer_of_a_circle_for_members() {
    let here = empty_home();
    here.home.add_key("me");
    assert!(here.run_ok(&["init"]).contains("your key me"));
    with_free_ports(&here);
    here.run_ok(&["check"]);
    here.run_ok(&["up"]);
    assert_eq!(here.run_ok(&["play", "--circle", "sandbox", "-e", "40 + 2"]), "42\n");
    assert_eq!(here.run_ok(&["play", "--circle", "team", "-e", "40 + 2"]), "42\n");
    // Another key is admitted while the circle runs.
    let other = here.home.add_key("other");
    let play = ["play", "--circle", "team", "--key", "other", "-e", "1"];
    assert_eq!(here.run(&play).code, Some(4));
    let admitted = here.run(&["admit", "team", "other"]);
    assert!(admitted.code == Some(0) && admitted.stderr.contains("other is a member of team now"), "{admitted:?}");
    eventually(|| {
        let ran = here.run(&play);
        if ran.code == Some(0) { Ok(()) } else { Err(format!("{ran:?}")) }
    });
    let again = here.run(&["admit", "team", &other.public_key().to_hex()]);
    assert!(again.code == Some(0) && again.stderr.contains("before"), "{again:?}");
}

#[test]
fn init_without_a_key_says_how_to_become_a_member() {
    let here = empty_home();
    let ran = here.run(&["init", "--schema"]);
    assert!(ran.code == Some(0) && ran.stderr.contains("circles admit team"), "{ran:?}");
    let read = |name: &str| std::fs::read_to_string(here.home.path().join(name)).expect("written");
    assert!(read("circles.json").contains("\"$schema\": \"circles.schema.json\""));
    assert!(read("circles.schema.json").contains("\"title\": \"circles.json\""));
    let before = read("circles.json");
    let again = here.run(&["init"]);
    assert!(again.code == Some(2) && again.stderr.contains("exists already"), "{again:?}");
    assert_eq!(read("circles.json"), before);
    here.home.add_key("me");
    here.run_ok(&["admit", "team"]);
    with_free_ports(&here);
    here.run_ok(&["up", "team"]);
    assert_eq!(here.run_ok(&["play", "--circle", "team", "-e", "40 + 2"]), "42\n");
}

#[test]
fn init_writes_the_named_file_and_skips_taken_ports() {
    let here = empty_home();
    let _taken = std::net::TcpListener::bind("127.0.0.1:9001");
    let ran = here.run(&["init", "--config", "other.json"]);
    assert!(ran.code == Some(0) && ran.stderr.contains("circles up --config other.json"), "{ran:?}");
    let text = std::fs::read_to_string(here.home.path().join("other.json")).expect("written");
    assert!(!text.contains("\"port\": 9001,") && !text.contains("schema"), "{text}");
    let ran = here.run(&["init", "--config", "missing/other.json"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("cannot write missing/other.json"), "{ran:?}");
    // The home has no circles.json for the end of the test.
    std::fs::rename(here.home.path().join("other.json"), here.home.path().join("circles.json")).expect("renamed");
}

#[test]
fn admit_refuses_invalid_keys_and_open_circles() {
    let here = BackgroundCircles::start(
        r#"{ "circles": [{ "name": "team", "port": 0, "members": [] }, { "name": "a", "port": 0 }] }"#,
    );
    let secret = "7".repeat(64);
    let cases: [(&[&str], i32, &str); 5] = [
        (&["admit", "taem"], 2, "did you mean 'team'?"),
        (&["admit", "team"], 6, "keygen"),
        (&["admit", "team", "nobody"], 6, "nobody"),
        (&["admit", "team", &secret], 2, "KEY is no public key"),
        (&["admit", "a", "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"], 2, "access is open"),
    ];
    for (args, code, piece) in cases {
        let ran = here.run(args);
        assert!(ran.code == Some(code) && ran.stderr.contains(piece), "{args:?}: {ran:?}");
        assert!(!ran.stderr.contains(&secret), "{ran:?}");
    }
}
