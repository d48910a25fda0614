//! Status line of a running input, on a terminal only.

use std::time::{Duration, Instant};

use console::{
    progress,
    session::{CallerIdentity, ConnectionStatus, SessionState},
};
use terminal::{
    output::{self, Paint},
    status_line::{self, STATUS_LINE_DELAY},
};

use super::sessions::AUTHENTICATING_TEXT;

/// Clears the line of the cursor.
const CLEAR_LINE: &str = "\r\x1b[K";

/// How long the status line shows a cancellation: the window in which a second Ctrl-C gives up.
const CANCELLING_WINDOW: Duration = console::session::GIVE_UP_WINDOW;

pub(super) struct StatusLine {
    is_terminal: bool,
    is_shown: bool,
    began: Instant,
}

impl StatusLine {
    pub(super) fn new() -> Self {
        Self { is_terminal: status_line::is_supported(), is_shown: false, began: Instant::now() }
    }

    /// Returns the output that draws the status line; empty if it is not due yet.
    pub(super) fn show(&mut self, state: &SessionState) -> String {
        let elapsed = self.began.elapsed();
        let is_cancelling = state
            .running
            .as_ref()
            .and_then(|running| running.cancelled)
            .is_some_and(|cancelled| cancelled.elapsed() < CANCELLING_WINDOW);
        if !self.is_terminal || elapsed < STATUS_LINE_DELAY && !is_cancelling {
            return String::new();
        }
        self.is_shown = true;
        let line = match &state.running {
            Some(running) => {
                let elapsed = running.started.elapsed();
                let spinner = progress::spinner(elapsed);
                let progress = running.progress.as_ref();
                progress::PlayStatus { spinner, elapsed, progress, waiting: 0, is_cancelling }.line(columns())
            }
            None => status_line::format(pending_text(state), elapsed).truncated(columns()),
        };
        format!("{CLEAR_LINE}{}", Paint::for_stderr().line(&line))
    }

    /// Returns the output that clears the status line.
    pub(super) fn clear(&mut self) -> String {
        if std::mem::take(&mut self.is_shown) { CLEAR_LINE.into() } else { String::new() }
    }
}

fn columns() -> usize {
    output::stderr_columns().saturating_sub(1)
}

/// Returns what a session without a running play waits for.
fn pending_text(state: &SessionState) -> &'static str {
    match (state.connection, &state.identity) {
        (ConnectionStatus::Disconnected | ConnectionStatus::Connecting, _) => "connecting",
        (ConnectionStatus::Connected, CallerIdentity::Authenticating) => AUTHENTICATING_TEXT,
        (ConnectionStatus::Connected, _) => "waiting for the circle",
    }
}
