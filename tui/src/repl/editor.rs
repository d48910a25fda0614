//! What is being typed: several lines, the history behind them, the candidates for the word at the cursor.

use std::collections::VecDeque;

use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    layout::{Position, Rect},
    style::Stylize,
    text::{Line, Span},
    widgets::{Clear, Paragraph},
};
use ratatui_textarea::{CursorMove, TextArea};
use rhai::Engine;

use crate::{action::Action, help::Hint, theme::Theme, wrap};
use console::{completion::{self, Candidate, Completion}, highlight, history};

/// Columns before what is typed.
const PROMPT: u16 = 2;

/// Bytes of an input.
const MAX_BYTES: usize = 256 << 10;

/// Rows of candidates that are shown.
const MENU: u16 = 6;

#[derive(Debug, Default)]
pub(crate) struct Editor {
    area: TextArea<'static>,
    history: Vec<String>,
    /// Which input of the history is shown, and what was typed before it.
    browsing: Option<(usize, String)>,
    menu: Option<Menu>,
    /// Inputs that come after the one that is shown, each by itself: as one text they could mean something else.
    drafts: VecDeque<String>,
    /// Whether the key before was Ctrl-X.
    is_prefixed: bool,
}

#[derive(Debug)]
struct Menu {
    completion: Completion,
    selected: usize,
}

/// What can be done in the editor.
pub(crate) const HINTS: &[Hint] = &[
    ("Enter", "run a complete input, continue an incomplete one"),
    ("Alt-Enter Ctrl-J", "a new line, whatever stands before it"),
    ("Tab", "complete"),
    ("↑ ↓", "earlier inputs"),
    ("Ctrl-C", "cancel the running play, keeping the session; otherwise clear the input"),
    ("PgUp PgDn", "scroll what was said"),
    ("Esc", "leave the editor: then letters are keys, and 1-4 choose a pane"),
    ("Ctrl-X Ctrl-E", "go on in $EDITOR"),
    (":help", "the commands of the REPL"),
];

/// The same, for the footer.
pub(crate) const SHORT_HINTS: &[Hint] = &[
    ("Enter", "run"),
    ("Esc", "leave"),
    ("F1", "help"),
    ("Tab", "complete"),
    ("↑", "history"),
    ("Ctrl-C", "cancel"),
    ("Alt-Enter", "newline"),
];

impl Editor {
    pub(crate) fn new() -> Self {
        Self { area: empty(), ..Self::default() }
    }

