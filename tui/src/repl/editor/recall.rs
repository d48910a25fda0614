//! Earlier inputs in the editor: the history, its search and its hints.

use std::sync::Arc;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use console::history::{self, HistoryBrowser, HistoryEntry, InputOrigin};

use super::Editor;

impl Editor {
    pub(super) fn remember(&mut self) -> String {
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

    /// Returns the inputs of this circle in the history, oldest first.
    pub(crate) fn past_inputs(&self) -> Vec<Arc<str>> {
        self.history.lock().inputs_of(&self.origin.circle)
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

    pub(super) fn show_older(&mut self) {
        let (text, cursor) = self.cursor();
        let prefix: String = text.chars().take(cursor).collect();
        let older = self.browser.older(&self.history.lock(), &self.origin.circle, &text, &prefix);
        if let Some(input) = older {
            self.set(&input);
        }
    }

    pub(super) fn show_newer(&mut self) {
        if let Some(input) = self.browser.newer(&self.text()) {
            self.set(&input);
        }
    }

    /// Returns how the text goes on in the history, if the cursor is at its end.
    pub(super) fn hint(&self) -> Option<String> {
        let (text, cursor) = self.cursor();
        let is_typing = self.menu.is_none() && self.search.is_none() && cursor == text.chars().count();
        if is_typing { self.history.lock().hint(&self.origin.circle, &text) } else { None }
    }

    /// Passes a key to the hint. Returns whether the key accepts it.
    pub(super) fn hint_key(&mut self, key: KeyEvent) -> bool {
        let accepts = match key.code {
            KeyCode::Right | KeyCode::End => key.modifiers.is_empty(),
            KeyCode::Char('f') => key.modifiers == KeyModifiers::CONTROL,
            _ => false,
        };
        accepts && self.hint().is_some_and(|rest| self.area.insert_str(rest))
    }

    /// Passes a key to an open search. Returns whether the search used it; other keys edit its text.
    pub(super) fn search_key(&mut self, key: KeyEvent) -> bool {
        if self.search.is_none() {
            return false;
        }
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
}
