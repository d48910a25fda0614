//! Transcript of a session: inputs, output, values, errors. The newest lines are kept, within bounds.

mod blocks;

use std::{collections::VecDeque, ops::Range};

use ratatui::{layout::Position, text::Line as ShownLine};

use frontend::text::{Size, Style, StyledLine};

use crate::{
    scroll::{NumberedLines, ScrollView},
    search::{Highlight, Query, Searchable},
    theme::Theme,
};
use blocks::Blocks;

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
    pub view: ScrollView,
    blocks: Blocks,
    /// Text for a copy, and what it is.
    last: (String, &'static str),
}

/// The lines as a theme shows them, with what a search has found.
struct ShownTranscript<'a> {
    lines: &'a VecDeque<StyledLine>,
    dropped: usize,
    blocks: &'a Blocks,
    theme: Theme,
    found: Option<Highlight<'a>>,
}

impl Transcript {
    pub(crate) fn push(&mut self, line: StyledLine) {
        let line = truncate_line(line);
        self.bytes += size(&line);
        self.lines.push_back(line);
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= size(&oldest);
            self.dropped += 1;
        }
        self.blocks.drop_before(self.dropped);
    }

    /// Adds an input, with which a block begins, and follows what comes of it.
    pub(crate) fn push_input(&mut self, lines: Vec<StyledLine>) {
        self.view.follow();
        let start = self.dropped + self.lines.len();
        self.blocks.push(start..start + lines.len());
        self.extend(lines);
    }

    /// Selects an older or a newer block. Beyond the newest one, the view follows new lines.
    pub(crate) fn select_block(&mut self, is_older: bool) {
        match self.blocks.step(is_older) {
            Some(line) => self.view.reveal(line),
            None => self.view.follow(),
        }
    }

    /// Handles a click: it selects the block of an input, or ends the selection.
    pub(crate) fn click(&mut self, at: Position) {
        match self.view.line_at(at) {
            Some(line) => self.blocks.toggle(line),
            None => drop(self.blocks.deselect()),
        }
    }

    /// Returns whether a block is selected.
    pub(crate) fn has_selected_block(&self) -> bool {
        self.blocks.has_selected()
    }

    /// Ends the selection of a block. Returns whether there was one.
    pub(crate) fn deselect_block(&mut self) -> bool {
        self.blocks.deselect()
    }

    /// Returns the text of the selected block, or else of the last output, and what it is.
    pub(crate) fn text_to_copy(&self) -> (String, &'static str) {
        match self.blocks.selected(self.numbers().end) {
            Some(block) => self.block_text(block),
            None => (self.last.0.clone(), self.last.1),
        }
    }

    /// Returns the text of the block that has a line, and what it is.
    pub(crate) fn block_at(&self, line: usize) -> (String, &'static str) {
        match self.blocks.containing(line, self.numbers().end) {
            Some(block) => self.block_text(block),
            None => (self.text_of(line..line + 1), "the line"),
        }
    }

    /// Returns what came of an input or, if nothing did, the input.
    fn block_text(&self, (input, output): (Range<usize>, Range<usize>)) -> (String, &'static str) {
        if output.is_empty() { (self.text_of(input), "the input") } else { (self.text_of(output), "the output") }
    }

    fn text_of(&self, numbers: Range<usize>) -> String {
        let lines = self.lines.iter().skip(numbers.start.saturating_sub(self.dropped)).take(numbers.len());
        lines.map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn extend(&mut self, lines: impl IntoIterator<Item = StyledLine>) {
        lines.into_iter().for_each(|line| self.push(line));
    }

    /// Sets the text for a copy.
    pub(crate) fn set_last(&mut self, text: String, what: &'static str) {
        self.last = (text, what);
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
        let (width, _) = self.view.size();
        if width == 0 { 80 } else { width.into() }
    }

    /// Returns the room for a value: the input above it stays visible.
    pub(crate) fn room(&self) -> Size {
        let (_, height) = self.view.size();
        let height = if height == 0 { 24 } else { usize::from(height) };
        Size { width: self.width(), height: height - 1 }
    }

    /// Returns the visible rows, with what a search has found.
    pub(crate) fn rows(
        &mut self,
        theme: Theme,
        size: (u16, u16),
        found: Option<Highlight<'_>>,
    ) -> Vec<ShownLine<'static>> {
        let is_held = self.blocks.has_selected() || found.is_some_and(|found| found.has_current());
        let lines = ShownTranscript { lines: &self.lines, dropped: self.dropped, blocks: &self.blocks, theme, found };
        self.view.rows(&lines, size, is_held)
    }
}

