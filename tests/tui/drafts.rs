//! Inputs for a circle that is down or was replaced: none is lost, and none is played without the user's consent.

use std::{
    io::copy,
    net::{Shutdown, TcpListener, TcpStream},
    thread::{JoinHandle, spawn},
};

use rustix::process::{Signal, kill_process};

use super::{TuiScreen, free_port};
use crate::support::process::ServeProcess;

/// Starts the TUI on a circle named `one`, with a variable.
fn on_one() -> (TuiScreen, ServeProcess, u16) {
    let port = free_port();
    let server = ServeProcess::start_on(port, &["--name", "one"]);
    let mut screen = TuiScreen::start(r#"{ "circles": [] }"#, (200, 40));
    screen.play_alone();
    screen.write(&format!(":use {port}\n"));
    screen.wait_for("connected to one");
    screen.write("let k = 1; k + 6\n");
    screen.wait_for_row("7");
    (screen, server, port)
}

/// Accepts a connection and forwards both directions until it ends.
fn forward_connections(door: &TcpListener, to: &str) -> [JoinHandle<()>; 2] {
    let (client, _) = door.accept().expect("somebody is at the door");
    let circle = TcpStream::connect(to).expect("it listens");
    let hand_on = |mut from: TcpStream, mut to: TcpStream| {
        spawn(move || {
            // Any error means that the connection has ended.
            drop(copy(&mut from, &mut to));
            drop(to.shutdown(Shutdown::Both));
        })
    };
    let (from_client, from_circle) = (client.try_clone().expect("cloned"), circle.try_clone().expect("cloned"));
    [hand_on(from_client, circle), hand_on(from_circle, client)]
}

#[test]
fn unreachable_circle_returns_to_the_previous_one() {
    let mut screen = TuiScreen::start(r#"{ "circles": [] }"#, (120, 40));
    screen.play_alone();
    screen.write("let kept = 40;\n");
    for _again in 1..=2 {
        let port = free_port();
        screen.write(&format!(":use {port}\n"));
        screen.wait_for(&format!("error: cannot reach the circle at ws://127.0.0.1:{port}"));
        let shown = screen.wait_for("▌● scratch");
        assert!(!shown.contains("Enter tries again"), "{shown}");
    }
    // Letters go into the input, and are no commands.
    screen.write("kept + 2\n");
    screen.wait_for_row("42");
}

#[test]
fn other_circle_at_the_same_address_plays_no_earlier_input() {
    let (mut screen, mut server, port) = on_one();
    server.signal(Signal::KILL);
    server.wait();
    screen.wait_for("; reconnecting…");
    let _two = ServeProcess::start_on(port, &["--name", "two"]);
    screen.write("let k = 99; CIRCLE_NAME + k\n");
    screen.wait_for("'two' instead of 'one'");
    screen.wait_for("your input was not played");
    screen.wait_for_row("> let k = 99; CIRCLE_NAME + k");
    screen.press(&["Enter"]);
    screen.wait_for_row("\"two99\"");
}

#[test]
fn input_for_lost_variables_is_not_played() {
    let (mut screen, mut server, port) = on_one();
    server.signal(Signal::KILL);
    server.wait();
    screen.wait_for("; reconnecting…");
    // The TUI reconnects only after the user has typed an input for the previous circle.
    let door = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    screen.write("let k = 99; CIRCLE_NAME + k\n");
    screen.wait_for("1 waiting");
    let again = ServeProcess::start(&["--name", "one", "--hosts", &format!("127.0.0.1:{port}")]);
    let _through = forward_connections(&door, again.authority());
    screen.wait_for("variables from 1 input are gone");
    screen.wait_for("your input was not played");
    screen.wait_for_row("> let k = 99; CIRCLE_NAME + k");
    screen.press(&["Enter"]);
    screen.wait_for_row("\"one99\"");
}

#[test]
fn input_for_a_stopped_circle_is_not_played_after_its_restart() {
    let config = format!(r#"{{ "circles": [{{ "name": "lab", "port": {} }}] }}"#, free_port());
    let mut screen = TuiScreen::start(&config, (240, 40));
    screen.wait_for("○ lab");
    screen.press(&["Down", "Enter"]);
    screen.wait_for("connected to lab");
    screen.write("let total = 5; total + 1\n");
    screen.wait_for_row("6");
    screen.background().run_ok(&["down", "lab"]);
    screen.wait_for("○ lab");
    screen.write("let total = 7\n");
    screen.wait_for("variables from 1 input are gone");
    screen.wait_for("your input was not played");
    screen.wait_for_row("> let total = 7");
}

#[test]
fn queued_input_is_not_played_after_the_environment_is_lost() {
    let (mut screen, server, _) = on_one();
    screen.write("print(`be${\"gun\"}`); loop {}\n");
    screen.wait_for_row("begun");
    screen.write("k + 1\n");
    screen.wait_for("1 waiting");
    let [worker] = server.workers()[..] else { panic!("one worker") };
    kill_process(worker, Signal::KILL).expect("it is there");
    screen.wait_for("your input was not played");
    screen.wait_for_row("> k + 1");
}

#[test]
fn inputs_are_returned_one_by_one() {
    let mut screen = TuiScreen::start(r#"{ "circles": [] }"#, (120, 40));
    screen.play_alone();
    screen.write("print(`be${\"gun\"}`); loop {}\n");
    screen.wait_for_row("begun");
    screen.write("let a = 40; a // forty\n:time a\na + 2\nlast");
    screen.wait_for("3 waiting");
    screen.press(&["C-c"]);
    screen.wait_for("4 inputs are back in the editor");
    screen.wait_for("cancelled; your variables");
    screen.wait_for_row("> let a = 40; a // forty");
    screen.press(&["Enter"]);
    screen.wait_for_row("40");
    screen.wait_for_row("> :time a");
    // An input that the user discards.
    screen.press(&["C-c"]);
    screen.wait_for_row("> a + 2");
    screen.press(&["Enter"]);
    screen.wait_for_row("42");
    screen.wait_for_row("> last");
}

#[test]
fn input_beyond_the_queue_stays_in_the_editor() {
    let mut screen = TuiScreen::start(r#"{ "circles": [] }"#, (120, 40));
    screen.play_alone();
    screen.write("print(`be${\"gun\"}`); loop {}\n");
    screen.wait_for_row("begun");
    screen.write(&"1\n".repeat(64));
    screen.wait_for("64 waiting");
    screen.write("6 * 7\n");
    screen.wait_for("too many inputs are waiting: Ctrl-C returns them to the editor");
    screen.wait_for_row("> 6 * 7");
}
