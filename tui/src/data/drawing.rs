//! Drawing of the tree: the rows, and the whole value of the selected key.

use std::time::Instant;

use console::{
    truncate::{fit_line, group_digits},
    value::format_stored,
};
use frontend::text::{Style, StyledLine, SyntaxKind, lines};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Stylize,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    CircleTree, DataPane, StoreAccess,
    access::PROBE_PREFIX,
    entries::is_recent,
    rows::{FolderNote, RowKind, TreeRow},
    tree::WatchState,
};
use crate::{theme::Theme, wrap};

/// From this width on, the value is beside the tree.
const MIN_BESIDE_COLUMNS: u16 = 70;

/// From this height on, there is room for the value below the tree.
const MIN_BELOW_ROWS: u16 = 8;

/// Largest value that is laid out, in bytes of JSON. More of it is shown as it is.
const MAX_LAYOUT_BYTES: usize = 64 << 10;

/// Mark of a changed entry.
const CHANGED: &str = "•";

impl DataPane {
    /// Draws the pane.
    pub(crate) fn draw(&mut self, frame: &mut Frame<'_>, area: Rect, theme: Theme, (now, has_focus): (Instant, bool)) {
        self.drawn = (Rect::ZERO, 0);
        let Some(shown) = self.open.and_then(|id| self.trees.get(&id)) else {
            return frame.render_widget(Paragraph::new(Line::from("select a circle in Circles (1)").dim()), area);
        };
        let filter_rows = u16::from(shown.filter.is_open() && area.height > 1);
        let [area, filter] = Layout::vertical([Constraint::Fill(1), Constraint::Length(filter_rows)]).areas(area);
        if filter_rows > 0 {
            draw_filter(shown, frame, filter, theme);
        }
        if let Some(message) = shown.message() {
            let message = StyledLine::of(Style::Plain, &message);
            let lines = wrap::wrap_words(theme.line(&message).dim(), area.width);
            return frame.render_widget(Paragraph::new(lines), area);
        }
        let (list, value) = split(area, shown);
        if let Some(value) = value {
            shown.draw_value(frame, value, theme);
        }
        // The selected row is visible.
        let first = shown.selected.saturating_sub(usize::from(list.height).saturating_sub(1));
        self.drawn = (list, first);
        let rows = shown.rows.iter().enumerate().skip(first).take(usize::from(list.height));
        let rows: Vec<Line<'_>> = rows
            .map(|(index, row)| {
                let is_selected = index == shown.selected;
                let line = shown.row_line(row, usize::from(list.width.saturating_sub(1)), now);
                let mut line = theme.line(&line);
                line.spans.insert(0, theme.bar(is_selected));
                if is_selected { line.style(theme.selected(has_focus)) } else { line }
            })
            .collect();
        frame.render_widget(Paragraph::new(rows), list);
    }
}

/// Returns the areas of the list and of the selected value, if there is room for one.
fn split(area: Rect, shown: &CircleTree) -> (Rect, Option<Rect>) {
    if area.width >= MIN_BESIDE_COLUMNS {
        let [list, value] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).spacing(1).areas(area);
        return (list, Some(value));
    }
    if area.height < MIN_BELOW_ROWS || shown.selected_row().is_none() {
        return (area, None);
    }
    let rows = area.height / 3;
    let [list, value] = Layout::vertical([Constraint::Fill(1), Constraint::Length(rows)]).areas(area);
    (list, Some(value))
}

fn draw_filter(shown: &CircleTree, frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let room = usize::from(area.width).saturating_sub(2);
    let text = StyledLine::of(Style::Plain, shown.filter.text());
    let cut = text.width().saturating_sub(room);
    let text: String = text.to_string().chars().skip(cut).collect();
    let mut spans = vec![Span::styled("/", theme.key()), Span::raw(text)];
    if shown.filter.is_typing() {
        spans.push(Span::raw("▏"));
    }
    frame.render_widget(Line::from(spans), area);
}

