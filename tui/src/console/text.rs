//! Text in styles, for whoever shows it.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::visible::visible;

/// A part of an input that is shown in a colour of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Keyword,
    String,
    Number,
    Comment,
    /// A name that is called.
    Function,
    /// What the lexer can make nothing of.
    Error,
}

/// How a piece of text is meant, never a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Dim,
    Error,
    Syntax(Kind),
}

/// A piece of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub text: String,
    pub style: Style,
}

/// One line, without the newline at its end. Nothing in it can drive a terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line(Vec<Piece>);

impl Line {
    pub(crate) fn of(style: Style, text: &str) -> Self {
        Self::default().with(style, text)
    }

    /// The same with a piece more at its end.
    pub(crate) fn with(mut self, style: Style, text: &str) -> Self {
        self.push(style, text);
        self
    }

    /// Adds a piece. Its control characters are shown, and it is one line whatever it says.
    pub(crate) fn push(&mut self, style: Style, text: &str) {
        if !text.is_empty() {
            let text = visible(text).replace('\n', " ").replace('\t', "    ");
            self.0.push(Piece { text, style });
        }
    }

    /// As much of it as that many cells of a terminal hold.
    pub(crate) fn cut(&self, width: usize) -> Self {
        let (mut cut, mut left) = (Self::default(), width);
        for piece in &self.0 {
            let fits = |grapheme: &&str| {
                let is_room = left.checked_sub(grapheme.width());
                left = is_room.unwrap_or(0);
                is_room.is_some()
            };
            let text: String = piece.text.graphemes(true).take_while(fits).collect();
            let is_whole = text.len() == piece.text.len();
            cut.0.push(Piece { text, style: piece.style });
            if !is_whole {
                break;
            }
        }
        cut
    }

    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.0
    }
}

/// Without its styles.
impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|piece| f.write_str(&piece.text))
    }
}

/// A text of several lines, all in one style.
pub(crate) fn lines(style: Style, text: &str) -> Vec<Line> {
    visible(text).split('\n').map(|line| Line::of(style, line)).collect()
}
