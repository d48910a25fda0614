//! Search in the lines of a pane: the query, the lines that match, and which one is shown.

use std::ops::Range;

use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    layout::{Position, Rect},
    style::{Style, Stylize},
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::{circle_id::CircleId, layout::Pane, theme::Theme};

/// Largest query in bytes.
const MAX_QUERY_BYTES: usize = 256;

/// Lines that can be searched. A line keeps its number while older lines are dropped.
pub(crate) trait Searchable {
    /// Returns the numbers that lines have now.
    fn numbers(&self) -> Range<usize>;
    /// Returns which lines a filter shows: with another value, lines that were searched match or do not match again.
    fn filter(&self) -> usize {
        0
    }
    /// Returns those of these lines that match, oldest first.
    fn matching_lines(&self, query: &Query, numbers: Range<usize>) -> Vec<usize>;
    /// Scrolls so that a line is visible.
    fn reveal(&mut self, line: usize);
}

/// Text to find. Letters match in either case unless the query has a capital one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query(String);

impl Query {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Returns the byte ranges of the text that match, without overlaps.
    fn ranges(&self, text: &str) -> Vec<Range<usize>> {
        let is_exact = self.0.chars().any(char::is_uppercase);
        let is_same = |one: char, other: char| one == other || !is_exact && one.to_lowercase().eq(other.to_lowercase());
        let (mut ranges, mut from) = (Vec::new(), 0);
        while let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty() && !self.0.is_empty()) {
            let mut characters = rest.chars();
            let is_match = self.0.chars().all(|wanted| characters.next().is_some_and(|found| is_same(wanted, found)));
            if is_match {
                let end = text.len() - characters.as_str().len();
                ranges.push(from..end);
                from = end;
            } else {
                from += rest.chars().next().map_or(1, char::len_utf8);
            }
        }
        ranges
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        !self.ranges(text).is_empty()
    }
}

/// What a pane highlights while a search in it is open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Highlight<'a> {
    query: &'a Query,
    /// Number of the line that is shown.
    current: Option<usize>,
}

impl Highlight<'_> {
    /// Returns whether a match is shown, which new lines must not move.
    pub(crate) fn has_current(&self) -> bool {
        self.current.is_some()
    }

    /// Highlights what matches in a line.
    pub(crate) fn apply(self, line: Line<'static>, number: usize, theme: Theme) -> Line<'static> {
        let text: String = line.spans.iter().map(|span| span.content.as_ref()).collect();
        let ranges = self.query.ranges(&text);
        if ranges.is_empty() {
            return line;
        }
        let style = theme.found(self.current == Some(number));
        highlight(line, &ranges, style)
    }
}

/// Sets the style of byte ranges of a line.
pub(crate) fn highlight(line: Line<'static>, ranges: &[Range<usize>], style: Style) -> Line<'static> {
    let (mut spans, mut at) = (Vec::new(), 0);
    for span in line.spans {
        let (start, end) = (at, at + span.content.len());
        at = end;
        let mut from = start;
        for range in ranges.iter().filter(|range| range.start < end && range.end > start) {
            let (first, last) = (range.start.max(start), range.end.min(end));
            if first > from {
                spans.push(Span::styled(span.content[from - start..first - start].to_owned(), span.style));
            }
            spans.push(Span::styled(span.content[first - start..last - start].to_owned(), span.style.patch(style)));
            from = last;
        }
        if from < end {
            spans.push(Span::styled(span.content[from - start..].to_owned(), span.style));
        }
    }
    Line { spans, ..line }
}

/// Outcome of a key press.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SearchOutcome {
    /// The search stays open.
    Open,
    /// The search is over.
    Closed,
    /// The search is over, and the key is for the pane.
    Unhandled,
    /// The search stays open, and what has the shown match is copied.
    Copy(usize),
}

/// An open search.
#[derive(Debug)]
pub(crate) struct Search {
    pane: Pane,
    query: Query,
    /// Whether letters go into the query; otherwise `n` and `N` move.
    is_typing: bool,
    /// Number of the line that is shown.
    current: Option<usize>,
    /// Matching lines, oldest first.
    found: Vec<usize>,
    /// What they were found in: the circle, its filter, the query, and the end of the lines that were searched.
    searched: Option<(CircleId, usize, Query, usize)>,
}

impl Search {
    pub(crate) fn new(pane: Pane) -> Self {
        Self { pane, query: Query::default(), is_typing: true, current: None, found: Vec::new(), searched: None }
    }

    pub(crate) fn pane(&self) -> Pane {
        self.pane
    }

