//! Position of the panes for every screen size.

use ratatui::layout::{Constraint, Layout, Rect};

/// Below this width the screen shows one pane at a time.
const MIN_WIDE_COLUMNS: u16 = 80;

/// Below this size the screen shows only a message.
const MIN_SIZE: (u16, u16) = (40, 10);

/// Width of the panes on the left.
const LEFT_COLUMNS: u16 = 26;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Pane {
    Circles,
    Keys,
    Repl,
    Logs,
}

impl Pane {
    pub(crate) const ALL: [Self; 4] = [Self::Circles, Self::Keys, Self::Repl, Self::Logs];

    pub(crate) fn number(self) -> usize {
        Self::ALL.iter().position(|pane| *pane == self).map_or(0, |index| index + 1)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Circles => "Circles",
            Self::Keys => "Keys",
            Self::Repl => "REPL",
            Self::Logs => "Logs",
        }
    }

    /// Returns the pane some steps forward or backward.
    pub(crate) fn step(self, steps: isize) -> Self {
        let count = Self::ALL.len();
        Self::ALL[(self.number() - 1 + count).wrapping_add_signed(steps) % count]
    }
}

/// Layout of the screen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ScreenLayout {
    /// Too small for anything but a message.
    TooSmall,
    Panes {
        header: Rect,
        /// Each pane with its borders.
        panes: Vec<(Pane, Rect)>,
        /// The line for toasts.
        message: Rect,
        footer: Rect,
    },
}

/// Computes the layout. `focus` is the pane to show where there is room for only one.
pub(crate) fn screen_layout(screen: Rect, focus: Pane, is_zoomed: bool) -> ScreenLayout {
    if screen.width < MIN_SIZE.0 || screen.height < MIN_SIZE.1 {
        return ScreenLayout::TooSmall;
    }
    let [header, main, message, footer] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1), Constraint::Length(1)])
            .areas(screen);
    if screen.width < MIN_WIDE_COLUMNS || is_zoomed {
        return ScreenLayout::Panes { header, panes: vec![(focus, main)], message, footer };
    }
    let logs = (main.height / 5).clamp(4, 10);
    // Neighbours share a border.
    let [upper, lower] = Layout::vertical([Constraint::Fill(1), Constraint::Length(logs)]).spacing(-1).areas(main);
    let [left, right] =
        Layout::horizontal([Constraint::Length(LEFT_COLUMNS), Constraint::Fill(1)]).spacing(-1).areas(upper);
    let [circles, keys] = Layout::vertical([Constraint::Fill(3), Constraint::Fill(2)]).spacing(-1).areas(left);
    let panes = vec![(Pane::Circles, circles), (Pane::Keys, keys), (Pane::Repl, right), (Pane::Logs, lower)];
    ScreenLayout::Panes { header, panes, message, footer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_fits_every_screen_size() {
        for (width, height) in (0..130).flat_map(|width| (0..50).map(move |height| (width, height))) {
            let screen = Rect::new(0, 0, width, height);
            for is_zoomed in [false, true] {
                let ScreenLayout::Panes { header, panes, message, footer } =
                    screen_layout(screen, Pane::Repl, is_zoomed)
                else {
                    assert!(width < 40 || height < 10, "{width}x{height}");
                    continue;
                };
                let all = panes.iter().map(|(_, area)| *area).chain([header, message, footer]);
                for area in all {
                    assert_eq!(area.intersection(screen), area, "{width}x{height}");
                }
                assert_eq!(panes.len(), if is_zoomed || width < 80 { 1 } else { 4 }, "{width}x{height}");
            }
        }
    }

    #[test]
    fn panes_are_cycled() {
        assert_eq!(Pane::Circles.step(-1), Pane::Logs);
        assert_eq!(Pane::Logs.step(1), Pane::Circles);
        assert_eq!(Pane::Keys.step(1), Pane::Repl);
    }
}