    pub(crate) fn text(&self) -> String {
        self.area.lines().join("\n")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    pub(crate) fn set(&mut self, text: &str) {
        self.area = empty();
        self.area.insert_str(text);
        self.menu = None;
    }

    /// Shows the first of several inputs; each of the others comes once the one before is taken. What is typed comes last.
    pub(crate) fn give_back(&mut self, inputs: impl IntoIterator<Item = String>) {
        let after = self.take_all();
        self.drafts = inputs.into_iter().chain(after).collect();
        self.next();
    }

    /// What is typed, and what comes after it; the history need not remember it.
    pub(crate) fn take_all(&mut self) -> Vec<String> {
        let typed = Some(self.text()).filter(|text| !text.is_empty());
        self.set("");
        self.browsing = None;
        typed.into_iter().chain(self.drafts.drain(..)).collect()
    }

    /// How many inputs come after the one that is shown.
    pub(crate) fn drafts(&self) -> usize {
        self.drafts.len()
    }

    /// Shows the next input in the place of what is typed.
    pub(crate) fn next(&mut self) {
        let next = self.drafts.pop_front().unwrap_or_default();
        self.set(&next);
        self.browsing = None;
    }

    /// Takes what is typed, which the history remembers.
    pub(crate) fn take(&mut self) -> String {
        let text = self.remember();
        self.next();
        text
    }

    fn remember(&mut self) -> String {
        let text = self.text();
        self.set("");
        self.browsing = None;
        if history::is_kept(&text) && !text.trim().is_empty() && self.history.last() != Some(&text) {
            self.history.push(text.clone());
        }
        text
    }

    /// What was typed before, newest first.
    pub(crate) fn past_inputs(&self) -> impl Iterator<Item = &str> {
        self.history.iter().rev().map(String::as_str)
    }

    /// The inputs of earlier days, behind which those of today go that are not among them.
    pub(crate) fn set_history(&mut self, earlier: Vec<String>) {
        let today = std::mem::replace(&mut self.history, earlier);
        let is_new = |input: &String| !self.history.contains(input);
        let today: Vec<String> = today.into_iter().filter(is_new).collect();
        self.history.extend(today);
        self.browsing = None;
    }

    /// What was typed so far was typed as someone else.
    pub(crate) fn forget_history(&mut self) {
        self.history.clear();
        self.browsing = None;
    }

    /// Shows an earlier input. What is typed goes into the history, where Up finds it.
    pub(crate) fn recall(&mut self, text: &str) {
        if !self.is_empty() {
            self.remember();
        }
        self.set(text);
    }

    /// What is typed, up to the cursor in characters.
    pub(crate) fn cursor(&self) -> (String, usize) {
        let cursor = self.area.cursor();
        let before: usize = self.area.lines().iter().take(cursor.0).map(|line| line.chars().count() + 1).sum();
        (self.text(), before + cursor.1)
    }

    /// False if not all of it finds room.
    pub(crate) fn paste(&mut self, text: &str) -> bool {
        let room = MAX_BYTES.saturating_sub(self.text().len());
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        self.area.insert_str(&text[..text.floor_char_boundary(room)]);
        self.menu = None;
        text.len() <= room
    }

    pub(crate) fn newline(&mut self) {
        self.area.insert_newline();
        self.menu = None;
    }

    pub(crate) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        if self.menu.is_some() && self.menu_key(key) {
            return None;
        }
        self.menu = None;
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        let is_prefixed = std::mem::take(&mut self.is_prefixed);
        match key.code {
            KeyCode::Char('x') if is_control => self.is_prefixed = true,
            KeyCode::Char('e') if is_control && is_prefixed => return Some(Action::Edit),
            KeyCode::Enter if key.modifiers.contains(KeyModifiers::ALT) => self.newline(),
            KeyCode::Char('j') if is_control => self.newline(),
            KeyCode::Enter => return Some(Action::Submit),
            KeyCode::Tab if self.is_at_indent() => {
                self.area.insert_str("  ");
            }
            KeyCode::Tab => return Some(Action::Complete),
            KeyCode::Esc => return Some(Action::StopTyping),
            KeyCode::Up if self.area.cursor().0 == 0 => self.browse(-1),
            KeyCode::Down if self.area.cursor().0 + 1 == self.area.lines().len() => self.browse(1),
            // As every shell has it; the library's own meaning is another one.
            KeyCode::Char('u') if is_control => {
                self.area.delete_line_by_head();
            }
            _ => {
                // With Shift the library would select what is not shown as selected, and the next letter replace it.
                let is_move = !matches!(key.code, KeyCode::Char(_));
                let modifiers = if is_move { key.modifiers - KeyModifiers::SHIFT } else { key.modifiers };
                self.area.input(KeyEvent { modifiers, ..key });
            }
        }
        None
    }

    /// Whether nothing but space is before the cursor in its line, and something is before that line: Tab indents.
    fn is_at_indent(&self) -> bool {
        let cursor = self.area.cursor();
        let line = self.area.lines().get(cursor.0).map_or("", String::as_str);
        self.area.lines().len() > 1 && line.chars().take(cursor.1).all(char::is_whitespace)
    }

    fn browse(&mut self, step: isize) {
        let at = self.browsing.as_ref().map_or(self.history.len(), |(at, _)| *at);
        let Some(next) = at.checked_add_signed(step).filter(|next| *next <= self.history.len()) else { return };
        let typed = match self.browsing.take() {
            Some((_, typed)) => typed,
            None => self.text(),
        };
        let Some(input) = self.history.get(next).cloned() else {
            return self.set(&typed);
        };
        self.set(&input);
        self.browsing = Some((next, typed));
    }

