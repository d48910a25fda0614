//! Tests of typing, history and completion.

use ratatui::Frame;
use rhai::Engine;

use console::{
    completion::{CompletionItem, CompletionList},
    history::{HistoryEntry, HistoryUpdate},
};

use super::*;
use crate::theme::Theme;

fn new() -> Editor {
    let origin = InputOrigin { circle: "here".into(), ..InputOrigin::default() };
    Editor::new(EditorSetup::default(), origin)
}

fn press(editor: &mut Editor, code: KeyCode) -> Option<Action> {
    editor.key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn typed(text: &str) -> Editor {
    let mut editor = new();
    editor.paste(text);
    editor
}

fn candidates(editor: &Editor, start: usize, texts: &[&str]) -> CompletionList {
    let (input, cursor) = editor.cursor();
    let candidates = texts.iter().map(|text| CompletionItem { text: (*text).into(), detail: String::new() }).collect();
    CompletionList { input, start, cursor, candidates }
}

#[test]
fn history_browsing_restores_the_typed_text() {
    let mut editor = typed("one");
    assert_eq!(editor.take(), "one");
    editor.paste("two\nlines");
    editor.take();
    let zero = HistoryEntry { time: 0, origin: InputOrigin::default(), input: "zero".into() };
    editor.history.lock().update(HistoryUpdate { entries: vec![zero], is_whole: true });
    press(&mut editor, KeyCode::Up);
    assert_eq!(editor.text(), "two\nlines");
    // Up moves through the lines of an input first.
    press(&mut editor, KeyCode::Up);
    press(&mut editor, KeyCode::Up);
    assert_eq!(editor.text(), "one");
    // Inputs of other circles come after those of this one.
    for _ in 0..9 {
        press(&mut editor, KeyCode::Up);
    }
    assert_eq!(editor.text(), "zero");
    for _ in 0..9 {
        press(&mut editor, KeyCode::Down);
    }
    assert_eq!(editor.text(), "");
    editor.paste("on");
    press(&mut editor, KeyCode::Up);
    assert_eq!(editor.text(), "one");
    press(&mut editor, KeyCode::Up);
    press(&mut editor, KeyCode::Down);
    assert_eq!(editor.text(), "on");
}

#[test]
fn letter_that_asks_for_more_completions_inserts_nothing() {
    let mut editor = typed("pri");
    let many: Vec<String> = (0..200).map(|number| format!("print{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(press(&mut editor, KeyCode::Tab), Some(Action::Complete));
    assert!(editor.complete(candidates(&editor, 0, &many)));
    // The circle may know more than it has sent.
    assert_eq!(press(&mut editor, KeyCode::Char('n')), Some(Action::Complete));
    assert!(editor.complete(candidates(&editor, 0, &["print"])));
    assert_eq!(editor.text(), "prin");
    editor.menu = None;
    assert!(editor.complete(candidates(&editor, 0, &["print"])));
    assert_eq!(editor.text(), "print");
    assert!(!editor.complete(candidates(&editor, 0, &[])));
}

#[test]
fn hint_of_the_history_is_accepted_at_the_end() {
    let mut editor = typed("let total = 1");
    editor.take();
    editor.paste("let");
    assert_eq!(editor.hint().as_deref(), Some(" total = 1"));
    press(&mut editor, KeyCode::Left);
    assert_eq!(editor.hint(), None);
    press(&mut editor, KeyCode::Right);
    assert_eq!(editor.text(), "let");
    press(&mut editor, KeyCode::Right);
    assert_eq!(editor.text(), "let total = 1");
    editor.set("le");
    editor.key(KeyEvent::new(KeyCode::Char('f'), KeyModifiers::CONTROL));
    assert_eq!(editor.text(), "let total = 1");
}

#[test]
fn search_lists_inputs_and_takes_one() {
    let mut editor = new();
    for input in ["let total = 1", "total + 1", "other"] {
        editor.paste(input);
        editor.take();
    }
    let search = KeyEvent::new(KeyCode::Char('r'), KeyModifiers::CONTROL);
    editor.paste("tot");
    editor.key(search);
    let mut terminal = ratatui::Terminal::new(ratatui::backend::TestBackend::new(80, 12)).expect("a screen");
    let area = Rect::new(0, 10, 80, 2);
    let draw = |frame: &mut Frame<'_>| editor.draw(frame, area, Theme::plain(), &Engine::new_raw(), true);
    terminal.draw(draw).expect("it is drawn");
    let cells = terminal.backend().buffer().content();
    let shown: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
    assert!(shown.contains("▸  now  here  total + 1") && shown.contains("History"), "{shown}");
    press(&mut editor, KeyCode::Down);
    press(&mut editor, KeyCode::Enter);
    assert_eq!((editor.text().as_str(), editor.search.is_none()), ("let total = 1", true));
    editor.set("typed");
    editor.key(search);
    press(&mut editor, KeyCode::Char('x'));
    assert_eq!(press(&mut editor, KeyCode::Enter), None);
    assert!(editor.search.is_some(), "nothing matches");
    assert_eq!(press(&mut editor, KeyCode::Esc), None);
    assert_eq!((editor.text().as_str(), editor.search.is_none()), ("typed", true));
    // It fits anywhere.
    editor.key(search);
    let mut terminal = ratatui::Terminal::new(ratatui::backend::TestBackend::new(3, 2)).expect("a screen");
    let draw =
        |frame: &mut Frame<'_>| editor.draw(frame, Rect::new(0, 1, 3, 1), Theme::plain(), &Engine::new_raw(), true);
    terminal.draw(draw).expect("it is drawn");
}

#[test]
fn history_excludes_inputs_with_a_leading_space_or_a_secret() {
    let mut editor = typed(" secret");
    editor.take();
    editor.paste(&format!("let k = \"{}\"", "0f".repeat(32)));
    editor.take();
    press(&mut editor, KeyCode::Up);
    assert_eq!(editor.text(), "");
}

#[test]
fn new_lines_are_indented_and_closing_brackets_dedented() {
    let mut editor = typed("fn f(x) {");
    editor.newline();
    assert_eq!(editor.text(), "fn f(x) {\n  ");
    // A blank line keeps no indentation.
    editor.newline();
    assert_eq!(editor.text(), "fn f(x) {\n\n  ");
    editor.paste("x");
    press(&mut editor, KeyCode::End);
    editor.newline();
    press(&mut editor, KeyCode::Char('}'));
    assert_eq!(editor.text(), "fn f(x) {\n\n  x\n}");
}

#[test]
fn text_that_arrives_like_a_paste_is_not_indented() {
    let mut editor = new();
    let mut now = Instant::now();
    for letter in "fn f() {\n    1\n    }".chars() {
        now += std::time::Duration::from_millis(1);
        editor.indentation.key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE), now);
        match letter {
            '\n' => editor.newline(),
            letter => {
                if letter == '}' {
                    editor.dedent(letter, false);
                }
                editor.area.insert_char(letter);
            }
        }
    }
    assert_eq!(editor.text(), "fn f() {\n    1\n    }");
}

#[test]
fn vi_keys_edit_and_leave() {
    let setup = EditorSetup { mode: EditMode::Vi, ..EditorSetup::default() };
    let mut editor = Editor::new(setup, InputOrigin::default());
    editor.paste("x40 + 2");
    for letter in ['0', 'x', 'A'] {
        if letter == '0' {
            assert_eq!(press(&mut editor, KeyCode::Esc), None);
        }
        press(&mut editor, KeyCode::Char(letter));
    }
    press(&mut editor, KeyCode::Char('0'));
    assert_eq!(editor.text(), "40 + 20");
    assert_eq!(press(&mut editor, KeyCode::Esc), None);
    // Enter plays in both modes; Esc leaves the editor from the normal mode.
    assert_eq!(press(&mut editor, KeyCode::Enter), Some(Action::Submit));
    assert_eq!(press(&mut editor, KeyCode::Esc), Some(Action::Focus(Pane::Circles)));
    editor.take();
    press(&mut editor, KeyCode::Char('7'));
    assert_eq!(editor.text(), "7");
    press(&mut editor, KeyCode::Esc);
    editor.set("");
    press(&mut editor, KeyCode::Char('k'));
    assert_eq!(editor.text(), "40 + 20");
    // The search takes letters.
    press(&mut editor, KeyCode::Char('/'));
    press(&mut editor, KeyCode::Char('x'));
    assert_eq!(editor.text(), "40 + 20x");
    press(&mut editor, KeyCode::Esc);
    assert_eq!((editor.text().as_str(), press(&mut editor, KeyCode::Char('x'))), ("40 + 20", None));
    assert_eq!(editor.text(), "40 + 2");
}

#[test]
fn single_candidate_is_inserted_and_several_are_offered() {
    let mut editor = typed("1 + tot");
    assert!(editor.complete(candidates(&editor, 4, &["total"])));
    assert_eq!(editor.text(), "1 + total");
    editor.set("日 + to");
    assert!(editor.complete(candidates(&editor, 4, &["total", "to_lower"])));
    press(&mut editor, KeyCode::Tab);
    assert_eq!(press(&mut editor, KeyCode::Enter), None);
    assert_eq!(editor.text(), "日 + to_lower");
    assert!(!editor.complete(candidates(&editor, 4, &[])));
    assert_eq!(press(&mut editor, KeyCode::Enter), Some(Action::Submit));
}

#[test]
fn menu_draws_candidates_in_full() {
    let mut editor = typed("to");
    let (input, cursor) = editor.cursor();
    let offered = [("total", "a\u{2028}b\u{1b}[2J\u{202e}c"), ("to\u{200b}p", "one\ttab")];
    let candidate = |(text, detail): (&str, &str)| CompletionItem { text: text.into(), detail: detail.into() };
    let candidates = offered.map(candidate).into();
    assert!(editor.complete(CompletionList { input, start: 0, cursor, candidates }));
    let mut terminal = ratatui::Terminal::new(ratatui::backend::TestBackend::new(60, 10)).expect("a screen");
    let area = Rect::new(0, 8, 60, 2);
    let draw = |frame: &mut Frame<'_>| {
        editor.draw(frame, area, Theme::plain(), &Engine::new_raw(), true);
        editor.draw_menu(frame, Theme::plain());
    };
    terminal.draw(draw).expect("it is drawn");
    let cells = terminal.backend().buffer().content();
    let shown: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
    assert!(shown.contains("total  a\u{fffd}b␛[2J\u{fffd}c"), "{shown}");
    assert!(shown.contains("to\u{fffd}p   one    tab"), "{shown}");
    assert!(shown.contains('╭') && shown.contains("1/2 ─╯") || shown.contains("1/2 ╯"), "{shown}");
}

