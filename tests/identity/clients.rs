//! Identities of circles, checked by clients.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, path::PathBuf};

use keys::KeyPair;
use rustix::process::Signal;

use crate::support::{
    CommandOutput, Home, background::BackgroundCircles, fake, free_port, process::ServeProcess, skip,
};

fn known_circles(home: &Home) -> Option<String> {
    fs::read_to_string(home.path().join("data/circles/known_circles")).ok()
}

fn play(home: &Home, circle: &str) -> CommandOutput {
    home.run(&["play", "--circle", circle, "-e", "40 + 2"])
}

/// Serves a circle on a fixed port, with an identity file.
fn served(home: &Home, port: u16, identity: &str) -> (ServeProcess, String) {
    let file: PathBuf = home.path().join(identity);
    let server = ServeProcess::start_on(port, &["--identity", file.to_str().expect("UTF-8")]);
    (server, super::public_key(&file))
}

#[test]
fn first_identity_is_reported_and_remembered_and_another_is_refused() {
    let (home, port) = (Home::new(), free_port());
    let (mut server, first) = served(&home, port, "first");
    let ran = play(&home, &server.url);
    assert_eq!(ran.stdout, "42\n", "{ran:?}");
    assert!(ran.stderr.contains(&format!("first use of the circle at 127.0.0.1:{port}")), "{ran:?}");
    assert_eq!(known_circles(&home), Some(format!("127.0.0.1:{port} {first}\n")));
    let ran = play(&home, &server.url);
    assert_eq!((&*ran.stdout, &*ran.stderr), ("42\n", ""), "it is known");
    server.signal(Signal::TERM);
    server.wait();

    let (impostor, other) = served(&home, port, "other");
    let ran = play(&home, &impostor.url);
    assert_eq!((ran.code, &*ran.stdout), (Some(4), ""), "{ran:?}");
    for piece in [&first, &other, &format!("circles known forget 127.0.0.1:{port}")] {
        assert!(ran.stderr.contains(piece), "{piece}: {ran:?}");
    }
    home.run(&["known", "forget", &format!("127.0.0.1:{port}")]);
    assert_eq!(play(&home, &impostor.url).stdout, "42\n");
}

/// A circles.json in a directory of someone else may name an identity whose secret they know.
#[test]
fn circles_json_in_the_working_directory_does_not_outweigh_what_is_known() {
    let (home, port) = (Home::new(), free_port());
    let (mut server, _) = served(&home, port, "first");
    assert_eq!(play(&home, &server.url).stdout, "42\n");
    server.signal(Signal::TERM);
    server.wait();
    let (impostor, other) = served(&home, port, "evil.key");
    let config = format!(r#"{{ "circles": [{{ "name": "a", "port": {port}, "identity": "evil.key" }}] }}"#);
    fs::write(home.path().join("circles.json"), config).expect("written");
    let ran = play(&home, &impostor.url);
    assert_eq!((ran.code, &*ran.stdout), (Some(4), ""), "{ran:?}");
    assert!(ran.stderr.contains(&other), "{ran:?}");
}

#[test]
fn program_in_the_place_of_a_circle_that_was_never_started_is_not_remembered() {
    let (home, port) = (Home::new(), free_port());
    let config = format!(r#"{{ "circles": [{{ "name": "a", "port": {port} }}] }}"#);
    fs::write(home.path().join("circles.json"), config).expect("written");
    let (server, _) = served(&home, port, "by hand");
    let ran = play(&home, &server.url);
    assert_eq!(ran.stdout, "42\n", "{ran:?}");
    assert!(ran.stderr.contains("no supervisor started"), "{ran:?}");
    assert_eq!(known_circles(&home), None);
}

#[test]
fn client_sends_nothing_after_refusing_an_identity() {
    let (sender, methods) = std::sync::mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let impostor =
        fake::impostor(listener, "team", move |method| sender.send(method.to_owned()).expect("the test listens"));
    let home = Home::new();
    home.add_key("alice");
    let other = KeyPair::generate().expect("random bytes").public_key();
    let path = home.path().join("data/circles/known_circles");
    fs::write(&path, format!("{impostor} {other}\n")).expect("written");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("the owner may");
    let ran = home.run(&["play", "--circle", &impostor, "--key", "alice", "-e", "secret()"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("its identity has changed"), "{ran:?}");
    assert_eq!(methods.try_iter().collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn ephemeral_identity_is_never_remembered() {
    let (home, server) = (Home::new(), ServeProcess::start_on(free_port(), &[]));
    let ran = play(&home, &server.url);
    assert_eq!((&*ran.stdout, &*ran.stderr), ("42\n", ""));
    let (on_free_port, _) = served(&home, 0, "identity");
    assert_eq!(play(&home, &on_free_port.url).stderr, "", "the next circle on this port is another");
    assert_eq!(known_circles(&home), None);
}

#[test]
fn persistent_identity_that_has_become_ephemeral_is_a_warning_on_loopback() {
    let (home, port) = (Home::new(), free_port());
    let (mut server, _) = served(&home, port, "identity");
    play(&home, &server.url);
    server.signal(Signal::TERM);
    server.wait();
    let known = known_circles(&home);
    let server = ServeProcess::start_on(port, &[]);
    let ran = play(&home, &server.url);
    assert_eq!(ran.stdout, "42\n");
    assert!(ran.stderr.contains("has an ephemeral one now"), "{ran:?}");
    assert_eq!(known_circles(&home), known);
}

#[test]
fn own_circle_is_compared_with_its_supervisors_report() {
    let port = free_port();
    let circles = format!(r#"{{ "circles": [{{ "name": "a", "port": {port} }}] }}"#);
    let background = BackgroundCircles::start(&circles);
    background.run_ok(&["up"]);
    let home = &background.home;
    // By its name and by its address.
    for circle in ["a", &port.to_string(), &format!("localhost:{port}"), &format!("[::1]:{port}")] {
        let ran = play(home, circle);
        assert_eq!((&*ran.stdout, &*ran.stderr), ("42\n", ""), "{circle}: {ran:?}");
    }
    assert_eq!(known_circles(home), None);
    // The supervisor reports the new identity.
    background.run_ok(&["identity", "rotate", "a", "--yes"]);
    assert_eq!(play(home, "a").stdout, "42\n");

    // Another program listens on the circle's port while the circle is down.
    background.run_ok(&["down"]);
    let (sender, methods) = std::sync::mpsc::channel();
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("it is free");
    fake::impostor(listener, "a", move |method| sender.send(method.to_owned()).expect("the test listens"));
    for circle in ["a", &port.to_string()] {
        let ran = play(home, circle);
        assert_eq!((ran.code, &*ran.stdout), (Some(4), ""), "{circle}: {ran:?}");
        assert!(ran.stderr.contains("another program answers in its place"), "{ran:?}");
    }
    assert_eq!((methods.try_iter().next(), known_circles(home)), (None, None));
}

#[test]
fn program_on_the_other_loopback_address_of_an_own_circle_is_refused() {
    let port = free_port();
    let background = BackgroundCircles::start(&format!(r#"{{ "circles": [{{ "name": "a", "port": {port} }}] }}"#));
    let home = &background.home;
    let Ok(listener) = TcpListener::bind(("::1", port)) else {
        return skip("this machine has no loopback address of IPv6");
    };
    fake::impostor(listener, "a", |_| {});
    background.run_ok(&["up"]);
    assert_eq!(play(home, "a").stdout, "42\n");
    let ran = play(home, &format!("[::1]:{port}"));
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("another program answers in its place"), "{ran:?}");
}
