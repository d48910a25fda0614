//! The filter of the tree: a text that the user types, which keys have to contain.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::entries::MAX_KEY_BYTES;
use crate::search::Query;

/// The filter; empty without one.
#[derive(Debug, Default)]
pub(super) struct KeyFilter {
    text: String,
    is_typing: bool,
}

/// What a key press means for the filter.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FilterOutcome {
    /// The filter is, or may be, another one.
    Edited,
    /// The user wants to see the folder with this prefix.
    Folder(String),
    /// The key is for the list.
    Unused,
}

impl KeyFilter {
    pub(super) fn start(&mut self) {
        self.is_typing = true;
    }

    /// Whether letters go into the filter.
    pub(super) fn is_typing(&self) -> bool {
        self.is_typing
    }

    /// Whether the filter is open or has a text, so that Esc ends it.
    pub(super) fn is_open(&self) -> bool {
        self.is_typing || !self.text.is_empty()
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns what keys have to contain.
    pub(super) fn query(&self) -> Option<Query> {
        (!self.text.is_empty()).then(|| Query::new(&self.text))
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Appends a text without its control characters, as far as there is room.
    pub(super) fn paste(&mut self, text: &str) {
        for character in text.chars().filter(|character| !character.is_control()) {
            if self.text.len() + character.len_utf8() > MAX_KEY_BYTES {
                return;
            }
            self.text.push(character);
        }
    }

    /// Handles a key press while the filter is typed.
    pub(super) fn key(&mut self, key: KeyEvent) -> FilterOutcome {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc => self.clear(),
            KeyCode::Char('c') if is_control => self.clear(),
            KeyCode::Char('u') if is_control => self.text.clear(),
            KeyCode::Enter if self.text.ends_with('/') => {
                let folder = std::mem::take(&mut self.text);
                self.clear();
                return FilterOutcome::Folder(folder);
            }
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Backspace => {
                self.is_typing = self.text.pop().is_some();
            }
            KeyCode::Char(character) if !is_control && !key.modifiers.contains(KeyModifiers::ALT) => {
                self.paste(character.encode_utf8(&mut [0; 4]));
            }
            _ => return FilterOutcome::Unused,
        }
        FilterOutcome::Edited
    }
}