fn offered(editor: &Editor) -> Option<Vec<&str>> {
    editor.menu.as_ref().map(Menu::texts)
}

#[test]
fn menu_narrows_as_the_word_grows_and_widens_again() {
    let mut editor = typed("x = to");
    assert!(editor.complete(candidates(&editor, 4, &["to_int", "to_lower", "total"])));
    press(&mut editor, KeyCode::Down);
    press(&mut editor, KeyCode::Char('_'));
    assert_eq!((editor.text().as_str(), offered(&editor)), ("x = to_", Some(vec!["to_int", "to_lower"])));
    press(&mut editor, KeyCode::Char('l'));
    assert_eq!(offered(&editor), Some(vec!["to_lower"]));
    press(&mut editor, KeyCode::Backspace);
    press(&mut editor, KeyCode::Backspace);
    assert_eq!(offered(&editor), Some(vec!["to_int", "to_lower", "total"]));
    press(&mut editor, KeyCode::Char('t'));
    assert_eq!(press(&mut editor, KeyCode::Enter), None);
    assert_eq!((editor.text().as_str(), offered(&editor)), ("x = total", None));
    // What fits nothing closes it, and Enter runs the input.
    editor.set("to");
    assert!(editor.complete(candidates(&editor, 0, &["to_int", "total"])));
    press(&mut editor, KeyCode::Char(' '));
    assert_eq!((editor.text().as_str(), offered(&editor)), ("to ", None));
    assert_eq!(press(&mut editor, KeyCode::Enter), Some(Action::Submit));
    // A word before the one that is completed closes it, too.
    editor.set("to");
    assert!(editor.complete(candidates(&editor, 1, &["o_int", "otal"])));
    press(&mut editor, KeyCode::Backspace);
    press(&mut editor, KeyCode::Backspace);
    assert_eq!(offered(&editor), None);
}

