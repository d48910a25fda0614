//! Frame of the screen: header, footer, borders, toasts.

use std::time::{Duration, Instant};

use ratatui::{
    Frame,
    layout::Rect,
    style::Stylize,
    symbols::merge::MergeStrategy,
    text::{Line, Span},
    widgets::{Block, BorderType, Tabs},
};

use super::{
    circles::CirclesPane,
    help::Hint,
    keys::{KeysPane, short},
    layout::Pane,
    theme::Theme,
};

/// How long a toast is shown.
const TOAST_DURATION: Duration = Duration::from_secs(6);

/// Short message that disappears on its own.
#[derive(Debug)]
pub(crate) struct Toast {
    pub text: String,
    pub is_error: bool,
    since: Instant,
}

impl Toast {
    pub(crate) fn new(text: String, is_error: bool, now: Instant) -> Self {
        Self { text, is_error, since: now }
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) > TOAST_DURATION
    }
}

pub(crate) fn header(frame: &mut Frame<'_>, area: Rect, theme: Theme, circles: &CirclesPane, keys: &KeysPane) {
    let key_label = match keys.used() {
        Some(key) => format!("{} {}", key.name, short(&key.public_key.to_hex())),
        None => "no key yet".into(),
    };
    let up = circles.iter().filter(|(_, entry)| entry.is_up()).count();
    let others = circles.iter().filter(|(_, entry)| entry.is_down()).count();
    let left = Line::from(vec![
        Span::raw(" circles").bold(),
        Span::raw(format!("  {key_label}  ")),
        Span::styled("●", theme.success()),
        Span::raw(format!(" {up} up ")),
        Span::raw("○").dim(),
        Span::raw(format!(" {others} down")),
    ]);
    let right = Line::from("Ctrl-P palette  ? help ").dim().right_aligned();
    if left.width() + right.width() < usize::from(area.width) {
        frame.render_widget(right, area);
    }
    frame.render_widget(left, area);
}

pub(crate) fn footer(frame: &mut Frame<'_>, area: Rect, theme: Theme, hints: &[Hint]) {
    let mut spans = Vec::new();
    for (key, does) in hints {
        let more = [Span::raw(" "), Span::styled(*key, theme.key()), Span::raw(format!(" {does} "))];
        let width: usize = spans.iter().chain(&more).map(Span::width).sum();
        // Only whole hints.
        if width > usize::from(area.width) {
            break;
        }
        spans.extend(more);
    }
    frame.render_widget(Line::from(spans), area);
}

pub(crate) fn message(frame: &mut Frame<'_>, area: Rect, theme: Theme, toast: Option<&Toast>) {
    let Some(toast) = toast else { return };
    let line = if toast.is_error {
        Line::from(vec![Span::styled(" ✗ ", theme.error()), Span::styled(toast.text.clone(), theme.error())])
    } else {
        Line::from(vec![Span::styled(" ✓ ", theme.success()), Span::raw(toast.text.clone())])
    };
    frame.render_widget(line, area);
}

/// Draws the frame of a pane, and returns the area inside.
pub(crate) fn pane(
    frame: &mut Frame<'_>,
    area: Rect,
    theme: Theme,
    (pane, has_focus): (Pane, bool),
    title: &str,
    note: &str,
) -> Rect {
    let border = if has_focus { BorderType::Thick } else { BorderType::Plain };
    let title = Line::from(format!("{} {title}", pane.number()));
    let block = Block::bordered()
        .border_type(border)
        .border_style(theme.border(has_focus))
        .merge_borders(MergeStrategy::Fuzzy)
        .title(if has_focus { title.bold() } else { title })
        .title(Line::from(note.to_owned()).right_aligned());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

/// Draws the panes as tabs, where there is room for only one pane.
pub(crate) fn tabs(frame: &mut Frame<'_>, area: Rect, theme: Theme, focus: Pane) {
    let titles = Pane::ALL.map(|pane| format!("{} {}", pane.number(), pane.name()));
    let tabs = Tabs::new(titles).select(focus.number() - 1).highlight_style(theme.selected());
    frame.render_widget(tabs, area);
}
