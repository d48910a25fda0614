//! The `:` commands in the TUI.

use rustix::process::Signal;

use super::{TuiScreen, free_port};
use crate::support::{Home, PASSPHRASE, process::ServeProcess};

#[test]
fn use_switches_circles_and_returns_to_the_kept_session() {
    let team = ServeProcess::start(&["--name", "team"]);
    let port = team.authority().rsplit_once(':').expect("a port").1.to_owned();
    let config = format!(r#"{{ "circles": [{{ "name": "team", "port": {port} }}] }}"#);
    let mut screen = TuiScreen::start(&config, (120, 40));
    screen.play_alone();
    screen.wait_for(&format!("● team {port} up"));
    screen.write("let here = 40;\n");
    // Tab completes circles.
    screen.write(":use te");
    screen.press(&["Tab"]);
    screen.wait_for_row("> :use team");
    screen.press(&["Enter"]);
    screen.wait_for("▌● team");
    screen.wait_for("connected to team");
    screen.write("is_def_var(\"here\")\n");
    screen.wait_for_row("false");
    screen.write(":use scratch\n");
    screen.wait_for("▌● scratch");
    screen.write("here + 2\n");
    screen.wait_for_row("42");
    // The address names the same circle.
    screen.write(&format!(":use {port}\n"));
    screen.wait_for("▌● team");
    screen.write(":use scratch\n");
    screen.wait_for("▌● scratch");
    // An invalid target leaves the session as it is, with an error.
    screen.write(":use taem\n");
    screen.wait_for("did you mean 'team'?");
    screen.write(":use a b\n");
    screen.wait_for("'a b' is not a circle");
    screen.write("here + 4\n");
    screen.wait_for_row("44");
}

#[test]
fn source_and_question_marks_show_a_function() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.write("fn double(x) { x * 2 }\n");
    // Tab completes functions, and no variable.
    screen.write("let double_unit = 1; double(350)\n");
    screen.wait_for_row("700");
    screen.write(":source dou");
    screen.press(&["Tab"]);
    screen.wait_for_row("> :source double");
    screen.press(&["Enter"]);
    // Without the prompt of the input.
    screen.wait_for_row("fn double(x) { x * 2 }");
    screen.write("fn half(x) { x / 2 }\n");
    screen.write("half(1600)\n");
    screen.wait_for_row("800");
    screen.write("half??\n");
    screen.wait_for_row("fn half(x) { x / 2 }");
    screen.write("?half\n");
    screen.wait_for_row("half(x)");
    screen.write("double?\n");
    screen.wait_for_row("double(x)");
    screen.write(":source other\n");
    screen.wait_for("no input of this session defines other");
    screen.write("?other\n");
    screen.wait_for("other");
    // The marks are no part of a script.
    screen.write("half(double(21))\n");
    screen.wait_for_row("21");
}

