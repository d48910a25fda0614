//! Text objects of vi: words, quoted strings and what brackets enclose.

use std::ops::Range;

use super::motion::{kind, line};

/// A text object: `i` or `a`, and the key of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TextObject {
    /// Whether it takes the quotes, the brackets or the space around, as `a` does.
    pub is_around: bool,
    pub key: char,
}

impl TextObject {
    /// Returns the characters of the object at a place; `None` if there is none.
    pub(super) fn range(self, text: &[char], place: usize, count: usize) -> Option<Range<usize>> {
        match self.key {
            'w' | 'W' => self.words(text, place, count),
            '"' | '\'' | '`' => self.quoted(text, place),
            '(' | ')' | 'b' => self.enclosed(text, place, ('(', ')'), count),
            '[' | ']' => self.enclosed(text, place, ('[', ']'), count),
            '{' | '}' | 'B' => self.enclosed(text, place, ('{', '}'), count),
            _ => None,
        }
    }

    /// Words and the spaces between them, within the line.
    fn words(self, text: &[char], place: usize, count: usize) -> Option<Range<usize>> {
        let (line_start, line_end) = line(text, place);
        let kind_at = |at: usize| kind(text[at], self.key == 'W');
        let end_of = |at: usize| {
            let here = kind_at(at);
            (at..line_end).find(|at| kind_at(*at) != here).unwrap_or(line_end)
        };
        let here = (place < line_end).then(|| kind_at(place))?;
        let start = (line_start..place).rev().take_while(|at| kind_at(*at) == here).last().unwrap_or(place);
        let mut end = start;
        let mut has_space = false;
        for _ in 0..count.saturating_mul(if self.is_around { 2 } else { 1 }) {
            if end == line_end {
                break;
            }
            // A word around which there is no space ends with the word.
            if self.is_around && end > start && kind_at(end) != 0 && kind_at(end - 1) != 0 {
                break;
            }
            has_space |= kind_at(end) == 0;
            end = end_of(end);
        }
        // Without a space behind it, `aw` takes the one before it.
        let takes_before = self.is_around && here != 0 && !has_space;
        let before = (line_start..start).rev().take_while(|at| takes_before && kind_at(*at) == 0).last();
        Some(before.unwrap_or(start)..end)
    }

    /// A quoted string in the line: the one at the place, or else the next one.
    fn quoted(self, text: &[char], place: usize) -> Option<Range<usize>> {
        let (line_start, line_end) = line(text, place);
        let mut open = None;
        let mut at = line_start;
        while at < line_end {
            match open {
                Some(_) if text[at] == '\\' => at += 1,
                None if text[at] == self.key => open = Some(at),
                Some(start) if text[at] == self.key => {
                    if at >= place {
                        return Some(self.quoted_range(text, start..at + 1, line_start..line_end));
                    }
                    open = None;
                }
                _ => {}
            }
            at += 1;
        }
        None
    }

    fn quoted_range(self, text: &[char], quoted: Range<usize>, line: Range<usize>) -> Range<usize> {
        let is_space = |at: &usize| text[*at].is_whitespace();
        if !self.is_around {
            return quoted.start + 1..quoted.end - 1;
        }
        let end = (quoted.end..line.end).take_while(is_space).last().map_or(quoted.end, |at| at + 1);
        let takes_before = end == quoted.end;
        let before = (line.start..quoted.start).rev().take_while(|at| takes_before && is_space(at)).last();
        before.unwrap_or(quoted.start)..end
    }

    /// What the innermost brackets enclose, or those some levels further out. Strings and comments are text like any
    /// other.
    fn enclosed(self, text: &[char], place: usize, pair: (char, char), count: usize) -> Option<Range<usize>> {
        let mut start = opening(text, place, pair)?;
        for _ in 1..count {
            start = opening(text, start.checked_sub(1)?, pair).filter(|outer| text[*outer] == pair.0)?;
        }
        let end = closing(text, start, pair)?;
        if self.is_around {
            return Some(start..end + 1);
        }
        let mut inner = start + 1..end;
        // The line breaks and the indentation of brackets on lines of their own stay.
        let last_line = text[inner.clone()].iter().rposition(|letter| *letter == '\n').map(|at| inner.start + at);
        if let Some(last) = last_line.filter(|last| text[last + 1..end].iter().all(|letter| letter.is_whitespace())) {
            inner.end = last;
        }
        if text[start + 1] == '\n' && inner.end > inner.start {
            inner.start += 1;
        }
        Some(inner)
    }
}

/// Returns the innermost opening bracket at a place or before it that is not closed before the place.
fn opening(text: &[char], place: usize, (open, close): (char, char)) -> Option<usize> {
    let mut depth = 0_usize;
    for at in (0..=place.min(text.len().checked_sub(1)?)).rev() {
        if text[at] == close && at < place {
            depth += 1;
        } else if text[at] == open {
            match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return Some(at),
            }
        }
    }
    None
}

/// Returns the bracket that closes an opening one.
fn closing(text: &[char], start: usize, (open, close): (char, char)) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, letter) in text.iter().enumerate().skip(start) {
        if *letter == open {
            depth += 1;
        } else if *letter == close {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}
