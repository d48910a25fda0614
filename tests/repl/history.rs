//! The history's file.

use std::{fs::File, path::Path};

use rustix::{
    fs::{CWD, FileType, mknodat},
    process::Signal,
};

use crate::support::{Home, eventually, pty::Terminal};

/// Creates the directory of the history.
fn history_directory(home: &Home) -> std::path::PathBuf {
    let directory = home.path().join("state/circles/history");
    std::fs::create_dir_all(&directory).expect("made");
    directory
}

fn stored(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("history.jsonl")).unwrap_or_default()
}

#[test]
fn prompt_appears_while_the_history_cannot_be_read() {
    let home = Home::new();
    // A pipe without a writer is never read to its end.
    mknodat(CWD, history_directory(&home).join("history.jsonl"), FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("6 * 7\r");
    terminal.wait_for("42\r\n");
    // Up shows the inputs of this console.
    terminal.wait_for("scratch> ");
    terminal.keys("\x1b[A + 1\r");
    terminal.wait_for("43\r\n");
}

#[test]
fn signal_loses_no_input() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    let directory = history_directory(&home);
    // Another console that changes the file delays the input's way there.
    let lock = File::create(directory.join("history.lock")).expect("made");
    lock.lock().expect("locked");
    terminal.keys("6 * 7\r");
    terminal.wait_for("42\r\n");
    terminal.signal(Signal::TERM);
    terminal.wait_until_ended();
    assert!(stored(&directory).contains("6 * 7"), "{:?}", stored(&directory));
}

#[test]
fn search_finds_an_input_of_another_console() {
    let home = Home::new();
    let mut one = Terminal::run(&home, &["repl"]);
    one.wait_for("scratch> ");
    let mut other = Terminal::run(&home, &["repl"]);
    other.wait_for("scratch> ");
    other.keys("6 * 7\r");
    other.wait_for("42\r\n");
    let directory = history_directory(&home);
    eventually(|| if stored(&directory).contains("6 * 7") { Ok(()) } else { Err(stored(&directory)) });
    one.keys("\x12");
    one.wait_for_screen("1 on all circles");
    // Enter takes the input, and Enter plays it.
    one.keys("\r");
    one.wait_until("the prompt", |screen| screen.contents().trim_end().ends_with("scratch> 6 * 7"));
    one.keys("\r");
    one.wait_for("42\r\n");
}