impl NumberedLines for ShownTranscript<'_> {
    fn at_or_before(&self, number: usize) -> Option<usize> {
        let newest = (self.dropped + self.lines.len()).checked_sub(1)?;
        Some(number.min(newest)).filter(|number| *number >= self.dropped && !self.lines.is_empty())
    }

    fn at_or_after(&self, number: usize) -> Option<usize> {
        Some(number.max(self.dropped)).filter(|number| *number < self.dropped + self.lines.len())
    }

    fn line(&self, number: usize) -> ShownLine<'static> {
        let line = number.checked_sub(self.dropped).and_then(|index| self.lines.get(index));
        let mut shown = line.map_or_else(ShownLine::default, |line| self.theme.line(line));
        if self.blocks.is_selected_head(number) {
            shown = shown.patch_style(self.theme.selected(true));
        }
        match self.found {
            Some(found) => found.apply(shown, number, self.theme),
            None => shown,
        }
    }
}

impl Searchable for Transcript {
    fn numbers(&self) -> Range<usize> {
        self.dropped..self.dropped + self.lines.len()
    }

    fn matching_lines(&self, query: &Query, numbers: Range<usize>) -> Vec<usize> {
        let is_match = |number: &usize| {
            let line = number.checked_sub(self.dropped).and_then(|index| self.lines.get(index));
            line.is_some_and(|line| query.matches(&line.to_string()))
        };
        numbers.filter(is_match).collect()
    }

    fn reveal(&mut self, line: usize) {
        self.view.reveal(line);
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
        transcript.view.scroll(-1);
        assert_eq!(shown(&mut transcript, 5, 2), ["two ", "three"]);
        transcript.view.scroll(-100);
        assert_eq!(shown(&mut transcript, 5, 2), ["one", "two "]);
        transcript.view.scroll(1);
        assert_eq!(shown(&mut transcript, 5, 2), ["two ", "three"]);
        // New lines do not move the visible ones.
        transcript.push(StyledLine::of(Style::Plain, "five six"));
        assert_eq!(shown(&mut transcript, 5, 2), ["two ", "three"]);
        transcript.view.scroll_to_begin();
        assert_eq!(shown(&mut transcript, 5, 2), ["one", "two "]);
        transcript.view.page(1);
        assert_eq!(shown(&mut transcript, 5, 2), ["two ", "three"]);
        transcript.view.follow();
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
        let found = transcript.matching_lines(&Query::new("line 3"), transcript.numbers());
        assert_eq!(found, [3]);
        transcript.reveal(18);
        shown(&mut transcript, 20, 4);
        assert!(transcript.view.is_following());
        transcript.reveal(3);
        assert_eq!(shown(&mut transcript, 20, 4), ["line 1", "line 2", "line 3", "line 4"]);
        transcript.reveal(2);
        assert_eq!(shown(&mut transcript, 20, 4)[1], "line 2");
        (20..MAX_LINES + 2).for_each(|number| push(&mut transcript, number));
        assert_eq!(transcript.matching_lines(&Query::new("line 3"), transcript.numbers()).first(), Some(&3));
        assert_eq!(transcript.matching_lines(&Query::new("line 1"), transcript.numbers()).first(), Some(&10));
        transcript.reveal(1);
        transcript.reveal(usize::MAX);
        assert_eq!(shown(&mut transcript, 20, 1).len(), 1);
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
