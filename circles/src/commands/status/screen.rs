//! The terminal of `status --watch`: drawn over in place, and given back as it was.

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

/// The terminal, for as long as this lives.
pub(super) struct WatchScreen {
    paint: Paint,
    /// What is typed is not shown.
    quiet: Option<QuietTerminal>,
}

impl WatchScreen {
    pub(super) fn take() -> Result<Self, OutputError> {
        let mut screen = Self { paint: Paint::for_stdout(), quiet: None };
        screen.enter()?;
        Ok(screen)
    }

    /// Cells of the terminal: columns and rows.
    pub(super) fn size() -> (usize, usize) {
        stdout_size().unwrap_or((80, 24))
    }

    /// Draws over what was there, in one piece: nothing is cleared before there is something in its place.
    pub(super) fn draw(&self, lines: &[StyledLine]) -> Result<(), OutputError> {
        let (columns, rows) = Self::size();
        let mut bytes = Vec::new();
        compose(&mut bytes, self.paint, lines, columns, rows).map_err(OutputError)?;
        let mut stdout = stdout().lock();
        stdout.write_all(&bytes).and_then(|()| stdout.flush()).map_err(OutputError)
    }

    /// For the terminal's Ctrl-Z: it returns when the shell continues it.
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
        // If it fails there is nothing that could be done.
        let _untidy = execute!(stdout(), Show, LeaveAlternateScreen);
        self.quiet = None;
    }
}

impl Drop for WatchScreen {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Stops this process, as the terminal's Ctrl-Z would where nobody listens to that.
pub(super) fn stop_process() -> Result<(), OutputError> {
    kill_process(getpid(), Signal::STOP).map_err(|error| OutputError(error.into()))
}

/// What draws over a terminal of that size.
fn compose(to: &mut Vec<u8>, paint: Paint, lines: &[StyledLine], columns: usize, rows: usize) -> io::Result<()> {
    queue!(to, MoveTo(0, 0))?;
    for (row, line) in fit_rows(lines, rows).into_iter().enumerate() {
        if row > 0 {
            to.extend(b"\r\n");
        }
        // One that fills its row would have the rest of it cleared in the next.
        to.extend(paint.line(&line.truncated(columns.saturating_sub(1))).as_bytes());
        queue!(to, Clear(ClearType::UntilNewLine))?;
    }
    queue!(to, Clear(ClearType::FromCursorDown))
}

/// So many as there are rows for; what is left out is said.
fn fit_rows(lines: &[StyledLine], rows: usize) -> Vec<StyledLine> {
    if lines.len() <= rows {
        return lines.to_vec();
    }
    let shown = rows.saturating_sub(1);
    let more = StyledLine::of(Style::Dim, &format!("… and {} lines more", lines.len() - shown));
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
        assert_eq!(fit_rows(&lines, 3).last().expect("a line").to_string(), "… and 7 lines more");
    }
}
