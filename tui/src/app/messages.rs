//! Messages to the user: one for each event, gone when what it says has ended.

use super::App;
use crate::{
    circle_id::CircleId,
    toast::{ToastKind, ToastTopic},
};

impl App {
    /// Shows that something was done.
    pub(super) fn show_done(&mut self, text: impl Into<String>) {
        self.window.show_toast(text, ToastKind::Done, None);
    }

    /// Shows why something was not done, or what happens.
    pub(super) fn show_hint(&mut self, text: impl Into<String>) {
        self.window.show_toast(text, ToastKind::Hint, None);
    }

    /// Shows what happens to a circle, until it has happened.
    pub(super) fn show_progress(&mut self, id: CircleId, text: impl Into<String>) {
        self.window.show_toast(text, ToastKind::Hint, Some(ToastTopic::Circle(id)));
    }

    /// Reports an error: in a toast, and in the log of the selected circle, where it stays.
    pub(crate) fn report_error(&mut self, text: impl Into<String>) {
        self.report(text.into(), None);
    }

    /// Reports an error that may end, like [`App::report_error`].
    pub(super) fn report(&mut self, text: String, topic: Option<ToastTopic>) {
        let circle = match topic {
            Some(ToastTopic::Circle(id)) => Some(id),
            _ => self.circles.selected(),
        };
        if let Some(circle) = circle {
            self.logs.push(circle, &format!("circles tui: {text}"));
        }
        self.window.show_toast(text, ToastKind::Error, topic);
    }

    /// Reports an error that the transcript of the circle says, too: only in the log if the transcript is on the screen.
    pub(super) fn report_in_transcript(&mut self, id: CircleId, text: &str) {
        self.logs.push(id, &format!("circles tui: {text}"));
        if self.circles.selected() != Some(id) || !self.window.is_repl_visible {
            self.window.show_toast(text, ToastKind::Error, Some(ToastTopic::Circle(id)));
        }
    }
}
