//! Drawing of the circles pane: one row per circle.

use std::time::{Duration, Instant};

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{CircleAvailability, CircleId, CircleItem, CircleSource, CirclesPane};
use crate::{session_status::SessionStatus, theme::Theme};

impl CirclesPane {
    pub(crate) fn draw(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        theme: Theme,
        (now, has_focus): (Instant, bool),
        session_status: impl Fn(CircleId) -> SessionStatus,
    ) {
        let width = usize::from(area.width);
        self.drawn.set(area);
        let first = self.first_row(area.height);
        let rows: Vec<Line<'_>> = self
            .iter()
            .skip(first)
            .take(usize::from(area.height))
            .map(|(id, entry)| {
                let selection = (id.0 == self.selected).then_some(has_focus);
                row(entry, selection, session_status(id), theme, now, width)
            })
            .collect();
        frame.render_widget(Paragraph::new(rows), area);
    }
}

/// Returns the mark of a circle's state, and the same in a word or two.
pub(super) fn state_label(entry: &CircleItem, now: Instant) -> (&'static str, String) {
    match entry.state() {
        CircleAvailability::Unknown => ("·", String::new()),
        CircleAvailability::Down => ("○", "down".into()),
        CircleAvailability::Unsupervised => ("●", "up".into()),
        CircleAvailability::PortTaken => ("✗", "taken".into()),
        CircleAvailability::Starting => ("◐", "starting".into()),
        CircleAvailability::Up => {
            let up = entry.since.map_or("up".into(), |since| short(now.saturating_duration_since(since)));
            let restarts = entry.restarts();
            ("●", if restarts > 0 { format!("{up} ↻{restarts}") } else { up })
        }
        CircleAvailability::Stopping => ("◑", "stopping".into()),
        // Includes the restart that is about to happen.
        CircleAvailability::BackingOff => ("✗", format!("↻{}", entry.restarts() + 1)),
        CircleAvailability::Failed => ("✗", "failed".into()),
    }
}

/// Returns a circle's state in words.
pub(super) fn state_text(entry: &CircleItem, now: Instant) -> String {
    match entry.state() {
        CircleAvailability::Unknown => "not known yet".into(),
        CircleAvailability::PortTaken => "another program has its port".into(),
        CircleAvailability::Up => {
            entry.since.map_or("up".into(), |since| format!("up {}", short(now.saturating_duration_since(since))))
        }
        CircleAvailability::BackingOff => "restarts soon".into(),
        _ => state_label(entry, now).1,
    }
}

/// Returns the style of a circle's state.
pub(super) fn state_style(entry: &CircleItem, theme: Theme) -> Style {
    match entry.state() {
        CircleAvailability::Up | CircleAvailability::Unsupervised => theme.success(),
        CircleAvailability::Starting | CircleAvailability::Stopping => theme.warning(),
        CircleAvailability::BackingOff | CircleAvailability::Failed | CircleAvailability::PortTaken => theme.error(),
        CircleAvailability::Unknown | CircleAvailability::Down => Style::new().dim(),
    }
}

/// Formats a duration in its largest unit: 12s, 5m, 2h, 3d.
fn short(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Returns a row. `selection` says whether the selected row has the focus; `None` for the other rows.
fn row<'a>(
    entry: &CircleItem,
    selection: Option<bool>,
    session_status: SessionStatus,
    theme: Theme,
    now: Instant,
    width: usize,
) -> Line<'a> {
    let (mark, word) = state_label(entry, now);
    let style = state_style(entry, theme);
    // A coloured mark in a reversed row would be a block.
    let style = if selection == Some(true) { Style::new() } else { style };
    let port = entry.url().rsplit(':').next().unwrap_or_default().trim_end_matches('/');
    let (end, room) = (session_status.mark(), width.saturating_sub(5));
    let mut text = match entry.source {
        CircleSource::Scratch => format!("{} temporary", entry.name),
        // The name of such a circle is its address.
        CircleSource::Address => format!("{} {word}", entry.name),
        CircleSource::Config => format!("{} {port} {word}", entry.name),
    };
    if text.chars().count() > room {
        text = text.chars().take(room).collect();
    }
    let padding = " ".repeat(room.saturating_sub(text.chars().count()));
    let line = Line::from(vec![
        theme.bar(selection.is_some()),
        Span::styled(mark, style),
        Span::raw(format!(" {text}{padding} ")),
        Span::raw(end),
    ]);
    match selection {
        Some(has_focus) => line.style(theme.selected(has_focus)),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_shown_in_its_largest_unit() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (60, "1m"), (7199, "1h"), (90_000, "1d")] {
            assert_eq!(short(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn row_fits_a_name_of_any_length() {
        let entry = CircleItem::new("x".repeat(64), "ws://127.0.0.1:65535".into(), CircleSource::Config);
        for width in 0..40 {
            let line = row(&entry, Some(true), SessionStatus::Authenticated, Theme::plain(), Instant::now(), width);
            assert!(line.width() <= width.max(6), "{width}: {line:?}");
        }
    }
}
