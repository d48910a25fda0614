//! What goes to the terminal: colours where they are wanted, and nothing of a circle's that could drive it.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
};

use protocol::methods::{Output, Stream};

use crate::console::{
    highlight::Kind,
    text::{Line, Style},
};

/// The output could not be written.
#[derive(Debug)]
pub(crate) struct Unwritten(pub(crate) io::Error);

/// Control characters shown, not obeyed. Newlines and tabs stay; a carriage return before a newline goes.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    let is_plain =
        |character: char| matches!(character, '\n' | '\t') || !(character.is_control() || is_hidden(character));
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\r\n", "\n");
    let show = |character: char| match character {
        _ if is_plain(character) => character,
        // The Unicode block of pictures of control characters.
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '␡',
        _ => '\u{fffd}',
    };
    Cow::Owned(text.chars().map(show).collect())
}

/// Characters that are no control characters and still change how what is around them is shown: bidirectional
/// overrides and isolates, line and paragraph separators.
fn is_hidden(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// Sixteen colours, where they are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    is_on: bool,
}

impl Paint {
    pub(crate) fn for_stderr() -> Self {
        Self::new(io::stderr().is_terminal())
    }

    pub(crate) fn for_stdout() -> Self {
        Self::new(io::stdout().is_terminal())
    }

    /// `NO_COLOR` and `CLICOLOR_FORCE` before what the output is.
    fn new(is_terminal: bool) -> Self {
        let value = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let is_forced = value("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        Self { is_on: value("NO_COLOR").is_none() && (is_terminal || is_forced) }
    }

    pub(crate) fn with(self, code: &str, text: &str) -> String {
        if self.is_on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A line for the terminal, without the newline at its end.
    pub(crate) fn line(self, line: &Line) -> String {
        line.pieces().iter().map(|piece| self.styled(piece.style, &piece.text)).collect()
    }

    pub(crate) fn styled(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            Style::Dim | Style::Syntax(Kind::Comment) => "2",
            Style::Error => "1;31",
            Style::Syntax(Kind::Keyword) => "35",
            Style::Syntax(Kind::String) => "32",
            Style::Syntax(Kind::Number) => "36",
            Style::Syntax(Kind::Function) => "34",
            Style::Syntax(Kind::Error) => "31",
        };
        self.with(code, text)
    }

    pub(crate) fn is_on(self) -> bool {
        self.is_on
    }

    pub(crate) fn error(self, text: &str) -> String {
        self.with("1;31", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(crate) fn strong(self, text: &str) -> String {
        self.with("1", text)
    }
}

/// Columns of the terminal that errors are written to; any number, where it is none.
pub(crate) fn columns() -> usize {
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        _ => usize::MAX,
    }
}

/// Writes text as it is.
pub(crate) fn to_stdout(text: &str) -> Result<(), Unwritten> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Unwritten)
}

/// Writes what a circle printed, a line more: as it is to a pipe, made visible to a terminal.
pub(crate) fn line_to_stdout(text: &str) -> Result<(), Unwritten> {
    let text = if io::stdout().is_terminal() { visible(text) } else { Cow::Borrowed(text) };
    to_stdout(&format!("{text}\n"))
}

/// The same on stderr.
pub(crate) fn line_to_stderr(text: &str) {
    let text = if io::stderr().is_terminal() { visible(text) } else { Cow::Borrowed(text) };
    to_stderr(&format!("{text}\n"));
}

/// Writes what a play prints: prints to stdout, debugs with their place to stderr.
pub(crate) fn output(output: &Output) -> Result<(), Unwritten> {
    match output.stream {
        Stream::Print => line_to_stdout(&output.text),
        Stream::Debug => {
            let place = output.position.map_or(String::new(), |at| format!("[{}:{}] ", at.line, at.column));
            line_to_stderr(&format!("{place}{}", output.text));
            Ok(())
        }
    }
}

/// Writes text as it is. Without a stderr there is nobody to tell.
pub(crate) fn to_stderr(text: &str) {
    let _gone = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn control_characters_are_shown() {
        let cases = [
            ("plain\n\ttext", "plain\n\ttext"),
            ("a\r\nb", "a\nb"),
            ("\x1b[2J", "␛[2J"),
            ("\x07\x08\r\0\x7f", "␇␈␍␀␡"),
            ("\u{9b}31m", "\u{fffd}31m"),
            ("\u{202e}evil", "\u{fffd}evil"),
            ("zwj 👩‍💻", "zwj 👩‍💻"),
        ];
        for (text, shown) in cases {
            assert_eq!(visible(text), shown);
        }
    }
}