    pub(crate) fn highlight(&self) -> Highlight<'_> {
        Highlight { query: &self.query, current: self.current }
    }

    /// Finds the matching lines: all of them for another query, otherwise only those that are new. The newest match of
    /// a query is shown first.
    pub(crate) fn update(&mut self, circle: CircleId, lines: &mut impl Searchable) {
        let (numbers, filter) = (lines.numbers(), lines.filter());
        let is_same = |(id, _, query, _): &(CircleId, usize, Query, usize)| *id == circle && *query == self.query;
        let is_new_query = !self.searched.as_ref().is_some_and(is_same);
        let searched = self.searched.as_ref().filter(|(_, shown, ..)| !is_new_query && *shown == filter);
        let searched_end = searched.map(|(.., end)| *end);
        if searched_end.is_none() {
            self.found.clear();
        }
        let dropped = self.found.partition_point(|line| *line < numbers.start);
        self.found.drain(..dropped);
        let from = searched_end.unwrap_or(numbers.start).clamp(numbers.start, numbers.end);
        if from < numbers.end {
            self.found.extend(lines.matching_lines(&self.query, from..numbers.end));
        }
        self.searched = Some((circle, filter, self.query.clone(), numbers.end));
        let current = self.current.filter(|current| self.found.binary_search(current).is_ok());
        self.current = current.or_else(|| self.found.last().copied());
        if let Some(line) = self.current.filter(|_| is_new_query) {
            lines.reveal(line);
        }
    }

    /// Shows another match, older if negative; at either end it goes on at the other one.
    fn step(&mut self, older: bool, lines: &mut impl Searchable) {
        let count = self.found.len();
        let at = self.current.and_then(|current| self.found.binary_search(&current).ok());
        let Some(at) = at else { return };
        let next = if older { (at + count - 1) % count } else { (at + 1) % count };
        self.current = Some(self.found[next]);
        lines.reveal(self.found[next]);
    }

    pub(crate) fn paste(&mut self, text: &str) {
        for character in text.chars().filter(|character| !character.is_control()) {
            if self.query.0.len() + character.len_utf8() <= MAX_QUERY_BYTES {
                self.query.0.push(character);
            }
        }
    }

    pub(crate) fn key(&mut self, key: KeyEvent, lines: &mut impl Searchable) -> SearchOutcome {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        let is_shift = key.modifiers.contains(KeyModifiers::SHIFT);
        match key.code {
            KeyCode::Esc => return SearchOutcome::Closed,
            KeyCode::Char('c') if is_control => return SearchOutcome::Closed,
            KeyCode::Up => self.step(true, lines),
            KeyCode::Down => self.step(false, lines),
            KeyCode::F(3) => self.step(!is_shift, lines),
            KeyCode::Enter if self.is_typing => self.is_typing = self.found.is_empty(),
            KeyCode::Enter => self.step(!is_shift, lines),
            KeyCode::Backspace if self.is_typing => {
                if self.query.0.pop().is_none() {
                    return SearchOutcome::Closed;
                }
            }
            KeyCode::Char('u') if is_control => self.query.0.clear(),
            KeyCode::Char(character) if self.is_typing && !is_control => {
                self.paste(character.encode_utf8(&mut [0; 4]));
            }
            KeyCode::Char('n') if !is_control => self.step(true, lines),
            KeyCode::Char('N') => self.step(false, lines),
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Char('y') if !is_control && !self.is_typing => {
                return self.current.map_or(SearchOutcome::Open, SearchOutcome::Copy);
            }
            _ if self.is_typing => {}
            _ => return SearchOutcome::Unhandled,
        }
        SearchOutcome::Open
    }

    /// Draws the query and the number of matches.
    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect, theme: Theme) {
        let at = self.current.and_then(|current| self.found.binary_search(&current).ok());
        let count = match (at, self.query.0.is_empty()) {
            (_, true) => String::new(),
            (Some(at), _) => format!("{}/{}", at + 1, self.found.len()),
            (None, _) => "no match".into(),
        };
        let hint = if self.is_typing {
            "Enter done · ↑ older ↓ newer · Esc end"
        } else {
            "n older · N newer · y copy · / edit · Esc end"
        };
        let query = format!("/{}", self.query.0);
        let column = u16::try_from(query.width() + 1).unwrap_or(u16::MAX);
        let line = Line::from(vec![
            Span::raw(" "),
            Span::styled("/", theme.key()),
            Span::raw(self.query.0.clone()),
            Span::raw("  "),
            Span::styled(count, theme.warning()),
            Span::raw("  "),
            Span::raw(hint).dim(),
        ]);
        frame.render_widget(line, area);
        if self.is_typing && area.width > 0 {
            frame.set_cursor_position(Position::new(area.x + column.min(area.width - 1), area.y));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Lines with the one that was revealed, and the numbers of those that were searched.
    struct Lines(Vec<&'static str>, Option<usize>, Cell<usize>);

    impl Lines {
        fn new(lines: Vec<&'static str>) -> Self {
            Self(lines, None, Cell::new(0))
        }
    }

    impl Searchable for Lines {
        fn numbers(&self) -> Range<usize> {
            // Of more lines, the first one is dropped.
            usize::from(self.0.len() > 5)..self.0.len()
        }

        fn matching_lines(&self, query: &Query, numbers: Range<usize>) -> Vec<usize> {
            self.2.set(self.2.get() + numbers.len());
            numbers.filter(|number| query.matches(self.0[*number])).collect()
        }

        fn reveal(&mut self, line: usize) {
            self.1 = Some(line);
        }
    }

    fn press(search: &mut Search, lines: &mut Lines, codes: &[KeyCode]) {
        for code in codes {
            assert_eq!(search.key(KeyEvent::new(*code, KeyModifiers::NONE), lines), SearchOutcome::Open);
            search.update(CircleId(0), lines);
        }
    }

    #[test]
    fn query_ignores_case_unless_it_has_a_capital() {
        for (query, text, ranges) in [
            ("ab", "xAbab", &[(1, 3), (3, 5)][..]),
            ("Ab", "abAb", &[(2, 4)]),
            ("é", "É é", &[(0, 2), (3, 5)]),
            ("aa", "aaa", &[(0, 2)]),
            ("x", "日本", &[]),
            ("", "abc", &[]),
        ] {
            let found: Vec<_> = Query::new(query).ranges(text).iter().map(|range| (range.start, range.end)).collect();
            assert_eq!(found, ranges, "{query} in {text}");
        }
    }

    #[test]
    fn search_begins_at_the_newest_match_and_goes_around() {
        let mut lines = Lines::new(vec!["one", "two", "one more", "three", "one"]);
        let mut search = Search::new(Pane::Logs);
        press(&mut search, &mut lines, &[KeyCode::Char('o'), KeyCode::Char('n')]);
        assert_eq!((lines.1, search.found.len()), (Some(4), 3));
        // The letters are commands only after Enter.
        press(&mut search, &mut lines, &[KeyCode::Enter, KeyCode::Char('n')]);
        assert_eq!(lines.1, Some(2));
        press(&mut search, &mut lines, &[KeyCode::Char('n'), KeyCode::Char('n')]);
        assert_eq!(lines.1, Some(4));
        press(&mut search, &mut lines, &[KeyCode::Char('N')]);
        assert_eq!(lines.1, Some(0));
        // New lines do not move the view.
        lines.0.push("one again");
        search.update(CircleId(0), &mut lines);
        assert_eq!((lines.1, &*search.found), (Some(0), &[2, 4, 5][..]));
        let key = |code| KeyEvent::new(code, KeyModifiers::NONE);
        assert_eq!(search.key(key(KeyCode::Char('x')), &mut lines), SearchOutcome::Unhandled);
        assert_eq!(search.key(key(KeyCode::Esc), &mut lines), SearchOutcome::Closed);
    }

    #[test]
    fn search_looks_at_each_line_once() {
        let mut lines = Lines::new(vec!["one", "two", "one more"]);
        let mut search = Search::new(Pane::Logs);
        search.paste("one");
        search.update(CircleId(0), &mut lines);
        search.update(CircleId(0), &mut lines);
        assert_eq!((lines.2.get(), &*search.found), (3, &[0, 2][..]));
        lines.0.extend(["one again", "four"]);
        search.update(CircleId(0), &mut lines);
        assert_eq!((lines.2.get(), &*search.found), (5, &[0, 2, 3][..]));
        // Of another circle, or for another query, all lines.
        search.update(CircleId(1), &mut lines);
        assert_eq!(lines.2.get(), 10);
        search.paste(" m");
        search.update(CircleId(1), &mut lines);
        assert_eq!((lines.2.get(), &*search.found), (15, &[2][..]));
    }

    #[test]
    fn highlight_splits_spans_and_keeps_the_text() {
        let line = Line::from(vec!["ab".into(), "cd".bold()]);
        let shown = highlight(line, std::slice::from_ref(&(1..3)), Style::new().underlined());
        let pieces: Vec<(&str, bool)> = shown
            .spans
            .iter()
            .map(|span| (span.content.as_ref(), span.style.add_modifier.contains(ratatui::style::Modifier::UNDERLINED)))
            .collect();
        assert_eq!(pieces, [("a", false), ("b", true), ("c", true), ("d", false)]);
    }
}
