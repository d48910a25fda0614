//! Output to the terminal: colours if enabled, and escaped text from circles.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use protocol::methods::{Output, Stream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use unicode_width::UnicodeWidthStr;

use crate::modes;
use frontend::{
    error::{CliError, OutputError},
    text::{Style, StyledLine, SyntaxKind},
    visible::visible,
};

/// The colours of series.
const SERIES_COLOURS: [&str; 6] = ["36", "33", "35", "32", "34", "31"];

/// The maximum width to which labels are padded, in columns.
const MAX_LABEL: usize = 64;

/// How often to check whether somebody can read stdout.
const CLOSED_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Whether this process shows no colours, whatever the terminal can.
static HAS_NO_COLOURS: AtomicBool = AtomicBool::new(false);

/// Turns colours off for the rest of the process.
pub fn disable_colours() {
    HAS_NO_COLOURS.store(true, Ordering::Relaxed);
}

/// Paints text in sixteen colours, if colours are enabled.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    is_on: bool,
}

impl Paint {
    /// Returns the paint for stderr: enabled if stderr is a terminal with colours.
    pub fn for_stderr() -> Self {
        Self::new(io::stderr().is_terminal())
    }

    /// Returns the paint for stdout: enabled if stdout is a terminal with colours.
    pub fn for_stdout() -> Self {
        Self::new(io::stdout().is_terminal())
    }

    /// `NO_COLOR` and `CLICOLOR_FORCE` take precedence over the kind of the output.
    fn new(is_terminal: bool) -> Self {
        let value = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let is_forced = value("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let is_off = HAS_NO_COLOURS.load(Ordering::Relaxed) || value("NO_COLOR").is_some();
        Self { is_on: !is_off && (is_terminal && !modes::is_dumb() || is_forced) }
    }

    /// Paints text; `code` is the parameter of SGR (ECMA-48, 8.3.117).
    pub fn with_code(self, code: &str, text: &str) -> String {
        if self.is_on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Paints a line, without a newline at its end.
    pub fn line(self, line: &StyledLine) -> String {
        line.spans().iter().map(|piece| self.styled(piece.style, &piece.text)).collect()
    }

    /// Paints text in a style.
    pub fn styled(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            Style::Dim | Style::Syntax(SyntaxKind::Comment) => "2",
            Style::Strong => "1",
            Style::Success => "32",
            Style::Warning => "33",
            Style::Error => "1;31",
            Style::Series(number) => SERIES_COLOURS[usize::from(number) % SERIES_COLOURS.len()],
            Style::Syntax(SyntaxKind::Keyword) => "35",
            Style::Syntax(SyntaxKind::String) => "32",
            Style::Syntax(SyntaxKind::Number) => "36",
            Style::Syntax(SyntaxKind::Function) => "34",
            Style::Syntax(SyntaxKind::Bracket) => "1;7",
            Style::Syntax(SyntaxKind::Error) => "31",
        };
        self.with_code(code, text)
    }

    /// Whether colours are enabled.
    pub fn is_on(self) -> bool {
        self.is_on
    }

    /// Paints text in the colour of errors.
    pub fn error(self, text: &str) -> String {
        self.with_code("1;31", text)
    }

    /// Dims text.
    pub fn dim(self, text: &str) -> String {
        self.with_code("2", text)
    }

    /// Makes text bold.
    pub fn strong(self, text: &str) -> String {
        self.with_code("1", text)
    }
}

/// The width of the terminal on stderr, in columns; `usize::MAX` if stderr is not a terminal.
pub fn stderr_columns() -> usize {
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        _ => usize::MAX,
    }
}

/// The columns and rows of the terminal on stdout; `None` if stdout is not a terminal.
pub fn stdout_size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col.into(), size.ws_row.into()))
}

/// Waits until nobody can read stdout any more, as after the end of a pager or of `head`. A program that writes seldom
/// would otherwise run on.
pub async fn stdout_closed() -> OutputError {
    loop {
        let stdout = io::stdout();
        let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // The system reports these flags although they are not requested.
        if poll(&mut polled, Some(&now)).is_ok_and(|ready| ready > 0)
            && polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
        {
            return OutputError(io::ErrorKind::BrokenPipe.into());
        }
        tokio::time::sleep(CLOSED_CHECK_INTERVAL).await;
    }
}

/// Writes text to stdout unchanged.
pub fn to_stdout(text: &str) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(OutputError)
}

