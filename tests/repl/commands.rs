//! The `:` commands.

use crate::support::{Home, process::ServeProcess, pty::Terminal};

#[test]
fn use_switches_circles_and_returns_to_the_kept_session() {
    let home = Home::new();
    let team = ServeProcess::start(&["--name", "team"]);
    let port = team.authority().rsplit_once(':').expect("a port").1;
    std::fs::write(
        home.path().join("circles.json"),
        format!(r#"{{ "circles": [{{ "name": "team", "port": {port} }}] }}"#),
    )
    .expect("written");
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("let here = 40\r");
    terminal.wait_for("scratch> ");
    // Tab completes circles of circles.json.
    terminal.keys(":use te\t\r");
    terminal.wait_for("team> ");
    terminal.keys("is_def_var(\"here\")\r");
    terminal.wait_for("false\r\n");
    terminal.wait_for("team> ");
    terminal.keys(":use scratch\r");
    terminal.wait_for("scratch> ");
    terminal.keys("here + 2\r");
    terminal.wait_for("42\r\n");
    terminal.wait_for("scratch> ");
    // An invalid target leaves the session as it is.
    terminal.keys(":use taem\r");
    terminal.wait_for("did you mean 'team'?");
    terminal.wait_for("scratch> ");
    terminal.keys(":use 1\r");
    terminal.wait_for("connection refused");
    terminal.wait_for("scratch> ");
}

#[test]
fn key_command_authenticates_in_place_and_opens_a_session_for_another_key() {
    let home = Home::new();
    let (alice, bob) = (home.add_key("alice").public_key().to_hex(), home.add_key("bob").public_key().to_hex());
    let server = ServeProcess::open();
    let mut terminal = Terminal::run(&home, &["repl", &server.url]);
    terminal.wait_for("circle> ");
    terminal.keys("let kept = 40\r");
    terminal.wait_for("circle> ");
    terminal.keys(":key al\t\r");
    terminal.wait_for("circle ⚿ alice> ");
    terminal.keys("`${kept}${CALLER_PUBLIC_KEY}`\r");
    terminal.wait_for(&format!("\"40{alice}\"\r\n"));
    terminal.wait_for("circle ⚿ alice> ");
    terminal.keys(":key bob\r");
    terminal.wait_for("circle ⚿ bob> ");
    terminal.keys("`${is_def_var(\"kept\")}${CALLER_PUBLIC_KEY}`\r");
    terminal.wait_for(&format!("\"false{bob}\"\r\n"));
    terminal.wait_for("circle ⚿ bob> ");
    terminal.keys(":key alice\r");
    terminal.wait_for("circle ⚿ alice> ");
    terminal.keys("kept + 2\r");
    terminal.wait_for("42\r\n");
    terminal.wait_for("circle ⚿ alice> ");
    terminal.keys(":key carol\r");
    terminal.wait_for("there is no key `carol`");
    terminal.wait_for("circle ⚿ alice> ");
}

#[test]
fn use_switches_to_a_scratch_circle() {
    let home = Home::new();
    let server = ServeProcess::open();
    let mut command = home.command();
    // An editor that leaves the file unchanged.
    command.env("VISUAL", "true");
    let mut terminal = Terminal::run_command(&home, &command, &["repl", &server.url]);
    terminal.wait_for("circle> ");
    terminal.keys(":use scr\t\r");
    terminal.wait_for("scratch> ");
    terminal.keys("let x = 42; print(x)\r");
    terminal.wait_for("42\r\n");
    terminal.wait_for("scratch> ");
    // `:edit` opens the failed input.
    terminal.keys("x +* 2\r");
    terminal.wait_for("error: ");
    terminal.wait_for("scratch> ");
    terminal.keys(":edit\r");
    terminal.wait_for_screen("scratch> x +* 2");
}

/// The passphrase prompt turns off the echo and reads whole lines, although the terminal is in raw mode for the prompt.
#[test]
fn command_prompts_for_the_passphrase_it_needs() {
    let home = Home::new();
    home.add_key("alice");
    let server = ServeProcess::open();
    let mut command = home.command();
    command.env_remove("CIRCLES_PASSPHRASE");
    let mut terminal = Terminal::run_command(&home, &command, &["repl", &server.url]);
    terminal.wait_for("circle> ");
    terminal.keys(":key alice\r");
    terminal.wait_for("Passphrase of alice: ");
    terminal.keys(&format!("{}\r", crate::support::PASSPHRASE));
    let before = terminal.wait_for("circle ⚿ alice> ");
    assert!(!before.contains(crate::support::PASSPHRASE), "{before:?}");
    terminal.keys("6 * 7\r");
    terminal.wait_for("42\r\n");
}

#[test]
fn save_writes_a_script_that_runs_again() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    for input in [
        "let x = 40",
        "fn twice(n) { n }",
        "nowhere + 1",
        "x + 2",
        "fn twice(n) {\r n * 2\r}",
        "let y = twice(ans)",
        ":vars",
    ] {
        terminal.wait_for("scratch> ");
        terminal.keys(&format!("{input}\r"));
    }
    terminal.wait_for("scratch> ");
    terminal.keys("print(`y is ${y}`)\r");
    terminal.wait_for("y is 84\r\n");
    terminal.wait_for("scratch> ");
    terminal.keys(":save ~/work.rhai\r");
    terminal.wait_for("saved 6 inputs to ");
    terminal.wait_for("scratch> ");
    // `:save` does not overwrite an existing file; `:save!` does.
    terminal.keys(":save ~/work.rhai\r");
    terminal.wait_for("already exists");
    terminal.wait_for(":save! ");
    terminal.wait_for("scratch> ");
    terminal.keys(":reset\r");
    terminal.wait_for("environment reset");
    terminal.wait_for("scratch> ");
    terminal.keys(":save other.rhai\r");
    terminal.wait_for_words("from before the :reset");
    terminal.wait_for("scratch> ");
    terminal.keys(":load ~/wor\t\r");
    terminal.wait_for("y is 84\r\n");
    terminal.wait_for("scratch> ");
    terminal.keys("y / 2\r");
    terminal.wait_for("42\r\n");
    let ran = home.run(&["play", "work.rhai"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "y is 84\n"), "{ran:?}");
}

