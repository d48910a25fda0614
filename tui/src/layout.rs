//! Position of the panes for every screen size.

use frontend::key_bindings::KeyPane;
use ratatui::layout::{Constraint, Layout, Rect};

/// Below this width the screen shows one pane at a time.
const MIN_WIDE_COLUMNS: u16 = 80;

/// Below this size the screen shows only a message.
const MIN_SIZE: (u16, u16) = (40, 10);

/// Usual width of the panes on the left: a quarter of the screen within these bounds.
const LEFT_COLUMNS: (u16, u16) = (26, 44);

/// From this width on, the details of the selected circle have a column of their own.
const MIN_DETAIL_COLUMNS: u16 = 150;

/// Width of the details.
const DETAIL_COLUMNS: u16 = 38;

/// Smallest width of the panes on the left.
const MIN_LEFT_COLUMNS: u16 = 20;

/// Columns and rows of one step of a resize.
const COLUMN_STEP: i16 = 4;
const ROW_STEP: i16 = 2;

/// Largest number of steps away from the usual size; the screen bounds it further.
pub(crate) const MAX_STEPS: i16 = 40;

/// Sizes of the panes, in steps from the usual ones, and whether the pane is open that is not always there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PaneSizes {
    left: i16,
    logs: i16,
    /// Whether there is a pane for the store.
    pub is_data_open: bool,
}

impl PaneSizes {
    /// Makes a pane larger or smaller; its neighbour gets the opposite.
    pub(crate) fn resize(&mut self, pane: Pane, by: i16) {
        let change = |steps: i16, by: i16| (steps + by).clamp(-MAX_STEPS, MAX_STEPS);
        match pane {
            Pane::Circles | Pane::Keys | Pane::Data => self.left = change(self.left, by),
            Pane::Repl => self.left = change(self.left, -by),
            Pane::Logs => self.logs = change(self.logs, by),
        }
    }

    /// Returns a size within bounds.
    fn applied(usual: u16, steps: i16, step: i16, (least, most): (u16, u16)) -> u16 {
        usual.saturating_add_signed(steps.saturating_mul(step)).clamp(least, most.max(least))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Pane {
    Circles,
    Keys,
    Repl,
    Logs,
    /// The store; only while it is open.
    Data,
}

impl Pane {
    pub(crate) const ALL: [Self; 5] = [Self::Circles, Self::Keys, Self::Repl, Self::Logs, Self::Data];

    /// Returns the panes that there are.
    pub(crate) fn present(is_data_open: bool) -> &'static [Self] {
        if is_data_open { &Self::ALL } else { &Self::ALL[..Self::ALL.len() - 1] }
    }

    pub(crate) fn number(self) -> usize {
        Self::ALL.iter().position(|pane| *pane == self).map_or(0, |index| index + 1)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Circles => "Circles",
            Self::Keys => "Keys",
            Self::Repl => "REPL",
            Self::Logs => "Logs",
            Self::Data => "Data",
        }
    }

    /// Returns the pane some steps forward or backward among those that there are.
    pub(crate) fn step(self, steps: isize, is_data_open: bool) -> Self {
        let present = Self::present(is_data_open);
        present[(self.number() - 1 + present.len()).wrapping_add_signed(steps) % present.len()]
    }

    /// Returns the pane as key bindings name it.
    pub(crate) fn key_pane(self) -> KeyPane {
        match self {
            Self::Circles => KeyPane::Circles,
            Self::Keys => KeyPane::Keys,
            Self::Repl => KeyPane::Repl,
            Self::Logs => KeyPane::Logs,
            Self::Data => KeyPane::Data,
        }
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
        /// The details of the selected circle with their borders, on a wide screen.
        detail: Option<Rect>,
        /// The line for toasts.
        message: Rect,
        footer: Rect,
    },
}

