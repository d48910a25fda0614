//! Keys of the editor.

use super::PROMPT_ENDS;
use crate::support::{Home, process::ServeProcess, pty::Terminal};

#[test]
fn up_recalls_a_whole_multiline_input() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("fn twice(x) {\rx * 2\r}\r");
    terminal.wait_for("scratch> ");
    terminal.keys("1 + 1\r");
    terminal.wait_for("2\r\n");
    terminal.wait_for("scratch> ");
    terminal.keys("\x1b[A\x1b[A");
    terminal.wait_for("x * 2\r\n}");
    // The recalled input is one: its end can be edited, and Enter plays it.
    terminal.keys(" twice(21)\r");
    terminal.wait_for("42\r\n");
    terminal.keys("\x04");
    assert_eq!(terminal.end(), Some(0));
    // The history also works after a restart.
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("\x1b[A\r");
    terminal.wait_for("42\r\n");
}

#[test]
fn ctrl_p_and_ctrl_n_move_between_the_lines_of_an_input() {
    let home = Home::new();
    for mode in ["emacs", "vi"] {
        let mut terminal = Terminal::run(&home, &["repl", "--edit-mode", mode]);
        terminal.wait_for("scratch> ");
        terminal.keys("1 +\x0a2\x0a+ 3");
        // Twice up from the third line, to the begin of the first one; once down, to the end of the second one.
        terminal.keys("\x10\x101\x0e0\r");
        terminal.wait_for("34\r\n");
        // On the first line, Ctrl-P shows the earlier input, and Ctrl-N the typed text again.
        terminal.wait_for("scratch> ");
        terminal.keys("\x10\x0e\x10");
        terminal.wait_for("20\r\n+ 3");
        terminal.keys("\r");
        terminal.wait_for("34\r\n");
    }
}

#[test]
fn paste_of_500_lines_is_one_input() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    let lines: Vec<String> = (0..500).map(|number| format!("total += {number}; // line {number}")).collect();
    terminal.keys(&format!("\x1b[200~let total = 0;\n{}\ntotal + 1000000\x1b[201~\r", lines.join("\n")));
    terminal.wait_for("1124750\r\n");
    terminal.wait_for("scratch> ");
    // The paste is one entry of the history, separate from the previous one.
    terminal.keys("total\r");
    terminal.wait_for("124750\r\n");
    terminal.wait_for("scratch> ");
    terminal.keys("\x04");
    assert_eq!(terminal.end(), Some(0));
    let kept = std::fs::read_to_string(home.path().join("state/circles/history/history.jsonl")).expect("kept");
    assert_eq!(kept.lines().count(), 2, "two inputs");
}

#[test]
fn ctrl_c_clears_the_input_and_never_quits() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    for half in ["let a = ", "fn f() {\r  loop {\r", "`text ${", ":load fi"] {
        terminal.wait_for("scratch> ");
        terminal.keys(half);
        terminal.keys("\x03");
        terminal.wait_for(PROMPT_ENDS);
    }
    terminal.wait_for("scratch> ");
    terminal.keys("6 * 7\r");
    let before = terminal.wait_for("42\r\n");
    assert!(!before.contains("press Ctrl-D to quit"), "{before:?}");
}

#[test]
fn hint_is_accepted_with_ctrl_f_and_right() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    for (take, answer) in [("40 + 2\r", "42\r\n"), ("4\x06\r", "42\r\n"), ("40\x1b[C + 1\r", "43\r\n")] {
        terminal.wait_for("scratch> ");
        terminal.keys(take);
        terminal.wait_for(answer);
    }
}

