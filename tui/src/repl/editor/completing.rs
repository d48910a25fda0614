//! Completion in the editor: the menu, and how it narrows.

use ratatui::crossterm::event::KeyEvent;

use console::completion::CompletionList;

use super::{
    Editor,
    menu::{Menu, MenuOutcome},
};
use crate::action::Action;

/// What the menu does with a key press.
pub(super) enum MenuKey {
    Used(Option<Action>),
    /// The editor handles it, and the menu narrows.
    Typed,
    Unused,
}

impl Editor {
    /// Shows completions, or inserts the only one that the user asked for. Returns false if the user asked and there are
    /// none for the present text.
    pub(crate) fn complete(&mut self, completion: CompletionList) -> bool {
        let (text, cursor) = self.cursor();
        if (&completion.input, completion.cursor) != (&text, cursor) {
            return true;
        }
        let is_narrowing = std::mem::take(&mut self.is_narrowing);
        match completion.candidates.as_slice() {
            [] => return is_narrowing,
            [only] if !is_narrowing => {
                let only = only.text.clone();
                self.replace(completion.start, cursor, &only);
            }
            _ => self.menu = Some(Menu::new(completion)),
        }
        true
    }

    /// Has the menu show what fits the word after a key press. If the circle may know more, it is asked again.
    pub(super) fn narrow_menu(&mut self) -> Option<Action> {
        let menu = self.menu.take()?;
        let (text, cursor) = self.cursor();
        let is_cut = menu.is_cut();
        self.menu = menu.narrow(&text, cursor);
        self.is_narrowing = is_cut;
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

    pub(super) fn replace(&mut self, start: usize, end: usize, text: &str) {
        for _ in start..end {
            self.area.delete_char();
        }
        self.area.insert_str(text);
    }

    pub(super) fn menu_key(&mut self, key: KeyEvent) -> MenuKey {
        let Some(menu) = self.menu.take() else { return MenuKey::Unused };
        self.finish(menu.key(key))
    }

    /// Carries out the outcome of a key press or a click in the menu.
    pub(super) fn finish(&mut self, outcome: MenuOutcome) -> MenuKey {
        match outcome {
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
}
