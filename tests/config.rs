//! `circles config`, and what consoles do with the settings.

use serde_json::{Value, json};

use crate::support::{Home, pty::Terminal};

/// Writes the settings of a home.
fn write_settings(home: &Home, text: &str) {
    let directory = home.path().join(".config/circles");
    std::fs::create_dir_all(&directory).expect("made");
    std::fs::write(directory.join("config.toml"), text).expect("written");
}

#[test]
fn config_shows_each_setting_with_its_source() {
    let home = Home::new();
    let shown = home.run(&["config"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""));
    assert!(shown.stdout.contains("/.config/circles/config.toml (there is no such file yet)"), "{}", shown.stdout);
    assert!(shown.stdout.contains("  edit_mode       emacs"), "{}", shown.stdout);
    assert!(shown.stdout.contains("\n[keys]\n  help             F1 ?    default\n"), "{}", shown.stdout);
    std::fs::write(home.path().join(".inputrc"), "set editing-mode vi\n").expect("written");
    write_settings(&home, "history_size = 7\ntheme = \"auto\"\n[keys]\nrestart = [\"X\"]\nzoom = []\n");
    let output = home.command().args(["config", "--json"]).env("NO_COLOR", "1").output().expect("it runs");
    let shown: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut shown = shown;
    let keys = shown["settings"].as_object_mut().and_then(|settings| settings.remove("keys")).expect("the keys");
    assert_eq!(keys["help"], json!({ "value": ["F1", "?"], "source": "default" }));
    assert_eq!(keys["restart"], json!({ "value": ["X"], "source": "file" }));
    assert_eq!(keys["zoom"], json!({ "value": [], "source": "file" }));
    assert_eq!(
        shown["settings"],
        json!({
            "bell": { "value": false, "source": "default" },
            "close_brackets": { "value": true, "source": "default" },
            "edit_mode": { "value": "vi", "source": "inputrc" },
            "history_size": { "value": 7, "source": "file" },
            "init": { "value": home.path().join(".config/circles/init.rhai"), "source": "default" },
            "mouse": { "value": true, "source": "default" },
            "reduced_motion": { "value": false, "source": "default" },
            "theme": { "value": "none", "source": "environment", "variable": "NO_COLOR" },
        })
    );
    assert_eq!((&shown["exists"], &shown["errors"]), (&json!(true), &json!([])));
}

#[test]
fn mistake_in_the_settings_is_reported_and_the_repl_starts() {
    let home = Home::new();
    write_settings(&home, "edit_mode = \"vim\"\nhistory_size = 1\n");
    let shown = home.run(&["config"]);
    assert_eq!(shown.code, Some(2));
    assert!(shown.stdout.contains("history_size    1"), "{}", shown.stdout);
    let error = shown.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(error.contains("cannot use the setting edit_mode") && error.contains("line 1 says \"vim\""), "{error}");
    assert!(error.contains("write \"emacs\" or \"vi\""), "{error}");
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("cannot use the setting edit_mode");
    terminal.wait_for("scratch> ");
    for (input, answer) in [("40 + 2\r", "42\r\n"), ("40 + 3\r", "43\r\n")] {
        terminal.keys(input);
        terminal.wait_for(answer);
        terminal.wait_for("scratch> ");
    }
    // The other setting applies.
    terminal.keys(":history\r");
    terminal.wait_for("    1  :history");
}

#[test]
fn invalid_edit_mode_of_the_environment_is_reported_alike() {
    let home = Home::new();
    let error = "cannot use the variable CIRCLES_EDIT_MODE";
    let command = || {
        let mut command = home.command();
        command.env("CIRCLES_EDIT_MODE", "vim");
        command
    };
    let output = command().arg("config").output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains(error), "{output:?}");
    for console in ["repl", "tui"] {
        let mut terminal = Terminal::run_command(&home, &command(), &[console]);
        // The TUI draws words apart, in the order of its rows.
        terminal.wait_for(if console == "tui" { "scratch" } else { "cannot" });
        terminal.wait_for("CIRCLES_EDIT_MODE");
    }
}

#[test]
fn edit_mode_of_the_settings_is_used() {
    let home = Home::new();
    write_settings(&home, "edit_mode = \"vi\"\n");
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("x40 + 2\x1b0x\r");
    terminal.wait_for("42\r\n");
    drop(terminal);
    // The command line takes precedence.
    let mut terminal = Terminal::run(&home, &["repl", "--edit-mode", "emacs"]);
    terminal.wait_for("scratch> ");
    terminal.keys("x40 + 3\x01\x04\r");
    terminal.wait_for("43\r\n");
}

#[test]
fn mouse_of_the_settings_is_left_to_the_terminal() {
    let home = Home::new();
    write_settings(&home, "mouse = false\n");
    let mut terminal = Terminal::run(&home, &["tui"]);
    terminal.wait_for_screen("play now");
    terminal.keys("%");
    terminal.wait_for_screen("the mouse is on");
    // Not before the first frame.
    let before = terminal.wait_for("\x1b[?1000h");
    assert!(before.contains("scratch"), "{before:?}");
}

#[test]
fn keys_of_the_settings_are_used_and_shown() {
    let home = Home::new();
    write_settings(&home, "[keys]\nhelp = [\"F5\"]\nquit = [\"X\"]\nzoom = [\"s\"]\n");
    let mut terminal = Terminal::run(&home, &["tui"]);
    // s starts a circle.
    terminal.wait_for_screen("cannot use the keys of zoom");
    terminal.wait_for_screen("F5 help");
    terminal.keys("\x1b[15~");
    terminal.wait_for_screen("quit; asks first");
    terminal.keys("\x1b");
    // Together with Esc, the next key would be Alt-X.
    terminal.wait_until("the end of the help", |screen| {
        let shown = screen.contents();
        !shown.contains("quit; asks first") && shown.contains("X quit")
    });
    terminal.keys("X");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn init_script_is_played_by_both_consoles_and_not_by_play() {
    let home = Home::new();
    write_settings(&home, "init = \"mine.rhai\"\n");
    let script = home.path().join(".config/circles/mine.rhai");
    std::fs::write(&script, "fn area(r) {\n  r * r\n}\nprint(\"my functions are there\");\n").expect("written");
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("my functions are there");
    terminal.keys("area(5)\r");
    terminal.wait_for("25\r\n");
    terminal.keys(":reset\r");
    terminal.wait_for("my functions are there");
    terminal.keys("area(6)\r");
    terminal.wait_for("36\r\n");
    // An error has the name of the file and the line.
    std::fs::write(&script, "let x = 1;\nlet y = x + nothing;\n").expect("written");
    terminal.keys(":reset\r");
    terminal.wait_for("mine.rhai:2:");
    terminal.keys("40 + 2\r");
    terminal.wait_for("42\r\n");
    drop(terminal);
    let mut terminal = Terminal::run(&home, &["tui"]);
    terminal.wait_for_screen("play now");
    terminal.keys("\r");
    terminal.wait_for_screen("mine.rhai:2:");
    drop(terminal);
    std::fs::write(&script, "print(\"from the init script\"); fn area(r) { r * r }").expect("written");
    let mut terminal = Terminal::run(&home, &["repl", "--no-init"]);
    terminal.wait_for("scratch> ");
    terminal.keys("area(7)\r");
    let before = terminal.wait_for("Function not found: area");
    assert!(!before.contains("from the init script"), "{before}");
    let played = home.run(&["play", "-e", "area(2)"]);
    assert_eq!((played.code, played.stdout.as_str()), (Some(1), ""));
}