/// Computes the layout. `focus` is the pane to show where there is room for only one.
pub(crate) fn screen_layout(screen: Rect, focus: Pane, is_zoomed: bool, sizes: PaneSizes) -> ScreenLayout {
    if screen.width < MIN_SIZE.0 || screen.height < MIN_SIZE.1 {
        return ScreenLayout::TooSmall;
    }
    let [header, main, message, footer] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1), Constraint::Length(1)])
            .areas(screen);
    if screen.width < MIN_WIDE_COLUMNS || is_zoomed {
        return ScreenLayout::Panes { header, panes: vec![(focus, main)], detail: None, message, footer };
    }
    let logs = PaneSizes::applied((main.height / 5).clamp(4, 10), sizes.logs, ROW_STEP, (3, main.height * 2 / 3));
    let share = if sizes.is_data_open { screen.width * 2 / 5 } else { screen.width / 4 };
    let usual = share.clamp(LEFT_COLUMNS.0, LEFT_COLUMNS.1);
    let left = PaneSizes::applied(usual, sizes.left, COLUMN_STEP, (MIN_LEFT_COLUMNS, screen.width / 2));
    // Neighbours share a border.
    let [upper, lower] = Layout::vertical([Constraint::Fill(1), Constraint::Length(logs)]).spacing(-1).areas(main);
    let [left, right] = Layout::horizontal([Constraint::Length(left), Constraint::Fill(1)]).spacing(-1).areas(upper);
    let (right, detail) = if screen.width < MIN_DETAIL_COLUMNS {
        (right, None)
    } else {
        let [right, detail] =
            Layout::horizontal([Constraint::Fill(1), Constraint::Length(DETAIL_COLUMNS)]).spacing(-1).areas(right);
        (right, Some(detail))
    };
    let (lists, data) = if sizes.is_data_open {
        let [lists, data] = Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)]).spacing(-1).areas(left);
        (lists, Some(data))
    } else {
        (left, None)
    };
    let [circles, keys] = Layout::vertical([Constraint::Fill(3), Constraint::Fill(2)]).spacing(-1).areas(lists);
    let mut panes = vec![(Pane::Circles, circles), (Pane::Keys, keys), (Pane::Repl, right), (Pane::Logs, lower)];
    panes.extend(data.map(|data| (Pane::Data, data)));
    ScreenLayout::Panes { header, panes, detail, message, footer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_fits_every_screen_size() {
        for (width, height) in (0..170).flat_map(|width| (0..50).map(move |height| (width, height))) {
            let screen = Rect::new(0, 0, width, height);
            let sized = |left, logs| PaneSizes { left, logs, is_data_open: false };
            let with_data = PaneSizes { is_data_open: true, ..sized(40, 40) };
            for (is_zoomed, sizes) in [
                (false, sized(0, 0)),
                (true, sized(0, 0)),
                (false, sized(-40, -40)),
                (false, sized(40, 40)),
                (false, with_data),
            ] {
                let ScreenLayout::Panes { header, panes, detail, message, footer } =
                    screen_layout(screen, Pane::Repl, is_zoomed, sizes)
                else {
                    assert!(width < 40 || height < 10, "{width}x{height}");
                    continue;
                };
                let all = panes.iter().map(|(_, area)| *area).chain([header, message, footer]).chain(detail);
                for area in all {
                    assert_eq!(area.intersection(screen), area, "{width}x{height}");
                }
                let all = Pane::present(sizes.is_data_open).len();
                assert_eq!(panes.len(), if is_zoomed || width < 80 { 1 } else { all }, "{width}x{height}");
            }
        }
    }

    #[test]
    fn pane_is_resized_within_bounds() {
        let width =
            |sizes: PaneSizes, index: usize| match screen_layout(Rect::new(0, 0, 100, 30), Pane::Logs, false, sizes) {
                ScreenLayout::Panes { panes, .. } => (panes[index].1.width, panes[index].1.height),
                ScreenLayout::TooSmall => panic!("it is large enough"),
            };
        let mut sizes = PaneSizes::default();
        assert_eq!(width(sizes, 0).0, 26);
        sizes.resize(Pane::Circles, 1);
        assert_eq!(width(sizes, 0).0, 30);
        sizes.resize(Pane::Repl, 1);
        assert_eq!(width(sizes, 0).0, 26);
        let before = width(sizes, 3).1;
        sizes.resize(Pane::Logs, 1);
        assert_eq!(width(sizes, 3).1, before + 2);
        for _ in 0..1000 {
            sizes.resize(Pane::Circles, 1);
            sizes.resize(Pane::Logs, -1);
        }
        assert_eq!((width(sizes, 0).0, width(sizes, 3).1), (50, 3));
    }

    #[test]
    fn panes_are_cycled() {
        assert_eq!(Pane::Circles.step(-1, false), Pane::Logs);
        assert_eq!(Pane::Logs.step(1, false), Pane::Circles);
        assert_eq!(Pane::Keys.step(1, false), Pane::Repl);
        assert_eq!(Pane::Logs.step(1, true), Pane::Data);
        assert_eq!(Pane::Data.step(1, true), Pane::Circles);
    }
}
