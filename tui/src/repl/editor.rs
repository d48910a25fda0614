//! The editor: several lines of input, with history and completion.

mod menu;
mod search_list;
#[cfg(test)]
mod tests;
mod vi;

use std::{cell::Cell, collections::VecDeque, sync::Arc, time::Instant};

use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    layout::{Position, Rect},
    style::Stylize,
    text::{Line, Span},
    widgets::Paragraph,
};
use ratatui_textarea::{CursorMove, TextArea};
use rhai::Engine;

use console::{
    completion::{self, CompletionList},
    highlight,
    history::{self, HistoryBrowser, HistoryEntry, HistorySearch, InputOrigin, SharedHistory},
    indent::{INDENT, Indenter, PasteDetector},
};

use frontend::{edit_mode::EditMode, visible::visible};

use crate::{action::Action, help::Hint, layout::Pane, theme::Theme, wrap};
use menu::{Menu, MenuOutcome};
use vi::{ViKeys, ViOutcome};

/// Columns of the prompt.
pub(super) const PROMPT_COLUMNS: u16 = 2;

/// Largest input in bytes.
const MAX_BYTES: usize = 256 << 10;

#[derive(Debug, Default)]
pub(crate) struct Editor {
    area: TextArea<'static>,
    history: SharedHistory,
    /// The circle and the key that inputs are for.
    origin: InputOrigin,
    browser: HistoryBrowser,
    search: Option<HistorySearch>,
    menu: Option<Menu>,
    /// Where the cursor was drawn.
    cursor_at: Position,
    /// Inputs that come after the one that is shown, one by one: joined into one text, they could mean something else.
    drafts: VecDeque<String>,
    /// Where it was last drawn, and the first row there.
    drawn: Cell<(Rect, usize)>,
    /// Whether the last key was Ctrl-X.
    is_prefixed: bool,
    /// State of the vi keys, if the user has chosen them.
    vi: Option<ViKeys>,
    indenter: Indenter,
    paste_detector: PasteDetector,
    /// Whether the last key belongs to pasted text that arrives key by key.
    is_pasted: bool,
    /// Whether the last key was Enter, which indented a new line.
    is_indented: bool,
}

/// What the editors of all sessions share.
#[derive(Debug, Clone, Default)]
pub(crate) struct EditorSetup {
    pub history: SharedHistory,
    pub mode: EditMode,
}

/// What the menu does with a key press.
enum MenuKey {
    Used(Option<Action>),
    /// The editor handles it, and the menu narrows.
    Typed,
    Unused,
}

/// Key hints of the editor.
pub(crate) const HINTS: &[Hint] = &[
    ("Enter", "run a complete input, continue an incomplete one"),
    ("Alt-Enter Ctrl-J", "insert a new line"),
    ("Tab", "complete"),
    ("↑ ↓", "earlier inputs that begin with the typed text"),
    ("→ Ctrl-F", "accept the grey hint from the history"),
    ("Ctrl-R", "search the inputs of all circles and keys; again: of this circle"),
    ("Ctrl-C", "cancel the running play (keeps your variables); otherwise clear the input"),
    ("Ctrl-O", "copy the last output"),
    ("PgUp PgDn", "scroll the transcript (Ctrl-↑ Ctrl-↓: by a line)"),
    ("F3", "search the transcript (in the other panes: /)"),
    ("Ctrl-Home Ctrl-End", "scroll to the oldest line, follow new output"),
    ("Esc", "close the completions; otherwise go to Circles, where letters are commands"),
    ("Shift-Tab", "go to Keys"),
    ("Ctrl-X Ctrl-E", "continue in $EDITOR"),
    (":help", "the commands of the REPL"),
];

/// Key hints for the footer.
pub(crate) const SHORT_HINTS: &[Hint] = &[
    ("Enter", "run"),
    ("Esc", "circles"),
    ("F1", "help"),
    ("Tab", "complete"),
    ("↑", "history"),
    ("Ctrl-C", "cancel"),
    ("Ctrl-O", "copy"),
    ("Alt-Enter", "newline"),
];

