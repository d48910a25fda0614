//! Wrapping of lines.

use ratatui::{
    style::Style,
    text::{Line, Span},
};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Columns of a tab.
const TAB_COLUMNS: usize = 4;

/// Wraps a line at any character.
pub(crate) fn wrap_anywhere(line: Line<'static>, width: u16) -> Vec<Line<'static>> {
    break_line(line, width, |_| None)
}

/// Wraps a line between words, where there is a space in the second half of the row.
pub(crate) fn wrap_words(line: Line<'static>, width: u16) -> Vec<Line<'static>> {
    let half = usize::from(width) / 2;
    break_line(line, width, |row| {
        let mut columns = 0;
        let mut place = None;
        for (index, (grapheme, _)) in row.iter().enumerate() {
            columns += grapheme.width();
            if grapheme == " " && columns > half {
                place = Some(index + 1);
            }
        }
        place
    })
}

type StyledCell = (String, Style);

/// Breaks a line. `place` returns how many cells of a full row stay in it; `None` for all of them.
fn break_line(line: Line<'static>, width: u16, place: impl Fn(&[StyledCell]) -> Option<usize>) -> Vec<Line<'static>> {
    let width = usize::from(width.max(1));
    if line.width() <= width {
        return vec![line];
    }
    let (mut rows, mut row, mut used) = (Vec::new(), Vec::<StyledCell>::new(), 0);
    for span in line.spans {
        for grapheme in span.content.graphemes(true) {
            let columns = grapheme.width();
            if used + columns > width {
                let rest = row.split_off(place(&row).unwrap_or(row.len()));
                rows.push(join_cells(row));
                row = rest;
                used = row.iter().map(|(grapheme, _)| grapheme.width()).sum();
            }
            row.push((grapheme.to_owned(), span.style));
            used += columns;
        }
    }
    rows.push(join_cells(row));
    rows
}

/// Joins cells of the same style into spans.
fn join_cells(row: Vec<StyledCell>) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    for (grapheme, style) in row {
        match spans.last_mut() {
            Some(last) if last.style == style => last.content.to_mut().push_str(&grapheme),
            _ => spans.push(Span::styled(grapheme, style)),
        }
    }
    spans.into()
}

/// Returns the row and column of the cursor in wrapped text. A cursor at the very end of a row is at the beginning of
/// the next row.
pub(crate) fn cursor_position(before: &str, width: u16) -> (u16, u16) {
    let width = usize::from(width.max(1));
    let (mut row, mut used) = (0_u16, 0);
    for grapheme in before.graphemes(true) {
        let columns = grapheme.width();
        if used + columns > width {
            row = row.saturating_add(1);
            used = 0;
        }
        used += columns;
    }
    if used >= width { (row.saturating_add(1), 0) } else { (row, u16::try_from(used).unwrap_or(0)) }
}

/// Returns the index of the character at a row and column of wrapped text; at the end of a row, of the next one.
pub(crate) fn character_at(line: &str, width: u16, place: (usize, usize)) -> usize {
    let width = usize::from(width.max(1));
    let (mut row, mut used, mut index) = (0, 0, 0);
    for grapheme in line.graphemes(true) {
        let columns = if grapheme == "\t" { TAB_COLUMNS } else { grapheme.width() };
        if used + columns > width {
            (row, used) = (row + 1, 0);
        }
        if row > place.0 || row == place.0 && used + columns > place.1 {
            return index;
        }
        used += columns;
        index += grapheme.chars().count();
    }
    index
}

#[cfg(test)]
mod tests {
    use ratatui::style::Stylize;

    use super::*;

    fn texts(line: Line<'static>, width: u16) -> Vec<String> {
        wrap_anywhere(line, width).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn wrap_breaks_a_line_at_any_character() {
        assert_eq!(texts("abc".into(), 3), ["abc"]);
        assert_eq!(texts("abcd".into(), 3), ["abc", "d"]);
        assert_eq!(texts("日本語".into(), 5), ["日本", "語"]);
        assert_eq!(texts(Line::from(vec!["ab".into(), "cde".bold()]), 3), ["abc", "de"]);
        assert_eq!(texts("".into(), 3), [""]);
        assert_eq!(texts("日本".into(), 1), ["", "日", "本"]);
    }

    #[test]
    fn wrap_breaks_prose_between_words() {
        let prose = |text: &'static str, width| {
            wrap_words(text.into(), width).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(prose("the quick brown fox", 10), ["the quick ", "brown fox"]);
        assert_eq!(prose("a verylongword", 8), ["a verylo", "ngword"]);
        assert_eq!(prose("       x y", 4), ["    ", "   ", "x y"]);
    }

    #[test]
    fn wrap_keeps_styles() {
        let rows = wrap_anywhere(Line::from("abcd".bold()), 3);
        assert_eq!(rows[1].spans[0].style, Style::new().bold());
    }

    #[test]
    fn character_is_found_by_its_place() {
        for (line, place, index) in [
            ("abcdef", (0, 1), 1),
            ("abcdef", (1, 0), 4),
            ("abcdef", (0, 9), 4),
            ("abcdef", (1, 9), 6),
            ("日本x", (0, 1), 0),
            ("日本x", (0, 2), 1),
            ("\tx", (0, 3), 0),
            ("", (0, 5), 0),
        ] {
            assert_eq!(character_at(line, 4, place), index, "{line:?} {place:?}");
        }
    }

    #[test]
    fn cursor_is_at_the_next_character() {
        assert_eq!(cursor_position("", 3), (0, 0));
        assert_eq!(cursor_position("ab", 3), (0, 2));
        assert_eq!(cursor_position("abc", 3), (1, 0));
        assert_eq!(cursor_position("日本", 3), (1, 2));
        assert_eq!(cursor_position("a", 0), (1, 0));
    }
}
