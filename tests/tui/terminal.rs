//! `circles tui` on a terminal: the real binary, from the first frame to the last.

use rustix::process::Signal;

use super::free_port;
use crate::support::{Home, background::BackgroundCircles, process::ServeProcess, pty::Terminal};

/// Escape sequences that enter and leave the alternate screen.
const ENTERS: &str = "\x1b[?1049h";
const LEAVES: &str = "\x1b[?1049l";

/// Escape sequences around the title of the window.
const SAVES_TITLE: &str = "\x1b[22;2t";
const RESTORES_TITLE: &str = "\x1b[23;2t";
/// Escape sequences that turn the mouse on and off.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1002h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1002l\x1b[?1000l";

#[test]
fn session_from_start_to_quit_works_on_a_terminal() {
    let port = free_port();
    let here = BackgroundCircles::start(&format!(
        r#"{{ "circles": [{{ "name": "team", "port": {port}, "access": "authenticated" }}] }}"#
    ));
    let mut command = here.home.command();
    // The TUI prompts for the passphrase.
    command.env_remove("CIRCLES_PASSPHRASE");
    let mut terminal = Terminal::run_command(&here.home, &command, &["tui"]);
    terminal.wait_for(ENTERS);
    terminal.wait_for_screen("play now");
    terminal.keys("n");
    terminal.wait_for_screen("New key");
    terminal.keys("alice\rpw\rpw\r");
    terminal.wait_for_screen("created key alice");
    terminal.keys("\x1b[B\r");
    terminal.keys("print(`begun`); loop {}\r");
    terminal.wait_for_screen("┃begun");
    terminal.wait_for_screen("Ctrl-C cancels");
    terminal.keys("\x03");
    terminal.wait_for_screen("cancelled");
    terminal.keys("40 + 2\r");
    terminal.wait_for_screen("┃42");
    terminal.keys("\x1b");
    terminal.wait_for_screen("n new key");
    terminal.keys("q");
    terminal.wait_for_screen("You started team.");
    terminal.keys("\x1b[C\r");
    terminal.wait_for(LEAVES);
    terminal.wait_for("team is still running in the background");
    terminal.wait_for("circles status");
    terminal.wait_for("circles down");
    assert_eq!(terminal.end(), Some(0));
    assert_eq!(here.state("team"), "ready");
}

/// Foreground colours of the title of the pane with the focus: the accent for a dark and for a light background.
const DARK_ACCENT: vt100::Color = vt100::Color::Idx(6);
const LIGHT_ACCENT: vt100::Color = vt100::Color::Idx(4);

/// Waits until the title of the REPL pane has a colour.
fn wait_for_accent(terminal: &mut Terminal, accent: vt100::Color) {
    terminal.wait_until("the accent", |screen| {
        let rows: Vec<String> = screen.rows(0, 100).collect();
        let found = rows.iter().enumerate().find_map(|(row, text)| Some((row, text.find("3 REPL")?, text)));
        found.is_some_and(|(row, at, text)| {
            let column = text[..at].chars().count();
            let place = |value: usize| u16::try_from(value).expect("it fits");
            screen.cell(place(row), place(column)).is_some_and(|cell| cell.fgcolor() == accent)
        })
    });
}

#[test]
fn background_that_the_terminal_names_late_changes_colours_and_types_nothing() {
    let home = Home::new();
    let mut command = home.command();
    command.env("NO_COLOR", "");
    let mut terminal = Terminal::run_command(&home, &command, &["tui"]);
    terminal.wait_for("\x1b]11;?\x1b\\");
    terminal.wait_for_screen("play now");
    terminal.keys("\r40 + ");
    terminal.wait_for_screen("> 40 +");
    wait_for_accent(&mut terminal, DARK_ACCENT);
    terminal.keys("\x1b]11;rgb:ffff/ffff/ffff\x1b\\2\r");
    terminal.wait_for_screen("┃42");
    wait_for_accent(&mut terminal, LIGHT_ACCENT);
    terminal.keys("\x1b");
    terminal.wait_for_screen("n new key");
    terminal.keys("q");
    terminal.wait_for_screen("Quit?");
    terminal.keys("\x1b[C\r");
    terminal.wait_for(LEAVES);
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn background_is_asked_for_only_where_it_matters() {
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "screen")] {
        let home = Home::new();
        let mut command = home.command();
        command.env("NO_COLOR", "").env(name, value);
        let mut terminal = Terminal::run_command(&home, &command, &["tui"]);
        assert!(!terminal.wait_for("live Rhai").contains("\x1b]11"), "{name}={value}");
    }
}

