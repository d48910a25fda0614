//! What the screen shows besides the panes, and how: focus, popup, short message, look.

use std::time::{Duration, Instant};

use console::progress;

use super::{
    chrome::Toast,
    circle_id::CircleId,
    layout::Pane,
    popup::Popup,
    theme::{DrawContext, Theme},
};

/// What only the loop can do, because it has the terminal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Put a text on the clipboard.
    Copy(String),
    /// Leave the terminal to an editor until that ends; what comes back goes into the editor of that circle.
    Edit(CircleId, String),
    /// Leave the terminal to the shell until it gives it back.
    Suspend,
    /// Draw everything anew.
    Redraw,
}

/// The screen, except for what the panes show.
pub(crate) struct Window {
    theme: Theme,
    pub focus: Pane,
    pub is_zoomed: bool,
    pub popup: Option<Popup>,
    toast: Option<Toast>,
    effects: Vec<Effect>,
    /// Whether what is shown may no longer be true.
    is_stale: bool,
    begun: Instant,
    now: Instant,
}

impl Window {
    pub(crate) fn new(theme: Theme) -> Self {
        let now = Instant::now();
        let (popup, toast, effects) = (None, None, Vec::new());
        Self { theme, focus: Pane::Circles, is_zoomed: false, popup, toast, effects, is_stale: true, begun: now, now }
    }

    /// Something has happened now.
    pub(crate) fn mark_stale(&mut self) {
        self.now = Instant::now();
        self.is_stale = true;
    }

    /// Nothing has happened but that a moment has passed. `is_lively`: whether a pane shows something that moves.
    pub(crate) fn tick(&mut self, is_lively: bool) {
        self.is_stale = is_lively || self.toast.is_some() || self.popup.as_ref().is_some_and(Popup::is_busy);
        self.toast.take_if(|toast| toast.is_over(self.now));
    }

    /// Whether there is something to draw anew; from now on there is not.
    pub(crate) fn take_stale(&mut self) -> bool {
        std::mem::take(&mut self.is_stale)
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn look(&self) -> DrawContext {
        let age: Duration = self.now.saturating_duration_since(self.begun);
        DrawContext { theme: self.theme, now: self.now, spinner: progress::spinner(age) }
    }

    pub(crate) fn toast(&self) -> Option<&Toast> {
        self.toast.as_ref()
    }

    /// Shows a short message.
    pub(crate) fn show_toast(&mut self, text: impl Into<String>, is_error: bool) {
        self.toast = Some(Toast::new(text.into(), is_error, self.now));
    }

    /// Whether something is typed into the popup.
    pub(crate) fn has_form(&self) -> bool {
        self.popup.as_ref().is_some_and(Popup::is_form)
    }

    pub(crate) fn push_effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }
}
