//! `circles repl`, on a terminal.

mod commands;
mod functions;
mod history;
mod lost;
mod typing;

use rustix::process::Signal;

use crate::support::{Home, process::ServeProcess, pty::Terminal};

/// Escape sequence at the end of a prompt: turns off bracketed paste.
const PROMPT_ENDS: &str = "\x1b[?2004l";

#[test]
fn repl_answers_first_inputs() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("a temporary circle");
    terminal.wait_for("scratch> ");
    terminal.keys("let x = 40; fn sq(n) { n * n }\r");
    terminal.wait_for("scratch> ");
    terminal.keys("sq(x) + 1\r");
    terminal.wait_for("1601");
    terminal.keys("ans + 1\r");
    terminal.wait_for("1602");
    terminal.keys("x + nowhere\r");
    terminal.wait_for("^");
    terminal.wait_for("Variable not found: nowhere (line 1, column 5)");
    terminal.keys(":hlep\r");
    terminal.wait_for("did you mean :help?");
    terminal.wait_for("scratch> ");
    terminal.keys("\x04");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn ctrl_c_cancels_the_play_and_keeps_the_session() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("let kept = 7; print(`be${\"gun\"}`); loop {}\r");
    terminal.wait_for("begun");
    terminal.keys("\x03");
    terminal.wait_for("cancelled");
    terminal.wait_for("scratch> ");
    // At the prompt Ctrl-C clears the line, and on an empty line it only prints a hint.
    terminal.keys("garbage(\x03");
    terminal.wait_for("scratch> ");
    terminal.keys("kept * 6\r");
    terminal.wait_for("42");
    terminal.wait_for("scratch> ");
    terminal.keys("\x03");
    terminal.wait_for("press Ctrl-D to quit");
    terminal.wait_for("scratch> ");
    terminal.keys("\x04");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn type_ahead_arrives_at_the_next_prompt() {
    let server = ServeProcess::open();
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl", &server.url]);
    terminal.wait_for("circle> ");
    terminal.keys("print(`be${\"gun\"}`); let n = 0; while n < 2000000 { n += 1; } print(`do${\"ne\"}`)\r");
    terminal.wait_for("begun");
    terminal.keys("n / 1000\r");
    let while_it_ran = terminal.wait_for("done");
    assert!(!while_it_ran.contains("n / 1000"), "{while_it_ran:?}");
    terminal.wait_for("n / 1000");
    terminal.wait_for("2000");
}

#[test]
fn input_is_coloured_on_request() {
    let home = Home::new();
    let mut command = home.command();
    command.env("NO_COLOR", "");
    let mut terminal = Terminal::run_command(&home, &command, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("let s = `a`");
    terminal.wait_for("\x1b[35mlet\x1b[0m s = \x1b[32m`a`\x1b[0m");
}

#[test]
fn incomplete_input_continues_on_the_next_line() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("fn double(x) {\r  // twice\r  x * 2\r}\r");
    terminal.wait_for("scratch> ");
    terminal.keys("double(21)\r");
    terminal.wait_for("42\r\n");
    terminal.wait_for("scratch> ");
    // The error's line counts from the begin of the whole input.
    terminal.keys("let a = [\r1,\rnowhere]\r");
    terminal.wait_for("3 | nowhere]");
    terminal.wait_for("(line 3, column 1)");
    terminal.wait_for("scratch> ");
    // Input that no further line can complete is sent, and its error is shown.
    terminal.keys("\"open\r");
    terminal.wait_for("error: ");
    terminal.wait_for("scratch> ");
    // Two blank lines send incomplete input.
    terminal.keys("foo(\r\r\r");
    terminal.wait_for("error: ");
}

#[test]
fn lines_sent_at_once_are_all_played() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("let a = 1\rlet b = 2\ra + b + 40\r");
    terminal.wait_for("43\r\n");
}

#[test]
fn ctrl_c_works_while_a_play_prints() {
    let server = ServeProcess::start(&["--limit", "output_kib=100000000"]);
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl", &server.url]);
    for _ in 0..3 {
        terminal.wait_for("circle> ");
        terminal.keys("loop { print(`more`) }\r");
        terminal.wait_for("more\r\nmore\r\n");
        terminal.keys("\x03");
        terminal.wait_for("cancelled");
    }
}

#[test]
fn terminal_is_restored() {
    use rustix::termios::{LocalModes, tcgetattr};

    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("print(`be${\"gun\"}`); loop {}\r");
    terminal.wait_for("begun");
    terminal.signal(Signal::TERM);
    terminal.wait_until_ended();
    let modes = tcgetattr(&terminal.keyboard).expect("a terminal").local_modes;
    assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON), "{modes:?}");
}

