//! View over lines that come at the end and go at the front. What it shows stays in place meanwhile.

use std::collections::VecDeque;

use ratatui::{
    layout::{Position, Rect},
    text::Line,
};

use super::{selection::VisibleRow, wrap};

/// Lines of a view. A line keeps its number while older lines are dropped; a filter may hide some.
pub(crate) trait NumberedLines {
    /// Returns the number of the last line up to this number.
    fn at_or_before(&self, number: usize) -> Option<usize>;
    /// Returns the number of the first line from this number on.
    fn at_or_after(&self, number: usize) -> Option<usize>;
    /// Returns a line as it is shown.
    fn line(&self, number: usize) -> Line<'static>;
}

/// Place of a row: the number of its line, and the row within that line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct RowPosition {
    line: usize,
    row: usize,
}

/// What a pane shows of its lines.
#[derive(Debug, Default)]
pub(crate) struct ScrollView {
    /// The lowest row that is shown; `None` follows new lines.
    bottom: Option<RowPosition>,
    /// The lowest row of the last frame.
    drawn: Option<RowPosition>,
    /// Rows to scroll by in the next frame, up if negative.
    pending: isize,
    /// Line to show in the next frame.
    revealed: Option<usize>,
    has_more_below: bool,
    /// Width and height when it was last drawn; 0 before.
    size: (u16, u16),
    /// Where it was last drawn, and the rows there.
    area: Rect,
    visible: Vec<VisibleRow>,
    /// The lines of these rows.
    numbers: Vec<usize>,
}

impl ScrollView {
    /// Scrolls by rows, up if negative.
    pub(crate) fn scroll(&mut self, rows: isize) {
        if self.bottom.is_none() {
            self.bottom = self.drawn.filter(|_| rows < 0);
        }
        if self.bottom.is_some() {
            self.pending = self.pending.saturating_add(rows);
        }
    }

    /// Scrolls by almost a screen, up if negative.
    pub(crate) fn page(&mut self, pages: isize) {
        let rows = isize::try_from(self.size.1.max(2) - 1).unwrap_or(1);
        self.scroll(pages.saturating_mul(rows));
    }

    /// Scrolls to the oldest line.
    pub(crate) fn scroll_to_begin(&mut self) {
        (self.bottom, self.pending) = (Some(RowPosition { line: 0, row: 0 }), 0);
    }

    /// Follows new lines from now on.
    pub(crate) fn follow(&mut self) {
        (self.bottom, self.pending, self.revealed) = (None, 0, None);
    }

    /// Shows a line in the next frame. If it is visible already, nothing moves.
    pub(crate) fn reveal(&mut self, line: usize) {
        self.revealed = Some(line);
    }

    pub(crate) fn is_following(&self) -> bool {
        self.bottom.is_none()
    }

    /// Returns whether there were lines below the visible ones when it was last drawn.
    pub(crate) fn has_more_below(&self) -> bool {
        self.has_more_below
    }

    /// Returns the width and the height when it was last drawn; 0 before.
    pub(crate) fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Sets where it is drawn.
    pub(crate) fn set_area(&mut self, area: Rect) {
        self.area = area;
    }

    /// Returns where it was last drawn.
    pub(crate) fn area(&self) -> Rect {
        self.area
    }

    /// Returns the rows that are visible.
    pub(crate) fn visible(&self) -> &[VisibleRow] {
        &self.visible
    }

    /// Returns the line at a place on the screen.
    pub(crate) fn line_at(&self, at: Position) -> Option<usize> {
        let row = self.area.contains(at).then(|| usize::from(at.y - self.area.y))?;
        self.numbers.get(row).copied()
    }

    /// Returns the rows to show. While it is held, new lines do not move the newest rows either.
    pub(crate) fn rows(&mut self, lines: &impl NumberedLines, size: (u16, u16), is_held: bool) -> Vec<Line<'static>> {
        if let Some(bottom) = self.bottom.as_mut().filter(|_| self.size.0 != size.0) {
            // At another width the line has other rows.
            bottom.row = usize::MAX;
        }
        self.size = size;
        let wrapped = WrappedLines { lines, width: size.0 };
        let height = usize::from(size.1);
        let pending = std::mem::take(&mut self.pending);
        self.bottom = self.bottom.and_then(|bottom| wrapped.step(wrapped.nearest(bottom)?, pending));
        let mut rows = wrapped.screen(self.bottom, height);
        if let Some(line) = self.revealed.take().filter(|line| lines.at_or_before(*line) == Some(*line)) {
            let begin = RowPosition { line, row: 0 };
            let end = RowPosition { line, row: wrapped.last_row(line) };
            let is_visible = rows.front().is_some_and(|(first, _)| *first <= begin)
                && rows.back().is_some_and(|(last, _)| *last >= end);
            if !is_visible {
                // In the middle of the screen; of a line that is higher than the screen, its begin.
                let rows_of = |rows: usize| isize::try_from(rows).unwrap_or(isize::MAX);
                let middle = wrapped.step(end, rows_of((height / 2).saturating_sub(1)));
                let top = wrapped.step(begin, rows_of(height.saturating_sub(1)));
                self.bottom = middle.min(top);
                rows = wrapped.screen(self.bottom, height);
            }
        }
        let last = rows.back().map(|(last, _)| *last);
        if last.is_some() {
            self.has_more_below = last != wrapped.newest();
            self.bottom = last.filter(|_| self.has_more_below || is_held);
        }
        self.drawn = last;
        self.visible.clear();
        self.numbers.clear();
        let shown = rows.into_iter().map(|(place, row)| {
            self.visible.push(VisibleRow { text: row.to_string(), is_continued: place.row > 0 });
            self.numbers.push(place.line);
            row
        });
        shown.collect()
    }
}

