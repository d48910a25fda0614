//! The mouse: the wheel scrolls the pane below the pointer, a click focuses and chooses, a drag selects and copies.

use ratatui::{
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind},
    layout::Position,
};

use super::App;
use crate::{
    action::Action,
    chrome,
    layout::Pane,
    repl::{PointerEvent, PointerOutcome},
    selection::Selection,
    window::Effect,
};

/// Rows that one step of the wheel scrolls.
const WHEEL_ROWS: isize = 3;

impl App {
    /// Turns the mouse on or off. Off, the terminal itself selects text.
    pub(super) fn toggle_mouse(&mut self) {
        self.window.has_mouse = !self.window.has_mouse;
        self.window.selection = None;
        self.window.push_effect(Effect::Mouse(self.window.has_mouse));
        self.show_hint(if self.window.has_mouse {
            "the mouse is on; hold Shift to select text as the terminal does"
        } else {
            "the mouse is off: the terminal selects text itself"
        });
    }

    pub(super) fn on_mouse(&mut self, event: MouseEvent) {
        let at = Position::new(event.column, event.row);
        match event.kind {
            MouseEventKind::ScrollUp => self.on_wheel(at, -1),
            MouseEventKind::ScrollDown => self.on_wheel(at, 1),
            MouseEventKind::Down(MouseButton::Left) => self.on_click(at),
            MouseEventKind::Drag(MouseButton::Left) => {
                if let Some(selection) = &mut self.window.selection {
                    selection.extend(at);
                }
            }
            MouseEventKind::Up(MouseButton::Left) => self.copy_selection(),
            _ => {}
        }
    }

    /// Returns the pane below the pointer.
    fn pane_at(&self, at: Position) -> Option<Pane> {
        // The pane with the focus covers the borders that it shares.
        let panes = self.window.panes.iter().filter(|(_, area)| area.contains(at));
        panes.max_by_key(|(pane, _)| *pane == self.window.focus).map(|(pane, _)| *pane)
    }

    /// Passes an event to the list above the editor, if one is there. Returns whether the list used it.
    fn point(&mut self, at: Position, event: PointerEvent) -> bool {
        let is_editing = self.window.focus == Pane::Repl && self.window.search.is_none();
        let session = self.circles.selected().filter(|_| is_editing).and_then(|id| self.repl.get_mut(id));
        let Some(PointerOutcome::Used(action)) = session.map(|session| session.editor.point(at, event)) else {
            return false;
        };
        if let Some(action) = action {
            self.run_action(action);
        }
        true
    }

    fn on_wheel(&mut self, at: Position, direction: isize) {
        let code = if direction < 0 { KeyCode::Up } else { KeyCode::Down };
        let key = KeyEvent::new(code, KeyModifiers::NONE);
        if let Some(popup) = &mut self.window.popup {
            return popup.wheel(key);
        }
        if self.point(at, PointerEvent::Wheel { is_down: direction > 0 }) {
            return;
        }
        let action = match self.pane_at(at) {
            Some(Pane::Circles) => self.circles.key(key),
            Some(Pane::Keys) => self.keys.key(key),
            Some(Pane::Data) => self.data.key(key),
            Some(Pane::Logs) => {
                self.logs.scroll(direction * WHEEL_ROWS);
                None
            }
            Some(Pane::Repl) => {
                if let Some(session) = self.circles.selected().and_then(|id| self.repl.get_mut(id)) {
                    session.transcript.view.scroll(direction * WHEEL_ROWS);
                }
                None
            }
            None => None,
        };
        if let Some(action) = action {
            self.run_action(action);
        }
    }

    fn on_click(&mut self, at: Position) {
        self.window.selection = None;
        if let Some(popup) = &mut self.window.popup {
            let action = popup.click(at);
            if let Some(action) = self.close_popup_for(action) {
                self.run_action(action);
            }
            return;
        }
        if self.point(at, PointerEvent::Click) {
            return;
        }
        if let Some(pane) = self
            .window
            .tabs
            .filter(|tabs| tabs.contains(at))
            .and_then(|tabs| chrome::tab_at(tabs, at, self.window.sizes.is_data_open))
        {
            return self.run_action(Action::Focus(pane));
        }
        let Some(pane) = self.pane_at(at) else { return };
        self.run_action(Action::Focus(pane));
        match pane {
            Pane::Circles => {
                if let Some(id) = self.circles.item_at(at) {
                    self.run_action(Action::Show(id));
                }
            }
            Pane::Keys => self.keys.click(at),
            Pane::Data => {
                if let Some(action) = self.data.click(at) {
                    self.run_action(action);
                }
            }
            Pane::Logs => self.window.selection = Some(Selection::new(pane, self.logs.area(), at)),
            Pane::Repl => {
                let Some(session) = self.circles.selected().and_then(|id| self.repl.get_mut(id)) else { return };
                if session.editor.area().contains(at) {
                    session.editor.click(at);
                } else {
                    self.window.selection = Some(Selection::new(pane, session.transcript.view.area(), at));
                }
            }
        }
    }

    /// Copies the selected text when the button is released.
    fn copy_selection(&mut self) {
        let Some(selection) = self.window.selection.filter(|selection| !selection.is_empty()) else {
            let at = self.window.selection.take().map(|selection| (selection.pane, selection.begin()));
            let session = self.circles.selected().and_then(|id| self.repl.get_mut(id));
            if let (Some((Pane::Repl, at)), Some(session)) = (at, session) {
                session.transcript.click(at);
            }
            return;
        };
        let session = self.circles.selected().and_then(|id| self.repl.get(id));
        let text = match (selection.pane, session) {
            (Pane::Logs, _) => selection.text(self.logs.visible()),
            (_, Some(session)) => selection.text(session.transcript.view.visible()),
            (_, None) => String::new(),
        };
        self.run_action(Action::Copy(text, "the selection"));
    }
}
