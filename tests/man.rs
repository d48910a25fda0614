//! `circles man`.

use crate::support::{Home, pty::Terminal};

#[test]
fn man_page_has_the_common_sections() {
    let page = Home::new().run(&["man"]).stdout;
    assert!(page.contains(".TH circles 1"), "{page}");
    for section in ["NAME", "SYNOPSIS", "\"EXIT STATUS\"", "ENVIRONMENT", "FILES"] {
        assert!(page.contains(&format!(".SH {section}\n")), "{section}: {page}");
    }
}

#[test]
fn man_writes_a_page_for_each_visible_command() {
    let home = Home::new();
    let ran = home.run(&["man", "--dir", "a/man1"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
    let page = |name: &str| std::fs::read_to_string(home.path().join("a/man1").join(name));
    for name in ["circles.1", "circles-play.1", "circles-keys.1", "circles-keys-list.1", "circles-man.1"] {
        assert!(page(name).is_ok_and(|page| page.starts_with(".ie")), "{name}");
    }
    assert!(page("circles-play.1").is_ok_and(|page| page.contains("\\-\\-timeout")));
    assert!(page("circles-supervise.1").is_err());
    std::fs::write(home.path().join("file"), "").expect("written");
    let ran = home.run(&["man", "--dir", "file"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("--dir DIR"), "{ran:?}");
}

#[test]
fn man_shows_the_page_of_a_command() {
    let home = Home::new();
    assert_eq!(home.run(&["help", "play"]), home.run(&["play", "--help"]));
    assert_eq!(home.run(&["help"]), home.run(&["--help"]));
    assert!(home.run(&["man", "play"]).stdout.contains(".TH circles-play 1"));
    assert!(home.run(&["man", "keys", "list"]).stdout.contains(".TH circles-keys-list 1"));
    for (verb, fix) in [("pla", "did you mean 'play'?"), ("supervise", "circles --help"), ("xyzzy", "circles --help")] {
        let ran = home.run(&["man", verb]);
        assert!(ran.code == Some(2) && ran.stderr.contains(fix), "{ran:?}");
    }
}

#[test]
fn man_on_a_terminal_is_text() {
    let home = Home::new();
    let mut command = home.command();
    command.env("PAGER", "cat");
    let mut terminal = Terminal::run_command(&home, &command, &["man", "play"]);
    let page = terminal.wait_for("circles man for exit codes");
    assert!(page.contains("Usage: circles play") && !page.contains(".SH") && !page.contains("\\f"), "{page}");
    assert_eq!(terminal.end(), Some(0));
    let mut terminal = Terminal::run_command(&home, &command, &["man"]);
    let page = terminal.wait_for("$XDG_RUNTIME_DIR/circles/");
    assert!(page.contains("Exit status:") && page.contains("CIRCLES_CIRCLE"), "{page}");
}
