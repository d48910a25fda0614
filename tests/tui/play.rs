//! Playing in the TUI.

use rustix::process::Signal;

use super::{TuiScreen, free_port, has_row};
use crate::support::process::{ServeProcess, wait_for_end};

#[test]
fn session_starts_with_one_key_press_and_keeps_its_variables() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.write("let a = 40;\na + 2\n");
    screen.wait_for_row("42");
    screen.write("fn sq(x) {\nx * x\n}\n");
    screen.write("sq(ans)\n");
    screen.wait_for("1764");
}

#[test]
fn error_shows_its_line_and_a_caret() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.write("let a = 1;\n");
    screen.write("a + nothing\n");
    let shown = screen.wait_for("error: Variable not found: nothing");
    let lines: Vec<&str> = shown.lines().collect();
    let at = lines.iter().position(|line| line.contains("1 | a + nothing")).expect("the line");
    let column = |line: &str, what: char| line.chars().position(|character| character == what);
    // Under the n of `nothing`, after "1 | a + ".
    let begin = lines[at].chars().collect::<String>().find("1 | ").map(|byte| lines[at][..byte].chars().count());
    assert_eq!(column(lines[at + 1], '^'), begin.map(|begin| begin + 8), "{shown}");
}

#[test]
fn value_layout_uses_the_available_columns() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.write("[#{name: \"tea\", stock: 120, by: 'c'}, #{name: \"日本\", stock: 7, by: ' '}]\n");
    screen.wait_for(" by  │ name │ stock");
    screen.wait_for(" 'c' │ tea  │   120");
    screen.wait_for(" ' ' │ 日本 │     7");
    // Values without a JSON form are written as in Rhai.
    screen.write("#{ bytes: blob(20, 9), odd: [',', ' ', 0.0 / 0.0, (), 1..4, Fn(\"f\"), timestamp()], text: \"a long text, and more\" }\n");
    screen.wait_for_row("#{");
    screen.wait_for_row("  \"odd\": [");
    screen.wait_for_row("    ',', ' ', NaN, (), 1..4, Fn(f), <timestamp>");
    screen.wait_for_row("}");
}

#[test]
fn prints_arrive_during_a_play_and_cancel_keeps_the_session() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.write("let kept = 7;\n");
    screen.write("print(\"begun\"); loop { progress(40, 100, \"loading\") }\n");
    screen.wait_for_row("begun");
    let shown = screen.wait_for("40%");
    assert!(shown.contains("loading ██████░░░░░░░░ 40%") && shown.contains('▶'), "{shown}");
    // Inputs that are sent meanwhile are queued, and return to the editor when the play is cancelled.
    screen.write("kept + 1\n");
    screen.wait_for("1 waiting");
    screen.press(&["C-c"]);
    screen.wait_for("cancelled; your variables are kept");
    screen.wait_for_row("> kept + 1");
    screen.press(&["Enter"]);
    screen.wait_for_row("8");
}

#[test]
fn type_ahead_is_played_in_order() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.write("let all = [];\nfor i in 0..300000 { }\nall.push(1);\nall.push(2);\nall\n");
    screen.wait_for("[1, 2]");
}

#[test]
fn endless_prints_do_not_delay_keys() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.write("loop { print(\"flood\") }\n");
    screen.wait_for("flood");
    screen.write("typed");
    screen.wait_for("> typed");
    screen.press(&["C-c", "C-c"]);
    screen.press(&["Esc", "?"]);
    screen.wait_for("Everywhere");
}

#[test]
fn prints_cannot_control_the_screen() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.write("print(\"\\x1b[2J\\x07end\")\n");
    screen.wait_for("␛[2J␇end");
}

#[test]
fn commands_begin_with_a_colon() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.write(":who\n");
    screen.wait_for("you are  0");
    screen.write("let gone = 1;\n:reset\n");
    screen.wait_for("environment reset");
    screen.write("gone\n");
    screen.wait_for("Variable not found: gone");
    screen.write(":hlep\n");
    screen.wait_for("did you mean :help?");
    screen.write(":quit\n");
    assert_eq!(screen.end(), 0);
}

#[test]
fn tab_completes_from_the_session_during_a_play() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.write("let total_tea = 40;\nlet total_milk = 1002;\ntotal_milk\n");
    // While a play runs, completion does not offer names that it will define.
    screen.wait_for_row("1002");
    screen.write("total_t");
    screen.press(&["Tab"]);
    screen.wait_for_row("> total_tea");
    screen.write(" + total_");
    screen.press(&["Tab"]);
    screen.wait_for("total_milk  i64");
    // The candidates are sorted, so the first one is the expected one.
    screen.press(&["Enter"]);
    screen.wait_for_row("> total_tea + total_milk");
    screen.press(&["Enter"]);
    screen.wait_for_row("1042");
    screen.write("print(\"begun\"); loop {}\n");
    screen.wait_for_row("begun");
    screen.write("[].pu");
    screen.press(&["Tab"]);
    screen.wait_for_row("> [].push");
    screen.press(&["C-c"]);
    screen.wait_for("cancelled");
    screen.press(&["C-c"]);
    screen.write(":wh");
    screen.press(&["Tab"]);
    screen.wait_for_row("> :who");
    screen.press(&["C-c"]);
    screen.write("zzz");
    screen.press(&["Tab"]);
    screen.wait_for("no completions");
}