/// Writes a circle's text and a newline to stdout: unchanged to a pipe, escaped to a terminal.
pub fn line_to_stdout(text: &str) -> Result<(), OutputError> {
    let text = if io::stdout().is_terminal() { visible(text) } else { Cow::Borrowed(text) };
    to_stdout(&format!("{text}\n"))
}

/// Writes a circle's text and a newline to stderr: unchanged to a pipe, escaped to a terminal.
pub fn line_to_stderr(text: &str) {
    let text = if io::stderr().is_terminal() { visible(text) } else { Cow::Borrowed(text) };
    to_stderr(&format!("{text}\n"));
}

/// Writes the output of a play: prints to stdout, debug output with its position to stderr.
pub fn write_output(output: &Output) -> Result<(), OutputError> {
    match output.stream {
        Stream::Debug => {
            line_to_stderr(&debug(output));
            Ok(())
        }
        _ => line_to_stdout(&output.text),
    }
}

/// Formats debug output with its position.
fn debug(output: &Output) -> String {
    let position = output.position.map_or(String::new(), |at| format!("[{}:{}] ", at.line, at.column));
    format!("{position}{}", output.text)
}

/// The label before each line of one circle, among the lines of several circles.
#[derive(Debug)]
pub struct OutputLabel {
    text: String,
    stdout: Paint,
    stderr: Paint,
}

impl OutputLabel {
    /// Returns a label padded to `width` columns, and to 64 at most.
    pub fn new(text: &str, width: usize) -> Self {
        let text = visible(text);
        let padding = width.min(MAX_LABEL).saturating_sub(text.width());
        let text = format!("{text}{}", " ".repeat(padding));
        Self { text, stdout: Paint::for_stdout(), stderr: Paint::for_stderr() }
    }

    /// Formats printed text, for stdout.
    pub fn format_print(&self, text: &str) -> String {
        let text = if io::stdout().is_terminal() { visible(text) } else { Cow::Borrowed(text) };
        prefix_lines(&self.stdout.dim(&format!("{} |", self.text)), &text)
    }

    /// Formats a value, for stdout.
    pub fn value(&self, text: &str) -> String {
        let text = if io::stdout().is_terminal() { visible(text) } else { Cow::Borrowed(text) };
        prefix_lines(&self.stdout.dim(&format!("{} =", self.text)), &text)
    }

    /// Formats the lines of a value, for stdout.
    pub fn value_lines(&self, lines: &[StyledLine]) -> String {
        let text: Vec<String> = lines.iter().map(|line| self.stdout.line(line)).collect();
        prefix_lines(&self.stdout.dim(&format!("{} =", self.text)), &text.join("\n"))
    }

    /// Formats debug output, for stderr.
    pub fn format_debug(&self, output: &Output) -> String {
        let text = debug(output);
        let text = if io::stderr().is_terminal() { visible(&text) } else { Cow::Borrowed(text.as_str()) };
        prefix_lines(&self.stderr.dim(&format!("{} |", self.text)), &text)
    }

    /// Formats an error, for stderr.
    pub fn error(&self, lines: &[StyledLine]) -> String {
        let text: Vec<String> = lines.iter().map(|line| self.stderr.line(line)).collect();
        prefix_lines(&self.stderr.dim(&format!("{} |", self.text)), &text.join("\n"))
    }

    /// The width of the label and its separator, in columns.
    pub fn width(&self) -> usize {
        self.text.width() + 3
    }
}

fn prefix_lines(before: &str, text: &str) -> String {
    text.split('\n').flat_map(|line| [before, " ", line, "\n"]).collect()
}

/// Writes text to stderr unchanged, and ignores errors.
pub fn to_stderr(text: &str) {
    let _gone = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes an error to stderr, with its excerpt and what to do.
pub fn report(error: &CliError) {
    let paint = Paint::for_stderr();
    to_stderr(&error.lines(stderr_columns()).iter().map(|line| paint.line(line) + "\n").collect::<String>());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_width_is_shared_and_bounded() {
        let width = |text: &str, width| OutputLabel::new(text, width).width() - " | ".len();
        assert_eq!([width("日本", 0), width("日本", 6), width("a", usize::MAX)], [4, 6, MAX_LABEL]);
        assert_eq!(width(&"x".repeat(100_000), 100_000), 100_000);
    }
}