#[test]
fn circles_json_is_made_and_edited_from_the_screen() {
    let home = Home::new();
    let file = home.path().join("circles.json");
    assert!(!file.exists());
    let mut command = home.command();
    // An editor that adds a circle.
    let port = free_port();
    let script = format!(r#"sed -i 's/"circles": \[/"circles": [{{ "name": "third", "port": {port} }},/'"#);
    command.env("EDITOR", script).env_remove("VISUAL");
    let mut terminal = Terminal::run_command(&home, &command, &["tui"]);
    terminal.wait_for_screen("make a circles.json");
    terminal.keys("e");
    terminal.wait_for_screen("Make a circles.json?");
    terminal.keys("\x1b[C\r");
    terminal.wait_for_screen("S starts its circles");
    terminal.wait_for_screen("○ team");
    terminal.keys("e");
    terminal.wait_for_screen("○ third");
    // A change that was made elsewhere is noticed.
    let text = std::fs::read_to_string(&file).expect("text");
    std::fs::write(&file, text.replace("third", "fourth")).expect("written");
    terminal.wait_for_screen("○ fourth");
    terminal.keys("q");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn ephemeral_identity_off_this_machine_is_accepted_on_the_screen() {
    let (home, server) = (Home::new(), ServeProcess::start(&["--hosts", "circle.example"]));
    let mut terminal = Terminal::run(&home, &["tui", &server.url, "--authority", "circle.example"]);
    terminal.wait_for_screen("an impostor would look the same");
    terminal.keys("\x1b[C\r");
    terminal.wait_for_screen("connected to circle");
    terminal.keys("6 * 7\r");
    terminal.wait_for_screen("┃42");
}

#[test]
fn started_circles_outlive_a_signal() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let here =
            BackgroundCircles::start(&format!(r#"{{ "circles": [{{ "name": "lab", "port": {} }}] }}"#, free_port()));
        let mut terminal = Terminal::run(&here.home, &["tui"]);
        terminal.wait_for_screen("play now");
        terminal.keys("S");
        terminal.wait_for_screen("● lab");
        terminal.signal(signal);
        terminal.wait_for("lab is still running in the background");
        assert_eq!(terminal.end(), Some(code));
        assert_eq!(here.state("lab"), "ready");
    }
}

#[test]
fn signal_restores_the_terminal() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let home = Home::new();
        let mut terminal = Terminal::run(&home, &["tui"]);
        terminal.wait_for(MOUSE_ON);
        terminal.wait_for_screen("play now");
        terminal.signal(signal);
        terminal.wait_for(MOUSE_OFF);
        terminal.wait_for(LEAVES);
        // The cursor is visible again.
        terminal.wait_for("\x1b[?25h");
        assert_eq!(terminal.end(), Some(code));
    }
}