#[test]
fn vars_functions_and_doc_show_the_session() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.write("/// Doubles a number.\nfn double(x) { x * 2 }\nlet total = double(21);\n");
    screen.write(":vars\n");
    screen.wait_for("total  i64 = 42");
    screen.write(":functions dou\n");
    screen.wait_for_row("double(x)");
    screen.write(":doc double\n");
    screen.wait_for("Doubles a number.");
}

#[test]
fn history_survives_a_restart() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.write("1111 + 1\n");
    screen.wait_for_row("1112");
    screen.write(" 2222 + 1\n");
    screen.wait_for_row("2223");
    screen.press(&["Up"]);
    screen.wait_for_row("> 1111 + 1");
    // The history is saved at the end, and found after a restart.
    let mut screen = TuiScreen::start_on(screen.leave(), (80, 24));
    screen.play_alone();
    screen.write("3333 + 1\n");
    screen.wait_for_row("3334");
    screen.press_until_row("Up", "> 1111 + 1");
    screen.press(&["Up"]);
    screen.wait_for_row("> 1111 + 1");
}

#[test]
fn ctrl_r_searches_the_history() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.write("40 + 2\n");
    screen.wait_for_row("42");
    screen.write("6 * 8\n");
    screen.wait_for_row("48");
    // The hint comes from the history.
    screen.write("40");
    screen.wait_for_row("> 40 + 2");
    screen.press(&["C-r"]);
    screen.wait_for("▸  now  40 + 2");
    screen.press(&["Enter"]);
    screen.wait_until("no list", |shown| !shown.contains("on all circles") && has_row(shown, "> 40 + 2"));
    screen.write(" + 1\n");
    screen.wait_for_row("43");
    screen.press(&["C-r"]);
    screen.wait_for("3 on all circles");
    screen.press(&["C-r", "Esc"]);
    screen.wait_until("no list", |shown| !shown.contains("on this circle"));
}

#[test]
fn paste_of_several_lines_is_one_input() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.runtime.block_on(screen.app.paste("let x = 3;\nx * 14"));
    screen.wait_for("| x * 14");
    screen.press(&["Enter"]);
    screen.wait_for_row("42");
}

#[test]
fn screen_accepts_any_size_at_any_time() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.write("loop { print(\"a line of some length that is broken in several rows where it must be\") }\n");
    screen.wait_for("a line");
    for (width, height) in [(20, 5), (1, 1), (40, 10), (60, 20), (79, 24), (200, 60), (80, 11), (39, 50)] {
        screen.resize(width, height);
        screen.press(&["F1", "Esc", "C-p", "Esc"]);
    }
    screen.wait_for("This terminal is too small");
    screen.resize(60, 20);
    let tabs = screen.wait_for("3 REPL");
    assert!(tabs.contains("1 Circles") && tabs.contains("4 Logs") && tabs.contains("a line"), "{tabs}");
    screen.resize(80, 24);
    screen.wait_for("scratch temporary");
}

#[test]
fn output_is_copied_to_the_clipboard() {
    let mut screen = TuiScreen::alone();
    screen.play_alone();
    screen.write("\"line\" + 1\n");
    screen.wait_for_row("\"line1\"");
    screen.press(&["C-o"]);
    screen.wait_for("copied the last output");
    assert_eq!(screen.app.clipboard(), "line1");
}

#[test]
fn lost_connection_is_restored_and_no_input_is_lost() {
    let port = free_port();
    let mut server = ServeProcess::start_on(port, &[]);
    let mut screen = TuiScreen::alone();
    screen.wait_for("scratch");
    screen.press(&["o"]);
    screen.write(&format!("{port}\n"));
    screen.write("11 * 11\n");
    screen.wait_for_row("121");
    server.signal(Signal::KILL);
    server.wait();
    screen.wait_for("the connection to the circle at");
    screen.write("12 * 12");
    screen.press(&["Enter"]);
    screen.wait_for("connection refused");
    let _server = ServeProcess::start_on(port, &[]);
    screen.wait_for("reconnected to");
    screen.wait_for("variables from 1 input are gone");
    // The input is back in the editor.
    screen.wait_for_row("> 12 * 12");
    screen.press(&["Enter"]);
    screen.wait_for_row("144");
}

#[test]
fn disconnect_ends_the_running_play() {
    let server = ServeProcess::open();
    let mut screen = TuiScreen::alone();
    screen.wait_for("scratch");
    screen.press(&["o"]);
    screen.write(&format!("{}\n", server.authority()));
    screen.write("print(\"begun\"); loop {}\n");
    screen.wait_for_row("begun");
    let [worker] = server.workers()[..] else { panic!("one worker") };
    screen.press(&["Esc", "d"]);
    screen.wait_for("You lose a running play.");
    screen.press(&["Right", "Enter"]);
    screen.wait_for("disconnected; variables are gone");
    wait_for_end(worker);
}