impl Editor {
    pub(crate) fn new(setup: EditorSetup, origin: InputOrigin) -> Self {
        let vi = (setup.mode == EditMode::Vi).then(ViKeys::default);
        Self { area: empty(), history: setup.history, origin, vi, ..Self::default() }
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
        (self.menu, self.search) = (None, None);
    }

    /// Shows the first of several inputs; the others follow one by one, and the present text comes last.
    pub(crate) fn restore(&mut self, inputs: impl IntoIterator<Item = String>) {
        let after = self.take_all();
        self.drafts = inputs.into_iter().chain(after).collect();
        self.next_draft();
    }

    /// Takes the present text and the inputs after it, without adding them to the history.
    pub(crate) fn take_all(&mut self) -> Vec<String> {
        let typed = Some(self.text()).filter(|text| !text.is_empty());
        self.set("");
        typed.into_iter().chain(self.drafts.drain(..)).collect()
    }

    /// Returns the number of inputs after the one that is shown.
    pub(crate) fn drafts(&self) -> usize {
        self.drafts.len()
    }

    /// Replaces the text with the next input.
    pub(crate) fn next_draft(&mut self) {
        let next = self.drafts.pop_front().unwrap_or_default();
        self.set(&next);
    }

    /// Takes the text, and adds it to the history.
    pub(crate) fn take(&mut self) -> String {
        let text = self.remember();
        self.next_draft();
        text
    }

    fn remember(&mut self) -> String {
        let text = self.text();
        self.set("");
        self.browser = HistoryBrowser::default();
        if let Some(vi) = &mut self.vi {
            vi.reset();
        }
        if history::is_kept(&text) {
            self.history.lock().push(HistoryEntry::now(self.origin.clone(), &text));
        }
        text
    }

    /// Returns the inputs of this circle in the history, newest first.
    pub(crate) fn past_inputs(&self) -> Vec<Arc<str>> {
        let mut inputs = self.history.lock().inputs_of(&self.origin.circle);
        inputs.reverse();
        inputs
    }

    /// Sets the circle and the key that inputs are for.
    pub(crate) fn set_origin(&mut self, origin: InputOrigin) {
        self.origin = origin;
    }

    /// Shows an input of the history. The present text goes into the history, so that Up finds it.
    pub(crate) fn recall(&mut self, text: &str) {
        if !self.is_empty() {
            self.remember();
        }
        self.set(text);
    }

    /// Returns the text and the position of the cursor in characters.
    pub(crate) fn cursor(&self) -> (String, usize) {
        let cursor = self.area.cursor();
        let before: usize = self.area.lines().iter().take(cursor.0).map(|line| line.chars().count() + 1).sum();
        (self.text(), before + cursor.1)
    }

    /// Inserts a text. Returns whether all of it found room.
    pub(crate) fn paste(&mut self, text: &str) -> bool {
        let room = MAX_BYTES.saturating_sub(self.text().len());
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        self.area.insert_str(&text[..text.floor_char_boundary(room)]);
        self.menu = None;
        text.len() <= room
    }

    /// Inserts a line, and indents it unless it is pasted.
    pub(crate) fn newline(&mut self) {
        self.menu = None;
        if self.is_pasted {
            self.area.insert_newline();
            return;
        }
        let before = self.before_cursor();
        let indent = self.indenter.next_line(&before);
        // A blank line keeps no indentation.
        let line = before.rsplit('\n').next().unwrap_or_default();
        if line.chars().all(|character| character == ' ') {
            self.delete_before(line.len());
        }
        self.is_indented = !indent.is_empty();
        self.area.insert_str(format!("\n{indent}"));
    }

    /// Returns the text before the cursor.
    fn before_cursor(&self) -> String {
        let (text, cursor) = self.cursor();
        text.chars().take(cursor).collect()
    }

    fn delete_before(&mut self, characters: usize) {
        for _ in 0..characters {
            self.area.delete_char();
        }
    }

