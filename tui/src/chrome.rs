//! Frame of the screen: header, footer, borders.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::{Style, Stylize},
    symbols::merge::MergeStrategy,
    text::{Line, Span},
    widgets::{Block, BorderType, Tabs},
};

use super::{
    circles::{CircleSource, CirclesPane},
    keys::{KeysPane, short},
    layout::Pane,
    theme::Theme,
};

/// Draws the header, with the keys of palette and help. `are_circles_known` says whether circles.json has been read, so that the counts are true.
pub(crate) fn header(
    frame: &mut Frame<'_>,
    area: Rect,
    theme: Theme,
    (circles, are_circles_known): (&CirclesPane, bool),
    keys: &KeysPane,
    (palette_key, help_key): &(String, String),
) {
    let mut spans = vec![Span::styled(" ◍ circles", theme.key())];
    match keys.used() {
        Some(key) => spans.push(Span::raw(format!("  {} {}", key.name, short(&key.public_key.to_hex())))),
        None if keys.is_loaded() => spans.push(Span::raw("  no key yet")),
        None => {}
    }
    if are_circles_known {
        // The scratch circle is always there.
        let others = || circles.iter().filter(|(_, entry)| entry.source != CircleSource::Scratch);
        let up = others().filter(|(_, entry)| entry.is_up()).count();
        let down = others().filter(|(_, entry)| entry.is_down()).count();
        spans.extend([
            Span::styled("  ●", theme.success()),
            Span::raw(format!(" {up} up ")),
            Span::raw("○").dim(),
            Span::raw(format!(" {down} down")),
        ]);
    }
    let left = Line::from(spans);
    let shortcut = |key: &str, does: &str| if key.is_empty() { String::new() } else { format!("{key} {does} ") };
    let shortcuts = [shortcut(palette_key, "palette"), shortcut(help_key, "help")].join(" ");
    let right = Line::from(shortcuts.dim()).right_aligned();
    if left.width() + right.width() < usize::from(area.width) {
        frame.render_widget(right, area);
    }
    frame.render_widget(left, area);
}

pub(crate) fn footer(
    frame: &mut Frame<'_>,
    area: Rect,
    theme: Theme,
    hints: impl Iterator<Item = (String, &'static str)>,
) {
    let mut spans = Vec::new();
    for (key, does) in hints {
        let more = [Span::raw(" "), Span::styled(key, theme.key()), Span::raw(format!(" {does} "))];
        let width: usize = spans.iter().chain(&more).map(Span::width).sum();
        // Only whole hints.
        if width > usize::from(area.width) {
            break;
        }
        spans.extend(more);
    }
    frame.render_widget(Line::from(spans), area);
}

/// Draws the frame of a pane, and returns the area inside.
pub(crate) fn pane(frame: &mut Frame<'_>, area: Rect, theme: Theme, has_focus: bool) -> Rect {
    let border = if has_focus { BorderType::Thick } else { BorderType::Rounded };
    let block =
        Block::bordered().border_type(border).border_style(theme.border(has_focus)).merge_borders(MergeStrategy::Fuzzy);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

/// Title of a pane, and a note at the end of the same border.
#[derive(Debug)]
pub(crate) struct PaneTitle {
    pub title: String,
    pub note: String,
}

/// Draws the title of a pane. The borders of all panes come first: neighbours share one, which would cover the title.
pub(crate) fn title(frame: &mut Frame<'_>, area: Rect, theme: Theme, pane: Pane, has_focus: bool, title: &PaneTitle) {
    let inside = Rect { x: area.x + 1, width: area.width.saturating_sub(2), height: area.height.min(1), ..area };
    let style = theme.title(has_focus);
    let shown = Line::from(Span::styled(format!("{} {}", pane.number(), title.title), style));
    let width = u16::try_from(shown.width()).unwrap_or(u16::MAX).min(inside.width);
    let note = Line::from(Span::styled(title.note.clone(), style));
    let note_width = u16::try_from(note.width()).unwrap_or(u16::MAX);
    let mut draw = |line: Line<'_>, area: Rect| {
        // Without the style of the border.
        frame.buffer_mut().set_style(area, Style::reset());
        frame.render_widget(line, area);
    };
    draw(shown, Rect { width, ..inside });
    if note_width > 0 && width + note_width < inside.width {
        draw(note, Rect { x: inside.right() - note_width, width: note_width, ..inside });
    }
}

/// Returns the pane whose tab is at a place.
pub(crate) fn tab_at(area: Rect, at: Position, is_data_open: bool) -> Option<Pane> {
    let mut x = area.x;
    Pane::present(is_data_open).iter().copied().find(|pane| {
        // A space on both sides, and a line between two tabs.
        let end = x + u16::try_from(format!("{} {}", pane.number(), pane.name()).len()).unwrap_or(u16::MAX) + 2;
        let is_here = (x..end).contains(&at.x);
        x = end + 1;
        is_here
    })
}

/// Draws the panes as tabs, where there is room for only one pane.
pub(crate) fn tabs(frame: &mut Frame<'_>, area: Rect, theme: Theme, focus: Pane, is_data_open: bool) {
    let titles = Pane::present(is_data_open).iter().map(|pane| format!("{} {}", pane.number(), pane.name()));
    let tabs = Tabs::new(titles).select(focus.number() - 1).highlight_style(theme.selected(true));
    frame.render_widget(tabs, area);
}
