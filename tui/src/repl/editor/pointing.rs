//! The mouse in the lists above the editor: completions and the search in the history.

use ratatui::{
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    layout::Position,
};

use super::{Editor, completing::MenuKey};
use crate::action::Action;

/// What the mouse does in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PointerEvent {
    /// A click selects a row, and accepts the selected one.
    Click,
    /// The wheel moves the selection.
    Wheel { is_down: bool },
}

/// Whether a list has used an event of the mouse.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PointerOutcome {
    Used(Option<Action>),
    Unused,
}

impl Editor {
    /// Passes an event of the mouse to the list at its place.
    pub(crate) fn point(&mut self, at: Position, event: PointerEvent) -> PointerOutcome {
        if let Some(mut menu) = self.menu.take_if(|menu| menu.contains(at)) {
            match event {
                PointerEvent::Click => {
                    return PointerOutcome::Used(match self.finish(menu.click(at)) {
                        MenuKey::Used(action) => action,
                        MenuKey::Typed | MenuKey::Unused => None,
                    });
                }
                PointerEvent::Wheel { is_down } => menu.wheel(is_down),
            }
            self.menu = Some(menu);
            return PointerOutcome::Used(self.undocumented());
        }
        let (area, first) = self.search_drawn;
        let Some(search) = self.search.as_mut().filter(|_| area.contains(at)) else { return PointerOutcome::Unused };
        match event {
            PointerEvent::Click => {
                if !search.select_place(first + usize::from(at.y - area.y)) {
                    self.search_key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
                }
            }
            PointerEvent::Wheel { is_down } => search.select(is_down),
        }
        PointerOutcome::Used(None)
    }
}
