//! Screen of `status --watch`: redrawn in place, and restored at the end.

use std::io::{self, Write, stdout};

use ratatui::crossterm::{
    cursor::{Hide, MoveTo, Show},
    execute, queue,
    terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen},
};
use rustix::process::{Signal, getpid, kill_process};

use frontend::{
    error::OutputError,
    text::{Style, StyledLine},
};
use terminal::{
    modes::QuietTerminal,
    output::{Paint, stdout_size},
};

/// The alternate screen of the terminal. Dropping it restores the terminal.
pub(super) struct WatchScreen {
    paint: Paint,
    /// Turns off the echo of typed characters.
    quiet: Option<QuietTerminal>,
}

impl WatchScreen {
    pub(super) fn take() -> Result<Self, OutputError> {
        let mut screen = Self { paint: Paint::for_stdout(), quiet: None };
        screen.enter()?;
        Ok(screen)
    }

    /// Columns and rows of the terminal.
    pub(super) fn size() -> (usize, usize) {
        stdout_size().unwrap_or((80, 24))
    }

    /// Redraws the screen in one write, without clearing it first, so that it does not flicker.
    pub(super) fn draw(&self, lines: &[StyledLine]) -> Result<(), OutputError> {
        let (columns, rows) = Self::size();
        let mut bytes = Vec::new();
        compose(&mut bytes, self.paint, lines, columns, rows).map_err(OutputError)?;
        let mut stdout = stdout().lock();
        stdout.write_all(&bytes).and_then(|()| stdout.flush()).map_err(OutputError)
    }

    /// Suspends the process, for Ctrl-Z. Returns when the shell continues it.
    pub(super) fn suspend(&mut self) -> Result<(), OutputError> {
        self.give_back();
        stop_process()?;
        self.enter()
    }

    fn enter(&mut self) -> Result<(), OutputError> {
        self.quiet = Some(QuietTerminal::without_echo());
        execute!(stdout(), EnterAlternateScreen, Hide).map_err(OutputError)
    }

    fn give_back(&mut self) {
        // Nothing can be done if this fails.
        let _untidy = execute!(stdout(), Show, LeaveAlternateScreen);
        self.quiet = None;
    }
}

impl Drop for WatchScreen {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Stops this process, as the default action of Ctrl-Z does.
pub(super) fn stop_process() -> Result<(), OutputError> {
    kill_process(getpid(), Signal::STOP).map_err(|error| OutputError(error.into()))
}

/// Writes what redraws a terminal of this size.
fn compose(to: &mut Vec<u8>, paint: Paint, lines: &[StyledLine], columns: usize, rows: usize) -> io::Result<()> {
    queue!(to, MoveTo(0, 0))?;
    for (row, line) in fit_rows(lines, rows).into_iter().enumerate() {
        if row > 0 {
            to.extend(b"\r\n");
        }
        // One column less: after a full row, clearing to the end of the line would affect the next row.
        to.extend(paint.line(&line.truncated(columns.saturating_sub(1))).as_bytes());
        queue!(to, Clear(ClearType::UntilNewLine))?;
    }
    queue!(to, Clear(ClearType::FromCursorDown))
}

/// Limits lines to the number of rows; the last one says how many are hidden.
fn fit_rows(lines: &[StyledLine], rows: usize) -> Vec<StyledLine> {
    if lines.len() <= rows {
        return lines.to_vec();
    }
    let shown = rows.saturating_sub(1);
    let more = StyledLine::of(Style::Dim, &format!("… {} more lines", lines.len() - shown));
    lines[..shown].iter().cloned().chain((rows > 0).then_some(more)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screen_truncates_and_counts_hidden_lines() {
        let lines: Vec<StyledLine> =
            (0..9).map(|number| StyledLine::of(Style::Plain, &format!("line {number} is long"))).collect();
        for (columns, rows) in [(0, 0), (1, 1), (7, 3), (80, 9), (80, 24)] {
            let mut bytes = Vec::new();
            compose(&mut bytes, Paint::for_stdout(), &lines, columns, rows).expect("into memory");
            let size = |cells| std::num::NonZero::new(cells).expect("not zero");
            let mut emulator = vt100::Parser::new(size(24), size(80), 0);
            emulator.process(&bytes);
            let shown = emulator.screen().contents();
            assert!(shown.lines().count() <= rows && shown.lines().all(|line| line.chars().count() < columns.max(1)));
            assert_eq!(shown.contains("line 8"), rows >= 9 && columns >= 8, "{columns} {rows}: {shown}");
        }
        assert_eq!(fit_rows(&lines, 3).last().expect("a line").to_string(), "… 7 more lines");
    }
}
