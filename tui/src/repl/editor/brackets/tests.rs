use std::time::Duration;

use frontend::edit_mode::EditMode;

use super::*;
use crate::repl::editor::{EditorSetup, InputOrigin};

fn editor(mode: EditMode) -> Editor {
    let setup = EditorSetup { mode, closes_brackets: true, ..EditorSetup::default() };
    Editor::new(setup, InputOrigin::default())
}

/// Types keys with pauses; `⏎` is Enter, `⌫` Backspace, `⎋` Esc, `←` and `→` the arrows, `␡` Ctrl-U.
fn type_keys(editor: &mut Editor, keys: &str) -> Vec<Action> {
    let key = |code| KeyEvent::new(code, KeyModifiers::NONE);
    let mut actions = Vec::new();
    for character in keys.chars() {
        let key = match character {
            '⏎' => key(KeyCode::Enter),
            '⌫' => key(KeyCode::Backspace),
            '⎋' => key(KeyCode::Esc),
            '←' => key(KeyCode::Left),
            '→' => key(KeyCode::Right),
            '␡' => KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL),
            character => key(KeyCode::Char(character)),
        };
        // Nobody types as fast as a paste.
        editor.indentation.forget_time();
        actions.extend(editor.key(key));
    }
    actions
}

/// Returns the text with the cursor as `|`.
fn shown(editor: &Editor) -> String {
    let (mut text, cursor) = editor.characters();
    text.insert(cursor, '|');
    text.into_iter().collect()
}

#[track_caller]
fn check(keys: &str, expected: &str) {
    for mode in [EditMode::Emacs, EditMode::Vi] {
        let mut editor = editor(mode);
        assert_eq!(type_keys(&mut editor, keys), [], "{keys}");
        assert_eq!(shown(&editor), expected, "{keys}");
    }
}

#[test]
fn opening_brackets_get_closing_ones_where_there_is_room() {
    check("f(", "f(|)");
    check("f([", "f([|])");
    check("#{", "#{|}");
    check("f(a, \"", "f(a, \"|\")");
    // Not before a word, and no quote after a letter or within a string.
    check("x←(", "(|x");
    check("x\"", "x\"|");
    check("\"a(", "\"a(|\"");
    check("\"a\"\"", "\"a\"\"|\"");
    check("// (", "// (|");
    check("`a (", "`a (|");
    check("'(", "'(|");
    // A command that takes no script takes text.
    check(":load a(", ":load a(|");
    check(":time f(", ":time f(|)");
    let mut off = Editor::new(EditorSetup::default(), InputOrigin::default());
    type_keys(&mut off, "f(");
    assert_eq!(shown(&off), "f(|");
}

#[test]
fn closing_bracket_is_typed_over_and_backspace_removes_both() {
    check("f(1)", "f(1)|");
    check("f([1], #{a: \"b\"})", "f([1], #{a: \"b\"})|");
    check("f()", "f()|");
    check("f(⌫", "f|");
    check("f([⌫⌫", "f|");
    check("\"⌫", "|");
    check("f(1⌫⌫", "f|");
    check("\"a\\\"b\"", "\"a\\\"b\"|");
    // One that the user typed is text like any other.
    check("f()←)", "f()|)");
    // The closing bracket goes with its opening one.
    check("f([1␡", "|");
    check("let x = f(←⌫", "let x = |()");
}

#[test]
fn enter_opens_a_line_and_submits_nothing_that_is_not_finished() {
    check("foo(⏎", "foo(\n  |\n)");
    check("if x {⏎y⏎}", "if x {\n  y\n}|");
    check("if x {⏎f(⏎1⏎)⏎}", "if x {\n  f(\n    1\n  )\n}|");
    check("foo(1⏎", "foo(1\n  |)");
    check("[⏎1,⏎2]", "[\n  1,\n  2\n]|");
    // A string has no lines.
    check("print(\"a⏎", "print(\"a\"|)");
    for (keys, text) in [("foo(1)⏎", "foo(1)"), ("foo(→⏎", "foo()"), ("{⏎1⏎}⏎", "{\n  1\n}"), ("\"a\"⏎", "\"a\"")]
    {
        let mut editor = editor(EditMode::Emacs);
        assert_eq!(type_keys(&mut editor, keys), [Action::Submit], "{keys}");
        assert_eq!(editor.text(), text);
    }
    // Esc goes to the begin of the pair in the vi mode.
    let mut vi = editor(EditMode::Vi);
    assert_eq!(type_keys(&mut vi, "foo(⎋⏎"), []);
    assert!(vi.text().contains('\n'), "{}", vi.text());
    let mut again = editor(EditMode::Emacs);
    type_keys(&mut again, "foo(");
    again.set("foo()");
    assert_eq!(type_keys(&mut again, "⏎"), [Action::Submit]);
}

#[test]
fn paste_gets_no_brackets() {
    for mode in [EditMode::Emacs, EditMode::Vi] {
        let mut pasted = editor(mode);
        pasted.paste("f(\"[{");
        assert_eq!(shown(&pasted), "f(\"[{|");
        // Key by key, from a terminal without bracketed paste.
        let mut pasted = editor(mode);
        let mut now = std::time::Instant::now();
        for character in "(1 + [2".chars() {
            now += Duration::from_millis(1);
            let key = KeyEvent::new(KeyCode::Char(character), KeyModifiers::NONE);
            assert_eq!(pasted.key_at(key, now), None);
        }
        assert_eq!(shown(&pasted), "(1 + [2|");
    }
}

#[test]
fn keys_at_random_lose_no_letter_and_never_panic() {
    let keys: Vec<char> = "ab({[]})\" \\⏎⌫←→␡".chars().collect();
    let mut state = 1u64;
    for _ in 0..200 {
        let mut editor = editor(EditMode::Emacs);
        let mut letters = 0;
        for _ in 0..60 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = keys[(state >> 33) as usize % keys.len()];
            let before = editor.text();
            type_keys(&mut editor, &key.to_string());
            let count = editor.text().matches(['a', 'b']).count();
            match key {
                'a' | 'b' => assert_eq!(count, letters + 1, "{before:?} {key}"),
                '⌫' | '␡' => {}
                _ => assert_eq!(count, letters, "{before:?} {key}"),
            }
            letters = count;
        }
    }
}
