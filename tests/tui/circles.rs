//! Circles in the TUI: started, stopped, failing, several at once.

use std::net::TcpListener;

use rustix::process::{Signal, kill_process};

use super::{Screen, free_port};
use crate::support::{Home, PASSPHRASE, process::Server};

#[test]
fn a_circle_is_started_by_connecting_to_it_and_stopped_only_when_that_is_meant() {
    let port = free_port();
    let config = format!(r#"{{ "circles": [{{ "name": "lab", "port": {port} }}] }}"#);
    let mut screen = Screen::start(&config, (80, 24));
    screen.wait_for(&format!("○ lab {port} down"));
    screen.press(&["Down", "Enter"]);
    screen.wait_for("connected to lab, for anyone");
    screen.write("40 + 2\n");
    screen.wait_for_row("42");
    screen.press(&["Esc", "1", "x"]);
    screen.wait_for("Stop lab?");
    screen.press(&["Enter"]);
    screen.until("the question is gone", |shown| !shown.contains("Stop lab?") && shown.contains("● lab"));
    screen.press(&["x", "y"]);
    screen.wait_for(&format!("○ lab {port} down"));
    screen.wait_for("the connection to circle 'lab' at");
}

#[test]
fn a_stranger_is_told_the_key_to_be_admitted_by_and_is_in_after_a_restart() {
    let home = Home::new();
    let key = home.add_key("alice").public_key().to_hex();
    let port = free_port();
    let config = |members: &str| {
        format!(
            r#"{{ "circles": [{{ "name": "team", "port": {port}, "access": "members", "members": [{members}] }}] }}"#
        )
    };
    let mut screen = Screen::start_in(home, &config(""), (120, 40));
    screen.wait_for("team");
    screen.press(&["Down", "Enter"]);
    screen.wait_for("passphrase of alice");
    screen.write(&format!("{PASSPHRASE}\n"));
    screen.wait_for(&format!("your public key: {key}"));
    screen.press(&["y"]);
    screen.wait_for("copied the last output");
    assert_eq!(screen.app.clipboard(), key);
    std::fs::write(screen.config(), config(&format!("\"{key}\""))).expect("written");
    screen.press(&["r", "y"]);
    screen.wait_for("connected again to");
    screen.wait_for("⚿ alice");
}

#[test]
fn a_circle_that_dies_in_mid_play_is_said_started_again_and_connected_to() {
    let port = free_port();
    let config = format!(r#"{{ "circles": [{{ "name": "lab", "port": {port} }}] }}"#);
    let mut screen = Screen::start(&config, (120, 40));
    screen.wait_for("lab");
    screen.press(&["Down", "Enter"]);
    screen.wait_for("connected to lab");
    screen.write("print(\"begun\"); loop {}\n");
    screen.wait_for_row("begun");
    let circle = screen.background().pid("lab");
    screen.write("kept text");
    kill_process(circle, Signal::KILL).expect("it is there");
    screen.wait_for("the connection to lab is lost");
    screen.wait_for("connected again to");
    // Nothing is played again by itself, and nothing typed is lost.
    screen.wait_for("> kept text");
    screen.press(&["C-c"]);
    screen.write("6 * 7\n");
    screen.wait_for_row("42");
}

#[test]
fn what_cannot_start_says_so_where_one_looks() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let home = Home::new();
    let broken = home.path().join("broken.rhai");
    std::fs::write(&broken, "throw \"no luck\"").expect("written");
    let config = format!(
        r#"{{ "circles": [{{ "name": "lab", "port": {}, "init": {broken:?}, "restart": "never" }},
                          {{ "name": "busy", "port": {port}, "restart": "never" }}] }}"#,
        free_port()
    );
    let mut screen = Screen::start_in(home, &config, (120, 40));
    screen.wait_for("lab");
    screen.press(&["Down", "s"]);
    screen.wait_for("no luck");
    screen.wait_for("✗ lab");
    // What listens there is not ours, and says nothing.
    screen.wait_for(&format!("✗ busy {port} taken"));
    screen.press(&["Down", "s"]);
    screen.wait_for("what listens on its port is another program");
}

#[test]
fn a_mistake_in_circles_json_is_pointed_at_and_hurts_nothing_else() {
    let mut screen = Screen::start("{ \"circles\": [{ \"name\": \"lab\", \"prot\": 1 }] }", (80, 24));
    let shown = screen.wait_for("mean `port`?");
    assert!(shown.contains('^') && shown.contains("unknown field `prot`; did you"), "{shown}");
    screen.press(&["Enter"]);
    screen.play_alone();
    screen.write("1 + 1\n");
    screen.wait_for_row("2");
}

#[test]
fn each_circle_has_a_session_of_its_own() {
    let (one, two) = (Server::open(), Server::open());
    let mut screen = Screen::alone();
    screen.wait_for("scratch");
    for (server, value) in [(&one, "111"), (&two, "222")] {
        screen.press(&["1", "o"]);
        screen.wait_for("Connect to");
        // What is typed while it connects waits for it.
        screen.write(&format!("{}\n", server.authority()));
        screen.write(&format!("let mine = {value};\nmine\n"));
        screen.wait_for_row(value);
        screen.press(&["Esc"]);
    }
    // Each goes on where it was.
    screen.press(&["1", "Up", "Enter"]);
    screen.wait_for_row("111");
    screen.write("mine * 2\n");
    screen.wait_for_row("222");
}

#[test]
fn a_circle_that_is_not_there_is_said_to_be_so() {
    let mut screen = Screen::alone();
    screen.wait_for("scratch");
    screen.press(&["o"]);
    screen.write("nowhere\n");
    screen.wait_for("there is no circle 'nowhere'");
    // What was typed is still there, to be mended.
    screen.press(&["C-u"]);
    screen.write(&format!("{}\n", free_port()));
    screen.wait_for("connection refused");
}

#[test]
fn a_circles_json_that_was_mended_is_read_again() {
    let mut screen = Screen::start("{ \"circles\": [", (80, 24));
    screen.wait_for("circles.json:1:");
    screen.press(&["Enter"]);
    let port = free_port();
    std::fs::write(screen.config(), format!(r#"{{ "circles": [{{ "name": "lab", "port": {port} }}] }}"#))
        .expect("written");
    screen.press(&["S"]);
    screen.wait_for(&format!("● lab {port}"));
}

#[test]
fn nobody_is_asked_for_a_key_who_is_busy_elsewhere() {
    let home = Home::new();
    let key = home.add_key("alice").public_key().to_hex();
    let port = free_port();
    let config = format!(
        r#"{{ "circles": [{{ "name": "team", "port": {port}, "access": "members", "members": ["{key}"] }}] }}"#
    );
    let mut screen = Screen::start_in(home, &config, (80, 24));
    screen.wait_for("team");
    screen.press(&["Down", "Enter"]);
    screen.wait_for("passphrase of alice");
    screen.press(&["Esc", "1", "Up", "Enter"]);
    screen.write("half of");
    let circle = screen.background().pid("team");
    kill_process(circle, Signal::KILL).expect("it is there");
    screen.until("it is started again", |shown| {
        shown.lines().any(|line| line.contains(&format!("● team {port}")) && line.contains("↻1"))
    });
    screen.write(" a line");
    let shown = screen.wait_for_row("> half of a line");
    assert!(!shown.contains("passphrase"), "{shown}");
}
