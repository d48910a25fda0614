//! Text in styles, for whoever shows it.

mod wrap;

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::visible::visible;

/// Lines of a text that are laid out; nobody would read more of them.
const MAX_LINES: usize = 100_000;

/// Bytes of a text that are laid out.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// A part of an input that is shown in a colour of its own.
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
    /// A name that is called.
    Function,
    /// The bracket at the cursor, and the one that belongs to it.
    Bracket,
    /// What the lexer can make nothing of.
    Error,
}

/// How a piece of text is meant, never a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// The terminal's own foreground.
    Plain,
    /// What matters less than the text beside it.
    Dim,
    /// What stands over something else: the head of a table.
    Strong,
    /// What is done, of something that goes on.
    Success,
    /// What went wrong.
    Error,
    /// A part of a script.
    Syntax(SyntaxKind),
    /// One of several things that are told apart by their colours, and by something else.
    Series(u8),
}

/// Columns and rows that there are to show something in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Columns of character cells.
    pub width: usize,
    /// Rows of character cells.
    pub height: usize,
}

/// A piece of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextSpan {
    /// The text, in one line and without control characters.
    pub text: String,
    /// How all of the text is meant.
    pub style: Style,
}

/// One line, without the newline at its end. Nothing in it can drive a terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StyledLine(Vec<TextSpan>);

impl StyledLine {
    /// A line of one piece; empty if the text is.
    pub fn of(style: Style, text: &str) -> Self {
        Self::default().with(style, text)
    }

    /// The same with a piece more at its end.
    #[must_use]
    pub fn with(mut self, style: Style, text: &str) -> Self {
        self.push(style, text);
        self
    }

    /// The same with another line's pieces at its end.
    #[must_use]
    pub fn with_line(self, other: &Self) -> Self {
        other.0.iter().fold(self, |line, piece| line.with(piece.style, &piece.text))
    }

    /// Adds a piece. Its control characters are shown, and it is one line whatever it says.
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

    /// Columns that it takes.
    pub fn width(&self) -> usize {
        self.0.iter().map(|piece| display_width(&piece.text)).sum()
    }

    /// As much of it as that many cells of a terminal hold.
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

/// Without its styles.
impl std::fmt::Display for StyledLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|piece| f.write_str(&piece.text))
    }
}

/// What a piece of a line shows for a text.
fn one_line(text: &str) -> Cow<'_, str> {
    let text = visible(text);
    if text.contains(['\n', '\t']) { text.replace('\n', " ").replace('\t', "    ").into() } else { text }
}

/// Columns that a text takes as a piece of a line.
pub fn display_width(text: &str) -> usize {
    let is_printable = |byte: &u8| matches!(byte, b' '..=b'~');
    if text.as_bytes().iter().all(is_printable) { text.len() } else { one_line(text).width() }
}

/// A text of several lines, all in one style: the first 100,000 of them within 4 MiB, and behind them how large all of it is.
pub fn lines(style: Style, text: &str) -> Vec<StyledLine> {
    let begin = &text[..text.floor_char_boundary(MAX_TEXT_BYTES)];
    let shown = visible(begin);
    let mut all = shown.split('\n');
    let mut lines: Vec<StyledLine> = all.by_ref().take(MAX_LINES).map(|line| StyledLine::of(style, line)).collect();
    if begin.len() < text.len() || all.next().is_some() {
        let note = format!("… not laid out any further: {} KiB in all", text.len().div_ceil(1024));
        lines.push(StyledLine::of(Style::Dim, &note));
    }
    lines
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
        let note = Some("… not laid out any further: 10240 KiB in all".to_owned());
        assert_eq!((many.len(), last(&many)), (MAX_LINES + 1, note.clone()));
        let long = lines(Style::Plain, &"\u{1b}".repeat(10 << 20));
        assert_eq!((long.len(), long[0].width(), last(&long)), (2, MAX_TEXT_BYTES, note));
    }
}