#[test]
fn ctrl_x_ctrl_e_opens_the_editor() {
    use std::os::unix::fs::PermissionsExt;

    let home = Home::new();
    let editor = home.path().join("editor");
    std::fs::write(&editor, "#!/bin/sh\n[ \"$1\" = -w ] || exit 1\necho '+ 40' >> \"$2\"\n").expect("written");
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o700)).expect("ours");
    let mut command = home.command();
    command.env("EDITOR", format!("{} -w", editor.display()));
    let mut terminal = Terminal::run_command(&home, &command, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("2\x18\x05");
    // The edited text is at the prompt, and is not played yet.
    terminal.wait_for("2\r\n+ 40");
    terminal.keys("\r");
    terminal.wait_for("42\r\n");
    terminal.wait_for("scratch> ");
    // `:edit` does the same with the last input.
    terminal.keys(":edit\r");
    terminal.wait_for("+ 40\r\n+ 40");
    terminal.keys("\r");
    terminal.wait_for("82\r\n");
}

#[test]
fn missing_editor_keeps_the_input() {
    let home = Home::new();
    let mut command = home.command();
    command.env("VISUAL", "/nonexistent/editor");
    let mut terminal = Terminal::run_command(&home, &command, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("40 + \x18\x05");
    let before = terminal.wait_for("set $EDITOR");
    assert!(before.contains("/nonexistent/editor: not found") && !before.contains("editor: 1:"), "{before:?}");
    terminal.wait_for("scratch> 40 + ");
    terminal.keys("2\r");
    terminal.wait_for("42\r\n");
}

#[test]
fn vi_mode_edits_with_vi_keys() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl", "--edit-mode", "vi"]);
    terminal.wait_for("scratch> ");
    // Vi keys: to the begin, delete a character, append at the end.
    terminal.keys("x40 + \x1b");
    terminal.keys("0xA2\r");
    terminal.wait_for("42\r\n");
    drop(terminal);
    std::fs::write(home.path().join(".inputrc"), "set editing-mode vi\n").expect("written");
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("x40 + \x1b");
    terminal.keys("0xA3\r");
    terminal.wait_for("43\r\n");
}

#[test]
fn vi_escape_and_enter_in_one_write_play_the_input() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl", "--edit-mode", "vi"]);
    for sum in ["40 + 2", "40 + 3"] {
        terminal.wait_for("scratch> ");
        // Bytes in one write are the fastest that a terminal can send: those of Alt-Enter.
        terminal.keys(&format!("{sum}\x1b\r"));
        terminal.wait_for(&format!("{}\r\n", if sum == "40 + 2" { 42 } else { 43 }));
    }
    terminal.wait_for("scratch> ");
    terminal.keys("fn double(x) {\x1b\rx * 2 }\x1b\rdouble(21)\x1b\r");
    terminal.wait_for("42\r\n");
}

#[test]
fn new_lines_are_indented_and_pastes_are_not() {
    const END: &str = "\x1b[F";
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    // No paste has the End key, so Enter after it is typed.
    terminal.keys(&format!("fn f(x) {{{END}\rif x {{{END}\r1{END}\r}} else {{{END}\r2{END}\r}}{END}\r}}"));
    terminal.wait_for_screen("scratch> fn f(x) {\n  if x {\n    1\n  } else {\n    2\n  }\n}");
    terminal.keys(&format!("{END}\rf(true) +{END}\r41\r"));
    terminal.wait_for("42\r\n");
    terminal.wait_for("scratch> ");
    // A terminal without bracketed paste sends a paste as if it were typed.
    terminal.keys("fn g(x) {\r    x\r}\rg(43)\r");
    terminal.wait_for("43\r\n");
    terminal.wait_for("scratch> ");
    terminal.keys("\x1b[200~fn h() {\n      44\n    }\x1b[201~");
    terminal.wait_for_screen("scratch> fn h() {\n      44\n    }");
    terminal.keys("\rh()\r");
    terminal.wait_for("44\r\n");
}

#[test]
fn line_is_redrawn_after_a_resize() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("let long = \"0123456789012345678901234567890123456789\"");
    terminal.wait_for_screen("456789\"");
    terminal.resize(40, 20);
    terminal.keys("; long.len() + 2");
    terminal.wait_for_screen("long.len() + 2");
    terminal.keys("\r");
    terminal.wait_for("42\r\n");
    terminal.wait_for("scratch> ");
    terminal.keys("6 * 7\r");
    terminal.wait_for("42\r\n");
}