#[test]
fn key_command_authenticates_in_place_and_reconnects_for_another_key() {
    let home = Home::new();
    let (alice, bob) = (home.add_key("alice").public_key().to_hex(), home.add_key("bob").public_key().to_hex());
    let server = ServeProcess::open();
    let mut screen = TuiScreen::start_in(home, r#"{ "circles": [] }"#, (120, 40));
    screen.play_alone();
    screen.wait_for("▌alice");
    screen.write(":key alice\n");
    screen.wait_for("accepts only its own key");
    screen.write(&format!(":use {}\n", server.authority()));
    screen.wait_for("connected to circle");
    screen.write("let kept = 40;\n:key al");
    screen.press(&["Tab"]);
    screen.wait_for_row("> :key alice");
    screen.press(&["Enter"]);
    screen.wait_for("passphrase of alice");
    screen.write(&format!("{PASSPHRASE}\n"));
    screen.wait_for("⚿ alice");
    screen.write("`${kept}${CALLER_PUBLIC_KEY}`\n");
    screen.wait_for(&format!("40{alice}"));
    // Esc cancels the command.
    screen.write(":key bob\n");
    screen.wait_for("passphrase of bob");
    screen.press(&["Esc"]);
    screen.write("kept + 2\n");
    screen.wait_for_row("42");
    screen.write(":key bob\n");
    screen.wait_for("passphrase of bob");
    screen.write(&format!("{PASSPHRASE}\n"));
    screen.wait_for("reconnecting as bob");
    screen.wait_for("variables are gone; :replay runs");
    screen.wait_for("⚿ bob");
    screen.write("`${is_def_var(\"kept\")}${CALLER_PUBLIC_KEY}`\n");
    screen.wait_for(&format!("false{bob}"));
    screen.write(":key carol\n");
    screen.wait_for("there is no key `carol`");
    screen.write(":key bob\n");
    screen.wait_for("already using key bob");
}

#[test]
fn reconnect_authenticates_again() {
    let home = Home::new();
    home.add_key("alice");
    let port = free_port();
    let mut server = ServeProcess::start_on(port, &[]);
    let mut screen = TuiScreen::start_in(home, r#"{ "circles": [] }"#, (200, 40));
    screen.play_alone();
    screen.write(&format!(":use {port}\n"));
    screen.wait_for("connected to circle");
    screen.write(":key alice\n");
    screen.wait_for("passphrase of alice");
    screen.write(&format!("{PASSPHRASE}\n"));
    screen.wait_for("⚿ alice");
    screen.write("let x = 1;\n7 * 6\n");
    screen.wait_for_row("42");
    server.signal(Signal::KILL);
    server.wait();
    screen.wait_for("; reconnecting…");
    let _server = ServeProcess::start_on(port, &[]);
    screen.press(&["Enter"]);
    screen.wait_for("as alice with a new session");
    // The inputs can still be saved.
    screen.wait_for(":replay runs them again");
    screen.wait_for("⚿ alice");
    screen.write(&format!(":save {}/lost.rhai\n", screen.home().path().display()));
    screen.wait_for("from the lost session");
}

#[test]
fn save_writes_a_script_that_runs_again() {
    let mut screen = TuiScreen::start(r#"{ "circles": [] }"#, (240, 50));
    screen.play_alone();
    let file = screen.home().path().join("work.rhai").display().to_string();
    screen.write(":save nowhere.rhai\n");
    screen.wait_for("nothing to save yet");
    screen.write("let x = 40;\nnowhere + 1\nx + 2\nfn twice(n) { n * 2 }\nlet y = twice(ans);\n:vars\n");
    screen.wait_for("y    i64 = 84");
    screen.write(&format!(":save {file}\n"));
    let shown = screen.wait_for("saved 4 inputs to ");
    assert!(shown.contains("left out 1 that failed"), "{shown}");
    screen.write(&format!(":save {file}\n"));
    screen.wait_for("already exists");
    screen.write("y / 4\n");
    screen.wait_for_row("21");
    screen.write("print(`be${\"gun\"}`); loop {}\n");
    screen.wait_for_row("begun");
    screen.write(&format!(":save! {file}\n"));
    let shown = screen.wait_for("saved 5 inputs to ");
    assert!(shown.contains("without running and queued"), "{shown}");
    screen.press(&["C-c"]);
    screen.wait_for("cancelled;");
    screen.write(":reset\n");
    screen.wait_for("environment reset");
    // Tab completes files, too.
    screen.write(&format!(":load {}", &file[..file.len() - 6]));
    screen.press(&["Tab"]);
    screen.wait_for_row(&format!("> :load {file}"));
    screen.press(&["C-c"]);
    screen.write(&format!(":load {file}\ny + 16\n"));
    screen.wait_for_row("100");
    let ran = screen.home().run(&["play", "work.rhai"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "21\n"), "{ran:?}");
}

#[test]
fn load_shows_the_failing_line_of_the_file() {
    let mut screen = TuiScreen::alone();
    let directory = screen.home().path().to_owned();
    std::fs::write(directory.join("bad.rhai"), "#!/usr/bin/env -S circles play\nlet a = 1;\na + nowhere")
        .expect("written");
    screen.play_alone();
    screen.write(&format!(":load {}/bad.rhai\n", directory.display()));
    screen.wait_for_row("3 | a + nowhere");
    screen.write(&format!(":load {}/none.rhai\n", directory.display()));
    screen.wait_for("cannot read the script");
    screen.write("a + 41\n");
    screen.wait_for_row("42");
}

/// Reading a pipe without a writer would block.
#[test]
fn load_rejects_a_file_that_is_no_regular_file() {
    let mut screen = TuiScreen::alone();
    let pipe = screen.home().path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("there is mkfifo");
    assert!(made.success());
    screen.play_alone();
    screen.write(&format!(":load {}\n", pipe.display()));
    screen.wait_for("regular file");
    screen.write("6 * 7\n");
    screen.wait_for_row("42");
}

#[test]
fn fan_out_shows_answers_side_by_side() {
    let (team, lab) = (ServeProcess::start(&["--name", "team"]), ServeProcess::start(&["--name", "lab"]));
    let closed = ServeProcess::start(&["--access", "authenticated"]);
    let home = Home::new();
    home.add_key("alice");
    let mut screen = TuiScreen::start_in(home, r#"{ "circles": [] }"#, (120, 40));
    screen.play_alone();
    let (one, two, locked) = (team.authority(), lab.authority(), closed.authority());
    // The fan-out connects to all circles first.
    screen.write(&format!(":each {one},{two},1,{locked},scrath print(`from ${{CIRCLE_NAME}}`); CIRCLE_NAME + 42\n"));
    // An unreachable circle does not affect the others.
    screen.wait_for("1: it cannot be reached; connect to it first: :use 1");
    screen.wait_for(&format!("{locked}: it needs a key; connect to it first"));
    screen.wait_for("scrath: no circle here has that name; did you mean scratch?");
    screen.wait_for(&format!("{one} | from team"));
    screen.wait_for(&format!("{two} | from lab"));
    screen.wait_until("both in one row", |shown| {
        shown.lines().any(|row| row.contains("team42") && row.contains("lab42"))
    });
    // Their variables are kept.
    screen.write(&format!(":use {two}\n"));
    screen.wait_for("connected to lab");
    screen.write("ans + \"!\"\n:last\n");
    screen.wait_for_row("\"lab42!\"");
}

#[test]
fn ctrl_c_cancels_on_every_circle() {
    let (team, lab) = (ServeProcess::start(&["--name", "team"]), ServeProcess::start(&["--name", "lab"]));
    let mut screen = TuiScreen::start(r#"{ "circles": [] }"#, (120, 40));
    screen.play_alone();
    screen.write(&format!(
        ":each {},{},scratch print(`be${{\"gun\"}}`); loop {{}}\n",
        team.authority(),
        lab.authority()
    ));
    screen.wait_until("all", |shown| shown.matches("| begun").count() == 3);
    screen.write("6 * 7\n");
    screen.wait_for("1 waiting");
    screen.press(&["C-c"]);
    screen.wait_until("all", |shown| shown.to_lowercase().matches("cancelled").count() >= 3);
    screen.wait_for_row("> 6 * 7");
    screen.press(&["Enter"]);
    screen.wait_for_row("42");
}

#[test]
fn time_plot_and_last_show_the_last_play() {
    let mut screen = TuiScreen::start(r#"{ "circles": [] }"#, (120, 30));
    screen.play_alone();
    screen.write(":plot\n");
    screen.wait_for("no value yet");
    screen.write(":time\n");
    screen.wait_for("no successful play yet");
    screen.write(":time [1, 4, 9, 16]\n");
    screen.wait_for_row("[1, 4, 9, 16]");
    screen.wait_for("round trip");
    screen.write(":plot\n");
    screen.wait_until("a chart", |shown| shown.contains('┤') || shown.contains("16│") || shown.contains("16 │"));
    screen.write(":plot \"words\"\n");
    screen.wait_for(":plot needs");
    screen.write("let all = []; for i in 0..200 { all.push(`line ${i}`); print(`printed ${i}`); } all\n");
    let folded = screen.wait_for("hidden; :last shows all of it");
    assert!(folded.contains("line 199") && !folded.contains("line 150"), "{folded}");
    screen.write(":last\n");
    screen.wait_until("all of it", |shown| shown.contains("Last output") && shown.contains("printed 0"));
    screen.press(&["End"]);
    screen.wait_for("\"line 199\"");
    screen.press(&["PageUp"]);
    screen.wait_for("line 150");
    screen.press(&["Esc"]);
    screen.wait_until("the transcript", |shown| !shown.contains("Last output"));
}

#[test]
fn local_command_does_not_wait_for_the_running_play() {
    let mut screen = TuiScreen::start(r#"{ "circles": [] }"#, (120, 40));
    screen.play_alone();
    screen.write("let kept = 1;\nprint(`be${\"gun\"}`); loop {}\n");
    screen.wait_for_row("begun");
    screen.write(":history kept\n");
    screen.wait_for("1  let kept = 1;");
    screen.write(":time\n");
    screen.wait_for("the play is still running");
    screen.write(":plot\n");
    screen.wait_for("no value yet");
    screen.write(":help time\n");
    screen.wait_for("Shows the time in the circle");
    // The typed command is queued.
    screen.write(":time kept\n");
    screen.wait_for("1 waiting");
    screen.press(&["C-c"]);
    screen.wait_for_row("> :time kept");
}

#[test]
fn local_command_starts_no_circle() {
    let config = format!(r#"{{ "circles": [{{ "name": "lab", "port": {} }}] }}"#, free_port());
    let mut screen = TuiScreen::start(&config, (120, 40));
    screen.wait_for("○ lab");
    screen.press(&["Down", "Enter"]);
    screen.wait_for("connected to lab");
    screen.write("40 + 2\n");
    screen.wait_for_row("42");
    screen.background().run_ok(&["down", "lab"]);
    screen.wait_for("○ lab");
    screen.write(&format!(":save {}/work.rhai\n", screen.home().path().display()));
    let shown = screen.wait_for("saved 1 input to ");
    assert_eq!(shown.matches("starting lab").count(), 1, "{shown}");
}

#[test]
fn incomplete_script_after_a_command_continues_on_the_next_line() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.write(":time (40 +\n2)\n");
    screen.wait_for_row("42");
    screen.wait_for("operations");
    // The history has the command as it was typed.
    screen.press(&["Up"]);
    screen.wait_for_row("> :time (40 +");
}

#[test]
fn help_shows_tui_specific_notes() {
    let mut screen = TuiScreen::start(r#"{ "circles": [] }"#, (120, 60));
    screen.play_alone();
    screen.write(":help\n");
    screen.wait_for(":each A,B SCRIPT");
    screen.wait_for("Ctrl-X Ctrl-E");
    screen.press(&["Esc"]);
    screen.write(":help :key\n");
    screen.wait_for("In the TUI: a circle has one session.");
    screen.write(":help pl");
    screen.press(&["Tab"]);
    screen.wait_for_row("> :help plot");
}

#[test]
fn type_ahead_after_use_is_for_the_named_circle() {
    let (team, lab) = (ServeProcess::start(&["--name", "team"]), ServeProcess::start(&["--name", "lab"]));
    let mut screen = TuiScreen::start(r#"{ "circles": [] }"#, (120, 40));
    screen.play_alone();
    let (one, two) = (team.authority(), lab.authority());
    screen.write(&format!(
        ":use {one}\nlet at = CIRCLE_NAME; at + 1\n:use {two}\nCIRCLE_NAME + 2\n:use {one}\nat + 3\n:use scratch\nCIRCLE_NAME + 4\n"
    ));
    screen.wait_for_row("\"scratch4\"");
    screen.write(&format!(":use {two}\n"));
    let shown = screen.wait_for_row("\"lab2\"");
    assert!(!shown.contains("team1"), "{shown}");
    screen.write(&format!(":use {one}\n"));
    screen.wait_for_row("\"team3\"");
    screen.wait_for_row("\"team1\"");
}

#[test]
fn type_ahead_after_edit_follows_the_edited_text() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.write("40 + 2\n");
    screen.wait_for_row("42");
    // The editor leaves the file unchanged.
    screen.write(":edit\n + 4");
    screen.wait_for_row("> 40 + 2 + 4");
    screen.press(&["Enter"]);
    screen.wait_for_row("46");
}

#[test]
fn type_ahead_after_quit_answers_its_question_only_with_a_moved_focus() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.write("print(`be${\"gun\"}`); loop {}\n");
    screen.wait_for_row("begun");
    screen.write(":quit\ny\n");
    screen.press(&["Esc", "q"]);
    screen.wait_for("scratch: a running play");
    screen.press(&["Right", "Enter"]);
    assert_eq!(screen.quit_result().1, 0);
}
