//! Transcript of a session: inputs, output, values, errors. The newest lines are kept, within bounds.

use std::collections::VecDeque;

use ratatui::{layout::Rect, text::Line as ShownLine};

use frontend::text::{Size, Style, StyledLine};

use crate::{
    search::{Highlight, Query, Searchable},
    selection::VisibleRow,
    theme::{Background, Theme},
    wrap,
};

/// Largest number of lines.
const MAX_LINES: usize = 10_000;

/// Largest size in bytes.
const MAX_BYTES: usize = 4 << 20;

/// Largest size of a line in bytes.
const MAX_LINE_BYTES: usize = 16 << 10;

#[derive(Debug, Default)]
pub(crate) struct Transcript {
    lines: VecDeque<StyledLine>,
    bytes: usize,
    /// Number of lines that were dropped; a line keeps its number.
    dropped: usize,
    /// Rows below the visible ones; 0 follows new lines.
    back: usize,
    /// Where it was last drawn, and the rows there.
    area: Rect,
    visible: Vec<VisibleRow>,
    /// Text for a copy, and what it is.
    last: (String, &'static str),
    /// Size when it was last drawn; 0 before.
    width: u16,
    height: u16,
}

impl Transcript {
    pub(crate) fn push(&mut self, line: StyledLine) {
        let line = truncate_line(line);
        if self.back > 0 {
            // Keeps the visible rows in place.
            self.back = self.back.saturating_add(self.height_of(&line));
        }
        self.bytes += size(&line);
        self.lines.push_back(line);
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= size(&oldest);
            self.dropped += 1;
        }
    }

    pub(crate) fn extend(&mut self, lines: impl IntoIterator<Item = StyledLine>) {
        lines.into_iter().for_each(|line| self.push(line));
    }

    /// Sets the text for a copy.
    pub(crate) fn set_last(&mut self, text: String, what: &'static str) {
        self.last = (text, what);
    }

    /// Returns the text for a copy, and what it is.
    pub(crate) fn last(&self) -> (&str, &'static str) {
        (&self.last.0, self.last.1)
    }

    /// Returns all lines.
    #[cfg(test)]
    pub(crate) fn texts(&self) -> Vec<String> {
        self.lines.iter().map(ToString::to_string).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns the width of a row.
    pub(crate) fn width(&self) -> usize {
        if self.width == 0 { 80 } else { self.width.into() }
    }

    /// Returns the room for a value: the input above it stays visible.
    pub(crate) fn room(&self) -> Size {
        let height = if self.height == 0 { 24 } else { usize::from(self.height) };
        Size { width: self.width(), height: height - 1 }
    }

    /// Scrolls by almost a screen.
    pub(crate) fn page(&mut self, pages: i32) {
        self.scroll(pages * i32::from(self.height.max(2) - 1));
    }

    /// Scrolls to the oldest line.
    pub(crate) fn scroll_to_begin(&mut self) {
        self.back = usize::MAX / 2;
    }

    /// Scrolls by rows, up if negative.
    pub(crate) fn scroll(&mut self, rows: i32) {
        self.back = self.back.saturating_add_signed(-(rows as isize));
    }

    pub(crate) fn follow(&mut self) {
        self.back = 0;
    }

    pub(crate) fn is_following(&self) -> bool {
        self.back == 0
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

    /// Returns the number of rows of a line.
    fn height_of(&self, line: &StyledLine) -> usize {
        wrap::wrap_words(Theme::new(false, Background::Dark).line(line), self.width).len()
    }

    /// Returns the visible rows, with what a search has found.
    pub(crate) fn rows(
        &mut self,
        theme: Theme,
        (width, height): (u16, u16),
        found: Option<Highlight<'_>>,
    ) -> Vec<ShownLine<'static>> {
        (self.width, self.height) = (width, height);
        let needed = usize::from(height) + self.back;
        let mut rows = VecDeque::new();
        for (index, line) in self.lines.iter().enumerate().rev() {
            let mut shown = theme.line(line);
            if let Some(found) = found {
                shown = found.apply(shown, self.dropped + index, theme);
            }
            for (index, row) in wrap::wrap_words(shown, width).into_iter().enumerate().rev() {
                rows.push_front((row, index > 0));
            }
            if rows.len() >= needed {
                break;
            }
        }
        // Not beyond the oldest row.
        self.back = self.back.min(rows.len().saturating_sub(usize::from(height)));
        let end = rows.len() - self.back;
        let start = end.saturating_sub(usize::from(height));
        let rows = rows.into_iter().skip(start).take(end - start);
        self.visible.clear();
        let shown = rows.map(|(row, is_continued)| {
            self.visible.push(VisibleRow { text: row.to_string(), is_continued });
            row
        });
        shown.collect()
    }
}

impl Searchable for Transcript {
    fn matching_lines(&self, query: &Query) -> Vec<usize> {
        let lines = self.lines.iter().enumerate();
        let matching = lines.filter(|(_, line)| query.matches(&line.to_string()));
        matching.map(|(index, _)| self.dropped + index).collect()
    }

