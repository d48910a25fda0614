//! Circles in the background: they outlive the TUI, and are the same as those of `circles up`.

use std::{fs::OpenOptions, io::Write, path::PathBuf};

use rustix::process::{Signal, kill_process};

use super::{TuiScreen, free_port};
use crate::support::{
    Home,
    background::BackgroundCircles,
    eventually,
    process::{parent, wait_for_end, wait_until_stopped},
};

/// A circles.json with circles of these names.
fn config(names: &[&str]) -> String {
    let circle = |name: &&str| format!(r#"{{ "name": "{name}", "port": {} }}"#, free_port());
    format!(r#"{{ "circles": [{}] }}"#, names.iter().map(circle).collect::<Vec<_>>().join(", "))
}

fn start(names: &[&str]) -> TuiScreen {
    let mut screen = TuiScreen::start(&config(names), (120, 40));
    for name in names {
        screen.wait_for(&format!("○ {name}"));
    }
    screen
}

/// Returns whether a row of the left pane contains `begin` and then `end`.
fn has_row(shown: &str, begin: &str, end: &str) -> bool {
    shown.lines().any(|line| line.contains(begin) && line.chars().take(26).collect::<String>().contains(end))
}

#[test]
fn kept_circles_survive_quit_and_are_found_again() {
    let mut screen = start(&["lab"]);
    screen.press(&["Down", "s"]);
    screen.wait_for("● lab");
    screen.press(&["q"]);
    screen.wait_for("You started lab.");
    // Esc answers the question with no.
    screen.press(&["Esc"]);
    screen.wait_until("the question is gone", |shown| !shown.contains("You started"));
    screen.press(&["q", "Right", "Enter"]);
    let (here, code) = screen.quit_result();
    assert_eq!(code, 0);
    assert_eq!((here.state("lab"), here.connect("lab").value("40 + 2")), ("ready".into(), 42.into()));
    let pid = here.pid("lab");

    let mut screen = TuiScreen::start_on(here, (120, 40));
    screen.wait_for("● lab");
    screen.press(&["Down"]);
    screen.wait_for(&format!("4 Logs lab · pid {pid}"));
    // Another program started the circle, so the TUI does not ask.
    screen.press(&["q"]);
    let (here, code) = screen.quit_result();
    assert_eq!((code, here.pid("lab")), (0, pid));

    let mut screen = TuiScreen::start_on(here, (120, 40));
    screen.wait_for("● lab");
    screen.press(&["Down"]);
    screen.wait_for(&format!("4 Logs lab · pid {pid}"));
    screen.press(&["x", "Right", "Enter"]);
    screen.wait_for("○ lab");
    wait_for_end(pid);
}

#[test]
fn stopped_circle_leaves_no_process() {
    let mut screen = start(&["lab", "team"]);
    screen.press(&["S"]);
    screen.wait_until("both", |shown| shown.contains("● lab") && shown.contains("● team"));
    let here = screen.background();
    let processes = [here.supervisor("lab"), here.pid("lab"), here.pid("team")];
    screen.press(&["q"]);
    screen.wait_for("You started lab and team.");
    screen.press(&["Right", "Right", "Enter"]);
    let (here, code) = screen.quit_result();
    assert_eq!(code, 0);
    processes.into_iter().for_each(wait_for_end);
    assert_eq!((here.state("lab"), here.state("team")), ("down".into(), "down".into()));
}

#[test]
fn quit_after_stop_leaves_no_supervisor() {
    let mut screen = start(&["lab"]);
    screen.press(&["Down", "s"]);
    screen.wait_for("● lab");
    let supervisor = screen.background().supervisor("lab");
    screen.press(&["x", "Right", "Enter"]);
    screen.wait_for("○ lab");
    screen.press(&["q"]);
    let (_here, code) = screen.quit_result();
    assert_eq!(code, 0);
    wait_for_end(supervisor);
}

#[test]
fn quit_does_not_stop_circles_of_others() {
    let mut screen = start(&["lab", "team"]);
    screen.background().run_ok(&["up", "team"]);
    screen.wait_for("● team");
    let team = screen.background().pid("team");
    screen.press(&["Down", "Enter"]);
    screen.wait_for("connected to lab");
    screen.write("print(`begun`); loop {}\n");
    screen.wait_for_row("begun");
    let lab = screen.background().pid("lab");
    screen.press(&["Esc", "q"]);
    let shown = screen.wait_for("You started lab.");
    assert!(shown.contains("lab: a running play"), "{shown}");
    screen.press(&["Right", "Right", "Enter"]);
    // A running play has a few seconds.
    screen.wait_for("draining lab…");
    let (here, code) = screen.quit_result();
    assert_eq!(code, 0);
    wait_for_end(lab);
    assert_eq!((here.pid("team"), here.state("lab")), (team, "down".into()));
}

#[test]
fn quit_can_skip_waiting_for_the_drain() {
    let mut screen = start(&["lab"]);
    screen.press(&["Down", "Enter"]);
    screen.wait_for("connected to lab");
    screen.write("print(`begun`); loop {}\n");
    screen.wait_for_row("begun");
    let here = screen.background();
    let processes = [here.supervisor("lab"), here.pid("lab")];
    screen.press(&["Esc", "q", "Right", "Right", "Enter"]);
    screen.wait_for("draining lab…");
    // Esc returns to the screen while the circle drains.
    screen.press(&["Esc"]);
    screen.wait_until("the wait is over", |shown| !shown.contains("draining lab…"));
    screen.wait_for("◑ lab");
    // The play may still be running.
    screen.press(&["q", "Right", "Enter"]);
    let (_here, code) = screen.quit_result();
    assert_eq!(code, 0);
    processes.into_iter().for_each(wait_for_end);
}

#[test]
fn circle_started_elsewhere_is_shown_with_its_restart() {
    let mut screen = start(&["lab"]);
    screen.background().run_ok(&["up"]);
    screen.wait_for("● lab");
    screen.press(&["Down", "Enter"]);
    screen.wait_for("connected to lab");
    for round in 1..=3 {
        // Reconnects without any key.
        screen.background().run_ok(&["restart"]);
        let is_back = |shown: &str| shown.matches("reconnected to").count() == round;
        screen.wait_until("a new session", is_back);
    }
    screen.background().run_ok(&["down"]);
    screen.wait_for("○ lab");
}

#[test]
fn killed_supervisor_ends_its_circles_and_they_can_be_restarted() {
    let mut screen = start(&["lab"]);
    screen.press(&["Down", "Enter"]);
    screen.wait_for("connected to lab");
    let (supervisor, circle) = (screen.background().supervisor("lab"), screen.background().pid("lab"));
    kill_process(supervisor, Signal::KILL).expect("it is there");
    screen.wait_for("○ lab");
    wait_for_end(circle);
    screen.press(&["Esc", "1", "s"]);
    screen.wait_for("● lab");
    screen.wait_for("reconnected to");
    assert_ne!(screen.background().supervisor("lab"), supervisor);
    eventually(|| parent(supervisor).is_none().then_some(()).ok_or("it is not reaped"));
}

#[test]
fn blocked_supervisor_is_reported_and_blocks_nothing() {
    let mut screen = start(&["lab"]);
    screen.press(&["Down", "s"]);
    screen.wait_for("● lab");
    let supervisor = screen.background().supervisor("lab");
    kill_process(supervisor, Signal::STOP).expect("it is there");
    wait_until_stopped(supervisor);
    screen.wait_for("it has not answered within 5 s");
    screen.wait_for("no answer");
    // The last status is still shown, and everything else works.
    screen.press(&["Up", "Enter"]);
    screen.write("40 + 2\n");
    let shown = screen.wait_for_row("42");
    assert!(shown.contains("● lab"), "{shown}");
    kill_process(supervisor, Signal::CONT).expect("it is there");
    screen.wait_until("an answer", |shown| !shown.contains("no answer"));
}

#[test]
fn invalid_config_is_reported_while_circles_stay_up() {
    let mut screen = start(&["lab", "team"]);
    screen.press(&["Down", "Enter"]);
    screen.wait_for("connected to lab");
    screen.write("let kept = 41;\n");
    screen.wait_for("● lab");
    let right = std::fs::read_to_string(screen.config()).expect("it is there");
    std::fs::write(screen.config(), right.replace("\"team\"", "\"Team\"")).expect("written");
    screen.press(&["Esc", "1", "Down", "s"]);
    let shown = screen.wait_for("circles.json:1:");
    assert!(shown.contains('^') && has_row(&shown, "● lab", "lab"), "{shown}");
    screen.press(&["Enter", "Up", "Enter"]);
    screen.write("kept + 1\n");
    screen.wait_for_row("42");
    std::fs::write(screen.config(), right).expect("written");
    screen.press(&["Esc", "1", "Down", "s"]);
    screen.wait_for("● team");
}

#[test]
fn config_written_later_is_found() {
    let mut screen = TuiScreen::start_on(BackgroundCircles { home: Home::new() }, (120, 40));
    screen.wait_for("cannot read");
    screen.press(&["Esc"]);
    screen.background().configure(&config(&["lab"]));
    screen.press(&["S"]);
    screen.wait_for("● lab");
}

#[test]
fn saved_config_is_applied_and_an_invalid_one_reported() {
    let mut screen = start(&["lab"]);
    screen.press(&["S"]);
    screen.wait_for("● lab");
    let right = std::fs::read_to_string(screen.config()).expect("it is there");
    screen.background().configure("{ \"circles\": [");
    screen.wait_for("circles.json has an error; still using the previous version");
    screen.wait_for("circles.json ✗");
    let more = format!(r#"{{ "name": "team", "port": {} }}] }}"#, free_port());
    screen.background().configure(&right.replace("] }", &format!(", {more}")));
    // The new circle is down until the user starts it.
    let shown = screen.wait_for("○ team");
    assert!(shown.contains("● lab"), "{shown}");
    screen.wait_until("the mistake is gone", |shown| !shown.contains("circles.json ✗"));
}

/// Path of a circle's log.
fn log(here: &BackgroundCircles, name: &str) -> PathBuf {
    here.files(&format!("{name}.log")).pop().expect("it has a log")
}

#[test]
fn logs_are_followed_through_restarts_and_rotations() {
    let mut screen = start(&["lab"]);
    screen.background().run_ok(&["up"]);
    screen.background().run_ok(&["restart"]);
    screen.press(&["Down", "4", "f"]);
    // Lines from before the pane was opened.
    screen.wait_until("the past", |shown| shown.matches("listening on").count() == 2);
    screen.background().run_ok(&["restart"]);
    screen.wait_until("what is written", |shown| shown.matches("listening on").count() == 3);
    let path = log(screen.background(), "lab");
    let write = |text: &str| {
        let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("it opens");
        file.write_all(text.as_bytes()).expect("it is written");
    };
    write("before\n");
    std::fs::rename(&path, path.with_extension("log.1")).expect("renamed");
    write("\x1b[2Jafter\n");
    let shown = screen.wait_for("after");
    assert!(shown.contains("before") && shown.contains("[2Jafter") && shown.contains("listening on"), "{shown}");
    screen.background().run_ok(&["down"]);
    screen.wait_for("draining");
}
