//! Tests of typing, history and completion.

use console::completion::CompletionItem;

use super::*;

fn press(editor: &mut Editor, code: KeyCode) -> Option<Action> {
    editor.key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn typed(text: &str) -> Editor {
    let mut editor = Editor::new();
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
    editor.set_history(vec!["zero".into()]);
    editor.paste("unfinished");
    press(&mut editor, KeyCode::Up);
    assert_eq!(editor.text(), "two\nlines");
    // Up moves through the lines of an input first.
    press(&mut editor, KeyCode::Up);
    press(&mut editor, KeyCode::Up);
    assert_eq!(editor.text(), "one");
    for _ in 0..9 {
        press(&mut editor, KeyCode::Up);
    }
    assert_eq!(editor.text(), "zero");
    for _ in 0..9 {
        press(&mut editor, KeyCode::Down);
    }
    assert_eq!(editor.text(), "unfinished");
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
    let draw = |frame: &mut Frame<'_>| editor.draw(frame, area, Theme::new(false), &Engine::new_raw(), true);
    terminal.draw(draw).expect("it is drawn");
    let cells = terminal.backend().buffer().content();
    let shown: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
    assert!(shown.contains("total  a\u{fffd}b␛[2J\u{fffd}c"), "{shown}");
    assert!(shown.contains("to\u{fffd}p   one    tab"), "{shown}");
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