    fn revision(&self) -> usize {
        self.dropped + self.lines.len()
    }

    fn reveal(&mut self, line: usize) {
        let Some(index) = line.checked_sub(self.dropped).filter(|index| *index < self.lines.len()) else { return };
        let below: usize = self.lines.iter().skip(index + 1).map(|line| self.height_of(line)).sum();
        let end = below + self.height_of(&self.lines[index]);
        let height = usize::from(self.height.max(1));
        // A line that is visible stays where it is.
        if below < self.back || end > self.back + height {
            self.back = (below + 1).saturating_sub(height / 2);
        }
    }
}

fn size(line: &StyledLine) -> usize {
    line.spans().iter().map(|piece| piece.text.len()).sum::<usize>() + 64
}

fn truncate_line(line: StyledLine) -> StyledLine {
    let total: usize = line.spans().iter().map(|piece| piece.text.len()).sum();
    if total <= MAX_LINE_BYTES {
        return line;
    }
    let (mut short, mut room) = (StyledLine::default(), MAX_LINE_BYTES);
    for piece in line.spans() {
        let end = piece.text.floor_char_boundary(room);
        short.push(piece.style, &piece.text[..end]);
        room -= end;
    }
    short.with(Style::Dim, &format!(" … {} KiB more", (total - MAX_LINE_BYTES).div_ceil(1024)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(transcript: &mut Transcript, width: u16, height: u16) -> Vec<String> {
        transcript.rows(Theme::plain(), (width, height), None).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn transcript_shows_the_newest_rows_and_scrolls_to_the_others() {
        let mut transcript = Transcript::default();
        transcript.extend(["one", "two three", "four"].map(|text| StyledLine::of(Style::Plain, text)));
        assert_eq!(shown(&mut transcript, 5, 2), ["three", "four"]);
        transcript.scroll(-1);
        assert_eq!(shown(&mut transcript, 5, 2), ["two ", "three"]);
        transcript.scroll(-100);
        assert_eq!(shown(&mut transcript, 5, 2), ["one", "two "]);
        transcript.scroll(1);
        assert_eq!(shown(&mut transcript, 5, 2), ["two ", "three"]);
        // New lines do not move the visible ones.
        transcript.push(StyledLine::of(Style::Plain, "five six"));
        assert_eq!(shown(&mut transcript, 5, 2), ["two ", "three"]);
        transcript.scroll_to_begin();
        assert_eq!(shown(&mut transcript, 5, 2), ["one", "two "]);
        transcript.page(1);
        assert_eq!(shown(&mut transcript, 5, 2), ["two ", "three"]);
        transcript.follow();
        assert_eq!(shown(&mut transcript, 80, 9), ["one", "two three", "four", "five six"]);
    }

    #[test]
    fn transcript_reveals_a_line_and_keeps_its_number() {
        let mut transcript = Transcript::default();
        let push = |transcript: &mut Transcript, number: usize| {
            transcript.push(StyledLine::of(Style::Plain, &format!("line {number}")));
        };
        (0..20).for_each(|number| push(&mut transcript, number));
        assert_eq!(shown(&mut transcript, 20, 4), ["line 16", "line 17", "line 18", "line 19"]);
        let found = transcript.matching_lines(&Query::new("line 3"));
        assert_eq!(found, [3]);
        transcript.reveal(18);
        assert!(transcript.is_following());
        transcript.reveal(3);
        assert_eq!(shown(&mut transcript, 20, 4), ["line 1", "line 2", "line 3", "line 4"]);
        transcript.reveal(2);
        assert_eq!(shown(&mut transcript, 20, 4)[1], "line 2");
        (20..MAX_LINES + 2).for_each(|number| push(&mut transcript, number));
        assert_eq!(transcript.matching_lines(&Query::new("line 3")).first(), Some(&3));
        assert_eq!(transcript.matching_lines(&Query::new("line 1")).first(), Some(&10));
        transcript.reveal(1);
        transcript.reveal(usize::MAX);
        let row = transcript.rows(Theme::new(true, Background::Dark), (20, 1), None);
        assert_eq!(row.len(), 1);
    }

    #[test]
    fn transcript_is_bounded() {
        let mut transcript = Transcript::default();
        for number in 0..MAX_LINES + 5 {
            transcript.push(StyledLine::of(Style::Plain, &number.to_string()));
        }
        assert_eq!(transcript.lines.len(), MAX_LINES);
        assert_eq!(transcript.lines[0].to_string(), "5");
        for _ in 0..1000 {
            transcript.push(StyledLine::of(Style::Plain, &"x".repeat(1 << 20)));
        }
        assert!(transcript.bytes <= MAX_BYTES && transcript.lines.len() < 300, "{}", transcript.bytes);
        assert!(transcript.lines[0].to_string().ends_with("x … 1008 KiB more"));
    }
}