impl CircleTree {
    /// Returns what the pane says instead of a tree.
    fn message(&self) -> Option<String> {
        let text = match &self.access {
            StoreAccess::Disconnected if self.rows.is_empty() => "connect to the circle first: Enter in Circles (1)",
            StoreAccess::Connecting if self.rows.is_empty() => "connecting…",
            StoreAccess::Authenticating if self.rows.is_empty() => "signing in…",
            StoreAccess::All if self.rows.is_empty() => {
                "your role grants all keys; type / and a folder, for example /stock/, then Enter to follow it"
            }
            StoreAccess::TopicsOnly if self.rows.is_empty() => {
                "your role grants topics, but no keys: \"subscribe\" of the role in circles.json would"
            }
            StoreAccess::Unknown if self.rows.len() <= 2 => match self.tree.watch_state(PROBE_PREFIX) {
                Some(WatchState::Failed(reason)) => return Some(reason.clone()),
                Some(WatchState::Loading) => "asking the circle…",
                _ => return None,
            },
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// Returns the line of a row, at most `width` columns wide.
    fn row_line(&self, row: &TreeRow, width: usize, now: Instant) -> StyledLine {
        // Deep folders do not push their names out of sight.
        let indent = " ".repeat((row.depth * 2).min(width / 3));
        let line = StyledLine::of(Style::Plain, &indent);
        let mark = if is_recent(row.changed_at, now) { CHANGED } else { " " };
        let marked = |line: StyledLine| line.with(Style::Warning, mark);
        let line = match &row.kind {
            RowKind::Folder { is_unfolded, keys } => {
                let sign = if *is_unfolded { "▾ " } else { "▸ " };
                let line = line.with(Style::Dim, sign).with(Style::Strong, row.label());
                let is_cut = matches!(self.tree.watch_state(&row.path), Some(WatchState::Cut | WatchState::Loading));
                let count = keys.map_or(String::new(), |keys| group_digits(keys) + if is_cut { "+" } else { "" });
                marked(line).with(Style::Dim, &count)
            }
            RowKind::Key => {
                let label = if row.label().is_empty() { "(no name)" } else { row.label() };
                let line = marked(line.with(Style::Plain, "  ").with(Style::Plain, label));
                let room = width.saturating_sub(line.width());
                let value = self.tree.entries().value(&row.path).unwrap_or_default();
                line.with_line(&short_value(value, room))
            }
            RowKind::Note(note) => {
                let style = if matches!(note, FolderNote::Failed(_)) { Style::Error } else { Style::Dim };
                line.with(style, &note_text(note))
            }
        };
        fit_line(line, width)
    }

    /// Draws the whole path of the selected row, and the value or the remark.
    fn draw_value(&self, frame: &mut Frame<'_>, area: Rect, theme: Theme) {
        let Some(row) = self.selected_row() else { return };
        let width = usize::from(area.width);
        let mut shown = vec![Line::from("─".repeat(width)).dim()];
        let path = theme.line(&StyledLine::of(Style::Strong, &row.path));
        shown.extend(wrap::wrap_words(path, area.width));
        shown.truncate(usize::from(area.height / 2).max(2));
        match &row.kind {
            RowKind::Key => {
                let value = self.tree.entries().value(&row.path).unwrap_or_default();
                shown.extend(
                    value_lines(value, width).iter().flat_map(|line| wrap::wrap_words(theme.line(line), area.width)),
                );
            }
            RowKind::Note(note) => {
                let text = StyledLine::of(Style::Plain, &note_text(note));
                shown.extend(wrap::wrap_words(theme.line(&text), area.width));
            }
            RowKind::Folder { .. } => {}
        }
        let rows = usize::from(area.height);
        if shown.len() > rows && rows > 0 {
            shown.truncate(rows - 1);
            shown.push(Line::from("… Enter shows all of it").dim());
        }
        frame.render_widget(Paragraph::new(shown), area);
    }
}

/// Formats a value as results are formatted.
pub(crate) fn value_lines(json: &str, width: usize) -> Vec<StyledLine> {
    if json.len() > MAX_LAYOUT_BYTES { lines(Style::Plain, json) } else { format_stored(json, width) }
}

/// Returns the begin of a value, in one line.
fn short_value(json: &str, width: usize) -> StyledLine {
    let kind = match json.as_bytes().first() {
        Some(b'"') => Style::Syntax(SyntaxKind::String),
        Some(b'-' | b'0'..=b'9') => Style::Syntax(SyntaxKind::Number),
        Some(b't' | b'f') => Style::Syntax(SyntaxKind::Keyword),
        _ => Style::Plain,
    };
    // A character needs at most four bytes; more are never visible.
    let begin = &json[..json.floor_char_boundary(width.saturating_add(1).saturating_mul(4))];
    let line = StyledLine::of(kind, begin);
    if begin.len() < json.len() { line.with(Style::Dim, "…") } else { line }
}

fn note_text(note: &FolderNote) -> String {
    match note {
        FolderNote::Waiting => "waiting for the connection".to_owned(),
        FolderNote::Loading => "loading…".to_owned(),
        FolderNote::Empty => "no keys".to_owned(),
        FolderNote::More => "… more, and not live: unfold a smaller folder, or type / and its name".to_owned(),
        FolderNote::Crowded => "not followed: fold another folder first".to_owned(),
        FolderNote::Failed(reason) => reason.clone(),
    }
}
