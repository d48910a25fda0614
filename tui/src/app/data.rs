//! The pane for the store of the circle that is shown.

use console::watch::WatchSubject;

use super::App;
use crate::{
    data::{StoreAccess, value_lines},
    layout::Pane,
};

impl App {
    /// Opens the pane, or closes it if it has the focus. A closed pane follows nothing.
    pub(super) fn toggle_data(&mut self) {
        let closes = self.window.sizes.is_data_open && self.window.focus == Pane::Data;
        if closes {
            self.window.sizes.is_data_open = false;
            self.focus(Pane::Circles);
        } else {
            self.focus(Pane::Data);
        }
    }

    /// Returns whether letters go into the filter of the pane.
    pub(super) fn is_filtering(&self) -> bool {
        self.window.focus == Pane::Data && self.window.popup.is_none() && self.data.is_typing()
    }

    /// Follows the store of the circle that is shown while the pane is open, with the rights of its session.
    pub(super) fn sync_data(&mut self) {
        let shown = self.circles.selected().filter(|_| self.window.sizes.is_data_open);
        self.data.close_others(shown);
        let Some(id) = shown else { return };
        let Some(session) = self.repl.get(id) else {
            return self.data.sync(StoreAccess::Disconnected, |_, _| None);
        };
        let (tasks, handle) = (&self.tasks, &session.session);
        self.data.sync(StoreAccess::of(&session.state), |number, prefix| {
            Some(tasks.follow_store(id, number, handle.follow(WatchSubject::Keys(prefix))))
        });
    }

    /// Shows the whole value of a key, as it is now.
    pub(super) fn show_value(&mut self, key: &str) {
        let width = usize::from(self.window.screen.width.saturating_sub(4));
        let Some(lines) = self.data.value(key).map(|value| value_lines(value, width)) else { return };
        self.open_pager("Value", &lines);
    }
}
