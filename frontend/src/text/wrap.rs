//! Wraps lines between words.

use std::ops::Range;

use super::{Style, StyledLine, display_width};

impl StyledLine {
    /// Wraps the line at `width` columns, and indents later rows like the text of the first row: like its second column
    /// if the line has two, separated by a gap.
    pub fn wrapped(&self, width: usize) -> Vec<Self> {
        self.wrapped_with_indent(width, indent(&self.to_string(), width))
    }

    /// Wraps the line at `width` columns, and indents later rows by `indent` spaces. A longer word stays whole, so that
    /// a path can be copied: the terminal breaks it.
    pub fn wrapped_with_indent(&self, width: usize, indent: usize) -> Vec<Self> {
        // A narrow area has no room for an indent.
        let indent = if indent > width / 2 { 0 } else { indent };
        let rows = rows(&self.to_string(), width, indent);
        let row = |(index, range): (usize, &Range<usize>)| {
            let before = if index == 0 { 0 } else { indent };
            self.push_range(range, Self::of(Style::Plain, &" ".repeat(before)))
        };
        rows.iter().enumerate().map(row).collect()
    }

    /// Appends a range of the line, in bytes, to a row.
    fn push_range(&self, range: &Range<usize>, mut row: Self) -> Self {
        let mut begin = 0;
        for piece in self.spans() {
            let end = begin + piece.text.len();
            let (from, to) = (range.start.clamp(begin, end), range.end.clamp(begin, end));
            row.push(piece.style, &piece.text[from - begin..to - begin]);
            begin = end;
        }
        row
    }
}

/// Returns the column at which later rows begin.
fn indent(text: &str, width: usize) -> usize {
    let body = text.trim_start_matches(' ');
    let lead = text.len() - body.len();
    let second = body.find("  ").map(|gap| text.len() - body[gap..].trim_start_matches(' ').len());
    second.map(|at| display_width(&text[..at])).filter(|indent| *indent <= width / 2).unwrap_or(lead)
}

/// Returns the byte range of each row, without the spaces between rows.
fn rows(text: &str, width: usize, indent: usize) -> Vec<Range<usize>> {
    let (mut rows, mut row, mut used, mut last_end) = (Vec::new(), 0..0, 0, 0);
    for word in words(text) {
        let more = display_width(&text[last_end..word.end]);
        // Leading spaces alone do not make a row.
        let is_first = text[row.start..last_end].trim_start_matches(' ').is_empty();
        if used + more > width && !is_first {
            rows.push(row);
            used = indent + display_width(&text[word.clone()]);
            row = word.clone();
        } else {
            used += more;
            row.end = word.end;
        }
        last_end = word.end;
    }
    row.end = text.len();
    rows.push(row);
    rows
}

fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut begin = 0;
    text.split(' ').filter_map(move |word| {
        let range = begin..begin + word.len();
        begin = range.end + 1;
        (!word.is_empty()).then_some(range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(rows: &[StyledLine]) -> Vec<String> {
        rows.iter().map(StyledLine::to_string).collect()
    }

    #[test]
    fn prose_wraps_between_words_with_hanging_indent() {
        // (text, width, rows)
        let cases: &[(&str, usize, &[&str])] = &[
            ("", 10, &[""]),
            ("a few words", 11, &["a few words"]),
            ("a few words", 10, &["a few", "words"]),
            ("  some of it is here", 12, &["  some of it", "  is here"]),
            (":use WHERE  goes to a circle", 24, &[":use WHERE  goes to a", "            circle"]),
            ("a  gap that is  wide", 15, &["a  gap that is", "   wide"]),
            ("see /a/path/of/its/own here", 10, &["see", "/a/path/of/its/own", "here"]),
            ("/a/path/of/its/own here", 10, &["/a/path/of/its/own", "here"]),
            ("日本 日本 日本", 9, &["日本 日本", "日本"]),
            ("a b", 0, &["a", "b"]),
        ];
        for (text, width, rows) in cases {
            assert_eq!(texts(&StyledLine::of(Style::Plain, text).wrapped(*width)), *rows, "{text} in {width}");
        }
        let error = StyledLine::of(Style::Error, "error: ").with(Style::Plain, "it is not there at all");
        assert_eq!(texts(&error.wrapped_with_indent(20, 7)), ["error: it is not", "       there at all"]);
    }

    #[test]
    fn styles_survive_wrapping() {
        let rows = StyledLine::of(Style::Dim, "one two").with(Style::Error, " three").wrapped(8);
        assert_eq!(rows, [StyledLine::of(Style::Dim, "one two"), StyledLine::of(Style::Error, "three")]);
    }

    #[test]
    fn wrapping_loses_no_word_and_exceeds_no_row() {
        for text in ["", "   ", " a bb  ccc 日本語 d", "日 本日 aaaaaaaa b c  ", "   ab  cd   ef  gh"] {
            for (width, indent) in (0..24).flat_map(|width| (0..24).map(move |indent| (width, indent))) {
                let rows = texts(&StyledLine::of(Style::Plain, text).wrapped_with_indent(width, indent));
                let all = rows.join(" ");
                assert!(all.split_whitespace().eq(text.split_whitespace()), "{text:?} in {width}: {rows:?}");
                let fits = |row: &String| display_width(row.trim_end()) <= width || row.split_whitespace().count() <= 1;
                assert!(rows.iter().all(fits), "{text:?} in {width}: {rows:?}");
            }
        }
    }
}