#[test]
fn editor_gets_the_terminal_and_its_text_is_inserted() {
    let home = Home::new();
    let editor = home.path().join("editor");
    // The editor reads input on a terminal with echo, and handles Ctrl-C itself.
    let program = "#!/bin/sh\ntrap 'echo caught' INT\ncat \"$1\"; echo editing\nread line; until [ \"$line\" = 21 ]; do read line; done\necho \"$line * 2\" > \"$1\"\n";
    std::fs::write(&editor, program).expect("written");
    let mut command = home.command();
    command.env("VISUAL", format!("sh {}", editor.display()));
    let mut terminal = Terminal::run_command(&home, &command, &["tui"]);
    terminal.wait_for_screen("play now");
    terminal.keys("\r");
    terminal.wait_for_screen("connected to scratch");
    terminal.keys("let before = 1;\x18\x05");
    terminal.wait_for(LEAVES);
    terminal.wait_for("let before = 1;\r\n");
    terminal.wait_for("editing");
    terminal.keys("one\r");
    terminal.wait_for("one\r\n");
    // A shell may handle the signal only after it has read a line.
    terminal.keys("\x03");
    terminal.wait_for("^C");
    terminal.keys("\r");
    terminal.wait_for("caught");
    terminal.keys("21\r");
    terminal.wait_for(ENTERS);
    terminal.wait_for_screen("> 21 * 2");
    terminal.keys("\r");
    terminal.wait_for_screen("┃42");
    // `:edit` opens the last input; a failing editor changes nothing.
    std::fs::write(&editor, "cat \"$1\"; echo x > \"$1\"; exit 1").expect("written");
    terminal.keys(":edit\r");
    terminal.wait_for(LEAVES);
    terminal.wait_for("21 * 2\r\n");
    terminal.wait_for(ENTERS);
    terminal.wait_for_screen("> 21 * 2");
}

#[test]
fn shell_command_gets_the_terminal_until_enter() {
    let home = Home::new();
    let mut command = home.command();
    command.env("SHELL", "/bin/sh").env("CIRCLES_PASSPHRASE", "secret");
    let mut terminal = Terminal::run_command(&home, &command, &["tui"]);
    terminal.wait_for_screen("play now");
    terminal.keys("\r");
    terminal.wait_for_screen("connected to scratch");
    terminal.keys(":sh echo be'gun'; read word; echo \"<$word-${CIRCLES_PASSPHRASE-none}>\"; exit 3\r");
    terminal.wait_for(LEAVES);
    terminal.wait_for("begun\r\n");
    // The command has the terminal.
    terminal.keys("typed\r");
    terminal.wait_for("<typed-none>\r\n");
    terminal.wait_for("[Enter returns to circles]");
    terminal.keys("\r");
    terminal.wait_for(ENTERS);
    terminal.wait_for_screen("the command ended with exit code 3");
    terminal.keys("6 * 7\r");
    terminal.wait_for_screen("┃42");
    terminal.keys(":copy\r");
    terminal.wait_for("\u{1b}]52;c;NDI=\u{7}");
    terminal.wait_for_screen("copied the last value");
}

#[test]
fn missing_editor_is_reported_on_the_screen() {
    let home = Home::new();
    let mut command = home.command();
    command.env("VISUAL", "nosuchedit --wait");
    let mut terminal = Terminal::run_command(&home, &command, &["tui"]);
    terminal.wait_for_screen("play now");
    terminal.keys("\r");
    terminal.wait_for_screen("connected to scratch");
    terminal.keys("6 * 7\x18\x05");
    // Nothing is printed between leaving and re-entering the screen.
    terminal.wait_for(&format!("{LEAVES}{RESTORES_TITLE}\x1b[?25h{SAVES_TITLE}{ENTERS}"));
    terminal.wait_for_screen("there is no editor");
    terminal.keys("\r");
    terminal.wait_for_screen("┃42");
}

#[test]
fn ctrl_z_suspends_and_restores_the_screen() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["tui"]);
    terminal.wait_for_screen("play now");
    terminal.keys("\x1a");
    terminal.wait_for(LEAVES);
    // The system does not stop the leader of a session, as nobody could continue it: the TUI goes on at once.
    terminal.wait_for(ENTERS);
    terminal.wait_for("circles");
    terminal.wait_for_screen("play now");
    terminal.keys("q");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn tui_on_a_dumb_terminal_says_what_to_do() {
    let home = Home::new();
    let mut command = home.command();
    command.env("TERM", "dumb");
    let mut terminal = Terminal::run_command(&home, &command, &["tui"]);
    let before = terminal.wait_for("use circles repl");
    assert!(!before.contains('\u{1b}'), "{before:?}");
    assert_eq!(terminal.end(), Some(2));
}

#[test]
fn tui_without_a_terminal_says_what_to_do() {
    let ran = Home::new().run(&["tui"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("not a terminal") && ran.stderr.contains("circles play -"), "{ran:?}");
}