    /// Shows candidates; a single one is taken at once. False if they are none for what is typed now.
    pub(crate) fn complete(&mut self, completion: Completion) -> bool {
        let (text, cursor) = self.cursor();
        if (&completion.input, completion.cursor) != (&text, cursor) {
            return true;
        }
        match completion.candidates.as_slice() {
            [] => return false,
            [only] => {
                let only = only.text.clone();
                self.replace(completion.start, cursor, &only);
            }
            _ => self.menu = Some(Menu { completion, selected: 0 }),
        }
        true
    }

    fn replace(&mut self, start: usize, end: usize, text: &str) {
        for _ in start..end {
            self.area.delete_char();
        }
        self.area.insert_str(text);
    }

    /// Whether the key was one for the candidates.
    fn menu_key(&mut self, key: KeyEvent) -> bool {
        let Some(menu) = &mut self.menu else { return false };
        let count = menu.completion.candidates.len();
        match key.code {
            KeyCode::Tab | KeyCode::Down => menu.selected = (menu.selected + 1) % count,
            KeyCode::BackTab | KeyCode::Up => menu.selected = (menu.selected + count - 1) % count,
            KeyCode::Esc => self.menu = None,
            KeyCode::Enter => {
                if let Some(Menu { completion, selected }) = self.menu.take() {
                    let chosen = completion.candidates[selected].text.clone();
                    self.replace(completion.start, completion.cursor, &chosen);
                }
            }
            _ => return false,
        }
        true
    }

    /// Rows that it wants at that width.
    pub(crate) fn height(&self, width: u16) -> u16 {
        let width = width.saturating_sub(PROMPT);
        let rows: usize = self.area.lines().iter().map(|line| wrap::rows(Line::from(line.clone()), width).len()).sum();
        u16::try_from(rows.max(1)).unwrap_or(u16::MAX)
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect, theme: Theme, lexer: &Engine, has_focus: bool) {
        let width = area.width.saturating_sub(PROMPT);
        let cursor = self.area.cursor();
        let (mut rows, mut at) = (Vec::new(), (0, 0));
        let (text, place) = self.cursor();
        let lines = match completion::byte(&text, place).filter(|_| has_focus) {
            Some(place) => highlight::lines_at(lexer, &text, place),
            None => highlight::lines(lexer, &text),
        };
        for (number, line) in lines.iter().enumerate() {
            if number == cursor.0 {
                let before: String = self.area.lines()[number].chars().take(cursor.1).collect();
                let (row, column) = wrap::place(&before.replace('\t', "    "), width);
                at = (rows.len() + usize::from(row), column);
            }
            for (index, row) in wrap::rows(theme.line(line), width).into_iter().enumerate() {
                let prompt = match (number, index) {
                    (0, 0) => "> ",
                    (_, 0) => "| ",
                    _ => "  ",
                };
                let mut spans = vec![Span::styled(prompt, theme.border(has_focus))];
                spans.extend(row.spans);
                rows.push(Line::from(spans));
            }
        }
        let height = usize::from(area.height.max(1));
        let first = (at.0 + 1).saturating_sub(height);
        frame.render_widget(Paragraph::new(rows.into_iter().skip(first).take(height).collect::<Vec<_>>()), area);
        if has_focus && area.height > 0 {
            let row = u16::try_from(at.0 - first).unwrap_or(0).min(area.height - 1);
            let place = Position::new((area.x + PROMPT + at.1).min(area.right().saturating_sub(1)), area.y + row);
            frame.set_cursor_position(place);
            self.draw_menu(frame, place, theme);
        }
    }