#[test]
fn prints_cannot_control_the_terminal() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    // Input, expected output, and text that must not appear right before it.
    let plays = [
        ("print(\"\\x1b]0;title\\x07seen1\")\r", "␛]0;title␇seen1", "\x1b]0;title\x07"),
        ("debug(`\\${\"\\x1b[2J\"}seen2`)\r", "seen2", "\x1b[2J"),
        ("\"\\x1b[31m\" + \"seen3\"\r", "\\u{1b}[31mseen3", "\x1b[31m"),
        ("throw \"\\x1b[31m\" + \"seen4\"\r", "␛[31mseen4", "\x1b[31m"),
        ("#{\"\\x1b[31m\": 1}.pad(\"seen5\")\r", "error: ", "\x1b[31m"),
    ];
    for (typed, seen, forbidden) in plays {
        terminal.keys(typed);
        let before = terminal.wait_for(seen);
        let after = terminal.wait_for("scratch> ");
        assert!(!before.contains(forbidden) && !after.contains(forbidden), "{typed}: {before:?} {after:?}");
    }
}

#[test]
fn prompt_shows_circle_and_key() {
    let home = Home::new();
    let alice = home.add_key("alice").public_key().to_hex();
    let server = ServeProcess::start(&["--name", "team", "--member", &alice]);
    let mut terminal = Terminal::run(&home, &["repl", server.authority()]);
    terminal.wait_for("team ⚿ alice> ");
    terminal.keys(":who\r");
    terminal.wait_for(&alice);
    terminal.wait_for("team ⚿ alice> ");
    terminal.keys("\x04");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn passphrase_is_prompted_without_echo() {
    let home = Home::new();
    let alice = home.add_key("alice").public_key().to_hex();
    let server = ServeProcess::start(&["--member", &alice]);
    std::fs::write(home.path().join("none"), "").expect("written");
    let mut command = home.command();
    command.env_remove("CIRCLES_PASSPHRASE");
    let mut terminal = Terminal::run_command(&home, &command, &["repl", &server.url]);
    terminal.wait_for("Passphrase of alice: ");
    terminal.keys(&format!("{}\r", crate::support::PASSPHRASE));
    let before = terminal.wait_for("circle ⚿ alice> ");
    assert!(!before.contains(crate::support::PASSPHRASE), "{before:?}");
}

#[test]
fn history_is_private_and_without_secrets() {
    use std::os::unix::fs::PermissionsExt;

    let home = Home::new();
    let secret = "0123456789abcdef".repeat(4);
    let mut terminal = Terminal::run(&home, &["repl"]);
    for (input, answer) in
        [("40 + 2\r".to_owned(), "42"), (" 40 + 3\r".to_owned(), "43"), (format!("\"{secret}\".len()\r"), "64")]
    {
        terminal.wait_for("scratch> ");
        terminal.keys(&input);
        terminal.wait_for(&format!("{answer}\r\n"));
    }
    terminal.wait_for("scratch> ");
    terminal.keys("\x04");
    assert_eq!(terminal.end(), Some(0));
    let directory = home.path().join("state/circles/history");
    let file = directory.join("history.jsonl");
    let kept = std::fs::read_to_string(&file).expect("it is there");
    assert!(kept.contains("40 + 2") && !kept.contains("40 + 3") && !kept.contains(&secret), "{kept}");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&directory)), (0o600, 0o700));

    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("\x1b[A\r");
    terminal.wait_for("42\r\n");
}

#[test]
fn repl_without_a_terminal_plays_standard_input() {
    let home = Home::new();
    let ran = home.run_with(&["repl"], "fn f(x) {\n  x + 1\n}\nprint(\"hi\");\nf(41)\n");
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "hi\n42\n", ""));
    assert_eq!(home.run_with(&["repl"], "nowhere").code, Some(1));
}

#[test]
fn tab_completes_from_the_circle() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("let total_tea = 41; let cup = #{ colour: `wh${\"ite\"}` }; print(`ma${\"de\"}`)\r");
    terminal.wait_for("made");
    terminal.wait_for("scratch> ");
    terminal.keys("1 + total_t\t\r");
    terminal.wait_for("42");
    terminal.wait_for("scratch> ");
    terminal.keys("cup.col\t\r");
    terminal.wait_for("white");
    terminal.wait_for("scratch> ");
    // Several candidates: their signatures are listed.
    terminal.keys("to_\t\t");
    terminal.wait_for("to_lower(");
    terminal.keys("\x03");
    terminal.wait_for(PROMPT_ENDS);
    terminal.wait_for("scratch> ");
    terminal.keys(":va\t\r");
    terminal.wait_for("total_tea");
    terminal.wait_for("i64 = 41");
    terminal.wait_for("scratch> ");
    // Only functions: there is a variable with the same beginning.
    terminal.keys("let area_unit = 1; fn area(r) { r * 2 } print(`de${\"fined\"}`)\r");
    terminal.wait_for("defined");
    terminal.wait_for("scratch> ");
    terminal.keys(":source are\t\r");
    terminal.wait_until("the source", |screen| screen.contents().matches("fn area(r) { r * 2 }").count() == 2);
    terminal.keys("\x04");
    assert_eq!(terminal.end(), Some(0));
}