#[test]
fn traceback_shows_the_lines_of_earlier_inputs() {
    let mut terminal = Terminal::run(&Home::new(), &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("fn boom(x) {\r  throw `at ${x}`\r}\r");
    terminal.wait_for("scratch> ");
    terminal.keys("boom(1)\r");
    terminal.wait_for("  in boom, line 2 of input 1");
    terminal.wait_for("    2 |   throw `at ${x}`");
    terminal.wait_for("  called from line 1 of input 2");
    terminal.wait_for("    1 | boom(1)");
    terminal.wait_for("scratch> ");
}

#[test]
fn prompt_accepts_help_exit_and_name_queries() {
    let mut terminal = Terminal::run(&Home::new(), &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("/// **Squares** a `number`.\rfn sq(x) { x * x }\r");
    terminal.wait_for("scratch> ");
    terminal.keys("sq?\r");
    terminal.wait_for("  Squares a number.");
    terminal.wait_for("scratch> ");
    terminal.keys("??sq\r");
    terminal.wait_for("fn sq(x) { x * x }\r\n");
    terminal.wait_for("scratch> ");
    terminal.keys("quit\r");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn load_shows_the_failing_line_of_the_file() {
    let home = Home::new();
    std::fs::write(home.path().join("bad.rhai"), "#!/usr/bin/env -S circles play\nlet a = 1;\na + nowhere")
        .expect("written");
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys(":load bad.rhai\r");
    terminal.wait_for("3 | a + nowhere");
    terminal.wait_for("(bad.rhai:3:5)");
    terminal.wait_for("scratch> ");
    rustix::fs::mknodat(rustix::fs::CWD, home.path().join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .expect("a pipe");
    terminal.keys(":load pipe\r");
    terminal.wait_for("it is not a regular file");
    terminal.wait_for("scratch> ");
    // `:last` shows the error of the last play, and `:save` reports failed inputs.
    terminal.keys(":last\r");
    terminal.wait_for("Variable not found: nowhere");
    terminal.wait_for("scratch> ");
    terminal.keys("1\r");
    terminal.wait_for("scratch> ");
    terminal.keys(":save kept.rhai\r");
    terminal.wait_for("left out 1 that failed");
    terminal.wait_for("scratch> ");
    terminal.keys(":load none.rhai\r");
    terminal.wait_for("cannot read the script none.rhai: no such file or directory");
}

#[test]
fn fan_out_shows_answers_side_by_side() {
    let home = Home::new();
    let (team, lab) = (ServeProcess::start(&["--name", "team"]), ServeProcess::start(&["--name", "lab"]));
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys(&format!(
        ":each {},{},1 print(`from ${{CIRCLE_NAME}}`); CIRCLE_NAME + 42\r",
        team.authority(),
        lab.authority()
    ));
    // An unreachable circle does not affect the others.
    terminal.wait_for("connection refused");
    terminal.wait_for_screen(&format!("{} | from team", team.authority()));
    terminal.wait_for_screen(&format!("{} | from lab", lab.authority()));
    terminal.wait_for_screen("team42");
    let row =
        |screen: &vt100::Screen| screen.contents().lines().any(|row| row.contains("team42") && row.contains("lab42"));
    terminal.wait_until("both in one row", row);
    // Their variables are kept, and the session stays on its circle.
    terminal.keys(&format!("6 * 7\r:use {}\r", lab.authority()));
    terminal.wait_for("42\r\n");
    terminal.wait_for("lab> ");
    terminal.keys("ans + \"!\"\r");
    terminal.wait_for("\"lab42!\"\r\n");
}

#[test]
fn ctrl_c_cancels_on_every_circle() {
    let home = Home::new();
    let (team, lab) = (ServeProcess::start(&["--name", "team"]), ServeProcess::start(&["--name", "lab"]));
    let mut terminal = Terminal::run(&home, &["repl", &team.url]);
    terminal.wait_for("team> ");
    terminal.keys(&format!(":each {},{} print(`be${{\"gun\"}}`); loop {{}}\r", team.authority(), lab.authority()));
    terminal.wait_for("begun");
    terminal.wait_for("begun");
    terminal.keys("\x03");
    terminal.wait_for("cancelled");
    terminal.wait_for("cancelled");
    terminal.wait_for("team> ");
    terminal.keys("6 * 7\r");
    terminal.wait_for("42\r\n");
}

#[test]
fn time_plot_and_last_show_the_last_play() {
    let home = Home::new();
    let mut command = home.command();
    // A pager that marks its output.
    command.env("PAGER", "sed s/^/paged:/");
    let mut terminal = Terminal::run_command(&home, &command, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys(":plot\r");
    terminal.wait_for("no value yet");
    terminal.wait_for("scratch> ");
    terminal.keys(":time [1, 4, 9, 16]\r");
    terminal.wait_for("[1, 4, 9, 16]");
    terminal.wait_for("operations, ");
    terminal.wait_for("round trip");
    terminal.wait_for("scratch> ");
    terminal.keys(":plot\r");
    terminal.wait_for_screen("16");
    terminal.wait_for("scratch> ");
    terminal.keys(":plot \"words\"\r");
    terminal.wait_for(":plot needs");
    terminal.wait_for("scratch> ");
    // Truncated, with a hint how to see everything.
    terminal.keys("let all = []; for i in 0..200 { all.push(`line ${i} of what is as long as it has to be to have a line of its own`); print(`printed ${i}`); } all\r");
    terminal.wait_for("printed 199\r\n");
    terminal.wait_for("hidden; :last shows all of it");
    terminal.wait_for("scratch> ");
    terminal.keys(":last\r");
    terminal.wait_for("paged:printed 0\r\n");
    terminal.wait_for("paged:printed 199\r\n");
    terminal.wait_for("line 100");
    terminal.wait_for("line 199");
    terminal.wait_for("scratch> ");
}

#[test]
fn progress_of_a_play_is_shown_as_a_bar() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("loop { progress(4, 10, \"loading\"); }\r");
    terminal.wait_for("loading ██████░░░░░░░░ 40%");
    terminal.wait_for("Ctrl-C cancels");
    terminal.keys("\x03");
    terminal.wait_for("cancelled; your variables are kept");
    // The status line is removed.
    terminal.wait_for("scratch> ");
    terminal.wait_until("no status line", |screen| !screen.contents().contains("loading █"));
}

#[test]
fn help_shows_an_overview_and_each_topic() {
    let home = Home::new();
    let mut command = home.command();
    command.env("PAGER", "cat");
    let mut terminal = Terminal::run_command(&home, &command, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys(":help\r");
    for piece in [":use WHERE", ":each A,B SCRIPT", "Ctrl-X Ctrl-E", ":help circles"] {
        terminal.wait_for(piece);
    }
    terminal.wait_for("scratch> ");
    terminal.keys(":help :plot\r");
    terminal.wait_for("Plots an array of numbers");
    terminal.wait_for("scratch> ");
    terminal.keys(":functions spl\r");
    terminal.wait_for("split(");
    terminal.wait_for("scratch> ");
    terminal.keys(":doc to_low\t()\r");
    terminal.wait_for("to_lower(");
}

#[test]
fn shell_command_runs_in_the_directory_without_passphrases() {
    let home = Home::new();
    std::fs::create_dir(home.path().join("below")).expect("made");
    let mut command = home.command();
    command.env("SHELL", "/bin/sh").env("CIRCLES_PASSPHRASE", "secret");
    let mut terminal = Terminal::run_command(&home, &command, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys(":cd ~/below\r");
    terminal.wait_for("/below\r\n");
    terminal.wait_for("scratch> ");
    terminal
        .keys(":sh echo be'gun'; read word; echo \"<$word-${CIRCLES_PASSPHRASE-none}>\"; basename \"$PWD\"; exit 3\r");
    // The command has the terminal.
    terminal.wait_for("begun\r\n");
    terminal.keys("typed\r");
    terminal.wait_for("<typed-none>\r\n");
    terminal.wait_for("below\r\n");
    terminal.wait_for("exit code 3");
    terminal.wait_for("scratch> ");
    terminal.keys("[1, 2]\r");
    terminal.wait_for("[1, 2]\r\n");
    terminal.wait_for("scratch> ");
    terminal.keys(":json all.json\r");
    terminal.wait_for("wrote the last value to ");
    terminal.wait_for("scratch> ");
    assert!(home.path().join("below/all.json").exists());
    // The terminal gets the value in base64.
    terminal.keys(":copy\r");
    terminal.wait_for("\u{1b}]52;c;WzEsIDJd\u{7}");
    terminal.wait_for("copied the last value");
    terminal.wait_for("scratch> ");
    terminal.keys(":timeit 1 + 1\r");
    terminal.wait_for("in the circle  ");
    terminal.wait_for("median and range of ");
    terminal.wait_for("scratch> ");
    terminal.keys(":out 1\r");
    terminal.wait_for("[1, 2]\r\n");
}