#[test]
fn history_lists_the_circle_and_recalls_all_circles() {
    let home = Home::new();
    home.add_key("alice");
    home.add_key("bob");
    let (one, other) = (ServeProcess::open(), ServeProcess::open());
    let kept = |at: &str, key: &str, input: &str| {
        let mut terminal = Terminal::run(&home, &["repl", at, "--key", key]);
        terminal.wait_for(&format!("circle ⚿ {key}> "));
        terminal.keys(&format!("{input}\r"));
        terminal.wait_for(&format!("{input}\r\n"));
        terminal.wait_for(&format!("circle ⚿ {key}> "));
        terminal.keys(":history\r");
        terminal.wait_for("    1  ");
        let listed = terminal.wait_for(&format!("circle ⚿ {key}> "));
        terminal.keys("\x04");
        assert_eq!(terminal.end(), Some(0));
        listed
    };
    kept(&one.url, "alice", "\"alices\"");
    let listed = kept(&one.url, "bob", "\"bobs\"");
    assert!(listed.contains("alices"), "{listed:?}");
    let listed = kept(&other.url, "alice", "\"elsewhere\"");
    assert!(!listed.contains("alices") && !listed.contains("bobs"), "{listed:?}");
    // On a new circle, Up offers the inputs of others.
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("\"a\x1b[A");
    terminal.wait_for_screen("scratch> \"alices\"");
}

#[test]
fn ctrl_r_searches_all_circles_and_keys() {
    let home = Home::new();
    home.add_key("alice");
    let server = ServeProcess::open();
    let mut terminal = Terminal::run(&home, &["repl", &server.url, "--key", "alice"]);
    for input in ["let total = 40 + 2", "total + 1"] {
        terminal.wait_for("circle ⚿ alice> ");
        terminal.keys(&format!("{input}\r"));
    }
    terminal.wait_for("43\r\n");
    // A REPL that ends has written its inputs.
    terminal.keys("\x04");
    assert_eq!(terminal.end(), Some(0));
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("6 * 7\r");
    terminal.wait_for("42\r\n");
    terminal.wait_for("scratch> ");
    terminal.keys("typed\x12");
    terminal.wait_for_screen("nothing on all circles");
    terminal.keys("\x15letot");
    terminal.wait_for_screen("▸  now  circle ⚿ alice  let total = 40 + 2");
    // Again: this circle alone.
    terminal.keys("\x12");
    terminal.wait_for_screen("nothing on this circle");
    terminal.keys("\x15*");
    terminal.wait_for_screen("▸  now  scratch  6 * 7");
    terminal.keys("\x12\x15tot\x1b[B\r");
    // The input is on the line, and the list is gone.
    terminal.wait_until("the selected input", |screen| {
        let shown = screen.contents();
        shown.trim_end().ends_with("scratch> let total = 40 + 2")
    });
    terminal.keys("; total\r");
    terminal.wait_for("42\r\n");
    // Esc and Ctrl-C restore the line.
    terminal.wait_for("scratch> ");
    terminal.keys("total\x12\x15xyz");
    terminal.wait_for_screen("nothing on all circles");
    terminal.keys("\x1b");
    // With the hint behind it.
    terminal.wait_until("the line before", |screen| screen.contents().trim_end().ends_with("scratch> total + 1"));
    terminal.keys("\x12\x15x\x03 + 1\r");
    terminal.wait_for("43\r\n");
}