/// Lines at the width of a view.
struct WrappedLines<'a, L> {
    lines: &'a L,
    width: u16,
}

impl<L: NumberedLines> WrappedLines<'_, L> {
    fn wrap(&self, line: usize) -> Vec<Line<'static>> {
        let line = self.lines.line(line);
        let style = line.style;
        wrap::wrap_words(line, self.width).into_iter().map(|row| row.style(style)).collect()
    }

    fn last_row(&self, line: usize) -> usize {
        self.wrap(line).len().saturating_sub(1)
    }

    /// Returns the newest row.
    fn newest(&self) -> Option<RowPosition> {
        let line = self.lines.at_or_before(usize::MAX)?;
        Some(RowPosition { line, row: self.last_row(line) })
    }

    /// Returns the row itself or, if it does not exist any more, the one next to it.
    fn nearest(&self, at: RowPosition) -> Option<RowPosition> {
        match self.lines.at_or_before(at.line) {
            Some(line) if line == at.line => Some(RowPosition { line, row: at.row.min(self.last_row(line)) }),
            Some(line) => Some(RowPosition { line, row: self.last_row(line) }),
            None => Some(RowPosition { line: self.lines.at_or_after(at.line)?, row: 0 }),
        }
    }

    /// Returns the row that is some rows further down, or up if negative; at most the newest or the oldest one.
    fn step(&self, at: RowPosition, rows: isize) -> Option<RowPosition> {
        let RowPosition { mut line, mut row } = at;
        let mut left = rows.unsigned_abs();
        if rows < 0 {
            while left > row {
                let Some(older) = line.checked_sub(1).and_then(|before| self.lines.at_or_before(before)) else {
                    return Some(RowPosition { line, row: 0 });
                };
                left -= row + 1;
                (line, row) = (older, self.last_row(older));
            }
            return Some(RowPosition { line, row: row - left });
        }
        loop {
            let last = self.last_row(line);
            if row + left <= last {
                return Some(RowPosition { line, row: row + left });
            }
            let Some(newer) = self.lines.at_or_after(line + 1) else { return Some(RowPosition { line, row: last }) };
            left -= last - row + 1;
            (line, row) = (newer, 0);
        }
    }

    /// Returns the rows of a screen: up from the lowest row, and more below it where there are not enough above.
    fn screen(&self, bottom: Option<RowPosition>, height: usize) -> VecDeque<(RowPosition, Line<'static>)> {
        let mut rows = VecDeque::new();
        let Some(bottom) = bottom.or_else(|| self.newest()) else { return rows };
        let mut next = Some(bottom.line);
        while let Some(line) = next.filter(|_| rows.len() < height) {
            let mut wrapped = self.wrap(line);
            if line == bottom.line {
                wrapped.truncate(bottom.row + 1);
            }
            let room = height - rows.len();
            for (row, shown) in wrapped.into_iter().enumerate().rev().take(room) {
                rows.push_front((RowPosition { line, row }, shown));
            }
            next = line.checked_sub(1).and_then(|before| self.lines.at_or_before(before));
        }
        let (mut next, mut first) = (Some(bottom.line), bottom.row + 1);
        while let Some(line) = next.filter(|_| rows.len() < height) {
            let room = height - rows.len();
            for (row, shown) in self.wrap(line).into_iter().enumerate().skip(first).take(room) {
                rows.push_back((RowPosition { line, row }, shown));
            }
            (next, first) = (self.lines.at_or_after(line + 1), 0);
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines from a number on, of which a filter may show only the even ones.
    struct Numbers {
        first: usize,
        end: usize,
        is_even: bool,
    }

    impl NumberedLines for Numbers {
        fn at_or_before(&self, number: usize) -> Option<usize> {
            let shown = |line: &usize| !self.is_even || line.is_multiple_of(2);
            (self.first..self.end.min(number.saturating_add(1))).rev().find(shown)
        }

        fn at_or_after(&self, number: usize) -> Option<usize> {
            (self.first.max(number)..self.end).find(|line| !self.is_even || line.is_multiple_of(2))
        }

        fn line(&self, number: usize) -> Line<'static> {
            format!("number {number}").into()
        }
    }

    fn numbers(first: usize, end: usize) -> Numbers {
        Numbers { first, end, is_even: false }
    }

    fn shown(view: &mut ScrollView, lines: &Numbers, size: (u16, u16)) -> Vec<String> {
        view.rows(lines, size, false).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn scrolled_view_stays_in_place_while_lines_come_and_go() {
        let mut view = ScrollView::default();
        assert_eq!(shown(&mut view, &numbers(0, 0), (20, 2)), [""; 0]);
        assert_eq!(shown(&mut view, &numbers(0, 9), (20, 2)), ["number 7", "number 8"]);
        // Lines that came before the next frame do not count.
        view.scroll(-2);
        assert_eq!(shown(&mut view, &numbers(0, 30), (20, 2)), ["number 5", "number 6"]);
        assert!(!view.is_following() && view.has_more_below());
        assert_eq!(shown(&mut view, &numbers(4, 99), (20, 2)), ["number 5", "number 6"]);
        // Another height and width.
        assert_eq!(shown(&mut view, &numbers(4, 99), (20, 3)), ["number 4", "number 5", "number 6"]);
        assert_eq!(shown(&mut view, &numbers(4, 99), (7, 2)), ["number ", "6"]);
        assert_eq!(shown(&mut view, &numbers(50, 99), (20, 2)), ["number 50", "number 51"]);
        view.follow();
        assert_eq!(shown(&mut view, &numbers(50, 99), (20, 2)), ["number 97", "number 98"]);
    }

    #[test]
    fn view_scrolls_by_rows_within_its_lines() {
        let mut view = ScrollView::default();
        let lines = numbers(0, 3);
        // Each line has two rows.
        assert_eq!(shown(&mut view, &lines, (7, 3)), ["1", "number ", "2"]);
        for (rows, expected) in [
            (-1, ["number ", "1", "number "]),
            (-9, ["number ", "0", "number "]),
            (1, ["0", "number ", "1"]),
            (2, ["1", "number ", "2"]),
        ] {
            view.scroll(rows);
            assert_eq!(shown(&mut view, &lines, (7, 3)), expected, "{rows}");
        }
        assert!(view.is_following());
        view.page(-1);
        assert_eq!(shown(&mut view, &lines, (7, 3)), ["0", "number ", "1"]);
        view.scroll_to_begin();
        assert_eq!(shown(&mut view, &lines, (7, 3)), ["number ", "0", "number "]);
        view.scroll(isize::MAX);
        view.scroll(isize::MAX);
        assert_eq!(shown(&mut view, &lines, (7, 3)), ["1", "number ", "2"]);
        assert_eq!(shown(&mut view, &lines, (7, 0)), [""; 0]);
    }

    #[test]
    fn revealed_line_moves_the_view_only_if_it_is_not_visible() {
        let mut view = ScrollView::default();
        for (line, expected) in [(97, 96), (50, 48), (51, 48), (0, 0), (300, 0)] {
            view.reveal(line);
            let first = format!("number {expected}");
            assert_eq!(shown(&mut view, &numbers(0, 100), (20, 4))[0], first, "{line}");
        }
        // The begin of a line that is higher than the screen.
        view.reveal(123_456_789);
        assert_eq!(shown(&mut view, &numbers(123_456_000, 123_456_999), (3, 2)), ["num", "ber"]);
    }

    #[test]
    fn held_view_stays_at_the_newest_rows() {
        let mut view = ScrollView::default();
        for end in [9, 12] {
            let rows = view.rows(&numbers(0, end), (20, 1), true);
            assert_eq!(rows[0].to_string(), "number 8");
        }
        assert!(view.has_more_below());
        view.follow();
        view.rows(&numbers(0, 9), (20, 1), true);
        assert!(!view.has_more_below() && !view.is_following());
        view.rows(&numbers(0, 9), (20, 1), false);
        assert!(view.is_following());
    }

    #[test]
    fn view_skips_what_a_filter_hides() {
        let mut view = ScrollView::default();
        let lines = Numbers { is_even: true, ..numbers(0, 10) };
        assert_eq!(shown(&mut view, &lines, (20, 2)), ["number 6", "number 8"]);
        view.scroll(-1);
        assert_eq!(shown(&mut view, &lines, (20, 2)), ["number 4", "number 6"]);
        view.reveal(3);
        assert_eq!(shown(&mut view, &lines, (20, 2)), ["number 4", "number 6"]);
    }
}
