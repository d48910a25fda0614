//! Styled text, independent of how it is displayed.

mod wrap;

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::{quantity, visible::visible};

/// The maximum number of lines to lay out.
const MAX_LINES: usize = 100_000;

/// The maximum length of a text to lay out, in bytes.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// The kind of a token in a script, for highlighting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyntaxKind {
    /// A keyword of Rhai.
    Keyword,
    /// A string or a character, with its quotes.
    String,
    /// An integer or a floating-point number.
    Number,
    /// A comment, on one line or over several.
    Comment,
    /// The name of a called function.
    Function,
    /// The bracket at the cursor, and the matching one.
    Bracket,
    /// Text that the lexer rejects.
    Error,
}

/// The meaning of a piece of text. Renderers choose the colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Ordinary text.
    Plain,
    /// Text that matters less.
    Dim,
    /// A heading, such as the head of a table.
    Strong,
    /// The completed part of something in progress.
    Success,
    /// Something that needs attention and is no error.
    Warning,
    /// An error.
    Error,
    /// A token of a script.
    Syntax(SyntaxKind),
    /// One of several series, which differ in colour and in another mark.
    Series(u8),
}

/// The size of a display area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Columns of character cells.
    pub width: usize,
    /// Rows of character cells.
    pub height: usize,
}

/// A piece of a line in one style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextSpan {
    /// The text, in one line and without control characters.
    pub text: String,
    /// The style of the text.
    pub style: Style,
}

/// One line of styled text, without a newline and without control characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StyledLine(Vec<TextSpan>);

impl StyledLine {
    /// Returns a line of one piece; an empty line if the text is empty.
    pub fn of(style: Style, text: &str) -> Self {
        Self::default().with(style, text)
    }

    /// Returns the line with another piece at its end.
    #[must_use]
    pub fn with(mut self, style: Style, text: &str) -> Self {
        self.push(style, text);
        self
    }

    /// Returns the line with the pieces of another line at its end.
    #[must_use]
    pub fn with_line(self, other: &Self) -> Self {
        other.0.iter().fold(self, |line, piece| line.with(piece.style, &piece.text))
    }

    /// Adds a piece. Makes control characters visible, and replaces newlines with spaces.
    pub fn push(&mut self, style: Style, text: &str) {
        if text.is_empty() {
            return;
        }
        let text = one_line(text);
        match self.0.last_mut() {
            Some(last) if last.style == style => last.text.push_str(&text),
            _ => self.0.push(TextSpan { text: text.into_owned(), style }),
        }
    }

    /// The width of the line, in columns.
    pub fn width(&self) -> usize {
        self.0.iter().map(|piece| display_width(&piece.text)).sum()
    }

    /// Returns as much of the line as fits into `width` columns.
    #[must_use]
    pub fn truncated(&self, width: usize) -> Self {
        let (mut cut, mut left) = (Self::default(), width);
        for piece in &self.0 {
            let fits = |grapheme: &&str| {
                let is_room = left.checked_sub(grapheme.width());
                left = is_room.unwrap_or(0);
                is_room.is_some()
            };
            let text: String = piece.text.graphemes(true).take_while(fits).collect();
            let is_whole = text.len() == piece.text.len();
            cut.0.push(TextSpan { text, style: piece.style });
            if !is_whole {
                break;
            }
        }
        cut
    }

    /// The pieces, from left to right. Neighbours differ in their style.
    pub fn spans(&self) -> &[TextSpan] {
        &self.0
    }
}

/// Formats the text of the line without its styles.
impl std::fmt::Display for StyledLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|piece| f.write_str(&piece.text))
    }
}

/// Returns the text as a piece of a line shows it.
fn one_line(text: &str) -> Cow<'_, str> {
    let text = visible(text);
    if text.contains(['\n', '\t']) { text.replace('\n', " ").replace('\t', "    ").into() } else { text }
}

/// The width of a text as a piece of a line, in columns.
pub fn display_width(text: &str) -> usize {
    let is_printable = |byte: &u8| matches!(byte, b' '..=b'~');
    if text.as_bytes().iter().all(is_printable) { text.len() } else { one_line(text).width() }
}

/// Lays out a text of several lines in one style: at most 100,000 lines and 4 MiB, followed by a note if there is more.
pub fn lines(style: Style, text: &str) -> Vec<StyledLine> {
    let begin = &text[..text.floor_char_boundary(MAX_TEXT_BYTES)];
    let shown = visible(begin);
    let mut all = shown.split('\n');
    let mut lines: Vec<StyledLine> = all.by_ref().take(MAX_LINES).map(|line| StyledLine::of(style, line)).collect();
    if begin.len() < text.len() || all.next().is_some() {
        lines.push(truncation_note(text.len()));
    }
    lines
}

/// The line below the shown part of a text of this many bytes.
pub fn truncation_note(bytes: usize) -> StyledLine {
    StyledLine::of(Style::Dim, &format!("… truncated: {} in total", quantity::size(bytes as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncation_accepts_any_width() {
        let line = StyledLine::of(Style::Plain, "日本").with(Style::Dim, "x\u{1b}");
        let cut = [0, 1, 2, 5, usize::MAX].map(|width| line.truncated(width).to_string());
        assert_eq!(cut, ["", "", "日", "日本x", "日本x␛"]);
    }

    #[test]
    fn text_is_laid_out_up_to_a_limit() {
        let last = |lines: &[StyledLine]| lines.last().map(StyledLine::to_string);
        let all = lines(Style::Plain, &"x\n".repeat(MAX_LINES - 1));
        assert_eq!((all.len(), last(&all)), (MAX_LINES, Some(String::new())));
        let many = lines(Style::Plain, &"\n".repeat(10 << 20));
        let note = Some("… truncated: 10 MiB in total".to_owned());
        assert_eq!((many.len(), last(&many)), (MAX_LINES + 1, note.clone()));
        let long = lines(Style::Plain, &"\u{1b}".repeat(10 << 20));
        assert_eq!((long.len(), long[0].width(), last(&long)), (2, MAX_TEXT_BYTES, note));
    }
}