/// A circle that answers completions late: typing does not wait for it.
#[test]
fn slow_circle_delays_completion_but_not_typing() {
    use serde_json::{Value, json};

    use crate::support::fake;

    let (answer, may_answer) = std::sync::mpsc::channel::<()>();
    let may_answer = std::sync::Arc::new(std::sync::Mutex::new(may_answer));
    let authority = fake::serve_conversation(move |text| {
        let call: Value = serde_json::from_str(text).expect("JSON");
        if call["method"] == "describe" {
            let described = json!({ "jsonrpc": "2.0", "id": call["id"], "result": fake::description("slow") });
            return Some(described.to_string());
        }
        may_answer.lock().expect("not poisoned").recv().expect("the test lets it");
        let result =
            json!({ "start": 0, "candidates": [{ "text": "total_tea", "kind": "variable", "detail": "i64" }] });
        Some(json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }).to_string())
    });
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl", &authority]);
    terminal.wait_for("slow> ");
    terminal.keys("tot\t");
    // The circle has not answered, and the typed text is shown nevertheless.
    terminal.keys("a");
    terminal.wait_for_screen("slow> tota");
    answer.send(()).expect("it listens");
    // The previous candidates are offered, as this request gets no answer. Several Tabs, because the previous answer may still
    // be on its way.
    terminal.keys("\t\t\t\t\t");
    terminal.wait_for_screen("slow> total_tea");
}

#[test]
fn invalid_utf8_is_rejected_harmlessly() {
    use std::io::Write;

    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("let kept = 42\r");
    terminal.wait_for("scratch> ");
    terminal.keyboard.write_all(b"\xe4\r").expect("it takes bytes");
    terminal.wait_for("it is not valid UTF-8");
    terminal.keys("kept\r");
    terminal.wait_for("42\r\n");
    // A multi-byte space after a command is a separator.
    terminal.wait_for("scratch> ");
    terminal.keys(":time\u{a0}6 * 7\r");
    terminal.wait_for("round trip");
}

#[test]
fn dumb_terminal_is_read_line_by_line() {
    let home = Home::new();
    let mut command = home.command();
    command.env("TERM", "dumb").env_remove("NO_COLOR");
    let mut terminal = Terminal::run_command(&home, &command, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("6 * 7\r");
    let before = terminal.wait_for("42\r\n");
    assert!(!before.contains('\x1b'), "{before:?}");
    terminal.keys("\x04");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn type_ahead_before_ctrl_c_arrives_at_the_next_prompt() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("print(`be${\"gun\"}`); loop {}\r");
    terminal.wait_for("begun");
    terminal.keys("6 * 7");
    terminal.keys("\x03");
    terminal.wait_for("cancelled");
    terminal.wait_for_screen("scratch> 6 * 7");
    terminal.keys("\r");
    terminal.wait_for("42\r\n");
}

#[test]
fn tab_completes_items_keys_modules_and_declared_names() {
    let home = Home::new();
    let modules = home.path().join("modules");
    std::fs::create_dir(&modules).expect("made");
    std::fs::write(modules.join("geometry.rhai"), "fn area() { 45 }").expect("written");
    let server = ServeProcess::start(&["--modules", modules.to_str().expect("UTF-8")]);
    let mut terminal = Terminal::run(&home, &["repl", &server.url]);
    let inputs = [
        ("let rows = [#{ alpha: 42, \"two words\": 43 }]; rows.len() + 40\r", "41\r\n"),
        ("rows[0].al\t\r", "42\r\n"),
        ("rows[0][\"tw\t\"]\r", "43\r\n"),
        ("let some_total = 44; some_t\t\r", "44\r\n"),
        ("import \"geo\t\" as g; g::area()\r", "45\r\n"),
        ("\"abc\".to_up\t()\r", "ABC"),
    ];
    for (keys, answer) in inputs {
        terminal.wait_for("circle> ");
        terminal.keys(keys);
        terminal.wait_for(answer);
    }
}

#[test]
fn candidate_list_needs_no_confirmation() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("\"abc\".\t\t");
    terminal.wait_for(" more");
    terminal.keys("len() + 39\r");
    terminal.wait_for("42\r\n");
    terminal.wait_for("scratch> ");
    // An open comment continues on the next line.
    terminal.keys("/* on and\ron */ 41 + 2\r");
    terminal.wait_for("43\r\n");
}

#[test]
fn greeting_breaks_between_words() {
    let home = Home::new();
    let mut terminal = Terminal::sized(&home, &["repl"], (40, 20));
    let greeting = terminal.wait_for("scratch> ");
    assert!(greeting.contains("a temporary circle in\r\nthis process, only for you\r\n"), "{greeting:?}");
}
