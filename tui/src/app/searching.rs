//! Search in the transcript and in the log.

use ratatui::crossterm::event::KeyEvent;

use super::App;
use crate::{
    action::Action,
    layout::Pane,
    search::{Search, SearchOutcome},
};

impl App {
    /// Opens a search in a pane, which becomes visible if it is not.
    pub(super) fn start_search(&mut self, pane: Pane) {
        if self.circles.selected().is_none_or(|id| pane == Pane::Repl && self.repl.get(id).is_none()) {
            return self.show_hint("there is nothing to search yet");
        }
        let is_visible = self.window.panes.iter().any(|(shown, _)| *shown == pane);
        if !is_visible || self.window.focus == Pane::Repl {
            self.focus(pane);
        }
        self.window.search = Some(Search::new(pane));
    }

    /// Passes a key to the open search. Returns whether the search used it.
    pub(super) fn on_search_key(&mut self, key: KeyEvent) -> bool {
        let Some(id) = self.circles.selected() else { return false };
        let Some(search) = &mut self.window.search else { return false };
        let outcome = match (search.pane(), self.repl.get_mut(id)) {
            (Pane::Logs, _) => search.key(key, &mut self.logs.searched(id)),
            (_, Some(session)) => search.key(key, &mut session.transcript),
            // The session is gone, and its transcript with it.
            (_, None) => SearchOutcome::Unhandled,
        };
        if let SearchOutcome::Copy(line) = outcome {
            let (text, what) = match (search.pane(), self.repl.get(id)) {
                (Pane::Repl, Some(session)) => session.transcript.block_at(line),
                _ => (self.logs.line(id, line), "the line"),
            };
            self.run_action(Action::Copy(text, what));
            return true;
        }
        if outcome != SearchOutcome::Open {
            self.window.search = None;
        }
        outcome != SearchOutcome::Unhandled
    }
}
