//! Keys that the user can bind: what they do, and their names in hints.

use frontend::key_bindings::{KeyBindings, KeyPane, UserAction};
use ratatui::crossterm::event::KeyEvent;

use super::App;
use crate::{action::Action, key_press::key_press, layout::Pane, window::Effect};

impl App {
    /// Returns the keys in force.
    pub(super) fn bindings(&self) -> &KeyBindings {
        &self.setup.settings.keys
    }

    /// Handles a key that acts on the terminal, whatever is open. Returns whether it was one.
    pub(super) fn on_terminal_key(&mut self, key: KeyEvent) -> bool {
        let is_typing = self.window.popup.is_some() || self.window.search.is_some() || self.is_filtering();
        // A window takes text, as the REPL pane does.
        let pane = if is_typing { KeyPane::Repl } else { self.window.focus.key_pane() };
        let action = key_press(key).and_then(|key| self.bindings().action(pane, key));
        let effect = match action {
            Some(UserAction::Suspend) => Effect::Suspend,
            Some(UserAction::Redraw) => Effect::Redraw,
            _ => return false,
        };
        self.window.push_effect(effect);
        true
    }

    /// Returns the action that is bound to a key in the pane with the focus.
    pub(super) fn bound_action(&self, key: KeyEvent) -> Option<UserAction> {
        self.bindings().action(self.window.focus.key_pane(), key_press(key)?)
    }

    /// Carries out an action of the user in the pane with the focus, or returns what the app has to do.
    pub(super) fn on_user_action(&mut self, action: UserAction) -> Option<Action> {
        let (focus, shown) = (self.window.focus, self.circles.selected());
        Some(match action {
            UserAction::Help => Action::Help,
            UserAction::Zoom => Action::Zoom,
            UserAction::Palette => Action::Palette,
            UserAction::Data => Action::ToggleData,
            UserAction::Search if focus == Pane::Data => {
                self.data.start_filter();
                return None;
            }
            UserAction::Search if focus == Pane::Logs => Action::Search(Pane::Logs),
            UserAction::Search => Action::Search(Pane::Repl),
            UserAction::Quit => Action::Quit,
            UserAction::Functions => Action::Functions,
            UserAction::Smaller => Action::Resize(-1),
            UserAction::Larger => Action::Resize(1),
            UserAction::Mouse => Action::ToggleMouse,
            UserAction::StartAll => Action::StartAll,
            UserAction::ConnectTo => Action::AskAddress,
            UserAction::EditConfig => Action::OpenConfig,
            UserAction::NewKey => Action::AskNewKey,
            _ => match focus {
                Pane::Circles => self.circles.action(action)?,
                Pane::Keys => self.keys.action(action)?,
                Pane::Repl => self.repl.action(action, shown?)?,
                Pane::Logs => self.logs.act(action, shown)?,
                Pane::Data => self.data.action(action)?,
            },
        })
    }

    /// Returns the key that carries out an action in a pane, for a sentence.
    pub(super) fn key_of(&self, pane: KeyPane, action: UserAction) -> String {
        let key = self.bindings().hint(pane, action);
        if key.is_empty() { "the palette".to_owned() } else { key }
    }
}
