//! The history's file.

use std::{fs::File, path::Path};

use rustix::{
    fs::{CWD, FileType, mknodat},
    process::Signal,
};

use crate::support::{Home, pty::Terminal};

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
