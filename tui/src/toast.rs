//! Short messages that disappear on their own, or as soon as what they say has ended.

use std::time::{Duration, Instant};

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{circle_id::CircleId, theme::Theme};

/// Time for which a toast is shown.
const TOAST_DURATION: Duration = Duration::from_secs(6);

/// The kind of a toast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToastKind {
    /// Something was done.
    Done,
    /// Something was not done, or is not finished.
    Hint,
    Error,
}

/// What a toast is about. It disappears when that has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToastTopic {
    /// The connection to a circle, or its state.
    Circle(CircleId),
    Supervisor,
    Config,
}

/// A short message.
#[derive(Debug)]
pub(crate) struct Toast {
    text: String,
    kind: ToastKind,
    topic: Option<ToastTopic>,
    since: Instant,
}

impl Toast {
    pub(crate) fn new(text: String, kind: ToastKind, topic: Option<ToastTopic>, now: Instant) -> Self {
        Self { text, kind, topic, since: now }
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) > TOAST_DURATION
    }

    pub(crate) fn is_about(&self, topic: ToastTopic) -> bool {
        self.topic == Some(topic)
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect, theme: Theme) {
        let (mark, style) = match self.kind {
            ToastKind::Done => (" ✓ ", theme.success()),
            ToastKind::Hint => (" · ", theme.warning()),
            ToastKind::Error => (" ✗ ", theme.error()),
        };
        let text = Span::raw(self.text.clone());
        let text = if self.kind == ToastKind::Error { text.style(theme.error()) } else { text };
        frame.render_widget(Line::from(vec![Span::styled(mark, style), text]), area);
    }
}
