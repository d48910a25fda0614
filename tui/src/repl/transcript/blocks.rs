//! Blocks of a transcript: an input with what came of it. One can be selected, for a copy.

use std::{collections::VecDeque, ops::Range};

/// The lines of an input, by their numbers. Its block goes on to the next input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BlockHead {
    start: usize,
    end: usize,
}

#[derive(Debug, Default)]
pub(super) struct Blocks {
    heads: VecDeque<BlockHead>,
    selected: Option<BlockHead>,
}

impl Blocks {
    /// Adds the block of a new input.
    pub(super) fn push(&mut self, head: Range<usize>) {
        self.heads.push_back(BlockHead { start: head.start, end: head.end });
        self.selected = None;
    }

    /// Forgets the blocks whose input is gone.
    pub(super) fn drop_before(&mut self, first: usize) {
        while self.heads.front().is_some_and(|head| head.start < first) {
            self.heads.pop_front();
        }
        self.selected.take_if(|head| head.start < first);
    }

    pub(super) fn deselect(&mut self) -> bool {
        self.selected.take().is_some()
    }

    pub(super) fn has_selected(&self) -> bool {
        self.selected.is_some()
    }

    /// Returns whether a line is of the input of the selected block.
    pub(super) fn is_selected_head(&self, line: usize) -> bool {
        self.selected.is_some_and(|head| (head.start..head.end).contains(&line))
    }

    /// Selects the next older or newer block, at first the newest. Returns its first line; `None` beyond the newest one.
    pub(super) fn step(&mut self, is_older: bool) -> Option<usize> {
        let at = self.selected.and_then(|selected| self.heads.iter().position(|head| *head == selected));
        let next = match (at, is_older) {
            (None, true) => self.heads.len().checked_sub(1),
            (None, false) => None,
            (Some(at), true) => Some(at.saturating_sub(1)),
            (Some(at), false) => Some(at + 1),
        };
        self.selected = next.and_then(|next| self.heads.get(next)).copied();
        self.selected.map(|head| head.start)
    }

    /// Selects the block whose input has a line, or none if it is selected already or there is no such block.
    pub(super) fn toggle(&mut self, line: usize) {
        let head = self.heads.iter().find(|head| (head.start..head.end).contains(&line)).copied();
        self.selected = head.filter(|head| self.selected != Some(*head));
    }

    /// Returns the lines of the selected block: those of its input, and those after it. `end` is the end of all lines.
    pub(super) fn selected(&self, end: usize) -> Option<(Range<usize>, Range<usize>)> {
        self.selected.map(|head| self.lines_of(head, end))
    }

    /// Returns the lines of the block that has a line.
    pub(super) fn containing(&self, line: usize, end: usize) -> Option<(Range<usize>, Range<usize>)> {
        let after = self.heads.partition_point(|head| head.start <= line);
        let head = self.heads.get(after.checked_sub(1)?)?;
        Some(self.lines_of(*head, end))
    }

    fn lines_of(&self, head: BlockHead, end: usize) -> (Range<usize>, Range<usize>) {
        let after = self.heads.partition_point(|other| other.start <= head.start);
        let end = self.heads.get(after).map_or(end, |next| next.start);
        (head.start..head.end, head.end..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_is_selected_by_steps_and_by_its_input() {
        let mut blocks = Blocks::default();
        assert_eq!((blocks.step(true), blocks.step(false)), (None, None));
        for head in [2..3, 5..7, 9..10] {
            blocks.push(head);
        }
        assert_eq!([true, true, true, true, false].map(|is_older| blocks.step(is_older)), [9, 5, 2, 2, 5].map(Some));
        assert_eq!(blocks.selected(12), Some((5..7, 7..9)));
        assert!(blocks.is_selected_head(6) && !blocks.is_selected_head(7));
        assert_eq!([blocks.step(false), blocks.step(false)], [Some(9), None]);
        assert!(!blocks.has_selected());
        for (line, selected) in [(9, Some((9..10, 10..12))), (10, None), (2, Some((2..3, 3..5))), (2, None), (0, None)]
        {
            blocks.toggle(line);
            assert_eq!(blocks.selected(12), selected, "{line}");
        }
        assert_eq!(blocks.containing(8, 12), Some((5..7, 7..9)));
        assert_eq!(blocks.containing(1, 12), None);
        blocks.toggle(2);
        blocks.drop_before(3);
        assert!(!blocks.has_selected());
        assert_eq!(blocks.containing(4, 12), None);
    }
}