    fn draw_menu(&self, frame: &mut Frame<'_>, cursor: Position, theme: Theme) {
        let Some(Menu { completion, selected }) = &self.menu else { return };
        let screen = frame.area();
        let height = MENU.min(u16::try_from(completion.candidates.len()).unwrap_or(MENU)).min(cursor.y);
        let first = (selected + 1).saturating_sub(usize::from(height));
        let shown: Vec<_> = completion.candidates.iter().enumerate().skip(first).take(usize::from(height)).collect();
        let longest = |text: fn(&Candidate) -> usize| shown.iter().map(|(_, one)| text(one)).max();
        // More columns than any screen has would be more than a format takes.
        let name = longest(|one| one.text.chars().count()).unwrap_or(0).min(200);
        let detail = longest(|one| one.detail.chars().count()).unwrap_or(0).min(200);
        let width = u16::try_from(name + detail + 4).unwrap_or(u16::MAX).min(screen.width);
        let x = cursor.x.min(screen.right().saturating_sub(width));
        let area = Rect { x, y: cursor.y - height, width, height };
        let rows: Vec<Line<'_>> = shown
            .into_iter()
            .map(|(index, one)| {
                let line = Line::from(vec![
                    Span::raw(format!(" {:name$}  ", one.text)),
                    Span::raw(format!("{:detail$} ", one.detail)).dim(),
                ]);
                if index == *selected { line.style(theme.selected()) } else { line }
            })
            .collect();
        frame.render_widget(Clear, area);
        frame.render_widget(Paragraph::new(rows), area);
    }
}

fn empty() -> TextArea<'static> {
    let mut area = TextArea::default();
    area.move_cursor(CursorMove::End);
    area
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(editor: &mut Editor, code: KeyCode) -> Option<Action> {
        editor.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn typed(text: &str) -> Editor {
        let mut editor = Editor::new();
        editor.paste(text);
        editor
    }

    fn candidates(editor: &Editor, start: usize, texts: &[&str]) -> Completion {
        let (input, cursor) = editor.cursor();
        let candidates = texts.iter().map(|text| Candidate { text: (*text).into(), detail: String::new() }).collect();
        Completion { input, start, cursor, candidates }
    }

    #[test]
    fn the_history_is_walked_and_what_was_typed_comes_back() {
        let mut editor = typed("one");
        assert_eq!(editor.take(), "one");
        editor.paste("two\nlines");
        editor.take();
        editor.set_history(vec!["zero".into()]);
        editor.paste("unfinished");
        press(&mut editor, KeyCode::Up);
        assert_eq!(editor.text(), "two\nlines");
        // Through its lines first.
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
    fn what_begins_with_a_space_or_holds_a_secret_is_not_remembered() {
        let mut editor = typed(" secret");
        editor.take();
        editor.paste(&format!("let k = \"{}\"", "0f".repeat(32)));
        editor.take();
        press(&mut editor, KeyCode::Up);
        assert_eq!(editor.text(), "");
    }

    #[test]
    fn the_only_candidate_is_taken_and_several_are_offered() {
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
    fn an_answer_about_another_text_changes_nothing() {
        let mut editor = typed("to");
        let late = candidates(&editor, 0, &["total"]);
        press(&mut editor, KeyCode::Char('x'));
        assert!(editor.complete(late));
        assert_eq!(editor.text(), "tox");
    }

    #[test]
    fn two_keys_ask_for_another_program_and_neither_is_typed() {
        let mut editor = typed("one");
        let mut control = |letter| editor.key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL));
        assert_eq!((control('x'), control('e')), (None, Some(Action::Edit)));
        assert_eq!((control('x'), control('x'), control('e')), (None, None, Some(Action::Edit)));
        assert_eq!(control('e'), None);
        assert_eq!(editor.text(), "one");
    }

    #[test]
    fn a_paste_is_bounded_and_its_line_ends_are_lines() {
        let mut editor = typed("a\r\nb\rc");
        assert_eq!(editor.text(), "a\nb\nc");
        editor.set("");
        assert!(!editor.paste(&"é".repeat(MAX_BYTES)));
        assert!(editor.text().len() <= MAX_BYTES);
    }
}