#[test]
fn menu_fits_every_screen_size() {
    for (width, height) in (1..100).step_by(7).flat_map(|width| (1..16).map(move |height| (width, height))) {
        let mut editor = typed("some text before to");
        let names: Vec<String> = (0..30).map(|number| format!("to_{number}_日本")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(editor.complete(candidates(&editor, 17, &names)));
        editor.document("to_0_日本".into(), "a long explanation of it, ".repeat(9));
        let mut terminal = ratatui::Terminal::new(ratatui::backend::TestBackend::new(width, height)).expect("a screen");
        let area = Rect::new(0, height - 1, width, 1);
        let draw = |frame: &mut Frame<'_>| {
            editor.draw(frame, area, Theme::plain(), &Engine::new_raw(), true);
            editor.draw_menu(frame, Theme::plain());
        };
        terminal.draw(draw).expect("it is drawn");
    }
}

#[test]
fn completion_for_another_text_is_ignored() {
    let mut editor = typed("to");
    let late = candidates(&editor, 0, &["total"]);
    press(&mut editor, KeyCode::Char('x'));
    assert!(editor.complete(late));
    assert_eq!(editor.text(), "tox");
}

#[test]
fn ctrl_x_ctrl_e_opens_the_external_editor() {
    let mut editor = typed("one");
    let mut control = |letter| editor.key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL));
    assert_eq!((control('x'), control('e')), (None, Some(Action::Edit)));
    assert_eq!((control('x'), control('x'), control('e')), (None, None, Some(Action::Edit)));
    assert_eq!(control('e'), None);
    assert_eq!(editor.text(), "one");
}

#[test]
fn paste_is_bounded_and_normalizes_line_ends() {
    let mut editor = typed("a\r\nb\rc");
    assert_eq!(editor.text(), "a\nb\nc");
    editor.set("");
    assert!(!editor.paste(&"é".repeat(MAX_BYTES)));
    assert!(editor.text().len() <= MAX_BYTES);
}
