//! The editor: several lines of input, with history and completion.

mod brackets;
mod completing;
mod drawing;
mod indenting;
mod menu;
mod place;
mod pointing;
mod recall;
mod search_list;
#[cfg(test)]
mod tests;
mod vi;

use std::{cell::Cell, collections::VecDeque, time::Instant};

use ratatui::{
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    layout::{Position, Rect},
};
use ratatui_textarea::{CursorMove, TextArea};

use console::{
    history::{HistoryBrowser, HistorySearch, InputOrigin, SharedHistory},
    indent::INDENT,
};

use frontend::{edit_mode::EditMode, key_bindings::UserAction};

use crate::{
    action::Action,
    help::HintRow::{self, Bound, Fixed, Short},
    layout::Pane,
};
use brackets::Brackets;
use completing::MenuKey;
use indenting::IndentState;
use menu::Menu;
pub(crate) use pointing::{PointerEvent, PointerOutcome};
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
    /// Whether a letter has asked for more completions, and not the user.
    is_narrowing: bool,
    /// Where the cursor was drawn.
    cursor_at: Position,
    /// Inputs that come after the one that is shown, one by one: joined into one text, they could mean something else.
    drafts: VecDeque<String>,
    /// Where it was last drawn, and the first row there.
    drawn: Cell<(Rect, usize)>,
    /// Where the matches of the search in the history were last drawn, and the place of the first one.
    search_drawn: (Rect, usize),
    /// Whether the last key was Ctrl-X.
    is_prefixed: bool,
    /// State of the vi keys, if the user has chosen them.
    vi: Option<ViKeys>,
    indentation: IndentState,
    brackets: Brackets,
}

/// What the editors of all sessions share.
#[derive(Debug, Clone, Default)]
pub(crate) struct EditorSetup {
    pub history: SharedHistory,
    pub mode: EditMode,
    /// Whether an opening bracket gets its closing one.
    pub closes_brackets: bool,
}

/// Key hints of the editor.
pub(crate) const HINTS: &[HintRow] = &[
    Fixed("Enter", "run a complete input, continue an incomplete one"),
    Fixed("Alt-Enter Ctrl-J", "insert a new line"),
    Fixed("Tab", "complete"),
    Fixed("↑ ↓", "earlier inputs that begin with the typed text"),
    Fixed("→ Ctrl-F", "accept the grey hint from the history"),
    Fixed("Ctrl-R", "search the inputs of all circles and keys; again: of this circle"),
    Fixed("Ctrl-C", "cancel the running play (keeps your variables); otherwise clear the input"),
    Bound(UserAction::CopyOutput),
    Fixed("Alt-↑ Alt-↓", "select the block of an earlier input, of a later one; a click on an input does so, too"),
    Fixed("PgUp PgDn", "scroll the transcript (Ctrl-↑ Ctrl-↓: by a line)"),
    Short(UserAction::Search, "search the transcript"),
    Fixed("Ctrl-Home Ctrl-End", "scroll to the oldest line, follow new output"),
    Fixed("Esc", "close the completions; otherwise go to Circles, where letters are commands"),
    Fixed("Shift-Tab", "go to Keys"),
    Fixed("Ctrl-X Ctrl-E", "continue in $EDITOR"),
    Fixed(":help", "the commands of the REPL"),
];

/// Key hints for the footer.
pub(crate) const SHORT_HINTS: &[HintRow] = &[
    Fixed("Enter", "run"),
    Fixed("Esc", "circles"),
    Short(UserAction::Help, "help"),
    Fixed("Tab", "complete"),
    Fixed("↑", "history"),
    Fixed("Ctrl-C", "cancel"),
    Short(UserAction::CopyOutput, "copy"),
    Fixed("Alt-Enter", "newline"),
];

impl Editor {
    pub(crate) fn new(setup: EditorSetup, origin: InputOrigin) -> Self {
        let vi = (setup.mode == EditMode::Vi).then(ViKeys::default);
        let brackets = Brackets::new(setup.closes_brackets);
        Self { area: empty(), history: setup.history, origin, vi, brackets, ..Self::default() }
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
        self.brackets.clear();
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

    pub(crate) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        self.key_at(key, Instant::now())
    }

    /// Handles a key press at a time, which tells typed text from pasted text.
    fn key_at(&mut self, key: KeyEvent, now: Instant) -> Option<Action> {
        let was_indented = self.indentation.key(key, now);
        self.sync_brackets();
        self.take_back_bracket();
        let action = self.typed_key(key, was_indented);
        self.sync_brackets();
        action
    }

    fn typed_key(&mut self, key: KeyEvent, was_indented: bool) -> Option<Action> {
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
            KeyCode::Enter => return self.enter(),
            KeyCode::Tab if self.is_at_indent() => {
                self.area.insert_str(INDENT);
            }
            KeyCode::Tab => {
                self.is_narrowing = false;
                return Some(Action::Complete);
            }
            KeyCode::Esc => return Some(Action::Focus(Pane::Circles)),
            KeyCode::BackTab => return Some(Action::Focus(Pane::Repl.step(-1, false))),
            KeyCode::Up if self.area.cursor().0 == 0 => self.show_older(),
            KeyCode::Down if self.area.cursor().0 + 1 == self.area.lines().len() => self.show_newer(),
            KeyCode::Char('r') if is_control => {
                self.search = Some(HistorySearch::new(&self.text()));
                self.area.move_cursor(CursorMove::Bottom);
                self.area.move_cursor(CursorMove::End);
                return Some(Action::ReadHistory);
            }
            // Like in every shell; the library binds the key to something else.
            KeyCode::Char('u') if is_control => {
                self.area.delete_line_by_head();
            }
            _ if self.bracket_key(key) => {}
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
}

fn empty() -> TextArea<'static> {
    let mut area = TextArea::default();
    area.move_cursor(CursorMove::End);
    area
}
