//! State of the screen besides the panes: focus, popup, toast, effects.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use console::{progress, session::ShellCommand};
use frontend::settings::Settings;

use ratatui::layout::Rect;

use super::{
    circle_id::CircleId,
    layout::{Pane, PaneSizes},
    popup::Popup,
    search::Search,
    selection::Selection,
    theme::{Background, DrawContext, Theme},
    toast::{Toast, ToastKind, ToastTopic},
};

/// An effect that only the event loop can carry out, because it has the terminal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Copy a text to the clipboard.
    Copy(String),
    /// Hand the terminal to an editor; the edited text goes into the editor pane of the circle.
    Edit(CircleId, String),
    /// Hand the terminal to a command in the user's shell, for the session on a circle.
    Shell(CircleId, ShellCommand),
    /// Hand the terminal to an editor for circles.json.
    Open(PathBuf),
    /// Ring the terminal's bell.
    Bell,
    /// Turn the mouse of the terminal on or off.
    Mouse(bool),
    /// Hand the terminal to the shell until the process is continued.
    Suspend,
    /// Draw the whole screen again.
    Redraw,
}

/// State of the screen, except for the panes.
#[expect(clippy::struct_excessive_bools, reason = "each is one fact of its own")]
pub(crate) struct Window {
    theme: Theme,
    /// Whether nothing on the screen moves by itself.
    has_reduced_motion: bool,
    pub focus: Pane,
    pub is_zoomed: bool,
    /// Whether the REPL pane was on the screen when it was last drawn.
    pub is_repl_visible: bool,
    pub popup: Option<Popup>,
    /// The panes that were last drawn, and their areas with borders.
    pub panes: Vec<(Pane, Rect)>,
    /// The whole screen when it was last drawn.
    pub screen: Rect,
    /// Where the details of the selected circle were last drawn.
    pub detail: Option<Rect>,
    /// The tabs, where only one pane is shown.
    pub tabs: Option<Rect>,
    /// The change of the panes from their usual size.
    pub sizes: PaneSizes,
    /// Whether the app handles the mouse.
    pub has_mouse: bool,
    /// Text that is selected with the mouse.
    pub selection: Option<Selection>,
    /// The search that is open.
    pub search: Option<Search>,
    toast: Option<Toast>,
    effects: Vec<Effect>,
    /// Whether the screen may be outdated.
    is_stale: bool,
    opened_at: Instant,
    now: Instant,
}

impl Window {
    pub(crate) fn new(theme: Theme, settings: &Settings) -> Self {
        let now = Instant::now();
        let (popup, toast, effects) = (None, None, Vec::new());
        Self {
            theme,
            has_reduced_motion: settings.reduced_motion.value,
            focus: Pane::Circles,
            is_zoomed: false,
            is_repl_visible: true,
            popup,
            panes: Vec::new(),
            screen: Rect::ZERO,
            detail: None,
            tabs: None,
            sizes: PaneSizes::default(),
            has_mouse: settings.mouse.value,
            selection: None,
            search: None,
            toast,
            effects,
            is_stale: true,
            opened_at: now,
            now,
        }
    }

    /// Records that something has happened, so that the screen is outdated.
    pub(crate) fn mark_stale(&mut self) {
        self.now = Instant::now();
        self.is_stale = true;
    }

    /// Records that only time has passed. `is_animated` says whether a pane shows something that moves.
    pub(crate) fn tick(&mut self, is_animated: bool) {
        self.is_stale = is_animated || self.toast.is_some() || self.popup.as_ref().is_some_and(Popup::is_busy);
        self.toast.take_if(|toast| toast.is_over(self.now));
    }

    /// Returns whether the screen has to be drawn, and resets that.
    pub(crate) fn take_stale(&mut self) -> bool {
        std::mem::take(&mut self.is_stale)
    }

    pub(crate) fn set_background(&mut self, background: Background) {
        self.theme = self.theme.on(background);
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn look(&self) -> DrawContext {
        let age =
            if self.has_reduced_motion { Duration::ZERO } else { self.now.saturating_duration_since(self.opened_at) };
        DrawContext { theme: self.theme, now: self.now, spinner: progress::spinner(age) }
    }

    pub(crate) fn toast(&self) -> Option<&Toast> {
        self.toast.as_ref()
    }

    /// Shows a toast.
    pub(crate) fn show_toast(&mut self, text: impl Into<String>, kind: ToastKind, topic: Option<ToastTopic>) {
        self.toast = Some(Toast::new(text.into(), kind, topic, self.now));
    }

    /// Removes the toast if it is about something that has ended.
    pub(crate) fn dismiss_toast(&mut self, topic: ToastTopic) {
        self.toast.take_if(|toast| toast.is_about(topic));
    }

    /// Returns whether the popup is a form.
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