    /// Gives the line of a closing bracket its indentation. A paste is changed only where its new line was indented.
    fn dedent(&mut self, closing: char, was_indented: bool) {
        if self.is_pasted && !was_indented {
            return;
        }
        let before = self.before_cursor();
        if let Some(indent) = self.indenter.dedented(&before, closing) {
            self.delete_before(before.len() - before.trim_end_matches(' ').len());
            self.area.insert_str(indent);
        }
    }

    pub(crate) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        let is_plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        let is_text = is_plain && matches!(key.code, KeyCode::Char(_) | KeyCode::Enter);
        self.is_pasted = self.paste_detector.is_pasted(is_text, Instant::now());
        let was_indented = std::mem::take(&mut self.is_indented);
        let key = match &mut self.vi {
            Some(vi) if self.menu.is_none() && self.search.is_none() => match vi.key(&mut self.area, key) {
                ViOutcome::Handled => return None,
                ViOutcome::Pass(key) => key,
            },
            _ => key,
        };
        let action = self.edit_key(key, was_indented);
        if let Some(vi) = self.vi.as_ref().filter(|_| self.search.is_none()) {
            vi.keep_on_character(&mut self.area);
        }
        action
    }

    fn edit_key(&mut self, key: KeyEvent, was_indented: bool) -> Option<Action> {
        if self.search_key(key) || self.menu.is_none() && self.hint_key(key) {
            return None;
        }
        match self.menu_key(key) {
            MenuKey::Used(action) => action,
            MenuKey::Typed => self.input_key(key, was_indented).or_else(|| self.narrow_menu()),
            MenuKey::Unused => self.input_key(key, was_indented),
        }
    }

    /// Handles a key press that the menu does not use.
    fn input_key(&mut self, key: KeyEvent, was_indented: bool) -> Option<Action> {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        let is_prefixed = std::mem::take(&mut self.is_prefixed);
        match key.code {
            KeyCode::Char('x') if is_control => self.is_prefixed = true,
            KeyCode::Char('e') if is_control && is_prefixed => return Some(Action::Edit),
            KeyCode::Enter if key.modifiers.contains(KeyModifiers::ALT) => self.newline(),
            KeyCode::Char('j') if is_control => self.newline(),
            KeyCode::Enter => return Some(Action::Submit),
            KeyCode::Tab if self.is_at_indent() => {
                self.area.insert_str(INDENT);
            }
            KeyCode::Tab => return Some(Action::Complete),
            KeyCode::Esc => return Some(Action::Focus(Pane::Circles)),
            KeyCode::BackTab => return Some(Action::Focus(Pane::Repl.step(-1))),
            KeyCode::Up if self.area.cursor().0 == 0 => self.show_older(),
            KeyCode::Down if self.area.cursor().0 + 1 == self.area.lines().len() => self.show_newer(),
            KeyCode::Char('r') if is_control => {
                self.search = Some(HistorySearch::new(&self.text()));
                self.area.move_cursor(CursorMove::Bottom);
                self.area.move_cursor(CursorMove::End);
            }
            // Like in every shell; the library binds the key to something else.
            KeyCode::Char('u') if is_control => {
                self.area.delete_line_by_head();
            }
            _ => {
                if let KeyCode::Char(closing @ ('}' | ']' | ')')) = key.code {
                    self.dedent(closing, was_indented);
                }
                // With Shift the library would make an invisible selection, which the next letter would replace.
                let is_move = !matches!(key.code, KeyCode::Char(_));
                let modifiers = if is_move { key.modifiers - KeyModifiers::SHIFT } else { key.modifiers };
                self.area.input(KeyEvent { modifiers, ..key });
            }
        }
        None
    }

    /// Returns whether Tab indents: the cursor has only whitespace before it in its line, and there are several lines.
    fn is_at_indent(&self) -> bool {
        let cursor = self.area.cursor();
        let line = self.area.lines().get(cursor.0).map_or("", String::as_str);
        self.area.lines().len() > 1 && line.chars().take(cursor.1).all(char::is_whitespace)
    }

    fn show_older(&mut self) {
        let (text, cursor) = self.cursor();
        let prefix: String = text.chars().take(cursor).collect();
        let older = self.browser.older(&self.history.lock(), &self.origin.circle, &text, &prefix);
        if let Some(input) = older {
            self.set(&input);
        }
    }

    fn show_newer(&mut self) {
        if let Some(input) = self.browser.newer(&self.text()) {
            self.set(&input);
        }
    }

    /// Returns how the text goes on in the history, if the cursor is at its end.
    fn hint(&self) -> Option<String> {
        let (text, cursor) = self.cursor();
        let is_typing = self.menu.is_none() && self.search.is_none() && cursor == text.chars().count();
        if is_typing { self.history.lock().hint(&self.origin.circle, &text) } else { None }
    }

    /// Passes a key to the hint. Returns whether the key accepts it.
    fn hint_key(&mut self, key: KeyEvent) -> bool {
        let accepts = match key.code {
            KeyCode::Right | KeyCode::End => key.modifiers.is_empty(),
            KeyCode::Char('f') => key.modifiers == KeyModifiers::CONTROL,
            _ => false,
        };
        match self.hint().filter(|_| accepts) {
            Some(rest) => self.area.insert_str(rest),
            None => false,
        }
    }

    /// Passes a key to an open search. Returns whether the search used it; other keys edit its text.
    fn search_key(&mut self, key: KeyEvent) -> bool {
        let text = self.text();
        let Some(search) = &mut self.search else { return false };
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc => {
                let original = search.original().to_owned();
                self.set(&original);
            }
            KeyCode::Char('g') if is_control => {
                let original = search.original().to_owned();
                self.set(&original);
            }
            KeyCode::Char('r') if is_control => search.toggle_scope(),
            KeyCode::Up => search.select(false),
            KeyCode::Down => search.select(true),
            KeyCode::Enter | KeyCode::Tab => {
                let selected = search.selected(&self.history.lock(), &self.origin.circle, &text);
                // With no match, the search stays open.
                if let Some(input) = selected {
                    self.set(&input);
                }
            }
            KeyCode::Char('j') if is_control => {}
            _ => return false,
        }
        true
    }

    /// Shows completions, or inserts the only one. Returns false if there are none for the present text.
    pub(crate) fn complete(&mut self, completion: CompletionList) -> bool {
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
            _ => self.menu = Some(Menu::new(completion)),
        }
        true
    }

    /// Has the menu show what fits the word after a key press. If the circle may know more, it is asked again.
    fn narrow_menu(&mut self) -> Option<Action> {
        let menu = self.menu.take()?;
        let (text, cursor) = self.cursor();
        let is_cut = menu.is_cut();
        self.menu = menu.narrow(&text, cursor);
        if is_cut { Some(Action::Complete) } else { self.undocumented() }
    }

    /// Returns the request for the documentation of the selected completion, if it is not known.
    pub(crate) fn undocumented(&self) -> Option<Action> {
        self.menu.as_ref()?.undocumented().map(|name| Action::Document(name.to_owned()))
    }

    /// Shows the documentation of a completion in the menu.
    pub(crate) fn document(&mut self, name: String, doc: String) {
        if let Some(menu) = &mut self.menu {
            menu.set_doc(name, doc);
        }
    }

    fn replace(&mut self, start: usize, end: usize, text: &str) {
        for _ in start..end {
            self.area.delete_char();
        }
        self.area.insert_str(text);
    }

    fn menu_key(&mut self, key: KeyEvent) -> MenuKey {
        let Some(menu) = self.menu.take() else { return MenuKey::Unused };
        match menu.key(key) {
            MenuOutcome::Open(menu) => {
                self.menu = Some(menu);
                return MenuKey::Used(self.undocumented());
            }
            MenuOutcome::Closed => {}
            MenuOutcome::Accepted { start, end, text } => self.replace(start, end, &text),
            MenuOutcome::Typed(menu) => {
                self.menu = Some(menu);
                return MenuKey::Typed;
            }
            MenuOutcome::Unhandled => return MenuKey::Unused,
        }
        MenuKey::Used(None)
    }

    /// Returns where it was last drawn.
    pub(crate) fn area(&self) -> Rect {
        self.drawn.get().0
    }

    /// Moves the cursor to a place on the screen.
    pub(crate) fn click(&mut self, at: Position) {
        let (area, first) = self.drawn.get();
        let width = area.width.saturating_sub(PROMPT_COLUMNS);
        let column = at.x.saturating_sub(area.x).saturating_sub(PROMPT_COLUMNS);
        let mut row = first + usize::from(at.y.saturating_sub(area.y));
        self.menu = None;
        for (number, line) in self.area.lines().iter().enumerate() {
            let line = line.replace('\t', "    ");
            let rows = wrap::wrap_anywhere(Line::from(line.clone()), width).len();
            if row < rows {
                let index = wrap::character_at(&self.area.lines()[number], width, (row, column.into()));
                let short = |value: usize| u16::try_from(value).unwrap_or(u16::MAX);
                return self.area.move_cursor(CursorMove::Jump(short(number), short(index)));
            }
            row -= rows;
        }
        self.area.move_cursor(CursorMove::Bottom);
        self.area.move_cursor(CursorMove::End);
    }

    /// Returns the number of rows at a width.
    pub(crate) fn height(&self, width: u16) -> u16 {
        let width = width.saturating_sub(PROMPT_COLUMNS);
        let rows: usize =
            self.area.lines().iter().map(|line| wrap::wrap_anywhere(Line::from(line.clone()), width).len()).sum();
        u16::try_from(rows.max(1)).unwrap_or(u16::MAX)
    }

    pub(crate) fn draw(&mut self, frame: &mut Frame<'_>, area: Rect, theme: Theme, lexer: &Engine, has_focus: bool) {
        let width = area.width.saturating_sub(PROMPT_COLUMNS);
        let cursor = self.area.cursor();
        let (mut rows, mut at) = (Vec::new(), (0, 0));
        let (text, cursor_index) = self.cursor();
        let lines = match completion::byte(&text, cursor_index).filter(|_| has_focus) {
            Some(cursor_index) => highlight::lines_at(lexer, &text, cursor_index),
            None => highlight::lines(lexer, &text),
        };
        let hint = self.hint().filter(|_| has_focus);
        for (number, line) in lines.iter().enumerate() {
            let mut shown = theme.line(line);
            if number + 1 == lines.len()
                && let Some(hint) = &hint
            {
                shown.push_span(Span::raw(visible(hint).into_owned()).dim());
            }
            if number == cursor.0 {
                let before: String = self.area.lines()[number].chars().take(cursor.1).collect();
                let (row, column) = wrap::cursor_position(&before.replace('\t', "    "), width);
                at = (rows.len() + usize::from(row), column);
            }
            for (index, row) in wrap::wrap_anywhere(shown, width).into_iter().enumerate() {
                let prompt = match (number, index) {
                    (0, 0) if self.vi.as_ref().is_some_and(ViKeys::is_normal) => "< ",
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
        self.drawn.set((area, first));
        frame.render_widget(Paragraph::new(rows.into_iter().skip(first).take(height).collect::<Vec<_>>()), area);
        if has_focus && area.height > 0 {
            let row = u16::try_from(at.0 - first).unwrap_or(0).min(area.height - 1);
            let cursor_index =
                Position::new((area.x + PROMPT_COLUMNS + at.1).min(area.right().saturating_sub(1)), area.y + row);
            frame.set_cursor_position(cursor_index);
            self.cursor_at = cursor_index;
            if let Some(search) = &mut self.search {
                search_list::draw(frame, area, theme, |size| {
                    search.rows(&self.history.lock(), &self.origin.circle, &text, size)
                });
            }
        }
    }

    /// Draws the menu above the cursor, over everything else.
    pub(crate) fn draw_menu(&self, frame: &mut Frame<'_>, theme: Theme) {
        if let Some(menu) = &self.menu {
            menu.draw(frame, self.cursor_at, theme);
        }
    }
}

fn empty() -> TextArea<'static> {
    let mut area = TextArea::default();
    area.move_cursor(CursorMove::End);
    area
}
